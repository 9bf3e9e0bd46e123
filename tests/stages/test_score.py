"""`bench score`: anyone's results get the numbers that our own evaluation would give them."""

import shutil

import numpy as np
import pandas as pd
import pytest

from bench.io.container import list_scenes
from bench.io.radiance import read_exr, write_exr, write_rgbe
from bench.io.tables import COLUMNS, read_scores
from bench.stages import layout


@pytest.fixture
def ours(site):
    """Predictions of one run, and the score rows of its evaluation."""
    cell, entry = next(iter(site.params.plain_evaluations.items()))
    folder = layout.predictions(site.params, entry.run, entry.dataset) / "test"
    return folder, read_scores([layout.scores(site.params, cell)])


@pytest.fixture
def score(site, main_in):
    """Score a folder through the command line; return its exit code."""

    def run(folder, *options):
        return main_in(site, "score", str(folder), "--dataset", "panoramas", *options)

    return run


@pytest.fixture
def rewritten(ours, tmp_path):
    """Write the predictions to a folder of another kind of file."""

    def write(suffix, writer):
        folder = tmp_path / "theirs"
        folder.mkdir()
        for path in sorted(ours[0].iterdir()):
            writer(folder / f"{path.stem}{suffix}", read_exr(path))
        return folder

    return write


def numbers(rows):
    return rows[["dataset", "scene", "metric", "value", "protocol"]]


def test_exr_files_score_as_in_our_evaluation(score, ours, tmp_path):
    assert score(ours[0], "--out", str(tmp_path / "out.csv")) == 0
    rows = read_scores([tmp_path / "out.csv"])
    pd.testing.assert_frame_equal(numbers(rows), numbers(ours[1]), check_exact=True)
    assert set(rows["method"]) == {"submitted"}
    assert set(rows["variant"]) == {ours[0].name}
    assert rows["seed"].isna().all()
    assert (tmp_path / "out.csv").read_text().splitlines()[0] == ",".join(COLUMNS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_npy_files_score_as_in_our_evaluation(score, ours, rewritten, tmp_path, dtype):
    folder = rewritten(".npy", lambda path, radiance: np.save(path, radiance.astype(dtype)))
    assert score(folder, "--out", str(tmp_path / "out.csv")) == 0
    pd.testing.assert_frame_equal(numbers(read_scores([tmp_path / "out.csv"])), numbers(ours[1]), check_exact=True)


def test_hdr_files_are_accepted(score, ours, rewritten, tmp_path):
    assert score(rewritten(".hdr", write_rgbe), "--out", str(tmp_path / "out.csv")) == 0
    rows, exact = read_scores([tmp_path / "out.csv"]), ours[1]
    # RGBE keeps 8 bits of a pixel's brightest channel, so decibels move a little.
    whole = ~exact["metric"].str.contains("@")
    np.testing.assert_allclose(rows["value"][whole], exact["value"][whole], rtol=0.05)
    assert (rows["value"] != exact["value"]).any()


def test_scenes_and_their_mean_are_printed_under_the_protocol(score, ours, capsys):
    assert score(ours[0]) == 0
    protocol, heading, *lines = capsys.readouterr().out.splitlines()
    assert protocol == "protocol whole-float@1"
    assert heading.split()[:2] == ["scene", "psnr-mu"] or "psnr-mu" in heading
    assert [line.split()[0] for line in lines] == [*sorted(set(ours[1]["scene"])), "mean"]
    mean = ours[1].query("metric == 'psnr-mu'")["value"].mean()
    column = heading.split().index("psnr-mu")
    assert float(lines[-1].split()[column]) == pytest.approx(mean, abs=1e-4)


def test_the_truth_itself_scores_infinity(site, score, tmp_path):
    folder = tmp_path / "truth"
    for path in list_scenes(layout.scenes(site.params, "panoramas", "test")):
        write_exr(folder / f"{path.name}.exr", np.load(path / "radiance.npy"))
    assert score(folder, "--out", str(tmp_path / "out.csv")) == 0
    rows = read_scores([tmp_path / "out.csv"]).set_index("metric")["value"]
    assert (rows["psnr-mu"] == np.inf).all()
    assert (rows["ssim-mu"] == 1).all()


def test_files_of_other_names_and_truthless_scenes_are_ignored(site, score, ours, rewritten, tmp_path):
    folder = rewritten(".exr", write_exr)
    shutil.copy2(next(iter((ours[0].parent / "no-truth").iterdir())), folder)
    (folder / "notes.txt").write_text("mine")
    assert score(folder, "--out", str(tmp_path / "out.csv")) == 0
    assert set(read_scores([tmp_path / "out.csv"])["scene"]) == set(ours[1]["scene"])


def without_one(folder):
    next(iter(folder.iterdir())).unlink()


def other(change):
    """Replace the first file by a changed one."""

    def apply(folder):
        path = min(folder.iterdir())
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
        path = min(folder.iterdir())
        np.save(path.with_suffix(".npy"), array)
        path.unlink()

    return apply


def empty_array(folder):
    path = min(folder.iterdir())
    path.with_suffix(".npy").touch()
    path.unlink()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (without_one, ["1 of 2 scenes have no file", "Expected <scene>.exr, .hdr or .npy"]),
        (shutil.rmtree, ["is no folder"]),
        (other(lambda radiance: radiance[:-8]), ["courtyard-01", "96"]),
        (poked(np.nan), ["courtyard-01", "NaN"]),
        (poked(np.inf), ["courtyard-01", "infinit"]),
        (lambda folder: min(folder.iterdir()).write_bytes(b"P6 4 4 255"), ["courtyard-01", "not an OpenEXR file"]),
        (as_array(np.zeros((64, 96), np.float32)), ["courtyard-01.npy", "expected floats of shape (H, W, 3)"]),
        (as_array(np.zeros((64, 96, 3), np.uint8)), ["courtyard-01.npy", "uint8", "expected floats"]),
        (as_array(np.array([{"a": 1}])), ["courtyard-01.npy", "isn't a readable .npy file"]),
        (empty_array, ["courtyard-01.npy", "isn't a readable .npy file"]),
    ],
    ids=["missing scene", "no folder", "shape", "NaN", "infinity", "no EXR", "grey", "integers", "pickle", "empty"],
)
def test_what_does_not_fit_is_one_sentence(score, rewritten, tmp_path, capsys, damage, words):
    folder = rewritten(".exr", write_exr)
    damage(folder)
    assert score(folder, "--out", str(tmp_path / "out.csv")) == 2
    said = capsys.readouterr()
    assert said.err.startswith("error: ")
    assert len(said.err.splitlines()) == 1
    assert not [word for word in words if word not in said.err], said.err
    assert not said.out
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("options", "meant"),
    [(["--protocol", "whole-flaot"], "Did you mean 'whole-float'"), (["--dataset", "panorama"], "mean 'panoramas'")],
)
def test_an_unknown_name_is_answered_with_the_nearest(score, ours, capsys, options, meant):
    assert score(ours[0], *options) == 2
    assert meant in capsys.readouterr().err


def test_unprepared_scenes_are_said_with_the_command_that_makes_them(site, score, ours, capsys):
    shutil.rmtree(layout.scenes(site.params, "panoramas"))
    assert score(ours[0]) == 2
    assert "python -m bench prepare panoramas" in capsys.readouterr().err
