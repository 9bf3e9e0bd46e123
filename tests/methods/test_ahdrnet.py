"""AHDRNet against the authors' network.

golden/ahdrnet_64x64.npz: output and last convolution of the authors' public class (qingsenyangit/AHDRNet, full size) in
float64 on CPU, PyTorch 2.13, with weights and input that follow the rules below; nothing trained is stored.
golden/ahdrnet_keys.json: their parameter names, shapes, and the crc32 of each tensor under the rule.
Tolerance: the stored copy rounds float64 results to float32, an equal program differs by at most 6e-8 near 1.
"""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.core.errors import UsageError
from bench.core.registry import methods

GOLDEN = Path(__file__).parent / "golden"


def ruled(key, shape, kind):
    """Weights: unit normal noise seeded by the name, divided by the root of the fan-in, or 0.02 of it for a vector."""
    noise = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape)
    scaled = noise / np.sqrt(np.prod(shape[1:])) if kind == "dense" else 0.02 * noise
    return scaled.astype(np.float32)


def frame(index, height=64, width=64):
    """Input: uniform noise in [0, 1) seeded by size and frame; six channels, LDR half first."""
    seed = zlib.crc32(f"input:{height}x{width}:frame{index}".encode())
    return np.random.default_rng(seed).random((1, 6, height, width)).astype(np.float32)


@pytest.fixture(scope="module")
def public():
    entries = json.loads((GOLDEN / "ahdrnet_keys.json").read_text(encoding="utf-8"))["entries"]
    arrays = {key: ruled(key, shape, kind) for key, shape, kind, _ in entries}
    assert all(zlib.crc32(arrays[key].astype("<f4").tobytes()) == crc for key, _, _, crc in entries)
    return {key: torch.from_numpy(array) for key, array in arrays.items()}


@pytest.fixture(scope="module")
def loaded(public):
    network = methods["ahdrnet"].build("published")
    methods["ahdrnet"].load_published(network, public)
    return network


def test_parameters_at_full_size(loaded, public):
    """The authors' file holds 73,856 more, of two convolutions that their network never uses."""
    assert sum(p.numel() for p in loaded.parameters()) == 1_441_283
    assert sum(value.numel() for value in public.values()) == 1_441_283 + 73_856


def test_it_equals_the_authors_network(loaded):
    network, caught = loaded.double(), []
    handle = network.head.last.register_forward_hook(lambda module, given, out: caught.append(out))
    frames = torch.from_numpy(np.stack([frame(index) for index in range(3)], 1)).double()
    with torch.no_grad():
        out = network(frames)
    handle.remove()
    with np.load(GOLDEN / "ahdrnet_64x64.npz") as golden:
        np.testing.assert_allclose(out.numpy(), golden["out"], rtol=0, atol=1e-6)
        np.testing.assert_allclose(caught[0].numpy(), golden["last_conv"], rtol=0, atol=1e-6)


def test_missing_and_extra_names_are_named(public):
    network = methods["ahdrnet"].build("published")
    state = {name: value for name, value in public.items() if name != "conv2.bias"} | {"conv9.bias": torch.zeros(3)}
    with pytest.raises(UsageError, match=r"missing \['conv2\.bias'\], left over \['conv9\.bias'\]"):
        methods["ahdrnet"].load_published(network, state)


def test_weights_of_another_size_are_refused(public):
    state = public | {"conv1.weight": torch.zeros(32, 6, 3, 3)}
    with pytest.raises(UsageError, match=r"for this size: .*entry\.weight.*\[32, 6, 3, 3\]"):
        methods["ahdrnet"].load_published(methods["ahdrnet"].build("published"), state)


def test_never_used_entries_may_be_absent(public):
    used = {name: value for name, value in public.items() if not name.startswith("attConv")}
    methods["ahdrnet"].load_published(methods["ahdrnet"].build("published"), used)
    assert len(public) - len(used) == 4


def test_methods_without_published_weights_say_so():
    with pytest.raises(UsageError, match="'olc' has no adapter for published weights"):
        methods["olc"].load_published(torch.nn.Identity(), {})
