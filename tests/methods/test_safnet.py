"""SAFNet and SAFNet-S against the authors' networks: see golden/README.md."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.color.transfer import mu_law
from bench.core.errors import UsageError
from bench.core.registry import methods
from bench.nn.losses import Fidelity
from methods.safnet.alignment import warp
from methods.safnet.network import census

from . import rule

CARD = methods["safnet"]
PRESET = {"safnet": "published", "safnet_s": "small"}
CASES = ["safnet_64x64", "safnet_64x64_stress", "safnet_50x70_stress", "safnet_s_64x64"]


def loaded(name, gain=None):
    network = CARD.build(PRESET[name])
    CARD.load_published(network, rule.public_state(name, gain))
    return network


def network_of(case):
    return "safnet_s" if case.startswith("safnet_s") else "safnet"


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 5e-5)])
def test_it_equals_the_authors_network(name, dtype, tolerance):
    case = rule.case(name)
    network = loaded(network_of(name), case.gain).to(dtype)
    frames = rule.frames(*case.size, linear_first=True, dtype=dtype)
    out, last = rule.run(network, frames, network.refine.last)
    with torch.no_grad():
        merged = network.trace(frames).merged
    for array, key in ((out, "out"), (last, "last_conv"), (merged.numpy(), "merged")):
        np.testing.assert_allclose(array, case.arrays[key], rtol=0, atol=tolerance, err_msg=key)


def test_warp_equals_bilinear_sampling_by_hand():
    """A pixel's four neighbours, weighted; places outside are moved to the border."""
    random = np.random.default_rng(0)
    image, flow = random.random((5, 7)), 8 * random.random((2, 5, 7)) - 4
    wanted = np.empty((5, 7))
    for y in range(5):
        for x in range(7):
            u, v = np.clip(x + flow[0, y, x], 0, 6), np.clip(y + flow[1, y, x], 0, 4)
            left, top = min(math.floor(u), 5), min(math.floor(v), 3)
            rows = [(1 - u + left) * image[r, left] + (u - left) * image[r, left + 1] for r in (top, top + 1)]
            wanted[y, x] = (1 - v + top) * rows[0] + (v - top) * rows[1]
    warped = warp(torch.from_numpy(image)[None, None], torch.from_numpy(flow)[None])
    np.testing.assert_allclose(warped[0, 0].numpy(), wanted, rtol=0, atol=1e-12)


def test_a_neighbour_that_moved_is_fetched_by_its_flow():
    scene = torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(0))
    moved = torch.roll(scene, (2, 3), (2, 3))
    flow = torch.tensor([3.0, 2.0])[None, :, None, None].expand(1, 2, 12, 16)
    torch.testing.assert_close(warp(moved, flow)[..., :-2, :-3], scene[..., :-2, :-3])


def test_before_training_it_is_the_merge_of_little_trusted_neighbours():
    network = CARD.build("smoke").eval()
    frames = torch.rand(1, 3, 6, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ties, out = network.align(frames), network.trace(frames)
    assert all((flow == 0).all() for flow in ties[:2])
    torch.testing.assert_close(torch.cat(ties[2:]), torch.full((2, 1, 32, 32), 1 / (1 + math.exp(2))))
    assert torch.equal(out.merged.clamp(0, 1), out.radiance)


def test_census_counts_order_and_ignores_brightness():
    image = torch.rand(2, 3, 16, 20, generator=torch.Generator().manual_seed(0)) / 2
    assert census(image, image) == 0
    assert census(image + 0.25, image) < 1e-6
    assert census(1 - image, image) > 0.5


def test_census_of_one_window_by_hand():
    random = np.random.default_rng(1)
    pair = random.random((2, 3, 7, 7))
    total = 0.0
    for y in range(7):
        for x in range(7):
            signs = []
            for image in pair:
                grey = 255 * image.mean(0)
                difference = grey[y, x] - grey[3, 3]
                signs.append(difference / math.sqrt(0.81 + difference**2))
            apart = (signs[0] - signs[1]) ** 2
            total += apart / (0.1 + apart) / 49
    assert census(*(torch.from_numpy(image)[None] for image in pair)).item() == pytest.approx(total, rel=1e-9)


def test_the_published_loss_supervises_the_merge():
    network = CARD.build("smoke")
    generator = torch.Generator().manual_seed(0)
    frames, truth = torch.rand(2, 3, 6, 32, 40, generator=generator), torch.rand(2, 3, 32, 40, generator=generator)
    terms = network.published_losses(frames, truth, Fidelity(None, 0.01), {})
    merged = mu_law(network.trace(frames).merged)
    assert list(terms) == ["reconstruction", "merge", "census"]
    torch.testing.assert_close(terms["merge"], 0.1 * F.l1_loss(merged, mu_law(truth)))
    torch.testing.assert_close(terms["census"], 0.1 * census(merged, mu_law(truth)))
    sum(terms.values()).backward()
    assert network.align.last.weight.grad.abs().sum() > 0 and network.refine.last.weight.grad.abs().sum() > 0


def test_training_lowers_the_loss():
    torch.manual_seed(0)
    network = CARD.build("smoke")
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    frames = torch.rand(2, 3, 6, 32, 32, generator=torch.Generator().manual_seed(0))
    truth, losses = frames[:, 0, 3:].clone(), []
    for _ in range(12):
        loss = sum(network.losses(frames, truth, Fidelity(None, 0.0), {}).values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0] and all(later < 1.2 * earlier for earlier, later in pairwise(losses))


def test_unknown_heads_and_refinements_are_refused():
    with pytest.raises(UsageError, match="output head 'tanh' is unknown"):
        CARD.build("smoke", head="tanh")
    with pytest.raises(UsageError, match="refinement 'large' is unknown; expected residual, small"):
        CARD.build("smoke", refinement="large")
