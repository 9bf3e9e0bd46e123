"""Arrays of NumPy's format (.npy): judged by their header, mapped into memory, never unpickled."""

from pathlib import Path
from zipfile import is_zipfile

import numpy as np

from bench.core.errors import UsageError
from bench.core.reading import shown
from bench.core.scene import Array
from bench.io.decoding import first_bytes, quiet

ZIP = b"PK\x03\x04"
"""What an archive of arrays (.npz) begins with."""


def read_array(path: Path) -> Array:
    """Map a .npy file of numbers into memory, read-only; UsageError if it is none, is damaged, cut short or a pickle.

    Nothing is allocated: the file is as large as its header says, or it is refused.
    """
    if first_bytes(path, len(ZIP)) == ZIP and is_zipfile(path):
        raise UsageError(f"{shown(path)} is an archive of arrays; expected one array, saved with numpy.save.")
    try:
        with quiet():
            return np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # NumPy raises half a dozen kinds for damaged headers
        reason = shown(" ".join(str(error).split()) or type(error).__name__)
        raise UsageError(f"{shown(path)} isn't a readable .npy file of numbers: {reason}.") from error
