"""Where results shall go: checked before time is spent on them."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.core.errors import UsageError


def check_file(option: str, path: Path) -> None:
    """Raise UsageError, which names the option, unless a file can be written there. Nothing is left behind."""
    with _said(option, path):
        if path.exists() and not path.is_file():
            kind = "folder" if path.is_dir() else "device"
            raise UsageError(f"{option} {path} is an existing {kind}; expected the name of a file.")
        _try(option, path, path.parent)


def check_folder(option: str, path: Path) -> None:
    """Raise UsageError, which names the option, unless it is or can become a folder. Nothing is left behind."""
    with _said(option, path):
        if path.exists() and not path.is_dir():
            raise UsageError(f"{option} {path} is an existing file; expected the name of a folder.")
        _try(option, path, path)


@contextmanager
def _said(option: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"{option} {path} can't be written ({error.strerror}); choose another place.") from error


def _try(option: str, path: Path, folder: Path) -> None:
    """Write to the nearest folder that exists: permission bits don't tell for administrators and read-only disks."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not there.is_dir():
        raise UsageError(f"{option} {path} can't be made: {there} is a file and no folder.")
    with tempfile.TemporaryFile(dir=there):
        pass
