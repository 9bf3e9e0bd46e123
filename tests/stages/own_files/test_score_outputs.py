"""`bench score --out, --maps, --submit`: what can't be written is refused before anything is scored.

Each scored scene has its picture; a submission is kept when every scene is sound, never over another by accident.
"""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench.core import layout
from bench.core.registry import protocols
from bench.io.files import check_destination
from bench.io.radiance import read_exr, write_exr
from bench.io.tables import read_scores
from bench.metrics.scorer import Scorer
from bench.metrics.viewing import visibility
from bench.stages.own_files import score as stage
from tests.shared import coarse, undrawn


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


def test_what_is_no_table_is_replaced_only_by_force(score, ours, tmp_path, capsys):
    """A prediction, a truth or notes: one letter too few of the completion of a shell."""
    precious = tmp_path / "note.txt"
    precious.write_text("mine")
    assert score(ours[0], "--out", str(precious)) == 2
    assert "note.txt exists and holds no scores" in capsys.readouterr().err and precious.read_text() == "mine"
    assert score(ours[0], "--out", str(precious), "--force") == 0
    assert score(ours[0], "--out", str(precious)) == 0  # it holds scores now


def test_maps_do_not_go_among_what_is_compared(score, ours, capsys):
    before = sorted(ours[0].iterdir())
    assert score(ours[0], "--maps", str(ours[0])) == 2
    assert "holds the pictures that are compared" in capsys.readouterr().err and sorted(ours[0].iterdir()) == before


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


def test_every_scored_scene_has_its_picture(score, ours, rewritten, tmp_path, monkeypatch):
    coarse(monkeypatch)
    folder = rewritten(".exr", write_exr)
    bad, good = sorted(folder.iterdir())
    write_exr(bad, read_exr(bad) * 0)
    assert score(folder, "--maps", str(tmp_path / "maps")) == 1
    (picture,) = (tmp_path / "maps").iterdir()
    assert picture.name == f"{good.stem}.png"
    assert min(Image.open(io.BytesIO(picture.read_bytes())).size) > 300


@pytest.fixture
def viewed(monkeypatch):
    """Protocols whose viewing conditions were used, and what was drawn of them."""
    undrawn(monkeypatch)
    used, drawn = [], []
    real, figure = stage.visibility, stage.map_figure
    monkeypatch.setattr(stage, "visibility", lambda pair, rule: (used.append(rule), real(pair, rule))[1])
    monkeypatch.setattr(stage, "map_figure", lambda shown: (drawn.append(shown), figure(shown))[1])
    return used, drawn


@pytest.mark.parametrize("name", ["whole-float", "deephdrvideo", "safnet-matlab"])
def test_the_map_is_seen_under_the_protocol_s_conditions(score, ours, viewed, tmp_path, name):
    assert score(ours[0], "--maps", str(tmp_path / "maps"), "--limit", "1", "--protocol", name) == 0
    (rule,), (shown,) = viewed
    assert rule == protocols[name]
    expected = visibility(Scorer(shown.prediction, shown.truth).pair(rule), rule).numpy()
    np.testing.assert_allclose(shown.visibility, expected, atol=1e-6)
    assert f"as in {rule.id}" in shown.title


def test_a_protocol_without_conditions_borrows_the_default_s(score, ours, viewed, tmp_path):
    assert score(ours[0], "--maps", str(tmp_path / "maps"), "--limit", "1", "--protocol", "hdr-transformer") == 0
    assert viewed[0] == [protocols["whole-float"]]
    assert "whole-float" in viewed[1][0].title


def test_a_picture_that_the_model_refuses_says_so_instead_of_a_map(score, ours, viewed, tmp_path, monkeypatch):
    def refuse(pair, rule):
        raise stage.UsageError("too small")

    monkeypatch.setattr(stage, "visibility", refuse)
    assert score(ours[0], "--maps", str(tmp_path / "maps"), "--limit", "1") == 0
    assert (viewed[1][0].visibility, viewed[1][0].reason) == (None, "too small")


@pytest.fixture
def kept(site):
    """Rows of the submission called mine; None if there is no such file."""

    def read():
        path = layout.submissions() / "mine.csv"
        return read_scores([path]) if path.exists() else None

    return read


def test_rows_are_kept_under_the_name_as_submitted(score, ours, kept, capsys):
    assert score(ours[0], "--submit", "mine") == 0
    assert "reports/submissions/mine.csv" in capsys.readouterr().out
    rows = kept()
    assert set(rows["method"]) == {"submitted"}
    assert set(rows["variant"]) == {"mine"}
    assert set(rows["profile"]) == {"tiny"}
    assert set(rows["trainset"]) == {""} and rows["seed"].isna().all()
    columns = ["scene", "metric", "value", "protocol"]
    pd.testing.assert_frame_equal(rows[columns], ours[1][columns], check_exact=True)


def test_another_submission_is_not_overwritten_without_force(score, ours, kept, rewritten, capsys):
    assert score(ours[0], "--submit", "mine") == 0
    before = kept()
    darker = rewritten(".exr", lambda path, radiance: write_exr(path, radiance * np.float32(0.9)))
    assert score(darker, "--submit", "mine") == 2
    said = capsys.readouterr().err
    assert "mine.csv already holds scores on panoramas under whole-float@1" in said and "--force" in said
    pd.testing.assert_frame_equal(kept(), before)
    assert score(darker, "--submit", "mine", "--force") == 0
    assert len(kept()) == len(before)
    assert not kept()["value"].equals(before["value"])


def test_a_submission_may_hold_several_protocols(score, ours, kept):
    assert score(ours[0], "--submit", "mine") == 0
    assert score(ours[0], "--submit", "mine", "--protocol", "hdr-transformer") == 0
    rows = kept()
    assert set(rows["protocol"]) == {"whole-float@1", "hdr-transformer@1"}
    assert not rows.duplicated(["scene", "metric", "protocol"]).any()
    assert score(ours[0], "--submit", "mine", "--protocol", "all") == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--submit", "My Method"], "small letters, digits and hyphens"),
        (["--submit", "../mine"], "small letters, digits and hyphens"),
        (["--submit", "x" * 250], "at most 100 of them"),
        (["--submit", "triangle-merge"], "is a variant of this benchmark"),
        (["--submit", "mine", "--limit", "1"], "covers every test scene"),
        (["--submit", "mine", "--truth", "."], "scored on its prepared scenes"),
    ],
)
def test_what_cannot_be_a_submission_is_refused_before_scoring(score, ours, kept, capsys, options, words):
    assert score(ours[0], *options) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert not said.out
    assert kept() is None


def test_with_a_bad_file_nothing_is_kept(score, ours, kept, rewritten, capsys):
    folder = rewritten(".exr", write_exr)
    path = min(folder.iterdir())
    write_exr(path, read_exr(path) - np.float32(0.01))
    assert score(folder, "--submit", "mine") == 1
    assert "no submission was kept" in capsys.readouterr().err
    assert kept() is None
