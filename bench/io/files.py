"""Files that appear under their final name whole or not at all."""

import errno
import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.errors import BenchError, UsageError

if TYPE_CHECKING:  # writing text doesn't import NumPy
    from bench.core.scene import Array

NEARLY_NOTHING = 1 << 20
"""Bytes; a write that fails without an error number while less is free failed because the disk is full."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip entry can carry; the present one would make archives of equal content differ."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; on success it takes the final name, on any failure it is removed.

    The temporary name may become a file or a folder. A folder replaces an existing folder. Missing parent folders are
    made. A full disk becomes UsageError, any other OSError (a missing permission) BenchError, with one sentence.
    """
    path = Path(path)
    # The process id keeps two processes that write the same scene from sharing one temporary file.
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        if part.is_dir() and path.exists():
            _swap(part, path)
        else:
            part.replace(path)
    except OSError as error:
        # NumPy and OpenEXR report a short write without an error number.
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        full = full or (error.errno is None and _free(path.parent) < NEARLY_NOTHING)
        _remove(part)  # before the free space is told
        if full:
            raise UsageError(
                f"{path}: could not be written ({error.strerror or error}): the disk is full, "
                f"{_free(path.parent) / 1e6:.1f} MB are free. Nothing half-written was left under this name; "
                "free some space, then run the command again."
            ) from error
        raise BenchError(
            f"{path}: could not be written ({error.strerror or error}). Nothing was left under this name by this "
            "attempt; check free space and permissions of its folder, then run the command again."
        ) from error
    finally:
        _remove(part)


def _swap(part: Path, path: Path) -> None:
    # Renaming can't replace a folder that holds files: the old one steps aside first.
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    path.rename(old)
    try:
        part.rename(path)
    except OSError:
        old.rename(path)
        raise
    _remove(old)


def _free(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):  # nothing was written: a file stands where the folder should be, or all is read-only
            path.unlink(missing_ok=True)


def write_text_atomic(path: Path, text: str) -> None:
    """Write UTF-8 text with its line ends as they are; OSError (disk full, no permission) becomes BenchError."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_bytes_atomic(path: Path, content: bytes) -> None:
    """Write bytes; OSError becomes BenchError."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_json_atomic(path: Path, content: Any) -> None:
    """Write JSON with sorted keys, two spaces of indent and a final newline, so that diffs are readable.

    NaN and infinity aren't JSON and raise ValueError: write None (null) for a missing value. OSError becomes
    BenchError.
    """
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_text_atomic(path, text + "\n")


def to_npz(arrays: "Mapping[str, Array]") -> bytes:
    """Return an uncompressed .npz archive of the arrays, readable by `numpy.load`; equal arrays give equal bytes."""
    import numpy as np

    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            entry = io.BytesIO()
            np.lib.format.write_array(entry, np.asarray(arrays[name]), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", EPOCH), entry.getvalue())
    return content.getvalue()


def check_destination(option: str, path: Path, folder: bool = False) -> None:
    """Raise UsageError, which names the option, unless a file (or a folder) can be written at `path`.

    To be asked before time is spent on what shall be written. Nothing is left behind.
    """
    try:
        if folder and path.exists() and not path.is_dir():
            raise UsageError(f"{option} {path} is an existing file; expected the name of a folder.")
        if not folder and path.exists() and not path.is_file():
            kind = "folder" if path.is_dir() else "device"
            raise UsageError(f"{option} {path} is an existing {kind}; expected the name of a file.")
        there = next(parent for parent in (path if folder else path.parent, *path.parents) if parent.exists())
        if not there.is_dir():
            raise UsageError(f"{option} {path} can't be made: {there} is a file and no folder.")
        with tempfile.TemporaryFile(dir=there):  # permission bits don't tell for administrators and read-only disks
            pass
    except OSError as error:
        raise UsageError(f"{option} {path} can't be written ({error.strerror}); choose another place.") from error
