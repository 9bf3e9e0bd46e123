"""DeepHDR against the authors' TensorFlow graph, and against its description written out layer by layer.

BatchNorm takes its statistics from a process's share of a batch: N processes don't train to the same bits as one.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.color.registration import registered
from bench.color.transfer import mu_law
from bench.core.errors import UsageError
from bench.core.registry import methods
from bench.core.scene import Scene
from bench.stages.training import networks
from tests.methods.rule import case, frames, public_state, run

CARD = methods["deephdr"]


@pytest.fixture(scope="module")
def public():
    return public_state("deephdr")


@pytest.fixture(scope="module")
def loaded(public):
    network = CARD.build("published")
    CARD.load_published(network, public)
    return network.eval()


def padded(x, before, after):
    """Reflect rows and columns of (B, C, H, W) by NumPy; `before` and `after` are (rows, columns)."""
    return torch.from_numpy(np.pad(x.numpy(), [(0, 0), (0, 0), *zip(before, after, strict=True)], mode="reflect"))


def written_out(state, given):
    """The network as its description reads: given (1, 3, 6, H, W) in [-1, 1] to the last convolution, all float64."""
    state = {name.removeprefix("generator/"): value.double() for name, value in state.items()}

    def conv(x, name, stride):
        kernel = state[f"{name}/w"].permute(3, 2, 0, 1)
        size = kernel.shape[-1]
        if stride == 1:
            x = padded(x, [size // 2] * 2, [size // 2] * 2)
        else:
            x = padded(x, [1 + side % 2 for side in x.shape[-2:]], [2, 2])
        return F.conv2d(x, kernel, state[f"{name}/biases"], stride)

    def deconv(x, name, size):
        """Every pixel adds its kernel at twice its place; then the smaller half of the excess goes in front."""
        kernel = state[f"{name}/w"]  # rows, columns, out, in
        height, width = x.shape[-2:]
        wide = torch.zeros(1, kernel.shape[2], 2 * height + 3, 2 * width + 3, dtype=x.dtype)
        for row in range(5):
            for column in range(5):
                part = torch.einsum("oi,bihw->bohw", kernel[row, column], x)
                wide[:, :, row : row + 2 * height : 2, column : column + 2 * width : 2] += part
        top, left = ((have - want) // 2 for have, want in zip(wide.shape[-2:], size, strict=True))
        bias = state[f"{name}/biases"][:, None, None]
        return wide[:, :, top : top + size[0], left : left + size[1]] + bias

    def norm(x, name):
        gamma, beta, mean, variance = (
            state[f"{name}/{part}"][:, None, None] for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        return gamma * (x - mean) / torch.sqrt(variance + 1e-5) + beta

    def leaky(x):
        return torch.maximum(x, 0.2 * x)

    half = [conv(given[:, i], f"encoder{i + 1}/g_e1_conv", 2) for i in range(3)]
    quarter = [
        norm(conv(leaky(x), f"encoder{i + 1}/g_e2_conv", 2), f"encoder{i + 1}/g_e2_bn") for i, x in enumerate(half)
    ]
    merged = x = norm(conv(leaky(torch.cat(quarter, 1)), "merger/g_e3_conv", 2), "merger/g_e3_bn")
    for block in range(1, 10):
        entry = x.clamp(min=0)
        inner = norm(conv(entry, f"merger/g_r{block}_c1", 1), f"merger/g_r{block}_bn1").clamp(min=0)
        x = entry + norm(conv(inner, f"merger/g_r{block}_c2", 1), f"merger/g_r{block}_bn2")
    for level, skips, size in ((1, [merged], quarter[0]), (2, quarter, half[0]), (3, half, given)):
        joined = torch.cat([x, *skips], 1).clamp(min=0)
        x = norm(deconv(joined, f"decoder/g_d{level}", size.shape[-2:]), f"decoder/g_d{level}_bn")
    return conv(x.clamp(min=0), "decoder/g_d_out_conv", 1)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 5e-5)])
def test_it_equals_the_authors_network(loaded, dtype, tolerance):
    """Theirs is in [-1, 1], ours in [0, 1]; the reshuffled frames are passed as they are, both halves."""
    golden = case("deephdr_64x64")
    network = loaded.to(dtype)
    out, last = run(network, frames(*golden.size, dtype=dtype), network.head.last)
    np.testing.assert_allclose(2 * out - 1, golden.arrays["out"], rtol=0, atol=tolerance)
    np.testing.assert_allclose(last, golden.arrays["last_conv"], rtol=0, atol=tolerance)


@pytest.mark.parametrize("size", [(60, 76), (12, 16), (64, 36)])
def test_it_equals_its_description_where_sides_are_odd_on_the_way(loaded, public, size):
    given = frames(*size)
    out, last = run(loaded.double(), given, loaded.head.last)
    wanted = written_out(public, 2 * given - 1).numpy()
    np.testing.assert_allclose(last, wanted, rtol=0, atol=1e-10)
    np.testing.assert_allclose(out, (np.tanh(wanted) + 1) / 2, rtol=0, atol=1e-10)


@pytest.mark.parametrize("size", [(50, 70), (17, 23), (9, 40)])
def test_other_sizes_are_reflected_and_cropped(size):
    network, given = CARD.build("smoke").double(), frames(*size)
    edges = [-(-side // 4) * 4 for side in size]
    wide = F.pad(given.flatten(0, 1), (0, edges[1] - size[1], 0, edges[0] - size[0]), mode="reflect")
    wanted, _ = run(network, wide.unflatten(0, (1, 3)))
    out, _ = run(network, given)
    assert out.shape == (1, 3, *size)
    np.testing.assert_array_equal(out, wanted[..., : size[0], : size[1]])


def test_a_training_files_other_variables_and_suffixes_are_no_matter(loaded, public):
    """Arrays under names with ":0", beside Adam's slots and counters."""
    state = {f"{name}:0": value.numpy() for name, value in public.items()}
    state |= {f"{name}/Adam_1:0": value.numpy() for name, value in public.items()} | {"beta1_power:0": np.float32(0.5)}
    network = CARD.build("published")
    CARD.load_published(network, state | {"global_step:0": np.int64(5)})
    pairs = zip(network.float().state_dict().values(), loaded.float().state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_wrong_shapes_and_heads_are_refused(public):
    swapped = {"generator/decoder/g_d1/w": public["generator/decoder/g_d1/w"].transpose(2, 3)}
    with pytest.raises(UsageError, match=r"generator/decoder/g_d1/w \(.* here\) is \["):
        CARD.load_published(CARD.build("published"), public | swapped)
    with pytest.raises(UsageError, match="missing"):
        CARD.load_published(CARD.build("published"), {})


def test_the_published_loss_is_the_squared_error_in_its_range():
    network = CARD.build("smoke").eval()
    given, truth = torch.rand(2, 3, 6, 16, 24), torch.rand(2, 3, 16, 24)
    terms = network.published_losses(given, truth, torch.nn.Identity(), {})
    wanted = ((2 * mu_law(network(given)) - 2 * mu_law(truth)) ** 2).mean()
    torch.testing.assert_close(terms, {"reconstruction": wanted})


def test_counting_multiply_adds_leaves_the_norms_averages():
    network = CARD.build("smoke").train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert networks.multiply_adds(network) > 0
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_frames_are_registered_by_a_homography():
    """The short frame has moved; what was registered is nearer to what it showed without the motion."""
    noise = torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(0))
    large = F.interpolate(noise, size=(200, 264), mode="bicubic")[0].clamp(0.05, 0.95).permute(1, 2, 0).numpy()
    views = [large[8:168, 12:228], large[4:164, 4:220], large[4:164, 4:220]]
    frames = np.stack([np.round(65535 * view).astype(np.uint16) for view in views])
    scene = Scene("moved", frames, np.array([1.0, 1.0, 1.0]), 1)
    aligned = registered(scene, CARD.registers)
    assert aligned.frames.dtype == np.uint16 and np.array_equal(aligned.frames[1:], frames[1:])
    inside = np.abs(aligned.frames[0].astype(float) - frames[1])[8:-8, 12:-12]
    assert inside.mean() < 0.1 * np.abs(frames[0].astype(float) - frames[1]).mean()
