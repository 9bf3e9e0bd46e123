"""NHDRRNet against outputs of the two public re-implementations, and against a plain program written from words.

ytZhang99's frames and outputs are BGR. Galaxies99's network takes frames in [-1, 1]: the stored case gave it noise in
[0, 1), which is (noise + 1) / 2 to ours.
"""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.color.transfer import mu_law
from bench.core.errors import UsageError
from bench.core.registry import methods

from . import rule

PUBLIC = {"published": "nhdrrnet_ytzhang99", "galaxies99": "nhdrrnet_galaxies99"}
PORTS = list(PUBLIC)
ENCODERS = {"published": "encoder_{}{}.conv", "galaxies99": "encoder_{}.{}"}


class Naive:
    """Functional, from the public names alone; inputs and state in float64."""

    def __init__(self, preset, state):
        self.theirs = preset == "published"
        self.state = {key: value.double() for key, value in state.items()}

    def conv(self, name, x, **how):
        return F.conv2d(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"], **how)

    def norm(self, name, x):
        mean, variance = self.state[f"{name}.running_mean"], self.state[f"{name}.running_var"]
        scale = self.state[f"{name}.weight"] / torch.sqrt(variance + 1e-5)
        return (x - mean[:, None, None]) * scale[:, None, None] + self.state[f"{name}.bias"][:, None, None]

    @staticmethod
    def leaky(x):
        return torch.where(x > 0, x, 0.01 * x)

    def steep(self, x):
        return self.leaky(x) if self.theirs else x.clamp(min=0)

    def encoder(self, frame, level, x):
        name = f"encoder_{'umo'[frame]}{level + 1}.conv" if self.theirs else f"encoder_{frame + 1}.{level}"
        first, second = (f"{name}.1", f"{name}.2") if self.theirs else (f"{name}.0.conv", f"{name}.1")
        grown = torch.zeros(*x.shape[:2], x.shape[2] + 1, x.shape[3] + 1, dtype=x.dtype)
        grown[:, :, :-1, :-1] = x
        return self.steep(self.norm(second, self.conv(first, grown, stride=2)))

    def triple(self, block, x):
        yt = f"triple_pass_module.{block}triple_pass_layer.conv_"
        names = (
            [f"{yt}{one}.0" for one in ("small", "middle", "large", "compress")]
            if self.theirs
            else [f"triple_list.{block}.{one}.conv" for one in range(4)]
        )
        maps = [self.conv(name, x, padding=index).clamp(min=0) for index, name in enumerate(names[:3])]
        merged = self.conv(names[3], torch.cat(maps, 1), padding=1)
        return x + (merged.clamp(min=0) if self.theirs else merged)

    def non_local(self, x):
        """Means over the cells of the grid, every position against every other, and back to the nearest cell."""
        grid, (height, width) = 32 if self.theirs else 16, x.shape[2:]
        cells = x.new_empty(x.shape[1], grid, grid)
        for row in range(grid):
            for column in range(grid):
                top, bottom = row * height // grid, -(-(row + 1) * height // grid)
                left, right = column * width // grid, -(-(column + 1) * width // grid)
                cells[:, row, column] = x[0, :, top:bottom, left:right].mean((1, 2))
        names = (
            [f"non_local_module.1.{one}" for one in ("theta", "phi", "g", "W")]
            if self.theirs
            else [f"{one}_conv.conv" for one in ("theta", "phi", "g", "theta_phi_g")]
        )
        theta, phi, g = (self.conv(name, cells[None]).flatten(2)[0] for name in names[:3])
        scores = torch.einsum("cp,cq->pq", theta, phi).exp()
        mixed = torch.einsum("pq,cq->cp", scores / scores.sum(1, keepdim=True), g)
        out = cells + self.conv(names[3], mixed.view(1, -1, grid, grid))[0]
        rows, columns = torch.arange(height) * grid // height, torch.arange(width) * grid // width
        return out[:, rows][:, :, columns][None]

    def decoder(self, level, x):
        name = f"decoder_{level}.deconv" if self.theirs else f"decoder{level if level < 4 else '_final'}"
        weight, bias = self.state[f"{name}.0.weight"], self.state[f"{name}.0.bias"]
        spread = torch.zeros(*x.shape[:2], 2 * x.shape[2] + 3, 2 * x.shape[3] + 3, dtype=x.dtype)
        spread[:, :, 2:-2:2, 2:-2:2] = x
        return self.leaky(self.norm(f"{name}.1", F.conv2d(spread, weight.flip(2, 3).transpose(0, 1), bias)))

    def __call__(self, frames):
        """The authors' frames in [0, 1], (1, 3, 6, H, W), to the last convolution (1, 3, H', W'), sides of 16 n."""
        x = F.pad(frames, (0, -frames.shape[-1] % 16, 0, -frames.shape[-2] % 16))
        x = x if self.theirs else 2 * x - 1
        skips = []
        features = [x[:, frame] for frame in range(3)]
        for level in range(4):
            features = [self.encoder(frame, level, features[frame]) for frame in range(3)]
            skips.append(features)
        join = ("cat_conv.0", "cat_conv.1") if self.theirs else ("final_encoder.0.conv", "final_encoder.1")
        entry = self.steep(self.norm(join[1], self.conv(join[0], torch.cat(features, 1), padding=1)))
        local = entry
        for block in range(10 if self.theirs else 9):
            local = self.triple(block, local)
        out = self.decoder(1, torch.cat([local, self.non_local(entry)], 1))
        for level in (2, 3, 4):
            known = skips[4 - level]
            out = self.decoder(level, torch.cat([*known, out] if self.theirs else [out, *known], 1))
        return self.conv("reconstruction.0" if self.theirs else "final.0.conv", out, padding=1)


@pytest.fixture(scope="module", params=PORTS)
def port(request):
    return request.param


@pytest.fixture(scope="module")
def state(port):
    """45 million public weights, drawn once for all tests."""
    return rule.public_state(PUBLIC[port])


@pytest.fixture(scope="module")
def single(port, state):
    network = methods["nhdrrnet"].build(port)
    methods["nhdrrnet"].load_published(network, dict(state))
    return network


@pytest.fixture(scope="module")
def loaded(single):
    return copy.deepcopy(single).double()


@pytest.fixture(scope="module")
def naive(port, state):
    return Naive(port, state)


@pytest.mark.parametrize("size", [(64, 64), (50, 70), (17, 23)])
def test_it_equals_the_plain_program(port, loaded, naive, size):
    bgr = port == "published"
    out, last = rule.run(loaded, rule.frames(*size, bgr=bgr), loaded.head.last)
    wanted = naive(rule.frames(*size))
    height, width = size
    np.testing.assert_allclose(last, rule.colours(wanted.numpy(), bgr=bgr), rtol=0, atol=1e-9)
    ranged = wanted.clamp(min=0) if bgr else (torch.tanh(wanted) + 1) / 2
    np.testing.assert_allclose(out, rule.colours(ranged.numpy(), bgr=bgr)[..., :height, :width], rtol=0, atol=1e-9)
    assert last.std() > 0.05


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 5e-5)])
def test_it_equals_the_public_network(port, single, loaded, dtype, tolerance):
    """Tolerances are those of the other networks' cases in test_published.py."""
    network, bgr = loaded if dtype == torch.float64 else single, port == "published"
    wanted, frames = rule.case(f"{PUBLIC[port]}_64x64").arrays, rule.frames(bgr=bgr, dtype=dtype)
    out, last = rule.run(network, frames if bgr else (frames + 1) / 2, network.head.last)
    made = out if bgr else 2 * out - 1  # tanh
    np.testing.assert_allclose(made, rule.colours(wanted["out"], bgr=bgr), rtol=0, atol=tolerance)
    np.testing.assert_allclose(last, rule.colours(wanted["last_conv"], bgr=bgr), rtol=0, atol=tolerance)


def test_only_the_encoders_of_galaxies99_see_what_is_taken_to_minus_one():
    """Before training a network with our head returns its base, which it makes of the frames as they are."""
    network = methods["nhdrrnet"].build("smoke", port="galaxies99", head="mu-residual")
    frames = rule.frames(32, 32, dtype=torch.float32)
    out, _ = rule.run(network, frames)
    np.testing.assert_allclose(out, frames[:, 1, 3:].numpy(), rtol=0, atol=1e-5)


def test_a_map_larger_than_the_grid_is_pooled(loaded, naive):
    """576 x 528 pixels: a bottleneck of 36 x 33, whose cells overlap; on the branch alone, as all else is local."""
    features = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 256, 36, 33)))
    with torch.no_grad():
        np.testing.assert_allclose(loaded.non_local(features), naive.non_local(features), rtol=0, atol=1e-9)


def test_float32_is_close_to_float64(single, loaded):
    frames = rule.frames(64, 64)
    wanted, last = rule.run(loaded, frames, loaded.head.last)
    out, last_conv = rule.run(single, frames.float(), single.head.last)
    np.testing.assert_allclose(out, wanted, rtol=0, atol=5e-5)
    np.testing.assert_allclose(last_conv, last, rtol=0, atol=5e-5)


def test_parameters_and_multiply_adds(port):
    """Galaxies99's file holds a tenth block, which its network never runs and ours doesn't have."""
    counts = rule.counts(PUBLIC[port])
    with torch.device("meta"):
        network = methods["nhdrrnet"].build(port).eval()
    number = sum(p.numel() for p in network.parameters())
    assert counts["parameters"] == 45_486_339
    assert number == 45_486_339 - counts["never_used_parameters"]
    assert sum(b.numel() for b in network.buffers()) == counts["buffer_values"]
    assert rule.multiply_adds(network, 256) == counts["macs_256x256"]


def test_every_public_name_is_used_once(port, single):
    entries = rule.keys(PUBLIC[port])["state_dict"]
    used = [entry for entry in entries if not entry["key"].startswith("triple_list.9.")]
    assert len(used) == len(single.state_dict())
    shapes = sorted(tuple(value.shape) for value in single.state_dict().values())
    assert shapes == sorted(tuple(entry["shape"]) for entry in used)


def test_counters_may_be_absent_and_the_idle_block_too(port, state):
    drawn = rule.drawn(PUBLIC[port], state)
    given = {f"module.{name}": value.numpy() for name, value in drawn.items() if "triple_list.9." not in name}
    methods["nhdrrnet"].load_published(methods["nhdrrnet"].build(port), given)


def test_weights_of_the_other_port_are_refused(port):
    entries = rule.keys(PUBLIC[next(name for name in PORTS if name != port)])["state_dict"]
    theirs = {entry["key"]: torch.zeros(entry["shape"]) for entry in entries}
    with pytest.raises(UsageError, match=r"not NHDRRNet \(.*\)'s published weights: missing"):
        methods["nhdrrnet"].load_published(methods["nhdrrnet"].build(port), theirs)


def test_an_unknown_port_is_refused():
    with pytest.raises(UsageError, match="expected one of ytzhang99, galaxies99"):
        methods["nhdrrnet"].build("smoke", port="tuvovan")


@pytest.mark.parametrize("head", methods["nhdrrnet"].heads)
@pytest.mark.parametrize("size", [(1, 1), (50, 70)])
def test_any_size_and_physical_radiance(port, head, size):
    network = methods["nhdrrnet"].build("smoke", head=head, port="ytzhang99" if port == "published" else port)
    out, _ = rule.run(network, rule.frames(*size, dtype=torch.float32))
    assert out.shape == (1, 3, *size) and (out >= 0).all()


def test_the_published_loss_is_the_squared_error_of_the_clamped_output():
    network = methods["nhdrrnet"].build("smoke").eval()
    torch.nn.init.constant_(network.head.last.bias, 0.95)
    given, truth = torch.rand(2, 3, 6, 32, 32), torch.rand(2, 3, 32, 32)
    out = network(given)
    assert (out > 1).any() and (out < 1).any()
    terms = network.published_losses(given, truth, torch.nn.Identity(), {})
    wanted = ((mu_law(out.clamp(0, 1)) - mu_law(truth)) ** 2).mean()
    torch.testing.assert_close(terms, {"reconstruction": wanted})
