"""Files that appear under their final name whole or not at all."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.core.errors import BenchError, UsageError

NEARLY_NOTHING = 1 << 20
"""Bytes; a write that fails without an error number while less is free failed because the disk is full."""


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
        full = _disk_is_full(error, path.parent)
        _remove(part)
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


def _disk_is_full(error: OSError, folder: Path) -> bool:
    # NumPy and OpenEXR report a short write without an error number.
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return full or (error.errno is None and _free(folder) < NEARLY_NOTHING)


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
