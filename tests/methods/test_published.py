"""Published weights at full size, of all networks but NHDRRNet's: counts, names, prefixes, wrong entries."""

import copy
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pytest
import torch

from bench.core.errors import UsageError
from bench.core.registry import methods

from . import rule


class Public(NamedTuple):
    """A public network: method and preset that repeat it, parameters it uses, and entries to take away or to distort.

    distorted : the entry, a wrong shape of it, and what the message says: our name (an expression), shape expected.
    macs      : largest relative difference of multiply-adds.
    order     : of their frames, as `rule.frames` takes it.
    decorated : the form of names that a data-parallel wrapper or a TensorFlow graph gives.
    """

    method: str
    preset: str
    parameters: int
    taken: str
    distorted: tuple[str, tuple[int, ...], str, list[int]]
    label: str
    macs: float = 0.0
    order: Mapping[str, bool] = {}
    decorated: str = "module.{}"


PUBLIC = {
    "adnet": Public(
        "adnet", "published", 2_956_483, "align_module.L3_dcnpack.weight",
        ("conv1.bias", (32,), r"merge\.bias", [64]), "ADNet",
    ),
    "ahdrnet": Public(
        "ahdrnet", "published", 1_441_283, "conv2.bias",
        ("conv1.weight", (32, 6, 3, 3), r"entry\.weight", [64, 6, 3, 3]), "AHDRNet",
    ),
    "ahdrnet_ytzhang99": Public(
        "ahdrnet", "ytzhang99", 1_441_283, "conv_att.conv.0.bias",
        ("conv_1.conv.0.weight", (32, 6, 3, 3), r"entry\.weight", [64, 6, 3, 3]), r"AHDRNet \(ytZhang99\)",
        order={"bgr": True},
    ),
    "ca_vit": Public(
        "cavit", "published", 1_222_113, "norm.bias",
        ("conv_f1.weight", (16, 6, 3, 3), r"entries\.0\.weight", [60, 6, 3, 3]), "CA-ViT", macs=0.01,
        order={"linear_first": True, "bgr": True},
    ),
    # Scores of channels of different heads are computed and left out: 0.14 % more multiply-adds.
    "sctnet": Public(
        "sctnet", "published", 994_555, "norm.bias",
        ("conv1.weight", (8, 6, 3, 3), r"entries\.0\.weight", [20, 6, 3, 3]), "SCTNet", macs=0.01,
    ),
    "afunet": Public(
        "afunet", "published", 1_161_987, "conv_skip.bias", ("out.0.bias", (4,), r"head\.last\.bias", [3]), "AFUNet",
        order={"linear_first": True},
    ),
    "safnet": Public(
        "safnet", "published", 1_120_849, "decoder.conv6.bias",
        ("decoder.conv6.bias", (4,), r"align\.last\.bias", [6]), "SAFNet",
    ),
    "safnet_s": Public(
        "safnet", "small", 566_713, "decoder.conv6.bias",
        ("refinenet.conv7.bias", (4,), r"refine\.last\.bias", [3]), "SAFNet",
    ),
    "deephdr": Public(
        "deephdr", "published", 16_606_339, "generator/merger/g_r4_bn2/gamma",
        ("generator/encoder1/g_e1_conv/biases", (4,), r"encoders\.0\.first\.bias", [64]), "DeepHDR", macs=0.01,
        decorated="{}:0",
    ),
    "hdrgan": Public(
        "hdr-gan", "published", 2_557_382, "UnetppGeneratorS/output_2/u",
        ("UnetppGeneratorS/output_2/bias", (4,), r"generator\.outputs\.1\.bias", [3]), "HDR-GAN", macs=0.01,
        decorated="{}:0",
    ),
    **{
        f"kalantari_{kind}": Public(
            "kalantari2017", preset, parameters, "conv2/bias",
            ("conv1/bias", (4,), r"convs\.0\.bias", [100]), "Kalantari", macs=0.01,
            decorated="{}:0",
        )
        for kind, preset, parameters in [
            ("direct", "direct", 383_603), ("we", "we", 383_909), ("wie", "published", 384_368)
        ]
    },
}  # fmt: skip

GOLDEN = (
    "adnet_64x64", "adnet_64x64_stress", "afunet_64x64", "ahdrnet_64x64", "ahdrnet_ytzhang99_64x64", "ca_vit_64x64",
)  # fmt: skip
"""Output and last convolution of public classes at full size, with weights and input that follow the rule of rule.py.

They are of float64 on a CPU; in the stress case offsets are 16 times as large, many samples outside the image. The
stored copy rounds to float32: an equal program differs by at most 6e-8 near 1. In float32 the authors' own results
differ from their float64 ones by up to 2e-6. SAFNet's cases have a merge besides, in test_safnet.py.
"""


def build(name, device="cpu"):
    with torch.device(device):
        return methods[PUBLIC[name].method].build(PUBLIC[name].preset)


def load(name, state):
    network = build(name)
    methods[PUBLIC[name].method].load_published(network, state)
    return network


@pytest.fixture(scope="module", params=PUBLIC)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def state(name):
    return rule.public_state(name)


@pytest.fixture(scope="module")
def loaded(name, state):
    return load(name, state)


@pytest.fixture(scope="module", params=GOLDEN)
def golden(request):
    """A golden case, the name of its network, and that with the case's weights."""
    case, name = rule.case(request.param), request.param.partition("_64x64")[0]
    return case, name, load(name, rule.public_state(name, case.gain))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 5e-5)])
def test_it_equals_the_public_network(golden, dtype, tolerance):
    case, name, single = golden
    network, order = copy.deepcopy(single).to(dtype), PUBLIC[name].order
    out, last = rule.run(network, rule.frames(*case.size, **order, dtype=dtype), network.head.last)
    for made, stored in ((out, case.arrays["out"]), (last, case.arrays["last_conv"])):
        wanted = rule.colours(stored, bgr=order.get("bgr", False))
        np.testing.assert_allclose(made, wanted, rtol=0, atol=tolerance)


def test_parameters_and_multiply_adds_at_full_size(name):
    """Files of AHDRNet and AFUNet hold more parameters, of layers that their networks never use."""
    network, counted = build(name, "meta"), rule.counts(name)
    number = sum(p.numel() for p in network.parameters())
    assert number == PUBLIC[name].parameters == counted["parameters"] - counted["never_used_parameters"]
    assert rule.multiply_adds(network) == pytest.approx(counted["macs_256x256"], rel=PUBLIC[name].macs, abs=0)


def test_decorated_names_and_arrays_are_taken_and_masks_and_indices_may_be_absent(name, state, loaded):
    """What the public constructors make themselves isn't needed; the parameters are those of the whole file."""
    drawn = {PUBLIC[name].decorated.format(key): value.numpy() for key, value in rule.drawn(name, state).items()}
    one, other = loaded.state_dict(), load(name, drawn).state_dict()
    assert all(torch.equal(value, other[key]) for key, value in one.items())
    assert len(state) == rule.counts(name)["entries"]


def test_missing_extra_and_misshapen_entries_are_named(name, state, loaded):
    public = PUBLIC[name]
    theirs, shape, ours, expected = public.distorted
    less = {key: value for key, value in state.items() if key != public.taken}
    sizes = (
        rf"{theirs} \({ours} here\) is \[{', '.join(map(str, shape))}\], expected \[{', '.join(map(str, expected))}\]"
    )
    for wrong, message in (
        (less, rf"missing \['{public.taken}'\], left over \[\]"),
        (state | {"conv9.bias": torch.zeros(3)}, r"missing \[\], left over \['conv9\.bias'\]"),
        (less | {"conv9.bias": torch.zeros(3)}, rf"missing \['{public.taken}'\], left over \['conv9\.bias'\]"),
        (state | {theirs: torch.zeros(shape)}, rf"for this size: {sizes}"),
    ):
        with pytest.raises(UsageError, match=rf"not {public.label}'s published weights.*{message}"):
            methods[public.method].load_published(loaded, wrong)


@pytest.mark.parametrize(
    ("name", "other"),
    [("ahdrnet", "ahdrnet_ytzhang99"), ("ahdrnet_ytzhang99", "ahdrnet"), ("safnet", "safnet_s")],
)
def test_weights_of_the_other_port_or_size_are_refused(name, other):
    with pytest.raises(UsageError, match=f"not {PUBLIC[name].label}'s published weights: missing"):
        load(name, rule.public_state(other))


def test_never_used_entries_may_be_absent():
    state = rule.public_state("ahdrnet")
    used = {name: value for name, value in state.items() if not name.startswith("attConv")}
    load("ahdrnet", used)
    assert len(state) - len(used) == 4


def test_methods_without_published_weights_say_so():
    with pytest.raises(UsageError, match="'olc' has no adapter for published weights"):
        methods["olc"].load_published(torch.nn.Identity(), {})
