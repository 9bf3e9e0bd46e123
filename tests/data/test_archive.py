"""Archives: harmless ones unpack and go on after a kill, hostile and damaged ones leave nothing outside and say why."""

import contextlib
import multiprocessing
import os
import shutil
import stat
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bench.core.errors import DiskFull, UsageError
from bench.data import archive as archives
from bench.data.archive import unpack

KILLS = 20


def made(path, entries, **options):
    """Write a zip of (name or ZipInfo, content) pairs."""
    with zipfile.ZipFile(path, "w", **options) as bundle:
        for name, content in entries:
            bundle.writestr(name, content)
    return path


def entry(name, mode):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def patched(path, old, new):
    data = path.read_bytes()
    assert old in data and len(old) == len(new)
    path.write_bytes(data.replace(old, new))
    return path


def overlapping(path):
    """Two directory entries that name the same data."""
    made(path, [("a", b"x" * 500), ("b", b"y" * 500)])
    data = bytearray(path.read_bytes())
    second = data.rindex(b"PK\x01\x02")
    data[second + 42 : second + 46] = bytes(4)
    path.write_bytes(bytes(data))
    return path


def encrypted(path):
    made(path, [("a", b"secret")])
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    path.write_bytes(bytes(data))
    return path


def outside(path, place=2**31):
    """A directory entry that names data past the end."""
    made(path, [("a", b"x" * 500)])
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 42 : at + 46] = place.to_bytes(4, "little")
    path.write_bytes(bytes(data))
    return path


def before(path):
    """A directory said to begin so late that its entries' data would begin before the file."""
    made(path, [("a", b"x" * 500)])
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x05\x06")
    data[at + 16 : at + 20] = (0xFFFFF000).to_bytes(4, "little")
    path.write_bytes(bytes(data))
    return path


HOSTILE = {
    "climbs-out": (lambda p: made(p, [("ok", b""), ("../../evil", b"x")]), "would be written outside"),
    "climbs-out-by-backslash": (lambda p: made(p, [("a\\..\\..\\evil", b"x")]), "would be written outside"),
    "absolute": (lambda p: made(p, [("/tmp/evil", b"x")]), "would be written outside"),
    "drive-letter": (lambda p: made(p, [("C:/evil", b"x")]), "would be written outside"),
    "symbolic-link": (lambda p: made(p, [(entry("l", stat.S_IFLNK | 0o777), b"/etc/passwd")]), "is a link"),
    "device": (lambda p: made(p, [(entry("d", stat.S_IFCHR | 0o666), b"")]), "is a link or a device|no plain file"),
    "bomb": (
        lambda p: made(p, [("zeros", bytes(50_000_000))], compression=zipfile.ZIP_DEFLATED), "that is no dataset",
    ),
    "overlapping-entries": (overlapping, "share their data"),
    "cases-collide": (lambda p: made(p, [("A/x.tif", b"1"), ("a/X.tif", b"2")]), "take one place"),
    "accents-collide": (lambda p: made(p, [("caf\u00e9", b"1"), ("cafe\u0301", b"2")]), "take one place"),
    "file-and-folder": (lambda p: made(p, [("a/b", b"1"), ("a", b"2")]), "take one place|needs a folder"),
    "encrypted": (encrypted, "is encrypted"),
    "odd-method": (lambda p: made(p, [("a", b"1" * 99)], compression=zipfile.ZIP_LZMA), "packed by a method"),
    "deep": (lambda p: made(p, [("d/" * 2000 + "f", b"1")]), "lies 2000 folders deep, and 31 are unpacked"),
    "deeper-than-that": (lambda p: made(p, [("d/" * 32000 + "f", b"1")]), "lies 32000 folders deep"),
    "long-name": (lambda p: made(p, [("T/" + "n" * 256, b"1")]), "has a name of 258 bytes"),
    "long-name-of-wide-letters": (lambda p: made(p, [("\u6620" * 86, b"1")]), "has a name of 258 bytes"),
    "long-folders": (lambda p: made(p, [(("n" * 200 + "/") * 6 + "f", b"1")]), "has a name of 1207 bytes"),
    "control-characters": (lambda p: made(p, [("a\nok b\x1b[2J", b"1")]), "has control characters in its name"),
    "outside-the-archive": (outside, "is said to lie outside the archive"),
    "before-the-archive": (before, "is said to lie outside the archive|no zip archive|cut short"),
    "no-archive": (lambda p: p.write_bytes(b"<html>login</html>"), "no zip archive, 18 bytes"),
    "empty": (lambda p: p.write_bytes(b""), "no zip archive, 0 bytes"),
}  # fmt: skip


@pytest.fixture
def place(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in" / "x.zip"


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hostile_archives_are_refused_and_nothing_is_written(place, tmp_path, name):
    build, said = HOSTILE[name]
    build(place)
    before = set(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match=said) as caught:
        unpack(place, tmp_path / "out")
    assert "x.zip" in str(caught.value)
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["n" * 250, "n" * 255, "d/" * 31 + "f", "\u6620" * 85, ("n" * 180 + "/") * 5 + "f"])
def test_long_names_and_deep_folders_that_file_systems_have_are_unpacked(place, tmp_path, name):
    made(place, [(name, b"1")])
    (path,) = unpack(place, tmp_path / "out")
    assert path == tmp_path / "out" / name and path.read_bytes() == b"1"


def test_what_is_no_regular_file_is_refused(place):
    os.mkfifo(place)
    for use in (archives.test, lambda path: unpack(path, path.parent / "out"), lambda path: archives.clash([path])):
        with pytest.raises(UsageError, match=r"x\.zip: this is a named pipe; expected a file"):
            use(place)
    with pytest.raises(UsageError, match="this is a device"):
        archives.test(Path("/dev/zero"))
    with pytest.raises(UsageError, match="this is a folder"):
        archives.test(place.parent)


@pytest.mark.parametrize("zip64", [False, True])
def test_a_list_of_entries_that_is_too_long_is_not_read(place, monkeypatch, zip64):
    monkeypatch.setattr(archives, "MOST_DIRECTORY", 3000)
    if zip64:
        monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    made(place, [(f"{number:05d}", b"") for number in range(100)])
    with pytest.raises(UsageError, match="its list of entries is longer than any dataset's"):
        archives.test(place)


def test_a_disk_too_small_is_told_before_anything_is_written(place, tmp_path, monkeypatch):
    made(place, [("a", b"x" * 500), ("b", b"y" * 500)])
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=999))
        with pytest.raises(DiskFull, match=r"are needed to unpack x\.zip"):
            unpack(place, tmp_path / "new" / "out")
        assert not (tmp_path / "new").exists()
    unpack(place, tmp_path / "out")
    (tmp_path / "out" / "b").unlink()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=600))
    assert len(unpack(place, tmp_path / "out")) == 2, "what is there needs no room"


def test_no_mutant_ends_in_anything_but_a_sentence(place, tmp_path):
    rng = np.random.default_rng(1)
    made(place, [("T/a", b"x" * 300), ("T/\u00fc", bytes(9)), ("r.txt", b"hi " * 99)], compression=zipfile.ZIP_DEFLATED)
    good = place.read_bytes()
    for _ in range(150):
        data = bytearray(good)
        for _ in range(rng.integers(1, 4)):
            data[rng.integers(len(data))] = rng.integers(256)
        place.write_bytes(bytes(data))
        for use in (archives.test, lambda path: unpack(path, tmp_path / "out"), lambda path: archives.clash([path])):
            with contextlib.suppress(UsageError):
                use(place)


def test_too_many_entries_are_refused(place, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MOST_ENTRIES", 3)
    made(place, [(str(number), b"") for number in range(4)])
    with pytest.raises(UsageError, match="4 files"):
        unpack(place, tmp_path / "out")


def test_the_same_name_twice_is_refused(place, tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        made(place, [("a", b"1"), ("a", b"2")])
    with pytest.raises(UsageError, match="'a' and 'a' take one place"):
        unpack(place, tmp_path / "out")


@pytest.mark.parametrize("keep", [40, 700, 1500])
def test_an_archive_cut_short_is_named_with_the_place(place, tmp_path, keep):
    """Entries of 30 + 1 bytes of header and 500 of data end at 531 and 1062."""
    made(place, [("a", b"x" * 500), ("b", b"y" * 500), ("c", b"z" * 500)])
    place.write_bytes(place.read_bytes()[:keep])
    whole = {40: 0, 700: 531, 1500: 1062}[keep]
    with pytest.raises(UsageError, match=f"cut short at byte {keep}; its last whole entry ends at byte {whole}"):
        unpack(place, tmp_path / "out")


def test_a_damaged_entry_is_named_with_its_place_and_the_others_are_kept(place, tmp_path):
    made(place, [("a", b"x" * 500), ("b", b"y" * 500)])
    patched(place, b"y" * 500, b"y" * 499 + b"z")
    with pytest.raises(UsageError, match=r"entry 'b' at byte 531 is damaged \(Bad CRC-32"):
        unpack(place, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]


def test_archives_of_one_folder_that_hold_another_file_by_one_name_are_told(place):
    one = made(place, [("a", b"1"), ("S/b", b"2")])
    other = made(place.with_name("y.zip"), [("S/b", b"2"), ("c", b"3")])
    assert archives.clash([one, other]) == ""
    made(other, [("c", b"3"), ("s/B", b"4")])
    assert archives.clash([one, other]) == "x.zip and y.zip both hold 's/B', with another content each"


@pytest.mark.parametrize("damage", ["gone", "cut", "link"])
def test_what_is_not_complete_is_told(place, tmp_path, damage):
    made(place, [("a", b"x" * 500), ("S/b", b"y" * 500)])
    assert not archives.complete(place, tmp_path / "out")
    _, file = unpack(place, tmp_path / "out")
    assert archives.complete(place, tmp_path / "out")
    file.unlink() if damage != "cut" else file.write_bytes(b"y" * 499)
    if damage == "link":
        file.symlink_to(place)
    assert not archives.complete(place, tmp_path / "out")


def test_a_test_reads_every_entry_and_writes_nothing(place, tmp_path):
    made(place, [("a", b"x" * 500), ("b", b"y" * 500)])
    archives.test(place)
    patched(place, b"y" * 500, b"y" * 499 + b"z")
    with pytest.raises(UsageError, match=r"entry 'b' at byte 531 is damaged \(Bad CRC-32"):
        archives.test(place)
    assert set(tmp_path.rglob("*")) == {place.parent, place}


def test_names_of_any_script_and_rubbish_of_systems(place, tmp_path):
    made(place, [("S\u00e9ville/\u6620\u753b.tif", b"1"), ("__MACOSX/._x", b"2"), ("a/.DS_Store", b"3"), ("a/", b"")])
    files = unpack(place, tmp_path / "out")
    assert [path.relative_to(tmp_path / "out").as_posix() for path in files] == ["S\u00e9ville/\u6620\u753b.tif"]
    assert files[0].read_bytes() == b"1"


def test_what_is_whole_is_not_written_again_and_what_is_not_is_mended(place, tmp_path):
    made(place, [("a", b"x" * 500), ("b", b"y" * 500)])
    one, other = unpack(place, tmp_path / "out")
    times = one.stat().st_mtime_ns
    other.write_bytes(b"z" * 500)
    unpack(place, tmp_path / "out")
    assert one.stat().st_mtime_ns == times and other.read_bytes() == b"y" * 500


def test_killed_at_any_moment_the_next_run_completes_the_same_bytes(place, tmp_path):
    rng = np.random.default_rng(0)
    contents = {f"{number:03d}.bin": rng.bytes(200_000) for number in range(60)}
    made(place, contents.items(), compression=zipfile.ZIP_DEFLATED)
    out = tmp_path / "out"
    start = time.monotonic()
    unpack(place, out)
    length, partial, context = time.monotonic() - start, 0, multiprocessing.get_context("fork")
    for kill in range(10 * KILLS):
        if kill >= KILLS and partial >= KILLS // 3:
            break  # on a busy machine more kills come too early or too late
        shutil.rmtree(out)
        process = context.Process(target=unpack, args=(place, out))
        process.start()
        time.sleep(rng.uniform(0, 1.3 * length))
        process.kill()
        process.join()
        finished = list(out.glob("*.bin")) if out.exists() else []
        assert all(path.read_bytes() == contents[path.name] for path in finished)
        partial += 0 < len(finished) < len(contents)
        unpack(place, out)
        assert {path.name: path.read_bytes() for path in out.glob("*.bin")} == contents
    assert partial >= KILLS // 3, "kills must land in the middle"
