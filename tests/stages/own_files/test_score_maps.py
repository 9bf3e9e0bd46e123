"""`bench score --maps`: a picture for each scored scene."""

import io

import numpy as np
import pytest
from PIL import Image

from bench.core.registry import protocols
from bench.io.radiance import read_exr, write_exr
from bench.metrics.scorer import Scorer
from bench.metrics.viewing import visibility
from bench.stages.own_files import score as stage


def test_every_scored_scene_has_its_picture(score, ours, rewritten, tmp_path):
    folder = rewritten(".exr", write_exr)
    bad, good = sorted(folder.iterdir())
    write_exr(bad, read_exr(bad) * 0)
    assert score(folder, "--maps", str(tmp_path / "maps")) == 1
    (picture,) = (tmp_path / "maps").iterdir()
    assert picture.name == f"{good.stem}.png"
    assert min(Image.open(io.BytesIO(picture.read_bytes())).size) > 300


@pytest.fixture
def viewed(monkeypatch):
    """Protocols whose viewing conditions were used, and what was drawn of them."""
    used, drawn = [], []
    real, figure = stage.visibility, stage.map_figure
    monkeypatch.setattr(stage, "visibility", lambda pair, rule: (used.append(rule), real(pair, rule))[1])
    monkeypatch.setattr(stage, "map_figure", lambda shown: (drawn.append(shown), figure(shown))[1])
    return used, drawn


@pytest.mark.parametrize("name", ["whole-float", "deephdrvideo", "safnet-matlab"])
def test_the_map_is_seen_under_the_protocol_s_conditions(score, ours, viewed, tmp_path, name):
    assert score(ours[0], "--maps", str(tmp_path / "maps"), "--limit", "1", "--protocol", name) == 0
    (rule,), (shown,) = viewed
    assert rule == protocols[name]
    expected = visibility(Scorer(shown.prediction, shown.truth).pair(rule), rule).numpy()
    np.testing.assert_allclose(shown.visibility, expected, atol=1e-6)
    assert f"as in {rule.id}" in shown.title


def test_a_protocol_without_conditions_borrows_the_default_s(score, ours, viewed, tmp_path):
    assert score(ours[0], "--maps", str(tmp_path / "maps"), "--limit", "1", "--protocol", "hdr-transformer") == 0
    assert viewed[0] == [protocols["whole-float"]]
    assert "whole-float" in viewed[1][0].title


def test_a_picture_that_the_model_refuses_says_so_instead_of_a_map(score, ours, viewed, tmp_path, monkeypatch):
    def refuse(pair, rule):
        raise stage.UsageError("too small")

    monkeypatch.setattr(stage, "visibility", refuse)
    assert score(ours[0], "--maps", str(tmp_path / "maps"), "--limit", "1") == 0
    assert (viewed[1][0].visibility, viewed[1][0].reason) == (None, "too small")
