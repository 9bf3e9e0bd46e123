"""AFUNet against a naive version written from words; public outputs, names and counts stand in test_published.py."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.color.transfer import mu_law
from bench.core.registry import methods
from bench.nn.losses import Fidelity

from . import rule

CARD = methods["afunet"]


@pytest.fixture(scope="module")
def state():
    """With gains that keep the output out of saturation, which those of the public case don't."""
    return rule.public_state("afunet", {".fc2.weight": 0.25, "out.0.weight": 0.125})


@pytest.fixture(scope="module")
def loaded(state):
    network = CARD.build("published")
    CARD.load_published(network, state)
    return network.double()


class Naive:
    """The network in explicit loops and einsums under the authors' names: (1, 18, H, W), linear halves first."""

    def __init__(self, state):
        self.state = {key: value.double() for key, value in state.items() if value.is_floating_point()}

    def linear(self, name, x):
        bias = self.state.get(f"{name}.bias")
        out = torch.einsum("oi,...i->...o", self.state[f"{name}.weight"].flatten(1), x)
        return out if bias is None else out + bias

    def mlp(self, name, x):
        hidden = self.linear(f"{name}.fc1", x)
        return self.linear(f"{name}.fc2", 0.5 * hidden * (1 + torch.erf(hidden / math.sqrt(2))))

    def norm(self, name, x):
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return scaled * self.state[f"{name}.weight"] + self.state[f"{name}.bias"]

    def conv(self, name, x):
        """(H, W, C) to (H, W, C'), borders reflected; one filter a channel where the weight says so."""
        weight, padded = self.state[f"{name}.weight"], np.pad(x.numpy(), ((1, 1), (1, 1), (0, 0)), mode="reflect")
        out, (height, width) = self.state[f"{name}.bias"].expand(*x.shape[:2], -1).clone(), x.shape[:2]
        for row in range(3):
            for column in range(3):
                part = torch.from_numpy(padded[row : row + height, column : column + width])
                tap = weight[:, :, row, column]
                out += part * tap[:, 0] if len(tap.T) == 1 else part @ tap.T
        return out

    def windows(self, name, query, source, heads, shift):
        """Attention in windows of 8 by 8, one after another; queries and sources (H, W, C)."""
        height, width, channels = query.shape
        query, source = (torch.roll(part, (-shift, -shift), (0, 1)) for part in (query, source))
        if f"{name}.q.weight" in self.state:
            q, (k, v) = self.linear(f"{name}.q", query), self.linear(f"{name}.kv", source).chunk(2, -1)
        else:
            q, k, v = self.linear(f"{name}.qkv", query).chunk(3, -1)
        table, out = self.state[f"{name}.relative_position_bias_table"], torch.empty_like(q)
        regions = [0 if i < size - 8 else 1 if i < size - shift else 2 for size in (height, width) for i in range(size)]
        places = [(i, j) for i in range(8) for j in range(8)]
        steps = torch.tensor([[(a - c + 7) * 15 + b - d + 7 for c, d in places] for a, b in places])
        for top in range(0, height, 8):
            for left in range(0, width, 8):
                part = (slice(top, top + 8), slice(left, left + 8))
                kinds = [(regions[top + i], regions[height + left + j]) for i, j in places]
                apart = torch.tensor([[-100.0 if shift and a != b else 0.0 for b in kinds] for a in kinds])
                for head in range(heads):
                    own = slice(head * channels // heads, (head + 1) * channels // heads)
                    qs, ks, vs = (x[part].reshape(64, channels)[:, own] for x in (q, k, v))
                    scores = qs @ ks.T / math.sqrt(channels / heads) + table[steps, head] + apart
                    out[part][..., own] = (torch.softmax(scores, 1) @ vs).view(8, 8, -1)
        return torch.roll(self.linear(f"{name}.proj", out), (shift, shift), (0, 1))

    def align(self, name, estimate, neighbour):
        name = f"{name}.residual_group.blocks.0"
        x = estimate + self.windows(f"{name}.attn", neighbour, estimate + neighbour, 2, 0)
        return estimate + x + self.conv(f"{name}.mlp", x)

    def group(self, name, tokens):
        x = tokens
        for index in range(5):
            block = f"{name}.residual_group.blocks.{index}"
            normed = self.norm(f"{block}.norm1", x)
            x = x + self.windows(f"{block}.attn", normed, normed, 4, 4 * (index % 2))
            x = x + self.mlp(f"{block}.mlp", self.norm(f"{block}.norm2", x))
        return tokens + self.conv(f"{name}.conv", x)

    def fuse(self, name, base, other):
        q, k, v = (
            self.linear(f"{name}.attn.{x}", y) for x, y in (("q", other), ("k", base + other), ("v", base + other))
        )
        mixed = torch.empty_like(v)
        for head in range(2):
            own = slice(12 * head, 12 * head + 12)
            units = [F.normalize(x[..., own].flatten(0, 1), dim=0) for x in (q, k)]
            scores = self.state[f"{name}.attn.temperature"][head, 0, 0] * torch.einsum("pi,pj->ij", *units)
            mixed[..., own] = torch.einsum("ij,hwj->hwi", torch.softmax(scores, 1), v[..., own])
        x = base + self.linear(f"{name}.attn.project_out", mixed)
        return x + self.conv(f"{name}.conv", x)

    def __call__(self, inputs):
        height, width = inputs.shape[-2:]
        inputs = F.pad(inputs, (0, -width % 8, 0, -height % 8), mode="reflect")[0].permute(1, 2, 0)
        maps = [self.conv(f"conv{i + 1}.0", inputs[..., 6 * i : 6 * i + 6]) for i in range(3)]
        n1, y2, n3 = self.norm("patch_embed.norm", torch.cat(maps, -1)).split(24, -1)
        x = y2
        for i in range(4):
            n1 = self.align(f"a_12.{i}", self.mlp(f"A1.{i}", x), n1)
            n3 = self.align(f"a_32.{i}", self.mlp(f"A3.{i}", x), n3)
            d1, d2, d3 = self.group(f"SFM.{i}", torch.cat([n1, x, n3], -1)).split(24, -1)
            z1, z3 = x + self.fuse(f"f_12.{i}", x, d1), x + self.fuse(f"f_32.{i}", x, d3)
            beta1, beta2 = self.state[f"beta1.{i}"], self.state[f"beta2.{i}"]
            v = self.mlp(f"inv.{i}", self.mlp(f"A2_T.{i}", y2) + beta1 * z1 + beta2 * z3)
            x = d2 + self.mlp(f"mlps_end.{i}", torch.cat([z1, v, z3], -1))
        last = self.conv("out.0", x + self.conv("conv_skip", maps[1])).permute(2, 0, 1)[None]
        return torch.sigmoid(last)[..., :height, :width], last


@pytest.mark.parametrize("size", [(16, 24), (18, 21)])
def test_it_equals_the_naive_version(loaded, state, size):
    theirs = torch.cat([torch.from_numpy(rule.public_frame(index, *size)) for index in range(3)], 1).double()
    wanted, wanted_last = Naive(state)(theirs)
    assert ((wanted > 1e-3) & (wanted < 1 - 1e-3)).all()  # a saturated output would hide what differs
    out, last = rule.run(loaded, rule.frames(*size, linear_first=True), loaded.head.last)
    np.testing.assert_allclose(out, wanted.numpy(), rtol=0, atol=1e-9)
    np.testing.assert_allclose(last, wanted_last.numpy(), rtol=0, atol=1e-8)


def test_single_precision_is_close(loaded, state):
    network = CARD.build("published")
    CARD.load_published(network, state)
    exact, _ = rule.run(loaded, rule.frames(40, 48, linear_first=True))
    out, _ = rule.run(network, rule.frames(40, 48, linear_first=True, dtype=torch.float32))
    np.testing.assert_allclose(out, exact, rtol=0, atol=5e-5)


def test_before_training_the_neighbours_reach_the_estimate_and_it_stays_in_range():
    """At the authors' size: four stages add to it, none of which starts as the identity."""
    torch.manual_seed(0)
    network, deviations = CARD.build("published").eval(), []
    for stage in network.stages:
        stage.register_forward_hook(lambda _, __, out: deviations.append(float(out[0].std())))
    frames = torch.rand(1, 3, 6, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.isfinite(network(frames)).all() and max(deviations) < 20
    tokens = torch.rand(4, 1, 8, 8, 24, generator=torch.Generator().manual_seed(1))
    estimate, short, reference, long = tokens
    with torch.no_grad():
        before, _, _ = network.stages[0](estimate, short, reference, long)
        assert not torch.equal(network.stages[0](estimate, short.flip(1), reference, long)[0], before)


def test_the_published_loss_compares_t_and_its_spectrum():
    """The transform by hand: sums over all rows and columns; of columns half the frequencies and the middle one."""
    network = CARD.build("smoke").eval()
    given, truth = torch.rand(2, 3, 6, 8, 16), torch.rand(2, 3, 8, 16)
    terms = network.published_losses(given, truth, Fidelity(None, 0.0), {})
    apart = (mu_law(network(given)) - mu_law(truth)).double()
    angles = (torch.outer(torch.arange(side), torch.arange(side)) * (-2 * math.pi / side) for side in (8, 16))
    rows, columns = (torch.polar(torch.ones_like(angle), angle).to(torch.complex128) for angle in angles)
    spectrum = torch.einsum("uy,bcyx,vx->bcuv", rows, apart.to(torch.complex128), columns)[..., :9]
    wanted = {
        "reconstruction": apart.abs().mean().float(),
        "spectrum": (0.005 * (spectrum.real.abs() + spectrum.imag.abs()).mean() / 2).float(),
    }
    torch.testing.assert_close(terms, wanted)
