"""The engine beside real captures: a network with its authors' weights, which has 44 dB on Kalantari's set.

Needs the weights that Kong et al. publish, `checkpoints/SAFNet_S_siggraph17.pth` of github.com/ltkong218/SAFNet:
`SAFNET_S=<file> pytest -s tests/slow/test_yardsticks.py` prints the table of datasets/panoramas/README.md.
"""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.color.registration import flow, register
from bench.color.transfer import mu_law
from bench.core.registry import methods
from bench.core.scene import Scene
from bench.core.simulation import Simulation
from bench.data.simulate import Bracket, brackets
from bench.nn.frames import scene_input
from bench.nn.tiling import predict

PANORAMAS = Path(__file__).resolve().parents[2] / "datasets" / "panoramas"
WEIGHTS = os.environ.get("SAFNET_S", "")

pytestmark = pytest.mark.skipif(not WEIGHTS, reason="SAFNET_S doesn't name the file of SAFNet-S's published weights")


def scene(bracket: Bracket) -> Scene:
    return Scene(bracket.spec.name, np.stack(bracket.frames), np.array(bracket.spec.times), 1, bracket.radiance)


def errors(radiance: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return (mu_law(np.clip(radiance, 0, 1)) - mu_law(truth)) ** 2


@pytest.fixture(scope="module")
def figures() -> tuple[dict[str, float], float]:
    """Mean PSNR-mu of each row, dB; share of the squared error of the one-line rule where things move or come up."""
    network = methods["safnet"].build(preset="small")
    weights = torch.load(WEIGHTS, weights_only=True, map_location="cpu")
    methods["safnet"].load_published(network, weights)
    network.eval()
    settings = Simulation(
        train_views=0, validation_views=0, no_truth_scenes=0, test_views=2, electrons=(30000.0, 30000.0)
    )
    scores: dict[str, list[float]] = {}
    shares = []
    for bracket in brackets(settings, PANORAMAS):
        taken = scene(bracket)
        rule = methods["short-where-clipped"].predict(taken)
        made = {
            "reference-only": taken.linear[1],
            "short-where-clipped": rule,
            "dis-short-where-clipped": methods["short-where-clipped"].predict(register(taken, flow)),
            "dis-brighter-where-clipped": methods["brighter-where-clipped"].predict(register(taken, flow)),
            "flow-merge": methods["flow-merge"].predict(taken),
            "SAFNet-S": predict(network, scene_input(taken), multiple=methods["safnet"].multiple)[0]
            .permute(1, 2, 0)
            .numpy(),
        }
        for name, radiance in made.items():
            scores.setdefault(name, []).append(-10 * np.log10(errors(radiance, bracket.radiance).mean()))
        squared = errors(rule, bracket.radiance).mean(-1)
        shares.append(squared[bracket.moving | bracket.uncovered].sum() / squared.sum())
    means = {name: float(np.mean(values)) for name, values in scores.items()}
    print("\n", {name: round(value, 2) for name, value in means.items()}, "share", round(float(np.mean(shares)), 2))
    return means, float(np.mean(shares))


def test_what_learned_on_real_captures_works_on_simulated_ones(figures: tuple[dict[str, float], float]) -> None:
    means, _ = figures
    assert means["SAFNet-S"] >= 40
    assert means["SAFNet-S"] > means["flow-merge"]


def test_one_line_on_registered_frames_is_above_both(figures: tuple[dict[str, float], float]) -> None:
    """Which is why networks start from it."""
    means, _ = figures
    assert means["dis-brighter-where-clipped"] > max(means["SAFNet-S"], means["flow-merge"])


def test_ghosts_not_noise_decide(figures: tuple[dict[str, float], float]) -> None:
    means, share = figures
    assert means["short-where-clipped"] <= means["SAFNet-S"] - 2
    assert share >= 0.15
