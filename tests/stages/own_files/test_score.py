"""`bench score`: anyone's results get the numbers that our own evaluation would give them."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import tifffile

from bench.core import layout
from bench.io.container import list_scenes
from bench.io.radiance import write_exr, write_rgbe
from bench.io.tables import COLUMNS, read_scores


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


def tiff(path, radiance):
    tifffile.imwrite(path, radiance, photometric="rgb")


@pytest.mark.parametrize(
    ("suffix", "write"),
    [
        (".npy", np.save),
        (".npy", lambda path, radiance: np.save(path, radiance.astype(np.float64))),
        (".tif", tiff),
        (".TIFF", tiff),
    ],
    ids=["npy", "float64", "tif", "TIFF"],
)
def test_other_kinds_score_as_in_our_evaluation(score, ours, rewritten, tmp_path, suffix, write):
    assert score(rewritten(suffix, write), "--out", str(tmp_path / "out.csv")) == 0
    pd.testing.assert_frame_equal(numbers(read_scores([tmp_path / "out.csv"])), numbers(ours[1]), check_exact=True)


def test_hdr_files_are_accepted(score, ours, rewritten, tmp_path):
    assert score(rewritten(".hdr", write_rgbe), "--out", str(tmp_path / "out.csv")) == 0
    rows, exact = read_scores([tmp_path / "out.csv"]), ours[1]
    # RGBE keeps 8 bits of a pixel's brightest channel, so decibels move a little.
    whole = ~exact["metric"].str.contains("@")
    np.testing.assert_allclose(rows["value"][whole], exact["value"][whole], rtol=0.05)
    assert (rows["value"] != exact["value"]).any()


def test_scenes_mean_and_interval_are_printed_under_the_protocol(score, ours, capsys):
    assert score(ours[0]) == 0
    protocol, heading, *lines, note, vision = capsys.readouterr().out.splitlines()
    assert protocol == "protocol whole-float@1"
    values = ours[1].query("metric == 'psnr-mu'").set_index("scene")["value"]
    assert [line.split()[0] for line in lines] == [*sorted(values.index), "mean", "low,", "high,"]
    column = heading.split().index("psnr-mu") - len(heading.split())
    mean, low, high = (float(line.split()[column]) for line in lines[-3:])
    assert mean == pytest.approx(values.mean(), abs=1e-4)
    assert [low, high] == pytest.approx(sorted(values), abs=1e-4)  # two places: the means of drawing one twice
    assert "over 2 places" in note
    assert vision.startswith("HDR-VDP-2 isn't photometric here")


def test_one_place_has_no_interval(score, ours, capsys):
    assert score(ours[0], "--limit", "1") == 0
    said = capsys.readouterr()
    assert "no interval: all scenes show one place" in said.out
    assert "low" not in said.out
    assert not [line for line in said.err.splitlines() if line.startswith("bad")]


def test_the_truth_itself_scores_infinity(site, score, tmp_path, capsys):
    folder = tmp_path / "truth"
    for path in list_scenes(layout.scenes(site.params, "panoramas", "test")):
        write_exr(folder / f"{path.name}.exr", np.load(path / "radiance.npy"))
    assert score(folder, "--submit", "mine") == 1
    said = capsys.readouterr().err
    assert said.count("equals the truth: it is a copy of it") == 2 and "no submission was kept" in said
    assert score(folder, "--trust", "--out", str(tmp_path / "out.csv"), "--json") == 0
    rows = read_scores([tmp_path / "out.csv"]).set_index("metric")["value"]
    assert (rows["psnr-mu"] == np.inf).all()
    assert (rows["ssim-mu"] == 1).all()
    means = json.loads(capsys.readouterr().out)["protocols"]["whole-float@1"]["means"]
    assert {means["psnr-mu"][end] for end in ("mean", "low", "high")} == {"inf"}
    assert means["ssim-mu"]["mean"] == 1


def test_one_file_under_the_names_of_two_scenes_is_told(score, rewritten, tmp_path, capsys):
    folder = rewritten(".npy", np.save)
    first, second = sorted(folder.iterdir())
    shutil.copy2(first, second)
    assert score(folder, "--submit", "mine") == 1
    said = capsys.readouterr().err
    assert f"{second.name}: is a copy of {first.name}, of another scene" in said and "no submission was kept" in said
    assert score(folder, "--trust") == 0


def test_files_of_other_kinds_and_truthless_scenes_are_ignored(score, ours, rewritten, tmp_path):
    folder = rewritten(".exr", write_exr)
    shutil.copy2(next(iter((ours[0].parent / "no-truth").iterdir())), folder)
    (folder / "notes.txt").write_text("mine")
    assert score(folder, "--out", str(tmp_path / "out.csv")) == 0
    assert set(read_scores([tmp_path / "out.csv"])["scene"]) == set(ours[1]["scene"])


def test_several_protocols_are_scored_one_after_another(site, score, ours, tmp_path, capsys):
    words = ["--protocol", "hdr-transformer", "--protocol", "whole-float"]
    assert score(ours[0], *words, "--out", str(tmp_path / "out.csv")) == 0
    rows = read_scores([tmp_path / "out.csv"])
    ids = list(dict.fromkeys(rows["protocol"]))
    assert ids == ["hdr-transformer@1", "whole-float@1"]
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("protocol")] == [
        f"protocol {name}" for name in ids
    ]
    own = numbers(rows[rows["protocol"] == "whole-float@1"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(own, numbers(ours[1]), check_exact=True)


def test_several_protocols_end_with_all_means_and_the_paths(score, ours, tmp_path, capsys):
    words = ["--protocol", "ahdrnet-ytzhang99", "--protocol", "whole-float", "--out", str(tmp_path / "out.csv")]
    assert score(ours[0], *words) == 0
    heading, first, second, note, path = capsys.readouterr().out.splitlines()[-5:]
    assert heading.split()[:3] == ["means", "scenes", "psnr-mu"] and "hdrvdp2" in heading
    mean = ours[1].query("metric == 'psnr-mu'")["value"].mean()
    assert first.split()[:2] == ["ahdrnet-ytzhang99@1", "2"] and first.split()[-1] == "-"
    assert second.split()[:3] == ["whole-float@1", "2", f"{mean:.4f}"]
    assert note == "of 2 scenes; values under different protocols don't compare"
    assert path == f"scores: {tmp_path / 'out.csv'}"


def test_json_holds_what_the_table_holds(score, ours, capsys):
    assert score(ours[0], "--json") == 0
    content = json.loads(capsys.readouterr().out)
    card = content["protocols"]["whole-float@1"]
    value = ours[1].query("metric == 'psnr-mu'").set_index("scene")["value"]
    assert {scene: scores["psnr-mu"] for scene, scores in card["scenes"].items()} == value.to_dict()
    assert card["means"]["psnr-mu"]["places"] == card["means"]["psnr-mu"]["scenes"] == 2
    assert content["findings"] == [] and content["submission"] is None


def test_paths_are_relative_to_where_the_command_was_typed(site, score, ours, rewritten, tmp_path, monkeypatch):
    rewritten(".exr", write_exr)
    monkeypatch.chdir(tmp_path)
    assert score("theirs", "--out", "mine/out.csv") == 0
    assert (tmp_path / "mine" / "out.csv").exists()


@pytest.mark.parametrize(
    ("options", "meant"),
    [
        (["--protocol", "whole-flaot"], "Did you mean 'whole-float'"),
        (["--dataset", "panorama"], "mean 'panoramas'"),
        (["--device", "cdua"], "Did you mean 'cuda'"),
        (["--device", "cuda"], "no CUDA device is available"),
    ],
)
def test_a_wrong_option_is_answered(score, ours, capsys, options, meant):
    assert score(ours[0], *options) == 2
    assert meant in capsys.readouterr().err


def test_unprepared_scenes_are_said_with_the_command_that_makes_them(site, score, ours, capsys):
    shutil.rmtree(layout.scenes(site.params, "panoramas"))
    assert score(ours[0]) == 2
    assert "python -m bench prepare panoramas" in capsys.readouterr().err


class TestOtherData:
    @pytest.fixture
    def pair(self, tmp_path, textured):
        """A folder of truth and one of predictions that nobody prepared."""
        for index in range(3):
            truth = textured(index)
            np.save(tmp_path / f"hall-{index}.npy", truth)
            write_exr(tmp_path / "truth" / f"hall-{index}.exr", truth)
            (tmp_path / "theirs").mkdir(exist_ok=True)
            np.save(tmp_path / "theirs" / f"hall-{index}.npy", truth * np.float32(1.05))
        return tmp_path / "theirs", tmp_path / "truth"

    def test_it_needs_no_preparation_and_has_no_masks(self, fresh, main_in, pair, tmp_path, monkeypatch):
        monkeypatch.chdir(fresh.folder)
        out = tmp_path / "out.csv"
        words = ["--dataset", "my-lab", "--truth", str(pair[1]), "--out", str(out), "--protocol", "whole-float"]
        assert main_in(fresh, "score", str(pair[0]), *words) == 0
        rows = read_scores([out])
        assert set(rows["dataset"]) == {"my-lab"}
        assert set(rows["scene"]) == {"hall-0", "hall-1", "hall-2"}
        assert not rows["metric"].str.contains("@").any()

    def test_without_a_data_set_the_folder_of_truth_names_it(self, fresh, main_in, pair, tmp_path):
        out = tmp_path / "out.csv"
        words = ["--truth", str(pair[1]), "--out", str(out), "--protocol", "hdr-transformer"]
        assert main_in(fresh, "score", str(pair[0]), *words) == 0
        assert set(read_scores([out])["dataset"]) == {"truth"}

    def test_names_that_a_spreadsheet_would_run_are_quoted(self, fresh, main_in, pair, tmp_path):
        out, name = tmp_path / "out.csv", "=cmd|' C'!A0"
        for folder, kind in zip(pair, (".npy", ".exr"), strict=True):
            (folder / f"hall-0{kind}").rename(folder / f"{name}{kind}")
        words = ["--truth", str(pair[1]), "--out", str(out), "--protocol", "hdr-transformer"]
        assert main_in(fresh, "score", str(pair[0]), *words) == 0
        assert f",'{name}," in out.read_text() and f",{name}," not in out.read_text()
        assert name in set(read_scores([out])["scene"])

    def test_a_damaged_truth_is_one_bad_file(self, site, score, pair, capsys):
        (pair[1] / "hall-1.exr").write_bytes(b"junk")
        assert score(pair[0], "--truth", str(pair[1])) == 1
        said = capsys.readouterr()
        assert "bad: hall-1.npy: its truth is unusable" in said.err
        assert "means of 2 of 3 scenes" in said.out

    @pytest.mark.parametrize(("make", "words"), [(False, "is no folder"), (True, "holds no radiance file")])
    def test_a_folder_without_truth(self, site, score, pair, tmp_path, capsys, make, words):
        if make:
            (tmp_path / "none").mkdir()
        assert score(pair[0], "--truth", str(tmp_path / "none")) == 2
        assert words in capsys.readouterr().err
