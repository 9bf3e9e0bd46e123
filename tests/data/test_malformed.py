"""Malformed input: each kind of tests/data/damage.py ends in a sentence that names scene or file, and none is taken."""

import os
from pathlib import Path

import pytest

from bench.core.errors import UsageError
from bench.core.registry import datasets
from bench.data import checks

from . import builders
from .damage import MALFORMED, MIDDLE, other_format


@pytest.fixture
def root(tmp_path):
    builders.kalantari(tmp_path / "data" / "Training" / "001")
    return tmp_path / "data"


def read_all(root):
    scene = root / "Training" / "001"
    kalantari = scene.is_symlink() or any(path.suffix in (".tif", ".hdr") for path in scene.iterdir())
    card, place, split = (
        (datasets["kalantari"], root, "train") if kalantari else (datasets["folder"], root / "Training", "no-truth")
    )
    scenes = list(card.scenes(place, split))
    for scene in scenes:
        checks.run(scene, card.name)
    return scenes


def test_there_are_forty_and_the_scene_is_sound_without_them(root):
    assert len(MALFORMED) >= 40
    (scene,) = read_all(root)
    assert scene.radiance is not None and scene.times.tolist() == [1, 4, 16]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".exr"])
def test_other_kinds_of_frames_are_sound_without_damage(root, suffix):
    other_format(suffix, lambda path: None)(root / "Training" / "001")
    (scene,) = read_all(root)
    assert scene.times.tolist() == [1, 4, 16]


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_input_ends_in_a_sentence(root, name):
    MALFORMED[name](root / "Training" / "001")
    with pytest.raises(UsageError) as caught:
        read_all(root)
    sentence = str(caught.value)
    assert len(sentence.splitlines()) <= 2 and len(sentence) < 700
    assert "001" in sentence, "scene or file is named"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("truth-upside-down", "the truth is upside down against the frames; turn it back."),
        ("truth-mirrored", "the truth is mirrored, left for right against the frames"),
        ("truth-shifted", "the truth lies 2 column(s) to the right of the frames; crop both alike."),
        ("truth-green-and-blue-exchanged", "green and blue of the truth are exchanged against the frames'"),
        ("truth-channels-in-another-order", "all three channels (stored as BRG) of the truth are exchanged"),
    ],
)
def test_a_truth_that_lies_otherwise_than_the_frames_is_called_so(root, name, words):
    MALFORMED[name](root / "Training" / "001")
    with pytest.raises(UsageError) as caught:
        read_all(root)
    assert words in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", [MIDDLE, "HDRImg.hdr", "exposure.txt", "."])
def test_what_may_not_be_read_ends_in_a_sentence(root, name):
    path: Path = root / "Training" / "001" / name
    path.chmod(0)
    try:
        with pytest.raises(UsageError, match="001"):
            list(datasets["kalantari"].scenes(root, "train"))
    finally:
        path.chmod(0o755)
