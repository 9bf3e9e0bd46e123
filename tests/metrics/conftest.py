"""Golden and synthetic pairs, and a stand-in for HDR-VDP-2 where a test is about something else."""

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


@pytest.fixture(scope="session")
def scene():
    """Make a pair of relative images in [0, 1]: light over five decades, a ghost, noise and a clipped area."""

    def make(height, width, seed=0, channels=3):
        rng = np.random.default_rng(seed)
        rows, columns = np.mgrid[:height, :width] / max(height, width)
        waves = [np.sin(20 * (a * rows + b * columns) + c) for a, b, c in rng.uniform(-1, 1, (4, 3)) * [1, 1, 6]]
        truth = 10.0 ** (-2.5 + sum(waves)[..., None] + rng.normal(0, 0.1, (height, width, channels)))
        truth = np.clip(truth, 1e-6, 1)
        test = truth * (1 + rng.normal(0, 0.03, truth.shape))
        test[: height // 3, : width // 3] = np.roll(truth, (3, 5), (0, 1))[: height // 3, : width // 3]
        test = np.minimum(test, 0.5)
        return (test, truth) if channels == 3 else (test[..., 0], truth[..., 0])

    return make


@pytest.fixture
def vision(monkeypatch):
    """Put a function in the place of HDR-VDP-2 that answers 50 and keeps how it was called, and return these calls."""
    calls = []

    def hdrvdp2(test, reference, **options):
        calls.append(SimpleNamespace(test=test, reference=reference, options=options))
        return SimpleNamespace(q=50.0)

    monkeypatch.setitem(sys.modules, "bench.metrics.hdrvdp2", SimpleNamespace(hdrvdp2=hdrvdp2))
    return calls
