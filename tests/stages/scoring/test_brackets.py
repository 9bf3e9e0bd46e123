"""Networks take three frames, the middle one the reference: other brackets are refused before anything is computed."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.core.errors import UsageError
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


@pytest.mark.parametrize("verb", ["codebook", "train"])
def test_a_training_refuses_them(verb, site, tiny_scene, other, monkeypatch):
    monkeypatch.setattr(inputs, "read_split", lambda *_: [tiny_scene, other])
    with pytest.raises(UsageError, match=said(other)):
        site.run(verb, site.codebook if verb == "codebook" else site.plain)


def test_a_training_refuses_them_before_it_registers_frames(other, monkeypatch):
    monkeypatch.setattr(inputs, "read_split", lambda *_: [other])
    with pytest.raises(UsageError, match=said(other)):
        inputs.read_aligned(None, "panoramas", "train", "dis")


def test_an_inspection_refuses_them(other, monkeypatch):
    monkeypatch.setattr(observation.inputs, "read_split", lambda *_: [other])
    with pytest.raises(UsageError, match=said(other)):
        observation.held_out(None, "panoramas")
