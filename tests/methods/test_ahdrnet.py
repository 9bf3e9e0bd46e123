"""AHDRNet against the authors' network and ytZhang99's port of it.

golden/ahdrnet*_64x64.npz: output and last convolution of the public classes (qingsenyangit/AHDRNet and
ytZhang99/AHDRNet-PyTorch, full size) in float64 on CPU, with weights and input that follow the rule of rule.py.
Tolerance: the stored copy rounds float64 results to float32, an equal program differs by at most 6e-8 near 1; in
float32 the authors' own differs from their float64 result by up to 2e-6.
"""

import numpy as np
import pytest
import torch

from bench.core.errors import UsageError
from bench.core.registry import methods

from . import rule

PUBLIC = {"published": "ahdrnet", "ytzhang99": "ahdrnet_ytzhang99"}
"""Presets and the public networks that they repeat."""

PRECISION = {torch.float64: 1e-6, torch.float32: 5e-5}


@pytest.fixture(scope="module")
def public():
    return rule.public_state("ahdrnet")


def load(preset):
    network = methods["ahdrnet"].build(preset)
    methods["ahdrnet"].load_published(network, rule.public_state(PUBLIC[preset]))
    return network


@pytest.mark.parametrize("preset", PUBLIC)
def test_parameters_at_full_size(preset):
    """The authors' file holds 73,856 more, of two convolutions that their network never uses."""
    counts = rule.counts(PUBLIC[preset])
    with torch.device("meta"):
        number = sum(p.numel() for p in methods["ahdrnet"].build(preset).parameters())
    assert number == 1_441_283 == counts["parameters"] - counts["never_used_parameters"]


@pytest.mark.parametrize("preset", PUBLIC)
def test_multiply_adds(preset):
    with torch.device("meta"):
        network = methods["ahdrnet"].build(preset)
    assert rule.multiply_adds(network) == rule.counts(PUBLIC[preset])["macs_256x256"]


@pytest.mark.parametrize("dtype", PRECISION)
@pytest.mark.parametrize("preset", PUBLIC)
def test_it_equals_the_public_network(preset, dtype):
    network, golden, bgr = load(preset).to(dtype), rule.case(f"{PUBLIC[preset]}_64x64").arrays, preset == "ytzhang99"
    out, last = rule.run(network, rule.frames(bgr=bgr, dtype=dtype), network.head.last)
    for array, name in ((out, "out"), (last, "last_conv")):
        np.testing.assert_allclose(array, rule.colours(golden[name], bgr=bgr), rtol=0, atol=PRECISION[dtype])


def test_the_port_has_no_upper_bound():
    network = load("ytzhang99")
    with torch.no_grad():
        network.head.last.bias += 2
    out, _ = rule.run(network, rule.frames(16, 24, bgr=True, dtype=torch.float32))
    assert out.max() > 1


def test_a_large_map_is_computed_in_strips_to_the_same_result(monkeypatch):
    network, frames = load("published"), rule.frames(96, 64, dtype=torch.float32)
    whole, _ = rule.run(network, frames)
    monkeypatch.setattr("bench.nn.tiling.LARGE", 64 * 64 * 24)
    strips, _ = rule.run(network, frames)
    np.testing.assert_allclose(strips, whole, rtol=0, atol=1e-6)


def test_missing_and_extra_names_are_named(public):
    network = methods["ahdrnet"].build("published")
    state = {name: value for name, value in public.items() if name != "conv2.bias"} | {"conv9.bias": torch.zeros(3)}
    with pytest.raises(UsageError, match=r"missing \['conv2\.bias'\], left over \['conv9\.bias'\]"):
        methods["ahdrnet"].load_published(network, state)


def test_weights_of_another_size_are_refused(public):
    state = public | {"conv1.weight": torch.zeros(32, 6, 3, 3)}
    with pytest.raises(UsageError, match=r"for this size: .*entry\.weight.*\[32, 6, 3, 3\]"):
        methods["ahdrnet"].load_published(methods["ahdrnet"].build("published"), state)


def test_weights_of_the_port_are_refused_by_the_authors_network_and_the_other_way_round(public):
    for preset, state in (("published", rule.public_state("ahdrnet_ytzhang99")), ("ytzhang99", public)):
        with pytest.raises(UsageError, match="published weights: missing"):
            methods["ahdrnet"].load_published(methods["ahdrnet"].build(preset), state)


def test_never_used_entries_may_be_absent(public):
    used = {name: value for name, value in public.items() if not name.startswith("attConv")}
    methods["ahdrnet"].load_published(methods["ahdrnet"].build("published"), used)
    assert len(public) - len(used) == 4


def test_names_of_a_data_parallel_wrapper_and_arrays_are_taken(public):
    network, state = methods["ahdrnet"].build("published"), {f"module.{key}": v.numpy() for key, v in public.items()}
    methods["ahdrnet"].load_published(network, state)
    assert torch.equal(network.entry.weight, public["conv1.weight"])


def test_methods_without_published_weights_say_so():
    with pytest.raises(UsageError, match="'olc' has no adapter for published weights"):
        methods["olc"].load_published(torch.nn.Identity(), {})
