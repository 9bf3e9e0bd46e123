"""Fixtures that tests of methods share."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bench.core.params import Params, load
from bench.stages.training import networks
from bench.train.loop import seed_parameters
from methods.olc.network import OLCNet

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def smoke() -> Params:
    """The smoke profile: where the ablations of Table 3 are written down."""
    return load(ROOT / "profiles/smoke/params.yaml")


@pytest.fixture(scope="session")
def rows(smoke: Params) -> list[str]:
    """Variants of Table 3 from row 1 to row 7."""
    return list(smoke.rows(3).values())


@pytest.fixture(scope="session")
def build_row(smoke: Params, rows: list[str]) -> Callable[[int], OLCNet]:
    """Build row 1..7 as the training stage does, with seeded weights."""

    def build(row: int) -> OLCNet:
        run = next(run for run in smoke.runs.values() if run.variant == rows[row - 1])
        network = networks.build(smoke, run)
        assert isinstance(network, OLCNet)
        seed_parameters(network, 0)
        return network

    return build


@pytest.fixture
def frames() -> torch.Tensor:
    """A batch of two random brackets, (2, 3, 6, 32, 40)."""
    return torch.rand(2, 3, 6, 32, 40, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def truth() -> torch.Tensor:
    """Random radiance, (2, 3, 32, 40)."""
    return torch.rand(2, 3, 32, 40, generator=torch.Generator().manual_seed(1))
