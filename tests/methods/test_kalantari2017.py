"""Kalantari's three networks against the TensorFlow port, its data files, and the flow before the network."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.color.registration import flow, register, registered
from bench.core.errors import UsageError
from bench.core.registry import methods
from methods.kalantari2017 import Kalantari2017

from .rule import GOLDEN, case, colours, counts, frames, keys, public_state, run

CARD = methods["kalantari2017"]
PRESETS = {"direct": "direct", "we": "we", "wie": "published"}


def loaded(kind):
    network = CARD.build(PRESETS[kind])
    CARD.load_published(network, public_state(f"kalantari_{kind}"))
    return network


@pytest.mark.parametrize("kind", PRESETS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 5e-5)])
def test_it_equals_the_port(kind, dtype, tolerance):
    golden, network = case(f"kalantari_{kind}_64x64"), loaded(kind).to(dtype)
    out, last = run(network, frames(bgr=True, dtype=dtype), network.last)
    np.testing.assert_allclose(out, colours(golden.arrays["out"], bgr=True), rtol=0, atol=tolerance)
    theirs = golden.arrays["last_conv"]
    triples = theirs.reshape(1, -1, 3, 64, 64)[:, :, ::-1].reshape(theirs.shape)
    np.testing.assert_allclose(last, triples, rtol=0, atol=tolerance)


@pytest.mark.parametrize("kind", PRESETS)
def test_layers_equal_the_port(kind):
    """Mean, deviation and largest value of what each convolution's ReLU passes on."""
    stages, network, caught = case(f"kalantari_{kind}_64x64").stages, loaded(kind).double(), {}
    for number, layer in enumerate(network.convs, 1):
        layer.register_forward_hook(lambda _, __, out, number=number: caught.update({number: out.clone()}))
    run(network, frames(bgr=True))
    for number, out in caught.items():
        passed, wanted = torch.relu(out), stages[f"conv{number}"]
        found = [passed.mean(), passed.std(correction=0), passed.abs().max()]
        np.testing.assert_allclose(found, [wanted["mean"], wanted["std"], wanted["absmax"]], rtol=1e-9)


@pytest.mark.parametrize("kind", PRESETS)
@pytest.mark.parametrize("size", [(50, 70), (17, 23), (1, 1), (5, 64)])
def test_it_equals_a_naive_version_at_any_size(kind, size):
    """The port's network written out in its own conventions: BGR, halves, names and layouts."""
    state = {name: value.double() for name, value in public_state(f"kalantari_{kind}").items()}
    ours = frames(*size)
    theirs = torch.cat([ours[0, :, :3].flip(1).flatten(0, 1), ours[0, :, 3:].flip(1).flatten(0, 1)])[None]
    maps = theirs
    for number, edge in ((1, 7), (2, 5), (3, 3), (4, 1)):
        kernel = state[f"conv{number}/kernel"].permute(3, 2, 0, 1)
        maps = F.conv2d(F.pad(maps, 4 * [edge // 2]), kernel, state[f"conv{number}/bias"])
        maps = torch.sigmoid(maps) if number == 4 else F.relu(maps)
    if kind == "direct":
        wanted = maps
    else:
        images = theirs[:, 9:] if kind == "we" else maps[:, 9:]
        sums = [sum(maps[:, 3 * i + c] * images[:, 3 * i + c] for i in range(3)) for c in range(3)]
        totals = [sum(maps[:, 3 * i + c] for i in range(3)) + 1e-6 for c in range(3)]
        wanted = torch.stack([a / b for a, b in zip(sums, totals, strict=True)], 1)
    out, _ = run(loaded(kind).double(), ours)
    np.testing.assert_allclose(out, wanted.flip(1).numpy(), rtol=0, atol=1e-12)


def test_weights_of_another_kind_or_shape_are_refused():
    state, network = public_state("kalantari_wie"), CARD.build("published")
    with pytest.raises(UsageError, match=r"for this size: conv4/(kernel|bias) \(.* here\) is"):
        CARD.load_published(CARD.build("we"), state)
    with pytest.raises(UsageError, match="for this size"):
        CARD.load_published(network, state | {"conv1/kernel": torch.zeros(7, 7, 17, 100)})


@pytest.mark.parametrize("kind", PRESETS)
def test_a_data_file_is_read_value_for_value(kind, tmp_path):
    """The published files are each variable's bytes, kernel before bias, conv1 to conv4; names say which is which."""
    entries = keys(f"kalantari_{kind}")["state_dict"]
    state = {name: value.numpy() for name, value in public_state(f"kalantari_{kind}").items()}
    file = tmp_path / "model.ckpt-100.data-00001-of-00002"
    file.write_bytes(b"".join(state[entry["key"]].astype("<f4").tobytes() for entry in entries))
    found = Kalantari2017.read_published(file)
    assert list(found) == [entry["key"] for entry in entries]
    for name, value in state.items():
        np.testing.assert_array_equal(found[name].numpy(), value)
    CARD.load_published(CARD.build(PRESETS[kind]), found)


@pytest.mark.parametrize("kind", ["direct", "wie"])
def test_the_published_files_have_the_length_that_is_read(kind, tmp_path):
    record = json.loads((GOLDEN / f"published_kalantari_{kind}_64x64.json").read_text(encoding="utf-8"))
    assert record["file_bytes"] == 4 * counts(f"kalantari_{kind}")["parameters"]
    assert list(record["sha256_of_variables"]) == [entry["key"] for entry in keys(f"kalantari_{kind}")["state_dict"]]


@pytest.mark.parametrize("content", [b"", b"\0" * 1001, b"\0" * 4 * 384_367, b"\0" * (1 << 22)])
def test_other_files_are_refused(content, tmp_path):
    file = tmp_path / "model.data"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=r"384,368 \(wie\).*has [\d,]+ bytes"):
        Kalantari2017.read_published(file)


def test_values_that_are_no_numbers_are_refused(tmp_path):
    file = tmp_path / "model.data"
    file.write_bytes(np.full(383_603, np.nan, "<f4").tobytes())
    with pytest.raises(UsageError, match="finite"):
        Kalantari2017.read_published(file)


def test_unknown_kinds_and_heads_are_refused():
    with pytest.raises(UsageError, match="kind 'wei' of kalantari2017 is unknown; expected one of direct, we, wie"):
        Kalantari2017(kind="wei", channels=4)
    with pytest.raises(UsageError, match="output head 'tanh' is unknown"):
        CARD.build("smoke", head="tanh")
    with pytest.raises(UsageError, match="kind 'we' blends images and has no output head 'mu-residual'"):
        CARD.build("we", head="mu-residual")


def test_a_blend_starts_as_the_mean_of_its_images():
    torch.manual_seed(0)
    batch = torch.rand(1, 3, 6, 12, 10)
    out, _ = run(CARD.build("we"), batch)
    np.testing.assert_allclose(out, batch[:, :, 3:].mean(1), rtol=1e-4, atol=1e-6)
    for kind in ("direct", "published"):
        assert run(CARD.build(kind), batch)[0].std() > 0.01


@pytest.mark.parametrize("kind", ["we", "wie"])
def test_a_blend_learns_stays_physical_and_looks_at_every_frame(kind):
    """As every method's smallest preset is asked to; Kalantari's is the kind that makes radiance itself."""
    torch.manual_seed(0)
    network = Kalantari2017(kind=kind, channels=4)
    optimiser = torch.optim.Adam(network.parameters(), lr=5e-3)
    batch, truth = torch.rand(2, 3, 6, 16, 13), torch.rand(2, 3, 16, 13)
    for _ in range(3):
        optimiser.zero_grad()
        F.l1_loss(network(batch), truth).backward()
        optimiser.step()
    assert all(part.grad.any() for part in network.parameters())
    seen = batch.requires_grad_()
    network(seen).sum().backward()
    assert (seen.grad.abs().sum((0, 2, 3, 4)) > 0).all()
    for frames_of in (torch.zeros, torch.ones):
        made = network(frames_of(1, 3, 6, 7, 9))
        assert made.isfinite().all() and made.min() >= 0 and made.max() <= 1


def test_frames_are_registered_by_flow(tiny_scene):
    assert CARD.registers == "dis" and not methods["ahdrnet"].registers
    found = registered(tiny_scene, CARD.registers)
    np.testing.assert_array_equal(found.frames, register(tiny_scene, flow).frames)


def test_the_published_loss_is_the_squared_error_of_t():
    network = CARD.build("smoke")
    batch, truth = torch.rand(2, 3, 6, 9, 8), torch.rand(2, 3, 9, 8)
    encoded = [torch.log(1 + 5000 * image.double()) / np.log(5001) for image in (network(batch), truth)]
    losses = network.published_losses(batch, truth, torch.nn.Identity(), {})
    assert list(losses) == ["reconstruction"]
    torch.testing.assert_close(
        losses["reconstruction"].double(), ((encoded[0] - encoded[1]) ** 2).mean(), rtol=1e-5, atol=0
    )
