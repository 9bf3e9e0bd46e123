"""HDR-VDP-3 in protocols: what the function is handed, and what two metrics share."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from pydantic import ValidationError

from bench.core.errors import UsageError
from bench.core.registry import metrics, protocols
from bench.metrics import scorer
from bench.metrics.hdrvdp3 import hdrvdp3
from bench.metrics.hdrvdp3.display import DISPLAYS, ENCODINGS
from bench.metrics.hdrvdp3.optics import MTFS
from bench.metrics.hdrvdp3.tasks import TASKS
from bench.metrics.protocol import Protocol
from bench.metrics.viewing3 import Hdrvdp3

BOTH = ("hdrvdp3", "hdrvdp3-jod")


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    truth = rng.random((32, 40, 3)).astype(np.float32)
    return np.maximum(truth + rng.normal(0, 0.02, truth.shape), 0).astype(np.float32), truth


def protocol(**section):
    content = protocols["whole-float"].model_dump()
    return Protocol.model_validate({**content, "metrics": BOTH, "masks": {"metrics": []}, "hdrvdp3": section})


def test_values_are_those_of_the_function(images):
    found = protocol(scale=500.0, encoding="rgb-bt.2020", age=60.0, surround=4.0, mtf="cie").evaluate(*images)
    light = [500 * image.astype(np.float64) for image in images]
    settings = {"encoding": "rgb-bt.2020", "age": 60, "surround": 4, "mtf": "cie"}
    expected = hdrvdp3(*light, **settings, pixels_per_degree=26.7627)
    assert found == {"hdrvdp3": expected.Q, "hdrvdp3-jod": expected.Q_JOD}


def test_both_metrics_share_one_comparison_and_every_setting_is_handed_over(images, monkeypatch):
    calls = []

    def stand_in(test, reference, **options):
        calls.append(options)
        return SimpleNamespace(Q=5.0, Q_JOD=6.0)

    monkeypatch.setitem(sys.modules, "bench.metrics.hdrvdp3", SimpleNamespace(hdrvdp3=stand_in))
    display = {"diagonal_inches": 24, "resolution": [1500, 1000], "distance_m": 0.5}
    rule = protocol(task="flicker", display="crt", pixels_per_degree=display, precision="double")
    assert rule.evaluate(*images) == {"hdrvdp3": 5.0, "hdrvdp3-jod": 6.0}
    (options,) = calls
    assert options.pop("pixels_per_degree") == pytest.approx(26.7626964626)
    assert options == {
        "encoding": "rgb-bt.709", "task": "flicker", "display": "crt", "age": 24.0, "surround": "none", "mtf": "hdrvdp",
        "maps": False, "precision": "double",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("field", "known"),
    [
        ("task", TASKS),
        ("mtf", MTFS),
        ("display", DISPLAYS),
        ("encoding", [n for n, e in ENCODINGS.items() if e[0] == 3]),
    ],
)
def test_a_protocol_can_say_what_the_function_knows(field, known):
    for value in known:
        assert getattr(Hdrvdp3(**{"scale": 1.0, field: value}), field) == value


def test_code_values_need_a_scale():
    with pytest.raises(ValidationError, match="takes code values in \\[0, 1\\]: say by which scale"):
        Hdrvdp3(encoding="sRGB-display")
    assert Hdrvdp3(encoding="sRGB-display", scale=1.0).scale == 1


def test_a_protocol_without_viewing_conditions_is_refused():
    content = protocols["whole-float"].model_dump()
    with pytest.raises(ValidationError, match="hdrvdp3 needs the section hdrvdp3"):
        Protocol.model_validate({**content, "metrics": ["hdrvdp3"], "masks": {"metrics": []}})


@pytest.mark.parametrize("name", BOTH)
def test_defaults_are_the_luminance_that_pu21_takes_for_one(images, name):
    light = [4000 * image.astype(np.float64) for image in images]
    expected = hdrvdp3(*light, encoding="rgb-bt.709", pixels_per_degree=26.7627)
    found = scorer.score(metrics[name], *images)
    assert float(found) == (expected.Q if name == "hdrvdp3" else expected.Q_JOD)
    with pytest.raises(
        UsageError, match=r"task: expected .quality., .side-by-side., .flicker. or .detection., got .beauty."
    ):
        scorer.score(metrics[name], *images, task="beauty")
