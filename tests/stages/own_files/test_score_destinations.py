"""`bench score`: what can't be written is refused before anything is scored."""

import pytest

from bench.io.files import check_destination
from bench.stages.own_files import score as stage


@pytest.fixture
def unscored(monkeypatch):
    """Make scoring fail the test."""
    monkeypatch.setattr(stage, "score_all", lambda *_, **__: pytest.fail("it was scored"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--out", "folder"], "folder is an existing folder; expected the name of a file."),
        (["--out", "file/out.csv"], "file is a file and no folder."),
        (["--out", "file/deep/out.csv"], "file is a file and no folder."),
        (["--out", "/dev/null"], "/dev/null is an existing device"),
        (["--out", "/proc/out.csv"], "/proc/out.csv can't be written"),
        (["--out", "x" * 300], "can't be written (File name too long)"),
        (["--maps", "file"], "file is an existing file; expected the name of a folder."),
        (["--maps", "file/maps"], "file is a file and no folder."),
        (["--maps", "/proc/maps"], "can't be written"),
        (["--out", "same", "--maps", "same"], "same is a file, and --maps"),
        (["--out", "same", "--maps", "same/maps"], "same is a file, and --maps"),
    ],
)
def test_it_is_said_in_a_sentence(score, ours, unscored, tmp_path, monkeypatch, capsys, options, words):
    folder = tmp_path / "here"
    (folder / "folder").mkdir(parents=True)
    (folder / "file").touch()
    monkeypatch.chdir(folder)
    assert score(ours[0].absolute(), *options) == 2
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith(f"error: {options[0]} ") and words in line
    assert not said.out
    assert {path.name for path in folder.iterdir()} == {"folder", "file"}


def test_a_place_for_a_submission_that_is_a_folder(score, site, ours, unscored, capsys):
    (site.folder / "reports" / "submissions" / "mine.csv").mkdir(parents=True)
    assert score(ours[0], "--submit", "mine", "--force") == 2
    assert "--submit" in capsys.readouterr().err


def test_what_can_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / "there.csv").write_text("kept")
    check_destination("--out", tmp_path / "there.csv")
    check_destination("--out", tmp_path / "new" / "deep" / "out.csv")
    check_destination("--maps", tmp_path, folder=True)
    check_destination("--maps", tmp_path / "new" / "maps", folder=True)
    assert [path.name for path in tmp_path.iterdir()] == ["there.csv"]
    assert (tmp_path / "there.csv").read_text() == "kept"
