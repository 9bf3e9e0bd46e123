"""Arrays in one NumPy archive whose bytes depend on the arrays alone."""

import io
import zipfile
from collections.abc import Mapping

import numpy as np

from bench.core.scene import Array

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time a ZIP entry can carry; `numpy.savez` would write the present one."""


def to_npz(arrays: Mapping[str, Array]) -> bytes:
    """Return an uncompressed .npz archive of the arrays, readable by `numpy.load`; equal arrays give equal bytes."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            entry = io.BytesIO()
            np.lib.format.write_array(entry, np.asarray(arrays[name]), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", EPOCH), entry.getvalue())
    return content.getvalue()
