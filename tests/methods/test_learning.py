"""Networks learn from their first steps: no part waits for another that waits for it; the loss falls below the base.

A head that starts at zero lets nothing but itself learn in the first step; parts that start at zero behind it would
learn one step after it, and what lies behind those two steps after. A third zero in a row, such as a beta of RF that
starts at zero behind the head, is a saddle in practice: each factor's gradient is a product with the others.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from bench.core.params import load
from bench.core.registry import methods
from bench.core.scene import GAMMA, Scene
from bench.nn.blocks import HEADS
from bench.nn.frames import scene_input
from bench.nn.losses import Fidelity
from bench.stages.training import networks
from bench.train.loop import seed_parameters

ROOT = Path(__file__).resolve().parents[2]
FACTOR = 0.85
"""Of the untrained network's loss, after `STEPS` steps."""
STEPS = 50

LEARNED = [
    (name, head) for name, card in methods.items() if card.trains and name != "olc" for head in card.heads or ("",)
]
IDLE = {"hdr-gan": "generator.outputs.0."}
"""Outputs that only the published recipe compares with the truth."""


def demo():
    """The demo's parameters with its networks at their smallest."""
    params = load(ROOT / "params.yaml")
    variants = {name: variant.model_copy(update={"preset": "smoke"}) for name, variant in params.variants.items()}
    return params.model_copy(update={"variants": variants})


DEMO = demo()
ROWS = list(dict.fromkeys([*DEMO.rows(2).values(), *DEMO.rows(3).values()]))
DIFFERENT = [name for name in ROWS if not (DEMO.variants[name].codebook or "").startswith("vanilla")]
"""Vanilla and overlapped codebooks are one to stage 2, which searches the whole of either."""


def row(name, head):
    """Build a row of Table 2 or 3 as a training does, its codebook drawn at the scale that trained ones have."""
    run = next(run for run in DEMO.runs.values() if run.variant == name)
    return start(networks.build(DEMO.model_copy(update={"head": head}), run))


def start(network):
    seed_parameters(network, 0)
    if getattr(network, "vqgan", None) is not None:
        torch.manual_seed(0)
        torch.nn.init.normal_(network.vqgan.codebook.weight)
        network.calibrate()
    return network.eval()  # without stochastic depth, which leaves branches out by chance


def bracket(side):
    """Frames and truth: a dark noisy reference with a bright disc; the long frame is clean, the disc moves."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:side, :side]

    def light(centre):
        disc = (rows - side / 2) ** 2 + (columns - centre) ** 2 < side
        return np.stack([0.012 + 0.008 * np.sin(rows / 3 + c) * np.cos(columns / 4) + 0.3 * disc for c in range(3)], -1)

    moments = zip((light(7), light(8), light(9)), (1, 4, 16), (0.02, 0.1, 0.01), strict=True)
    ldr = [np.clip(one * time, 0, 1) ** (1 / GAMMA) + rng.normal(0, noise, one.shape) for one, time, noise in moments]
    frames = np.rint(np.clip(ldr, 0, 1) * 65535).astype(np.uint16)
    scene = Scene("made", frames, np.array([1.0, 4, 16]), 1, light(8).astype(np.float32))
    return scene_input(scene), torch.from_numpy(scene.radiance).permute(2, 0, 1)[None]


def trainer(network, batch, mapping):
    """Return what makes one step and gives its terms; their gradients stay until the next step."""
    free = [part for part in network.parameters() if part.requires_grad]
    optimiser = torch.optim.Adam(free, lr=5e-3, betas=(0.9, 0.99), fused=True)

    def step():
        optimiser.zero_grad()
        terms = network.losses(*batch, Fidelity(None, 0.0), {"mapping": mapping})
        sum(terms.values()).backward()
        optimiser.step()
        return terms

    return step


def still(network, name=""):
    """Trained tensors that the last step gave no gradient."""
    none = [n for n, p in network.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    return [tensor for tensor in none if not tensor.startswith(IDLE.get(name, " "))]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", DIFFERENT)
def test_a_rows_parts_learn_from_the_first_steps(name, head):
    """Without the mapping loss, which would reach encoders past the output."""
    network, seen = row(name, head), []

    def keep(module, given, out):  # U at full resolution
        out.retain_grad()
        seen.append(out)

    network.skips[0].register_forward_hook(keep)
    step, zero = trainer(network, bracket(16), 0.0), head != "published"
    step()
    if zero:
        assert not seen[-1].grad.any() and len(still(network)) == sum(p.requires_grad for p in network.parameters()) - 2
        step()
    assert seen[-1].grad.any()
    # What ends in a convolution that starts at zero waits for it, and nothing else does.
    assert all(".body.0." in tensor for tensor in still(network))
    step()
    assert not still(network)


@pytest.mark.parametrize(("name", "head"), LEARNED)
def test_a_methods_parts_learn_from_the_first_steps(name, head):
    network = start(methods[name].build("smoke", **({"head": head} if head else {})))
    step = trainer(network, bracket(24), 0.0)  # NHDRRNet attends over cells of 16 pixels: one has no choice
    for _ in range(3):
        step()
    assert not still(network, name)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", DIFFERENT)
def test_a_row_falls_below_the_untrained_base(name, head):
    network, batch = row(name, head), bracket(16)
    step = trainer(network, batch, 0.02)
    first = float(step()["reconstruction"].detach())
    for _ in range(STEPS - 1):
        step()
    with torch.no_grad():
        last = network.losses(*batch, Fidelity(None, 0.0), {"mapping": 0.0})["reconstruction"]
    assert float(last) < FACTOR * first
