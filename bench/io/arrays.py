"""Arrays of NumPy's format (.npy): judged by their header, mapped into memory, never unpickled."""

from pathlib import Path
from zipfile import is_zipfile

import numpy as np

from bench.core.errors import UsageError
from bench.core.reading import shown
from bench.core.scene import Array
from bench.io.decoding import first_bytes, quiet

MAGIC = b"\x93NUMPY"

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
    except Exception as error:  # NumPy raises half a dozen kinds for damaged headers, with hints for programmers
        raise UsageError(f"{shown(path)} isn't a readable .npy file of numbers: {_reason(path, error)}.") from error


def _reason(path: Path, error: Exception) -> str:
    start = first_bytes(path, len(MAGIC))
    if start != MAGIC:
        return "its first bytes are another format's" if start else "it is empty"
    if isinstance(error, OSError):
        return f"it can't be read ({error.strerror or 'an error of the disk'})"
    if "object" in str(error).lower():
        return "it holds Python objects, which are never opened here; expected numbers"
    return "its header is damaged, or it is cut short; save it again with numpy.save"
