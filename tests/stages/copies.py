"""A copy of a folder that one test after the other may damage: between two, what differs is put back.

To make each test a copy of its own took 50 ms, of 290 files and 120 folders, and 17 ms to delete it.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Mark(NamedTuple):
    """What tells that an entry is the one that was copied; writing a file, even in place, changes its times."""

    mode: int
    inode: int
    size: int
    modified: int
    changed: int


class Copy:
    """A copy of `source`, which nobody changes, at `folder`."""

    def __init__(self, source: Path, folder: Path) -> None:
        """Copy everything; links remain links."""
        self.source, self.folder = source, folder
        shutil.copytree(source, folder, symlinks=True)
        self._marks = dict(self._found())

    def move(self, folder: Path) -> None:
        """Be at another place of the same disk."""
        self.folder = self.folder.rename(folder)

    def restore(self) -> list[str]:
        """Make it again what `source` is; returns the entries that weren't, by their path."""
        found = dict(self._found())
        differ = sorted(name for name in found.keys() | self._marks.keys() if found.get(name) != self._marks.get(name))
        for name in differ:
            if not (_folder(found.get(name)) and _folder(self._marks.get(name))):  # else only its mode is another
                self._remove(self.folder / name)
        for name in differ:  # sorted: a folder before what it holds
            if name in self._marks:
                self._copy(name)
        return differ

    def _copy(self, name: str) -> None:
        source, path = self.source / name, self.folder / name
        if source.is_symlink():
            path.symlink_to(source.readlink())
        elif source.is_dir():
            path.mkdir(exist_ok=True)
            path.chmod(source.stat().st_mode)
        else:
            shutil.copy2(source, path)
        self._marks[name] = _mark(path.lstat())

    @staticmethod
    def _remove(path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def _found(self, inside: str = "") -> Iterator[tuple[str, Mark]]:
        with os.scandir(self.folder / inside) as entries:
            for entry in entries:
                name = f"{inside}{entry.name}"
                mark = _mark(entry.stat(follow_symlinks=False))
                yield name, mark
                if _folder(mark):
                    yield from self._found(f"{name}/")


def _mark(status: os.stat_result) -> Mark:
    if stat.S_ISDIR(status.st_mode):  # its times change with what it holds, which has marks of its own
        return Mark(status.st_mode, 0, 0, 0, 0)
    return Mark(status.st_mode, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _folder(mark: Mark | None) -> bool:
    return mark is not None and stat.S_ISDIR(mark.mode)
