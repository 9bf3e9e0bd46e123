"""Networks take three frames, the middle one the reference: other brackets are refused before anything is computed."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.core.errors import UsageError
from bench.core.patching import Patches
from bench.core.registry import methods
from bench.stages.scoring import predict
from bench.stages.scoring.predict import predictor
from bench.stages.training import inputs, observation

CPU = torch.device("cpu")


@pytest.fixture(params=[(2, 0), (5, 2), (3, 0)], ids=str)
def other(request, tiny_scene):
    """A scene of so many frames, with this reference."""
    count, reference = request.param
    frames = np.repeat(tiny_scene.frames, 2, 0)[:count]
    return replace(tiny_scene, frames=frames, times=4.0 ** np.arange(count), reference=reference)


def said(scene):
    return f"holds {len(scene.frames)} frames, the reference is number {scene.reference + 1}; .* takes 3, of which"


@pytest.mark.parametrize("name", ["ahdrnet", "kalantari2017"])
def test_a_prediction_refuses_them(name, other, monkeypatch):
    monkeypatch.setattr(predict, "registered", lambda *_: pytest.fail("aligned"))
    network = methods[name].build("smoke")
    with pytest.raises(UsageError, match=f"scene '{other.id}' {said(other)}"):
        predictor(methods[name], network, CPU)(other)


def test_methods_without_a_network_decide_themselves(other):
    assert predictor(methods["reference-only"], None, CPU)(other).shape == (40, 56, 3)


def test_a_training_refuses_them(tiny_scene, other):
    patches = Patches(size=16, stride=8, augment=False)
    assert len(inputs.stream(patches, [tiny_scene], 0, "stage1"))
    with pytest.raises(UsageError, match=said(other)):
        inputs.stream(patches, [tiny_scene, other], 0, "stage1")


def test_a_training_refuses_them_before_it_registers_frames(other, monkeypatch):
    monkeypatch.setattr(inputs, "read_split", lambda *_: [other])
    with pytest.raises(UsageError, match=said(other)):
        inputs.read_aligned(None, "panoramas", "train", "dis")


def test_an_inspection_refuses_them(other, monkeypatch):
    monkeypatch.setattr(observation.inputs, "read_split", lambda *_: [other])
    with pytest.raises(UsageError, match=said(other)):
        observation.held_out(None, "panoramas")
