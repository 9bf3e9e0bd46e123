"""Challenge123, whose scenes lie in three folders each: counted, prepared and recorded as one scene."""

import json
from dataclasses import replace

import numpy as np
import pytest

from bench.core import layout
from bench.core.errors import BenchError, UsageError
from bench.core.registry import datasets
from bench.io.container import read_scene
from bench.io.ldr import write_tiff16
from bench.stages.data import fetch, prepare
from tests.data import builders


@pytest.fixture
def params(tmp_path, dataset_params):
    """Parameters of a set of two training scenes and a test scene, read in place; the current folder."""
    for seed, name in enumerate(("Training/001_2", "Training/002_2", "Test/001_2")):
        builders.challenge123(tmp_path / "mine" / name, seed=seed)
    return dataset_params("challenge123", {"on_disk": str(tmp_path / "mine")})


def record(params, split="train", name="001"):
    return json.loads(layout.prepared(params, "challenge123").read_text())[split][name]


def test_scenes_are_prepared_with_the_files_of_all_three_folders(params):
    fetch.run(params, "challenge123")
    prepare.run(params, "challenge123")
    folder = layout.scenes(params, "challenge123", "train")
    assert sorted(path.name for path in folder.iterdir()) == ["001", "002"]
    assert read_scene(folder / "001").times.tolist() == [1, 4, 16]
    assert {"exposure.txt", "001_1/ldr_img_1.tif", "ldr_img_2.tif", "001_3/ldr_img_3.tif"} <= set(
        record(params)["sources"]
    )


def test_a_frame_that_changed_in_another_folder_is_read_again(params, tmp_path):
    """A scene that a refused call has left behind is taken over only while the files of all three folders are alike."""
    fetch.run(params, "challenge123")
    bad = tmp_path / "mine" / "Training" / "002_2" / "ldr_img_2.tif"
    whole = bad.read_bytes()
    bad.write_bytes(b"")
    with pytest.raises(UsageError, match=r"ldr_img_2\.tif"):
        prepare.run(params, "challenge123")
    bad.write_bytes(whole)
    changed = tmp_path / "mine" / "Training" / "001_3" / "ldr_img_3.tif"
    frames = builders.frame(np.roll(builders.light(), 5, 1), 16.0)
    write_tiff16(changed, frames)
    prepare.run(params, "challenge123")
    scene = read_scene(layout.scenes(params, "challenge123", "train") / "001")
    np.testing.assert_array_equal(scene.frames[2], frames)


def test_verify_counts_scenes_and_not_folders(params, monkeypatch, capsys):
    small = replace(datasets["challenge123"], expected={"train": 2, "test": 1})
    monkeypatch.setattr(fetch, "datasets", {"challenge123": small})
    fetch.check(params, "challenge123")
    assert "ok    challenge123/train: 2 scenes of 2 published, layout three-moments" in capsys.readouterr().out
    monkeypatch.setattr(fetch, "datasets", datasets)
    with pytest.raises(BenchError):
        fetch.check(params, "challenge123")
    assert "fail  challenge123/test: 1 scenes of 27 published" in capsys.readouterr().out
