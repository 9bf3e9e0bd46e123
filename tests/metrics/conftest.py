"""Golden pairs, and a stand-in for HDR-VDP-2 where a test is about something else."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def golden_pair():
    """Return a function: name -> prediction and truth, (H, W, 3) float32.

    The files hold float16 bit patterns as byte planes: the truth's, and prediction - truth.
    """

    def read(name):
        with np.load(GOLDEN / f"{name}.npz") as planes:
            words = {k: (v[0].astype(np.uint16) | v[1].astype(np.uint16) << 8) for k, v in planes.items()}
        truth = words["truth"].transpose(1, 2, 0).copy()
        pred = truth + words["difference"].transpose(1, 2, 0)
        return pred.view(np.float16).astype(np.float32), truth.view(np.float16).astype(np.float32)

    return read


@pytest.fixture
def vision(monkeypatch):
    """Put a function in the place of HDR-VDP-2 that answers 50 and keeps how it was called, and return these calls."""
    calls = []

    def hdrvdp2(test, reference, **options):
        calls.append(SimpleNamespace(test=test, reference=reference, options=options))
        return SimpleNamespace(q=50.0)

    monkeypatch.setitem(sys.modules, "bench.metrics.hdrvdp2", SimpleNamespace(hdrvdp2=hdrvdp2))
    return calls
