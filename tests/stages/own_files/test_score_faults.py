"""`bench score` on a folder that somebody else made: each bad file in one line, the others scored, exit code 1."""

import json
import shutil

import numpy as np
import pytest

from bench.color.transfer import mu_law
from bench.core import layout
from bench.io.radiance import read_exr, write_exr, write_rgbe
from bench.io.tables import read_scores

FIRST, OTHER = "courtyard-01", "interior-01"
"""The test scenes of the workshop."""


def other(change):
    """Replace the first file by a changed one."""

    def apply(folder):
        path = folder / f"{FIRST}.exr"
        write_exr(path, np.ascontiguousarray(change(read_exr(path)), dtype=np.float32))

    return apply


def poked(value):
    def change(radiance):
        radiance[3, 4, 1] = value
        return radiance

    return other(change)


def as_array(array):
    """Replace the first file by an array in NumPy's format."""

    def apply(folder):
        np.save(folder / f"{FIRST}.npy", array)
        (folder / f"{FIRST}.exr").unlink()

    return apply


def as_cut_archive(folder):
    """Replace the first file by a part of an archive of arrays, named as one array."""
    np.savez(folder / "whole.npz", np.zeros((64, 96, 3), np.float32))
    (folder / f"{FIRST}.npy").write_bytes((folder / "whole.npz").read_bytes()[:500])
    (folder / f"{FIRST}.exr").unlink()


def with_exposure(told):
    """Replace the first file by a Radiance picture whose header states this."""

    def apply(folder):
        write_rgbe(folder / f"{FIRST}.hdr", read_exr(folder / f"{FIRST}.exr"))
        data = (folder / f"{FIRST}.hdr").read_bytes()
        (folder / f"{FIRST}.hdr").write_bytes(data.replace(b"\n\n", b"\nEXPOSURE=" + told + b"\n\n", 1))
        (folder / f"{FIRST}.exr").unlink()

    return apply


def extra(name):
    return lambda folder: shutil.copy2(folder / f"{FIRST}.exr", folder / name)


UNSCORED = {
    "missing": (lambda folder: (folder / f"{FIRST}.exr").unlink(), f"bad: {FIRST}: missing"),
    "cropped": (other(lambda x: x[:-8]), f"bad: {FIRST}.exr: 56x96 pixels (rows x columns), the truth has 64x96"),
    "transposed": (other(lambda x: x.transpose(1, 0, 2)), "rows and columns are swapped"),
    "NaN": (poked(np.nan), "1 NaN of 18432 values, the first in row 3, column 4, G"),
    "infinity": (poked(np.inf), "1 infinite of 18432 values"),
    "all zero": (other(np.zeros_like), "every value is 0"),
    "mis-scaled": (other(lambda x: x * 4000), "looks mis-scaled: about"),
    "tone-mapped": (other(mu_law), "looks tone-mapped: it fits the truth far better after the inverse of the mu-law"),
    "green and blue": (other(lambda x: x[..., [0, 2, 1]]), "green and blue look exchanged: write channels in the"),
    "no EXR": (lambda folder: (folder / f"{FIRST}.exr").write_bytes(b"P6 4 4 255"), "not an OpenEXR file"),
    "grey": (as_array(np.zeros((64, 96), np.float32)), "expected floats of shape (H, W, 3)"),
    "integers": (as_array(np.zeros((64, 96, 3), np.uint8)), "uint8"),
    "cut archive": (as_cut_archive, "isn't a readable .npy file"),
    "exposure": (with_exposure(b"1.0.0"), "its EXPOSURE is '1.0.0'; expected a number above 0"),
    "pickle": (as_array(np.array([{"a": 1}])), "isn't a readable .npy file"),
}
SCORED = {
    "negative": (poked(-0.25), f"bad: {FIRST}.exr: 0.01% of its values are below 0, down to -0.25"),
    "extra": (extra("elsewhere-01.exr"), "bad: elsewhere-01.exr: extra"),
    "encoded": (lambda folder: (folder / f"{FIRST}.png").touch(), f"bad: {FIRST}.png: "),
}


@pytest.fixture
def floor(site, rewritten, tmp_path):
    """A folder of a floor method's predictions: poor, but honest."""
    folder = layout.predictions(site.params, "triangle-merge", "panoramas") / "test"
    return rewritten(".exr", write_exr, folder)


def bad_lines(text):
    return [line for line in text.splitlines() if line.startswith("bad: ")]


@pytest.mark.parametrize(("damage", "words"), UNSCORED.values(), ids=UNSCORED)
def test_a_bad_file_is_one_line_and_the_others_are_scored(score, floor, tmp_path, capsys, damage, words):
    damage(floor)
    assert score(floor, "--out", str(tmp_path / "out.csv")) == 1
    said = capsys.readouterr()
    (line,) = bad_lines(said.err)
    assert words in line
    assert FIRST in line
    assert "Traceback" not in said.err
    assert "means of 1 of 2 scenes" in said.out
    assert set(read_scores([tmp_path / "out.csv"])["scene"]) == {OTHER}


@pytest.mark.parametrize(("damage", "words"), SCORED.values(), ids=SCORED)
def test_what_can_be_scored_is_named_and_scored(score, floor, tmp_path, capsys, damage, words):
    damage(floor)
    assert score(floor, "--out", str(tmp_path / "out.csv")) == 1
    (line,) = bad_lines(capsys.readouterr().err)
    assert line.startswith(words)
    assert set(read_scores([tmp_path / "out.csv"])["scene"]) == {FIRST, OTHER}


@pytest.mark.parametrize("run", ["reference-only", "triangle-merge", "plain", "vq"])
def test_a_poor_but_honest_prediction_has_no_fault(site, score, capsys, run):
    folder = layout.predictions(site.params, getattr(site, run, run), "panoramas") / "test"
    assert score(folder) == 0
    assert not bad_lines(capsys.readouterr().err)


def test_the_factor_is_said(score, floor, capsys):
    other(lambda x: x * 4000)(floor)
    assert score(floor) == 1
    (line,) = bad_lines(capsys.readouterr().err)
    assert float(line.split("about ")[1].split()[0]) == pytest.approx(4000, rel=0.03)


def test_a_cut_exr_is_one_line_and_json_stays_json(score, floor, capfd):
    path = floor / f"{FIRST}.exr"
    path.write_bytes(path.read_bytes()[:5000])
    assert score(floor, "--json") == 1
    said = capfd.readouterr()
    assert list(json.loads(said.out)["protocols"]["whole-float@1"]["scenes"]) == [OTHER]
    (line,) = [line for line in said.err.splitlines() if path.name in line or "EXR" in line]
    assert line == f"bad: {path.name}: this OpenEXR file is damaged or cut short. Copy or download it again."


def test_judgements_can_be_overruled(score, floor, capsys):
    other(lambda x: x * 4000)(floor)
    assert score(floor, "--trust") == 0
    assert not bad_lines(capsys.readouterr().err)


def test_of_two_files_for_a_scene_the_taken_one_is_said_and_nothing_is_bad(score, floor, capsys):
    np.save(floor / f"{FIRST}.npy", np.zeros((2, 2, 3), np.float32))
    assert score(floor) == 0
    assert f"note: {FIRST}.npy: not scored, {FIRST}.exr of the same scene is." in capsys.readouterr().err


def test_a_kind_that_is_not_read_is_no_fault_beside_one_that_is(score, floor, capsys):
    (floor / f"{FIRST}.mat").touch()
    assert score(floor) == 0
    assert f"note: {FIRST}.mat: not scored, {FIRST}.exr of the same scene is." in capsys.readouterr().err


def test_a_scene_of_which_there_is_only_a_kind_that_is_not_read_is_bad_and_says_what_to_write(score, floor, capsys):
    (floor / f"{FIRST}.exr").rename(floor / f"{FIRST}.mat")
    assert score(floor) == 1
    assert f"bad: {FIRST}.mat: a kind that isn't read; write .exr, .hdr, .npy" in capsys.readouterr().err


def test_several_findings_of_a_file_are_one_line(score, floor, capsys):
    poked(-0.25)(floor)
    other(lambda x: x * 4000)(floor)
    assert score(floor) == 1
    (line,) = bad_lines(capsys.readouterr().err)
    assert "0.01% of its values are below 0, down to -1000; set them to 0; looks mis-scaled: about" in line


def test_several_bad_files_are_as_many_lines(score, floor, capsys):
    other(np.zeros_like)(floor)
    extra("elsewhere-01.exr")(floor)
    (floor / "elsewhere-02.npy").touch()
    assert score(floor) == 1
    assert len(bad_lines(capsys.readouterr().err)) == 3


def test_nothing_to_score_is_exit_code_2(score, floor, tmp_path, capsys):
    other(np.zeros_like)(floor)
    (floor / f"{OTHER}.exr").unlink()
    assert score(floor, "--out", str(tmp_path / "out.csv"), "--maps", str(tmp_path / "maps")) == 2
    said = capsys.readouterr()
    assert len(bad_lines(said.err)) == 2
    assert "could be scored" in said.err.splitlines()[-1]
    assert not said.out
    assert not (tmp_path / "out.csv").exists() and not (tmp_path / "maps").exists()


def test_no_folder_is_exit_code_2(score, tmp_path, capsys):
    assert score(tmp_path / "none") == 2
    assert capsys.readouterr().err.startswith("error: ")


@pytest.fixture
def files(tmp_path, textured, fresh, main_in, monkeypatch, capsys):
    """Score arrays against arrays given as truth; return the exit code, the lines on stderr and the scores."""

    def run(predictions, truths, *words):
        monkeypatch.chdir(fresh.folder)
        for folder, arrays in (("theirs", predictions), ("truth", truths)):
            (tmp_path / folder).mkdir(exist_ok=True)
            for name, array in arrays.items():
                np.save(tmp_path / folder / f"{name}.npy", array)
        words = ("--truth", str(tmp_path / "truth"), "--protocol", "whole-float", "--jobs", "1", *words)
        code = main_in(fresh, "score", str(tmp_path / "theirs"), *words, "--out", str(tmp_path / "out.csv"))
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith(("bad: ", "note: "))]
        return code, lines, read_scores([tmp_path / "out.csv"]) if (tmp_path / "out.csv").exists() else None

    return run


def test_a_truth_far_below_its_peak_is_told(files, textured):
    truth = np.float32(0.01) * textured(0)
    code, (line,), _ = files({"a": np.float32(0.9) * truth}, {"a": truth})
    assert code == 0 and line.startswith(
        "note: a.npy: its truth goes up to 0.01 only, and protocols take 1 as its peak"
    )
    assert "reads 40.0 dB higher" in line


def test_a_truth_far_below_its_peak_is_told_where_the_prediction_is_called_bad_for_it(files, textured):
    truth = textured(0)
    code, (line,), _ = files({"a": truth}, {"a": np.float32(0.01) * truth})
    assert code == 2 and "looks mis-scaled: about 100 times the truth" in line
    assert "its truth goes up to 0.01 only" in line


def test_a_shift_is_told_and_scored(files, textured):
    truth = textured(0)
    code, (line,), scores = files({"a": np.roll(0.9 * truth, (0, 3), (0, 1))}, {"a": truth})
    assert code == 0 and line.startswith("note: a.npy: lies 3 column(s) to the right of its truth")
    assert len(scores)


def test_the_scene_that_a_prediction_shows_instead_of_its_own_is_named(files, textured):
    one, other, third = map(textured, range(3))
    worse = {"one": 0.9 * other, "other": 0.8 * one, "third": 0.9 * third}
    code, lines, scores = files(worse, {"one": one, "other": other, "third": third})
    assert code == 1 and len(lines) == 2 and set(scores["scene"]) == set(worse)
    for line, name, shown in zip(sorted(lines), ("one", "other"), ("other", "one"), strict=True):
        assert f"bad: {name}.npy: " in line and f"shows the scene {shown}, not its own" in line


def test_a_scene_without_a_prediction_is_named_too_and_trust_overrules_it(files, textured):
    truths = {"one": textured(0), "other": textured(1)}
    wrong = {"one": np.float32(0.9) * textured(1)}
    _, lines, _ = files(wrong, truths)
    assert any("one.npy: " in line and "shows the scene other" in line for line in lines)
    _, lines, _ = files(wrong, truths, "--trust")
    assert not any("shows the scene" in line for line in lines)
