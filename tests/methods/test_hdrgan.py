"""HDR-GAN against the authors' TensorFlow graph, and against its description written out layer by layer."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.color.transfer import mu_law, mu_law_inverse
from bench.core.errors import UsageError
from bench.core.registry import methods
from bench.nn.losses import Fidelity
from bench.nn.tiling import predict
from methods.hdrgan.spectral import ReflectedSpectralConv2d
from tests.methods.rule import case, frames, public_state

CARD = methods["hdr-gan"]
ARRAYS = ("out_1", "out", "last_conv_1", "last_conv")


@pytest.fixture(scope="module")
def public():
    return public_state("hdrgan")


def load(public, dtype=torch.float64):
    """The full network as `load_published` leaves it."""
    network = CARD.build("published").to(dtype).eval()
    CARD.load_published(network, public)
    return network


@torch.no_grad()
def through(network, given):
    """The arrays that the goldens store, in [-1, 1] where they are images; the final image by way of the radiance."""
    caught = []
    handles = [
        part.register_forward_hook(lambda _, inputs, out: caught.append(out)) for part in network.generator.outputs
    ]
    radiance = network(given)
    for handle in handles:
        handle.remove()
    return dict(zip(ARRAYS, (torch.tanh(caught[0]), 2 * mu_law(radiance) - 1, caught[0], caught[1]), strict=True))


def close(found, name, dtype):
    golden = case(name).arrays
    tolerance = 1e-6 if dtype == torch.float64 else 5e-5
    for part in ARRAYS:
        np.testing.assert_allclose(found[part].numpy(), golden[part], rtol=0, atol=tolerance, err_msg=part)


class WrittenOut:
    """The generator as its description reads, with u' kept from forward to forward; float64, TensorFlow's layout."""

    def __init__(self, state):
        self.state = {name.removeprefix("UnetppGeneratorS/"): value.double() for name, value in state.items()}

    def conv(self, x, name, stride=1, dilation=1):
        kernel = self.state[f"{name}/kernel"]
        if f"{name}/u" in self.state:
            matrix, u = kernel.reshape(-1, kernel.shape[-1]), self.state[f"{name}/u"]
            v = u @ matrix.T
            v = v / v.norm()
            u = v @ matrix
            self.state[f"{name}/u"] = u = u / u.norm()
            kernel = kernel / (v @ matrix @ u.T)
        border = (kernel.shape[0] - 1) // 2 + dilation - 1 if kernel.shape[0] > 1 else 0
        x = torch.from_numpy(np.pad(x.numpy(), [(0, 0), (0, 0), (border, border), (border, border)], mode="reflect"))
        return F.conv2d(x, kernel.permute(3, 2, 0, 1), self.state[f"{name}/bias"], stride, 0, dilation)

    def unit(self, x, name):
        inner = self.conv(self.conv(x, f"{name}/cov_0").clamp(min=0), f"{name}/cov_1")
        return (inner + self.conv(x, f"{name}/cov_btn")).clamp(min=0)

    def up(self, x, name):
        wide = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        return self.conv(wide, name).clamp(min=0)

    def encode(self, x, name):
        maps = [self.unit(x, f"{name}/SR_0")]
        for scale in (1, 2):
            down = self.conv(maps[-1], f"{name}/down_{scale - 1}", stride=2).clamp(min=0)
            maps.append(self.unit(down, f"{name}/SR_{scale}"))
        return maps

    def merge(self, maps, name):
        x = torch.cat(maps, 1)
        for layer in ("cov_1", "cov_2", "cov_3"):
            x = self.conv(x, f"{name}/{layer}", dilation=2).clamp(min=0)
        return (self.conv(x, f"{name}/cov4", dilation=2) + maps[1]).clamp(min=0)

    def __call__(self, given):
        """(1, 3, 6, H, W) in [-1, 1] to both last convolutions."""
        maps = [self.encode(given[:, i], f"backbone_{i}") for i in range(3)]
        merged = [self.merge([m[scale] for m in maps], f"merge/merge_net_{scale}") for scale in range(3)]
        reference = maps[1]
        node10 = torch.cat([self.up(merged[1], "merge/up_1"), merged[0], reference[0]], 1)
        node10 = self.unit(node10, "decoders/SR_10")
        node11 = torch.cat([self.up(merged[2], "merge/up_2"), merged[1], reference[1]], 1)
        node11 = self.unit(node11, "decoders/SR_11")
        node20 = torch.cat([self.up(node11, "decoders/up_11"), merged[0], reference[0], node10], 1)
        node20 = self.unit(node20, "decoders/SR_20")
        return self.conv(node10, "output_1"), self.conv(node20, "output_2")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_first_and_second_forward_equal_the_authors(public, dtype):
    """Their second halves are mu-law images; u' of the first forward is where the second one starts."""
    network, given = load(public, dtype), frames(mu=5000.0, dtype=dtype)
    close(through(network, given), "hdrgan_64x64", dtype)
    close(through(network, given), "hdrgan_64x64_second", dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_linear_frames_go_in_as_the_public_test_graph_makes_them(public, dtype):
    ldr = frames(dtype=dtype)[:, :, :3]
    times = torch.tensor([1.0, 4.0, 16.0], dtype=dtype).view(1, 3, 1, 1, 1)
    close(through(load(public, dtype), torch.cat([ldr, ldr**2.2 / times], 2)), "hdrgan_64x64_pipeline", dtype)


@pytest.mark.parametrize("size", [(60, 76), (12, 20)])
def test_it_equals_its_description_forward_after_forward(public, size):
    network, wanted, given = load(public), WrittenOut(public), frames(*size, mu=5000.0)
    theirs = torch.cat([given[:, :, :3], mu_law(given[:, :, 3:])], 2)
    for _ in range(3):
        found = through(network, given)
        for name, last in zip(ARRAYS[2:], wanted(2 * theirs - 1), strict=True):
            torch.testing.assert_close(found[name], last, rtol=0, atol=1e-9)


@pytest.mark.parametrize("size", [(50, 70), (17, 23), (9, 40)])
def test_other_sizes_are_reflected_and_cropped(size):
    network, given = CARD.build("smoke").double().eval(), frames(*size)
    edges = [-(-side // 4) * 4 for side in size]
    wide = F.pad(given.flatten(0, 1), (0, edges[1] - size[1], 0, edges[0] - size[0]), mode="reflect")
    out, wanted = through(network, given)["out"], through(network, wide.unflatten(0, (1, 3)))["out"]
    torch.testing.assert_close(out, wanted[..., : size[0], : size[1]], rtol=0, atol=0)


def test_saved_weights_predict_every_image_as_the_public_code_predicts_its_first(public, tiny_scene):
    network = CARD.build("published").double().eval()
    network.load_state_dict(load(public).state_dict())
    given = frames(mu=5000.0)
    for _ in range(2):
        close(through(network, given), "hdrgan_64x64", torch.float64)
    network.store_steps("always")
    through(network, given)
    close(through(network, given), "hdrgan_64x64_second", torch.float64)


def test_tiles_give_the_whole_image():
    """As far as the network looks is less than what a tile sees beyond its own."""
    network = CARD.build("demo").eval()
    given = torch.rand(1, 3, 6, 32, 288, generator=torch.Generator().manual_seed(0))
    whole = predict(network, given, multiple=CARD.multiple)
    tiled = predict(network, given, multiple=CARD.multiple, tile=96, overlap=CARD.overlap)
    torch.testing.assert_close(mu_law(tiled), mu_law(whole), rtol=0, atol=1e-5)


def test_settled_vectors_give_the_largest_singular_values():
    network = CARD.build("smoke").double().eval()
    network.store_steps("always")
    network.settle(300)
    for part in network.modules():
        if isinstance(part, ReflectedSpectralConv2d):
            matrix = part.weight.detach().flatten(1)
            norm = torch.linalg.matrix_norm(matrix, 2)
            torch.testing.assert_close((part.u @ matrix).norm(), norm, rtol=1e-2, atol=0)
    given = frames(16, 24)
    assert torch.equal(through(network, given)["out"], through(network, given)["out"])


def test_training_stores_a_step_a_forward_and_gives_the_numbers_of_evaluation():
    network, given = CARD.build("smoke"), torch.rand(1, 3, 6, 16, 16)
    with torch.no_grad():
        before = network.generator.outputs[0].u.normal_().clone()  # far from where power steps end
        predicted, trained = network.eval()(given), network.train()(given)
    assert torch.equal(predicted, trained)
    assert not torch.equal(before, network.generator.outputs[0].u)


def test_gradients_take_the_singular_vectors_as_constants():
    """W / (u W v) has the gradient (g - <g, W'> u v^T) / norm."""
    layer = ReflectedSpectralConv2d(3, 5).double().eval()
    left, right = (part.clone() for part in reversed(layer._step()))
    given = torch.rand(1, 3, 8, 8, dtype=torch.float64)
    layer(given).square().sum().backward()
    norm = left @ layer.weight.detach().flatten(1) @ right
    plain = (layer.weight.detach() / norm).requires_grad_()
    layer.apply_weight(given, plain).square().sum().backward()
    inner = (plain.grad * plain.detach()).sum()
    wanted = (plain.grad - inner * torch.outer(left, right).view_as(plain)) / norm
    torch.testing.assert_close(layer.weight.grad, wanted)


def test_a_training_files_other_variables_are_no_matter(public):
    state = {f"{name}:0": value.numpy() for name, value in public.items()}
    state |= {f"{name}/Adam:0": value.numpy() for name, value in public.items()}
    others = ("PatchDiscriminator/conv/kernel", "alpha/l1", "lr/val", "beta1_power_1", "tensorkit/step")
    network = CARD.build("published")
    CARD.load_published(network, state | dict.fromkeys(others, np.zeros(1)))
    wanted = load(public, torch.float32)
    assert torch.equal(
        network.state_dict()["generator.merges.0.convs.3.weight"], wanted.generator.merges[0].convs[3].weight
    )


def test_wrong_shapes_and_heads_are_refused(public):
    with pytest.raises(UsageError, match=r"output_2/kernel \(.* here\) is \[32, 3\]"):
        wrong = public | {"UnetppGeneratorS/output_2/kernel": torch.zeros(32, 3)}
        CARD.load_published(CARD.build("published"), wrong)
    with pytest.raises(UsageError, match="output head 'relu' is unknown"):
        CARD.build("smoke", head="relu")


def test_a_head_of_ours_makes_all_outputs():
    """They start alike, and those before the final one are still compared with the truth by their own term."""
    network = CARD.build("demo", head="rule-residual")
    frames, truth = torch.rand(1, 3, 6, 16, 16), torch.rand(1, 3, 16, 16)
    first, last = network.images(frames)
    assert torch.equal(first, last)
    torch.testing.assert_close(mu_law_inverse(last), network(frames))
    assert set(network.losses(frames, truth, Fidelity(None, 0.0), {})) == {"reconstruction", "supervision"}


def test_the_common_loss_compares_all_outputs():
    network = CARD.build("smoke").eval()
    given, truth = torch.rand(2, 3, 6, 16, 24), torch.rand(2, 3, 16, 24)

    def fidelity(prediction, wanted):
        return {"reconstruction": (mu_law(prediction) - mu_law(wanted)).abs().mean()}

    terms, images = network.losses(given, truth, fidelity, {}), network.images(given)
    first, final = ((image - mu_law(truth)).abs().mean() for image in images)
    torch.testing.assert_close(terms, {"reconstruction": final, "supervision": first})
    torch.testing.assert_close(network(given), mu_law_inverse(images[-1]))
    assert not torch.equal(first, final)
