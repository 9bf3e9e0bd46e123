"""`bench score --maps`: a picture for each scored scene."""

import io
import sys
import types

import numpy as np
import pytest
import torch
from PIL import Image

from bench.core.registry import protocols
from bench.io.radiance import read_exr, write_exr
from bench.stages import maps


@pytest.fixture(params=[np.asarray, torch.from_numpy], ids=["array", "tensor"])
def model(monkeypatch, request):
    """A stand-in for HDR-VDP-2 that sees every difference above 0.01; it notes how it was called."""
    calls, kind = [], request.param

    def hdrvdp2(test, reference, **settings):
        calls.append((test, reference, settings))
        seen = np.abs(np.asarray(test) - np.asarray(reference)).max(-1) > 0.01
        values = seen.astype(np.float32)
        return types.SimpleNamespace(p_map=kind(values))

    monkeypatch.setitem(sys.modules, "bench.metrics.hdrvdp2", types.SimpleNamespace(hdrvdp2=hdrvdp2))
    return calls


def test_every_scored_scene_has_its_picture(score, ours, model, rewritten, tmp_path):
    folder = rewritten(".exr", write_exr)
    bad, good = sorted(folder.iterdir())
    write_exr(bad, read_exr(bad) * 0)
    assert score(folder, "--maps", str(tmp_path / "maps")) == 1
    (picture,) = (tmp_path / "maps").iterdir()
    assert picture.name == f"{good.stem}.png"
    assert min(Image.open(io.BytesIO(picture.read_bytes())).size) > 300


def test_the_map_is_seen_under_the_protocol_s_conditions(model):
    protocol = protocols["whole-float"]
    truth = np.full((20, 20, 3), 0.5, np.float32)
    prediction = truth.copy()
    prediction[:10] += 0.1
    visibility = maps.visible(prediction, truth, protocol)
    assert visibility.shape == (20, 20)
    assert visibility[:10].min() == 1 and visibility[10:].max() == 0
    ((test, reference, settings),) = model
    assert test is prediction and reference is truth
    assert settings["color_encoding"] == "sRGB-display"
    assert settings["pixels_per_degree"] == protocol.hdrvdp2.pixels_per_degree


def test_a_protocol_without_conditions_borrows_the_default_s(score, ours, model, tmp_path):
    assert score(ours[0], "--maps", str(tmp_path / "maps"), "--limit", "1", "--protocol", "hdr-transformer") == 0
    assert len(model) == 1
    assert model[0][2]["pixels_per_degree"] == protocols["whole-float"].hdrvdp2.pixels_per_degree
