"""Published weights of all PyTorch networks at full size: counts, names, prefixes, messages about wrong entries."""

from typing import NamedTuple

import pytest
import torch

from bench.core.errors import UsageError
from bench.core.registry import methods

from . import rule


class Public(NamedTuple):
    """A public network: method and preset that repeat it, parameters it uses, and entries to take away or to distort.

    distorted : the entry, a wrong shape of it, and what the message says: our name (an expression), shape expected.
    macs      : largest relative difference of multiply-adds.
    """

    method: str
    preset: str
    parameters: int
    taken: str
    distorted: tuple[str, tuple[int, ...], str, list[int]]
    label: str
    macs: float = 0.0


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
    ),
    "ca_vit": Public(
        "cavit", "published", 1_222_113, "norm.bias",
        ("conv_f1.weight", (16, 6, 3, 3), r"entries\.0\.weight", [60, 6, 3, 3]), "CA-ViT", macs=0.01,
    ),
    # Scores of channels of different heads are computed and left out: 0.14 % more multiply-adds.
    "sctnet": Public(
        "sctnet", "published", 994_555, "norm.bias",
        ("conv1.weight", (8, 6, 3, 3), r"entries\.0\.weight", [20, 6, 3, 3]), "SCTNet", macs=0.01,
    ),
    "afunet": Public(
        "afunet", "published", 1_161_987, "conv_skip.bias", ("out.0.bias", (4,), r"head\.last\.bias", [3]), "AFUNet",
    ),
    "safnet": Public(
        "safnet", "published", 1_120_849, "decoder.conv6.bias",
        ("decoder.conv6.bias", (4,), r"align\.last\.bias", [6]), "SAFNet",
    ),
    "safnet_s": Public(
        "safnet", "small", 566_713, "decoder.conv6.bias",
        ("refinenet.conv7.bias", (4,), r"refine\.last\.bias", [3]), "SAFNet",
    ),
}  # fmt: skip


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


def test_parameters_and_multiply_adds_at_full_size(name):
    """Files of AHDRNet and AFUNet hold more parameters, of layers that their networks never use."""
    network, counted = build(name, "meta"), rule.counts(name)
    number = sum(p.numel() for p in network.parameters())
    assert number == PUBLIC[name].parameters == counted["parameters"] - counted["never_used_parameters"]
    assert rule.multiply_adds(network) == pytest.approx(counted["macs_256x256"], rel=PUBLIC[name].macs, abs=0)


def test_a_prefix_and_arrays_are_taken_and_masks_and_indices_may_be_absent(name, state, loaded):
    """What the public constructors make themselves isn't needed; the parameters are those of the whole file."""
    drawn = {f"module.{key}": value.numpy() for key, value in rule.public_state(name, built=False).items()}
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
