"""`bench score`: what a mean is over is said, and what a protocol refuses is no fault of the file."""

import json

import numpy as np
import pytest

from bench.core import layout
from bench.io.container import list_scenes
from bench.io.radiance import read_exr, write_exr
from bench.stages.own_files import score as stage


@pytest.fixture
def negative(rewritten):
    """A folder in which one of the two pictures has a value that hdr-transformer's mu-law can't take."""
    folder = rewritten(".exr", write_exr)
    path = min(folder.iterdir())
    radiance = read_exr(path)
    radiance[3, 4, 1] = -0.25
    write_exr(path, radiance)
    return folder


def test_an_undefined_score_is_said_for_its_column(score, negative, capsys):
    assert score(negative, "--protocol", "hdr-transformer") == 1
    lines = capsys.readouterr().out.splitlines()
    assert "psnr-mu: mean of 1 of 2 scenes (undefined, NaN, in the others)" in lines
    assert not [line for line in lines if line.startswith("psnr-l:")]


def test_a_column_without_any_score_has_no_mean(score, negative, capsys):
    assert score(negative, "--protocol", "hdr-transformer", "--limit", "1") == 1
    assert "psnr-mu: no mean, undefined (NaN) in each scene" in capsys.readouterr().out.splitlines()


def test_json_counts_them(score, negative, capsys):
    assert score(negative, "--protocol", "hdr-transformer", "--json") == 1
    card = json.loads(capsys.readouterr().out)["protocols"]["hdr-transformer@1"]
    assert card["asked"] == 2
    counts = {metric: (mean["scenes"], mean["undefined"]) for metric, mean in card["means"].items()}
    assert counts["psnr-mu"] == (1, 1) and counts["psnr-l"] == (2, 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [((), "means of 2 of 15 scenes: not"), (("--limit", "1"), "means of 1 of 15 scenes: not")],
)
def test_a_set_of_which_only_a_part_was_prepared_is_counted(score, ours, monkeypatch, capsys, words, said):
    monkeypatch.setattr(stage, "published_scenes", lambda params, dataset: 15 if dataset == "panoramas" else None)
    assert score(ours[0], *words) == 0
    assert any(line.startswith(said) for line in capsys.readouterr().out.splitlines())
    score(ours[0], *words, "--json")
    assert json.loads(capsys.readouterr().out)["protocols"].popitem()[1]["published"] == 15


WORDS = ("--protocol", "lrt-hdr", "--protocol", "hdr-transformer")


def test_a_protocol_for_larger_pictures_is_a_note(score, ours, capsys):
    assert score(ours[0], *WORDS) == 0
    said = capsys.readouterr()
    assert "protocol hdr-transformer@1" in said.out and "protocol lrt-hdr" not in said.out
    notes = [line for line in said.err.splitlines() if "lrt-hdr" in line]
    assert len(notes) == 2 and all(line.startswith("note: ") and "crops 50 px" in line for line in notes)


def test_a_protocol_for_larger_pictures_alone_scores_nothing(score, ours, capsys):
    assert score(ours[0], "--protocol", "lrt-hdr") == 2
    assert "could be scored" in capsys.readouterr().err.splitlines()[-1]


def test_a_submission_leaves_such_a_protocol_out(score, ours):
    assert score(ours[0], *WORDS, "--submit", "mine") == 0
    text = (layout.submissions() / "mine.csv").read_text()
    assert "hdr-transformer@1" in text and "lrt-hdr" not in text


def test_a_protocol_that_suits_some_scenes_only_is_not_submitted(score, textured, site, tmp_path, capsys):
    for index, size in enumerate((48, 140)):
        truth = textured(index, size, size)
        for folder in ("truth", "theirs"):
            (tmp_path / folder).mkdir(exist_ok=True)
            np.save(tmp_path / folder / f"hall-{index}.npy", truth)
    words = ["--dataset", "my-lab", "--truth", str(tmp_path / "truth"), *WORDS, "--submit", "mine"]
    assert score(tmp_path / "theirs", *words) == 1
    assert "no submission was kept" in capsys.readouterr().err
    assert not (layout.submissions() / "mine.csv").exists()


@pytest.fixture
def truths(textured, tmp_path):
    """Folders of three truths and of equal predictions, brought to a scale, under names of our choice."""

    def make(names, scale=1.0):
        for index, name in enumerate(names):
            for folder in ("truth", "theirs"):
                (tmp_path / folder).mkdir(exist_ok=True)
                radiance = textured(index) * np.float32(1.01 if folder == "theirs" else 1)
                np.save(tmp_path / folder / f"{name}.npy", scale * radiance / radiance.max())
        return [tmp_path / "theirs", "--dataset", "my-lab", "--truth", str(tmp_path / "truth")]

    return make


@pytest.mark.parametrize(
    ("names", "places"),
    [
        (("scene_001", "scene_002", "scene_003"), 3),  # a number alone tells no places apart
        (("hall-1", "hall-2", "yard-1"), 2),
        (("001", "002", "003"), 3),
    ],
)
def test_files_given_as_truth_are_places_by_their_names(score, truths, capsys, names, places):
    assert score(*truths(names)) == 0
    assert f"bootstrap over {places} places" in capsys.readouterr().out


def test_a_prepared_scene_is_of_the_place_that_its_card_names(score, site, ours, capsys):
    for path in list_scenes(layout.scenes(site.params, "panoramas", "test")):
        card = json.loads((path / "scene.json").read_text())
        card["metadata"]["capture"] = "one yard"
        (path / "scene.json").write_text(json.dumps(card))
    assert score(ours[0]) == 0
    assert "no interval: all scenes show one place" in capsys.readouterr().out


@pytest.mark.parametrize(("scale", "told"), [(1, False), (80, True)])
def test_a_truth_above_one_is_told_and_scored(score, truths, capsys, scale, told):
    assert score(*truths(("hall", "yard"), scale)) == 0
    said = capsys.readouterr()
    assert [line for line in said.out.splitlines() if line.startswith("hall ")]
    notes = [line for line in said.err.splitlines() if line.startswith("note: hall.npy: its truth goes up to 80")]
    assert len(notes) == told
