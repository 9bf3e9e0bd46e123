"""Submissions: kept in the repository when every scene is sound, never over another by accident."""

import numpy as np
import pandas as pd
import pytest

from bench.io.radiance import read_exr, write_exr
from bench.io.tables import read_scores
from bench.stages import layout


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
