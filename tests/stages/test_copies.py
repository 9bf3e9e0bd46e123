"""Whatever a test does to its copy, the next one finds it as it was."""

import os
import shutil

import pytest

from tests.stages.copies import Copy


def in_place(folder):
    with (folder / "a/one").open("r+b") as file:
        file.write(b"O")


def times_put_back(folder):
    before = (folder / "a/one").stat()
    in_place(folder)
    os.utime(folder / "a/one", ns=(before.st_atime_ns, before.st_mtime_ns))


def by_another(folder):
    (folder / "new").write_bytes(b"One")
    (folder / "new").replace(folder / "a/one")


def to_a_folder(folder):
    (folder / "a/one").unlink()
    (folder / "a/one/deep").mkdir(parents=True)
    (folder / "a/one/deep/er").touch()


def to_a_file(folder):
    shutil.rmtree(folder / "a")
    (folder / "a").touch()


def link_to_a_folder(folder):
    (folder / "link").unlink()
    (folder / "link").mkdir()
    (folder / "link/file").touch()


def folder_to_a_link(folder):
    shutil.rmtree(folder / "a")
    (folder / "a").symlink_to("a.b")


DAMAGES = {
    "nothing": (lambda folder: (folder / "a/one").read_bytes(), []),
    "in place": (in_place, ["a/one"]),
    "in place, times put back": (times_put_back, ["a/one"]),
    "a file instead": (by_another, ["a/one"]),
    "a folder for a file": (to_a_folder, ["a/one", "a/one/deep", "a/one/deep/er"]),
    "a file for a folder": (to_a_file, ["a", "a/empty", "a/one", "a/sub", "a/sub/two"]),
    "a folder for a link": (link_to_a_folder, ["link", "link/file"]),
    "a link for a folder": (folder_to_a_link, ["a", "a/empty", "a/one", "a/sub", "a/sub/two"]),
    "another link": (lambda folder: ((folder / "link").unlink(), (folder / "link").symlink_to("a")), ["link"]),
    "no folder": (lambda folder: shutil.rmtree(folder / "a/sub"), ["a/sub", "a/sub/two"]),
    "no empty folder": (lambda folder: (folder / "a/empty").rmdir(), ["a/empty"]),
    "more": (lambda folder: ((folder / "b/c").mkdir(parents=True), (folder / "b/c/d").touch()), ["b", "b/c", "b/c/d"]),
    "modes": (lambda folder: ((folder / "a/sub").chmod(0o700), (folder / "a/one").chmod(0o600)), ["a/one", "a/sub"]),
    "all": (lambda folder: [shutil.rmtree(folder / name) for name in ("a", "a.b")], None),
}


def content(folder):
    def of(path):
        if path.is_symlink():
            return path.readlink()
        return None if path.is_dir() else path.read_bytes()

    paths = sorted(folder.rglob("*"))
    return {str(path.relative_to(folder)): (of(path), path.lstat().st_mode) for path in paths}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_differs_is_put_back(tmp_path, name):
    source = tmp_path / "source"
    for file in ("a/one", "a/sub/two", "a.b/three"):
        (source / file).parent.mkdir(parents=True, exist_ok=True)
        (source / file).write_text(file)
    (source / "a/empty").mkdir()
    (source / "link").symlink_to("a.b")
    damage, differ = DAMAGES[name]
    copy = Copy(source, tmp_path / "copy")
    before = content(source)
    assert content(copy.folder) == before
    copy.move(tmp_path / "elsewhere")
    damage(copy.folder)
    said = copy.restore()
    assert differ is None or said == differ
    assert content(copy.folder) == content(source) == before
    assert copy.restore() == []
