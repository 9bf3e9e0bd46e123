"""Zip archives, unpacked only where every entry is harmless; an interrupted call goes on."""

import io
import re
import shutil
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path, PurePosixPath

from bench.core.errors import DiskFull, UsageError
from bench.core.progress import track
from bench.core.reading import need_regular, shown
from bench.io.files import replacing

MOST_ENTRIES, MOST_BYTES, MOST_RATIO = 200_000, 200_000_000_000, 100
"""An archive beyond these is refused: the largest public set has thousands of files and 20 GB, hardly compressed."""

MOST_DIRECTORY = 32_000_000
"""Bytes of a zip's directory, which is read whole: MOST_ENTRIES of names as long as those of the largest sets."""

DEEPEST, LONGEST_PART, LONGEST_NAME = 32, 255, 1000
"""Folders within each other, and bytes of one name and of all: what file systems take, with some room for `target`."""

RUBBISH = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")

BESIDE = re.compile(r"(readme|licen[cs]e|copying|citation)[^/]*|.*\.(md|pdf|html?|rtf|docx?|m|py)", re.IGNORECASE)
"""Names of files about the data: several archives may hold them, each its own."""

CHUNK = 1 << 20

LOCAL_HEADER = struct.Struct("<4s5H3I2H")
"""Local header of a zip: signature, versions, flags, method, time, date, CRC, sizes, lengths of name and extra."""


def unpack(archive: Path, target: Path) -> list[Path]:
    """Unpack a zip archive into the folder `target` and return its files; those already there and whole are skipped.

    Every entry is checked before the first is written. UsageError, naming archive and entry, for one that would leave
    `target`, is a link or no plain file, has a name too long or too deep, is encrypted, collides with another's name on
    some file system, overlaps another's data or unpacks to too much, and for an archive that is cut short or damaged.
    DiskFull, before anything is written, where there is no room.
    """
    files = []
    with _opened(archive) as bundle:
        entries = checked(bundle, archive)
        _need_room(entries, archive, target)
        for entry in track(entries, len(entries), f"unpack {archive.name}"):
            path = target / _name(entry)
            files.append(path)
            if not _whole(path, entry):
                with replacing(path) as part, part.open("wb") as out:
                    for piece in _pieces(bundle, entry, archive):
                        out.write(piece)
    return files


def clash(archives: Sequence[Path]) -> str:
    """Return a sentence about the first file of data that two zip archives hold with another content each, or ""."""
    seen: dict[tuple[str, ...], tuple[Path, zipfile.ZipInfo]] = {}
    for archive in archives:
        with _opened(archive) as bundle:
            for entry in filter(_is_data, checked(bundle, archive)):
                first, known = seen.setdefault(_folded(entry.filename), (archive, entry))
                if (known.CRC, known.file_size) != (entry.CRC, entry.file_size):
                    return f"{first.name} and {archive.name} both hold {_named(entry)}, with another content each"
    return ""


def complete(archive: Path, target: Path) -> bool:
    """Tell whether each file of data of a zip archive is in `target` with its size; contents aren't read."""
    with _opened(archive) as bundle:
        return all(_sized(target / _name(entry), entry) for entry in filter(_is_data, checked(bundle, archive)))


def test(archive: Path) -> None:
    """Read every entry of a zip archive; UsageError as from `unpack`, and nothing is written."""
    with _opened(archive) as bundle:
        entries = checked(bundle, archive)
        for entry in track(entries, len(entries), f"check {archive.name}"):
            for _ in _pieces(bundle, entry, archive):
                pass


def need_directory(archive: Path) -> None:
    """Raise UsageError unless a file ends as a zip archive does, with a directory of its entries."""
    with _opened(archive):
        pass


def checked(bundle: zipfile.ZipFile, archive: Path) -> list[zipfile.ZipInfo]:
    """Return the entries that are files; UsageError if any entry of the archive, or all together, may do harm."""
    entries = [entry for entry in bundle.infolist() if not set(_parts(entry.filename)) & set(RUBBISH)]
    total, size = sum(entry.file_size for entry in entries), archive.stat().st_size
    if len(entries) > MOST_ENTRIES or total > MOST_BYTES or total > MOST_RATIO * max(size, 1000):
        raise UsageError(
            f"{shown(archive)}: would unpack to {len(entries)} files and {total / 1e9:.1f} GB, from {size / 1e6:.1f} "
            "MB; that is no dataset. Nothing was unpacked."
        )
    for entry in entries:
        if harm := _harm(entry):
            raise UsageError(f"{shown(archive)}: entry {_named(entry)} {harm}. Nothing was unpacked.")
        if entry.header_offset < 0 or entry.header_offset + LOCAL_HEADER.size + entry.compress_size > size:
            raise UsageError(
                f"{shown(archive)}: entry {_named(entry)} is said to lie outside the archive, which is damaged. Delete "
                "the archive and fetch it again."
            )
    for one, other in pairwise(sorted(entries, key=lambda entry: entry.header_offset)):
        if one.header_offset + LOCAL_HEADER.size + one.compress_size > other.header_offset:
            raise UsageError(
                f"{shown(archive)}: entries {_named(one)} and {_named(other)} share their data, as in archives made to "
                "fill a disk. Nothing was unpacked."
            )
    files = [entry for entry in entries if not entry.is_dir()]
    _refuse_collisions(files, archive)
    return files


class _Reader(io.BufferedReader):
    """An archive's bytes, of which zipfile can't read more at once than a directory may have."""

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(MOST_DIRECTORY + 1 if size is None or size < 0 else min(size, MOST_DIRECTORY + 1))
        if len(content) > MOST_DIRECTORY:
            raise zipfile.BadZipFile("its list of entries is longer than any dataset's")
        return content


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    need_regular(archive)
    try:
        data = _Reader(io.FileIO(archive))
    except OSError as error:
        raise UsageError(f"{shown(archive)}: can't be read ({error.strerror}); check disk and permissions.") from error
    with data:
        try:
            bundle = zipfile.ZipFile(data)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error, OverflowError) as error:
            raise UsageError(
                f"{shown(archive)}: {_where_cut(archive)} ({shown(error)}). Delete it and fetch it again."
            ) from error
        with bundle:
            yield bundle


def _where_cut(archive: Path) -> str:
    """Say where a zip without directory ends, and where its last whole entry does."""
    size, place = archive.stat().st_size, 0
    with archive.open("rb") as data:
        zipped = data.read(4) == b"PK\x03\x04"
        data.seek(0)
        while len(header := data.read(LOCAL_HEADER.size)) == LOCAL_HEADER.size:
            mark, _, flags, *_, packed, _, name, extra = LOCAL_HEADER.unpack(header)
            end = place + LOCAL_HEADER.size + name + extra + packed
            if mark != b"PK\x03\x04" or flags & 8 or end > size:
                break
            place = end
            data.seek(place)
    if not zipped:
        return f"no zip archive, {size} bytes"
    return f"cut short at byte {size}; its last whole entry ends at byte {place}"


def _parts(name: str) -> tuple[str, ...]:
    return PurePosixPath(name.replace("\\", "/")).parts


def _name(entry: zipfile.ZipInfo) -> Path:
    return Path(*_parts(entry.filename))


def _named(entry: zipfile.ZipInfo) -> str:
    return shown(repr(entry.filename))


def _harm(entry: zipfile.ZipInfo) -> str:
    name, parts, kind = entry.filename, _parts(entry.filename), stat.S_IFMT(entry.external_attr >> 16)
    if not parts or ".." in parts or parts[0].startswith("/") or ":" in parts[0] or "\x00" in name:
        return "would be written outside the folder"
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        return "has control characters in its name"
    if len(parts) > DEEPEST:
        return f"lies {len(parts) - 1} folders deep, and {DEEPEST - 1} are unpacked"
    if max(len(part.encode()) for part in parts) > LONGEST_PART or len(name.encode()) > LONGEST_NAME:
        return (
            f"has a name of {len(name.encode())} bytes, and {LONGEST_NAME} are unpacked, {LONGEST_PART} of each folder "
            "and file"
        )
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device" if stat.S_ISLNK(kind) else "is no plain file"
    if entry.flag_bits & 1:
        return "is encrypted"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is packed by a method that isn't read here"
    return ""


def _need_room(entries: Sequence[zipfile.ZipInfo], archive: Path, target: Path) -> None:
    need = sum(entry.file_size for entry in entries if not _sized(target / _name(entry), entry))
    free = shutil.disk_usage(next(place for place in (target, *target.absolute().parents) if place.exists())).free
    if need > free:
        raise DiskFull(
            f"{shown(target)}: {need / 1e9:.2f} GB are needed to unpack {shown(archive.name)}, {free / 1e9:.2f} GB are "
            "free. Free some space, then run the same command again."
        )


def _refuse_collisions(files: Sequence[zipfile.ZipInfo], archive: Path) -> None:
    seen: dict[tuple[str, ...], str] = {}
    for entry in files:
        parts = _folded(entry.filename)
        for known in (parts, *(parts[:depth] for depth in range(1, len(parts)))):
            if known in seen:
                raise UsageError(
                    f"{shown(archive)}: entries {seen[known]!r} and {entry.filename!r} take one place where case or "
                    "accents don't count. Nothing was unpacked."
                )
        seen[parts] = entry.filename
    folders = {parts[:depth]: name for parts, name in seen.items() for depth in range(1, len(parts))}
    for parts, name in seen.items():
        if parts in folders:
            raise UsageError(f"{shown(archive)}: entry {name!r} is a file where {folders[parts]!r} needs a folder.")


def _is_data(entry: zipfile.ZipInfo) -> bool:
    return BESIDE.fullmatch(_name(entry).name) is None


def _folded(name: str) -> tuple[str, ...]:
    return tuple(unicodedata.normalize("NFC", part).casefold() for part in _parts(name))


def _sized(path: Path, entry: zipfile.ZipInfo) -> bool:
    try:
        found = path.lstat()
    except OSError:  # also of a name that this file system can't have
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == entry.file_size


def _whole(path: Path, entry: zipfile.ZipInfo) -> bool:
    if not _sized(path, entry):
        return False
    crc = 0
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            crc = zlib.crc32(piece, crc)
    return crc == entry.CRC


def _pieces(bundle: zipfile.ZipFile, entry: zipfile.ZipInfo, archive: Path) -> Iterator[bytes]:
    try:
        with bundle.open(entry) as packed:
            while piece := packed.read(CHUNK):
                yield piece
    except (zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, NotImplementedError) as error:
        raise UsageError(
            f"{shown(archive)}: entry {_named(entry)} at byte {entry.header_offset} is damaged ({shown(error)}). "
            "Delete the archive and fetch it again."
        ) from error
