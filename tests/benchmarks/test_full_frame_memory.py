"""A whole picture of Kalantari's size through every network at its published size: 8 GB on the CPU must do.

`make benchmark` runs it, `make test` doesn't: some of them take minutes. Each is measured in a process of its own.
"""

from pathlib import Path

import pytest

from bench.core.params import load
from bench.core.registry import ROOT, methods
from bench.stages.cost.predictions import ask
from bench.stages.cost.probe import Candidate

pytestmark = pytest.mark.benchmark(group="full frame")

LIMIT = 8e9
"""Bytes that the process may hold at once, libraries included."""

MINUTES = 60.0
LEARNED = [name for name, card in methods.items() if card.trains]


@pytest.mark.parametrize("name", LEARNED)
def test_a_full_frame_fits_8_gb(name, benchmark, monkeypatch):
    if not benchmark.enabled:
        pytest.skip("a full frame of a published network takes minutes; make benchmark measures it")
    monkeypatch.chdir(ROOT)
    candidate = Candidate(name, name, name, "published")
    asked = (load(Path("params.yaml")), candidate, 1000, 1500, 1, "cpu", MINUTES)
    answer = benchmark.pedantic(ask, args=asked, rounds=1, iterations=1)
    assert "reason" not in answer, answer["reason"]
    benchmark.extra_info.update(memory_gb=answer["memory"] / 1e9, seconds=answer["seconds"][0])
    assert answer["memory"] <= LIMIT
