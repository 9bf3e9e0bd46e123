"""The HDR network of stage 2 and its seven ablations (Table 3)."""

import pytest
import torch
import torch.nn.functional as F

from bench.core.errors import UsageError
from bench.core.optimisation import Stage2
from bench.core.registry import methods
from bench.nn.losses import Fidelity
from bench.train.checkpoint import Checkpoint
from bench.train.learner import HdrLearner
from bench.train.loop import fit
from bench.train.patches import PatchStream
from methods.olc.parts import FSM, RF, ParallelAlignment, SelectiveKernel, merger

BOOK = {"codes": 1024, "segments": "olc"}
PARTS = {"alignment": ("none", "pa"), "skip": ("reference", "sum", "concat", "fsm"), "prior": ("none", "concat", "rf")}
TABLE3 = [
    ("none", "reference", "none"),
    ("pa", "reference", "none"),
    ("pa", "sum", "none"),
    ("pa", "concat", "none"),
    ("pa", "fsm", "none"),
    ("pa", "fsm", "concat"),
    ("pa", "fsm", "rf"),
]


def published(row):
    options = dict(zip(PARTS, TABLE3[row - 1], strict=True))
    if options["prior"] != "none":
        options["vqgan"] = BOOK
    with torch.device("meta"):
        return methods["olc"].build("published", **options)


def count(network, trained=True):
    return sum(p.numel() for p in network.parameters() if p.requires_grad == trained)


@pytest.mark.parametrize("row", range(1, 8))
def test_a_row_of_table_3_is_a_choice_of_parts(build_row, row):
    network = build_row(row)
    alignment, skip, prior = TABLE3[row - 1]
    assert bool(network.align) == (alignment == "pa")
    assert isinstance(network.skips[0], type(merger(skip, 4)))
    assert (network.vqgan is None) == (prior == "none")
    assert isinstance(network.decoder.fusions[0], RF) == (prior == "rf")
    levels = 3 if prior == "none" else 4  # only rows with a codebook have one at H/8
    assert [len(encoder.levels) for encoder in network.encoders] == [levels] * 3
    assert hasattr(network, "deep") == (row >= 6)


@pytest.mark.parametrize("row", range(1, 7))
def test_what_two_rows_share_has_one_shape_and_starts_equal(build_row, row):
    """Only row 6 widens a part it keeps: each level's fusing convolution sees one source more."""
    this, following = build_row(row).state_dict(), build_row(row + 1).state_dict()
    shared = this.keys() & following.keys()
    differ = {name for name in shared if this[name].shape != following[name].shape}
    assert differ == ({f"decoder.fusions.{level}.merge.weight" for level in range(3)} if row == 5 else set())
    shared = [name for name in shared if not (row == 5 and ".fusions." in name)]
    assert {"entry.0.weight", "encoders.2.levels.2.1.body.0.weight", "decoder.ups.0.1.weight"} <= set(shared)
    assert all(torch.equal(this[name], following[name]) for name in shared)


@pytest.mark.parametrize("row", range(1, 8))
def test_a_network_keeps_the_size_of_its_input(build_row, row, frames):
    with torch.no_grad():
        radiance = build_row(row)(frames)
    assert radiance.shape == (2, 3, 32, 40)
    assert radiance.isfinite().all() and radiance.min() >= 0


def convolution(inputs, outputs, size=3):
    return inputs * outputs * size**2 + outputs


def selection(channels, branches):
    """A 1x1 convolution to max(c / 2, 16) channels and one back for each branch."""
    hidden = max(channels // 2, 16)
    return convolution(channels, hidden, 1) + branches * convolution(hidden, channels, 1)


def residual(width):
    return 2 * convolution(width, width)


def encoder(levels):
    """Two residual blocks on each level and a stride-2 convolution between."""
    widths = [32, 64, 128, 256][:levels]
    return sum(2 * residual(w) for w in widths) + sum(convolution(w // 2, w) for w in widths[1:])


def expected(row):
    """Trainable parameters of a row at C = 32, two blocks a level, 8 deformable groups, part by part."""
    alignment, skip, prior = TABLE3[row - 1]
    scales, sources = (32, 64, 128), 1 if prior == "none" else 2
    total = 3 * convolution(6, 32) + 3 * encoder(3 if prior == "none" else 4) + convolution(32, 3)
    total += sum(2 * residual(w) for w in scales) + convolution(128, 64) + convolution(64, 32)
    if alignment == "pa":
        steering = convolution(64, 32) + convolution(64, 32, 5) + selection(32, 2) + convolution(32, 27 * 8)
        total += 2 * (steering + 3 * convolution(32, 32) + convolution(64, 32)) + convolution(32, 32)
    if skip == "fsm":
        total += sum(selection(w, 3) for w in scales)
    elif skip == "concat":
        total += sum(convolution(3 * w, w) for w in scales)
    elif skip == "reference":
        total += convolution(3 * 128, 128)  # z_m
    if prior == "rf":
        total += sum(convolution(2 * w, w) + residual(w) + 2 * convolution(w, w) for w in scales)
    else:
        total += sum(convolution((1 + sources) * w, w) for w in scales)
    return total + (0 if prior == "none" else selection(256, 3) + convolution(256, 256, 1))


@pytest.mark.parametrize(
    ("row", "trained"),
    [
        (1, 4_305_411),
        (2, 4_674_547),
        (3, 4_232_051),
        (4, 4_812_883),
        (5, 4_275_843),
        (6, 12_633_603),
        (7, 13_215_107),
    ],
)
def test_parameters_at_the_published_size(row, trained):
    """Row 7 trains 13.2 M and keeps 8.94 M frozen at inference: the decoder's 8.67 M and the book's 0.26 M."""
    network = published(row)
    assert count(network) == trained == expected(row)
    if row >= 6:
        frozen = count(network.vqgan.decoder, False), count(network.vqgan.codebook, False)
        assert frozen == (8_673_987, 1024 * 256)
        assert count(network.vqgan) == 0


@pytest.mark.parametrize("channels", [4, 32])
def test_fsm_weights_sum_to_one_over_the_frames(channels):
    module, maps = FSM(channels), [torch.randn(2, channels, 5, 6) for _ in range(3)]
    weights = module.weights(maps)
    assert weights.shape == (3, 2, channels, 1, 1)
    torch.testing.assert_close(weights.sum(0), torch.ones(2, channels, 1, 1))
    torch.testing.assert_close(module(maps), sum(w * m for w, m in zip(weights, maps, strict=True)))
    assert module.squeeze[0].out_channels == max(channels // 2, 16)


def test_selective_kernels_of_equal_branches_give_the_branch():
    branch = torch.randn(2, 8, 5, 6)
    torch.testing.assert_close(SelectiveKernel(8, 2)([branch, branch]), branch)


def test_merging_operators():
    maps = [torch.randn(2, 4, 5, 6) for _ in range(3)]
    assert torch.equal(merger("reference", 4)(maps), maps[1])
    torch.testing.assert_close(merger("sum", 4)(maps), maps[0] + maps[1] + maps[2])
    concat = merger("concat", 4)
    torch.testing.assert_close(concat(maps), concat.merge(torch.cat(maps, 1)))
    with pytest.raises(UsageError, match="skip 'max' is unknown; expected reference, sum, concat or fsm"):
        merger("max", 4)


def test_rf_starts_by_adding_beta_and_is_the_papers_equation_later():
    module, features, sources = RF(4), torch.randn(2, 4, 5, 6), [torch.randn(2, 4, 5, 6) for _ in range(2)]
    beta = module.beta(module.trunk(torch.cat(sources, 1)))
    torch.testing.assert_close(module(features, sources), beta + features)
    assert beta.std() > 0.1
    torch.nn.init.normal_(module.gamma.weight)
    trunk = module.trunk(torch.cat(sources, 1))
    wanted = module.gamma(trunk) * features + module.beta(trunk) + features
    torch.testing.assert_close(module(features, sources), wanted)


def test_alignment_starts_without_offsets_and_with_halved_samples():
    """Offsets and mask logits start at zero: the plain convolution of the neighbour, each sample times 1/2."""
    module, neighbour, reference = ParallelAlignment(4, 2), torch.randn(1, 4, 6, 7), torch.randn(1, 4, 6, 7)
    assert not module.offsets(reference).any()
    kernel = module.deform.kernel
    steering = torch.zeros(1, 54, 6, 7)
    wanted = F.conv2d(neighbour / 2, kernel.weight, kernel.bias, padding=1)
    torch.testing.assert_close(module.deform(neighbour, steering), wanted, rtol=1e-4, atol=1e-5)


def test_neighbours_are_aligned_by_networks_of_their_own(build_row):
    align = build_row(7).align
    assert isinstance(align["0"], ParallelAlignment) and isinstance(align["2"], ParallelAlignment)
    assert not torch.equal(align["0"].merge.weight, align["2"].merge.weight)
    assert isinstance(align["1"], torch.nn.Conv2d)


def wake(network):
    """Give the parts that start at zero an effect."""
    torch.manual_seed(3)
    for module in network.decoder.fusions:
        torch.nn.init.normal_(module.gamma.weight, std=0.1)
    torch.nn.init.normal_(network.head.last.weight, std=0.1)
    return network


def test_fsm_weights_given_to_other_frames_change_the_output(build_row, frames):
    network = wake(build_row(7))
    with torch.no_grad():
        before = network(frames)
        for module in network.modules():
            if isinstance(module, FSM):
                module.order = [1, 2, 0]
        assert (network(frames) - before).abs().max() > 1e-4


def test_the_priors_features_reach_the_output_through_rf(build_row, frames):
    network = build_row(7)
    torch.nn.init.normal_(network.head.last.weight, std=0.1)
    with torch.no_grad():
        before = network(frames)
        network.probe = lambda maps: [features.flip(-1) for features in maps]
        assert not torch.equal(network(frames), before)  # by beta alone: gamma starts at zero
        awake = wake(network)(frames)
        network.probe = list
        assert not torch.equal(network(frames), awake)


def test_the_mapping_loss_draws_to_the_codes_of_the_encoded_truth(build_row, frames, truth):
    network = build_row(7)
    with torch.no_grad():
        encoded = network.vqgan.encoder(truth)  # the profile's encoder sees linear images
        vectors = encoded.permute(0, 2, 3, 1).reshape(-1, encoded.shape[1])
        nearest = torch.cdist(vectors.double(), network.vqgan.codebook.weight.double()).argmin(1)
        codes = network.vqgan.codebook.weight[nearest].view(2, 4, 5, -1).permute(0, 3, 1, 2)
        z_vq = network.trace(frames).vectors
    terms = network.losses(frames, truth, Fidelity(None, 0.0), {"mapping": 0.5})
    squares = network.vqgan.codebook.weight.detach().square().mean(1)
    scale = (squares * squares).sum() / squares.sum()
    wanted = 0.5 * float((z_vq - codes).square().mean() / scale)
    assert float(terms["mapping"].detach()) == pytest.approx(wanted, rel=1e-4)
    assert set(terms) == {"reconstruction", "mapping"}
    terms["mapping"].backward()
    assert network.project.weight.grad.abs().sum() > 0
    assert network.head.last.weight.grad is None


def test_the_mapping_loss_knows_no_scale_of_the_codes(build_row, frames, truth):
    """Codes, and with them z_vq and E's output, a hundred times larger: another scale, the same loss."""
    network, terms = build_row(7), []
    ends = [network.vqgan.encoder.layers[-1], network.project]
    for _ in range(2):
        with torch.no_grad():
            terms.append(float(network.losses(frames, truth, Fidelity(None, 0.0), {"mapping": 1.0})["mapping"]))
            network.vqgan.codebook.weight *= 100
            for end in ends:
                end.weight *= 100
                end.bias *= 100
    assert terms[1] == pytest.approx(terms[0], rel=1e-4)


def test_rows_without_a_codebook_have_no_mapping_loss(build_row, frames, truth):
    assert set(build_row(5).losses(frames, truth, Fidelity(None, 0.0), {"mapping": 1.0})) == {"reconstruction"}


def test_gradients_flow_through_the_frozen_decoder(build_row, frames):
    network = wake(build_row(7))
    network.train()
    assert not any(module.training for module in network.vqgan.modules())
    network(frames).sum().backward()
    assert network.project.weight.grad.abs().sum() > 0
    assert all(encoder.levels[-1][0].weight.grad.abs().sum() > 0 for encoder in network.encoders)
    assert all(parameter.grad is None for parameter in network.vqgan.parameters())


@pytest.mark.parametrize("row", [6, 7])
def test_training_leaves_the_frozen_parts_as_they_are(build_row, row, tiny_scene, tmp_path):
    network = build_row(row)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    settings = Stage2(steps=3, batch=2, lr=1e-2, weight_perceptual=0)
    stream = PatchStream([tiny_scene], size=32, stride=8, augment=True, seed=0)
    learner = HdrLearner(network, settings, None)
    fit(learner, stream, settings, Checkpoint(tmp_path), label="row", device=torch.device("cpu"))
    moved = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert not any(name.startswith("vqgan.") for name in moved)
    assert {"head.last.weight", "project.weight", "deep.squeeze.0.weight", "entry.0.weight"} <= moved
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in network.vqgan.parameters())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"alignment": "flow", "vqgan": BOOK}, "alignment 'flow' is unknown; expected pa or none"),
        ({"skip": "max", "vqgan": BOOK}, "skip 'max' is unknown; expected reference, sum, concat or fsm"),
        ({"prior": "attention", "vqgan": BOOK}, "prior 'attention' is unknown; expected rf, concat or none"),
        ({"head": "tanh", "vqgan": BOOK}, "output head 'tanh' is unknown"),
        ({}, "needs a codebook: give its number of codes and segments"),
        ({"vqgan": {"codes": 10, "segments": "olc"}}, "10 codes can't be split into quarters"),
        ({"vqgan": {"codes": -4, "segments": "olc"}}, "-4 codes can't be split into quarters"),
        ({"vqgan": BOOK, "blocks": 0}, "blocks is 0; expected 1 or more"),
        ({"vqgan": BOOK, "encoder_blocks": -1}, "encoder_blocks is -1; expected 1 or more"),
        ({"vqgan": BOOK, "middle_blocks": -1}, "middle_blocks is -1; expected 0 or more"),
        (
            {"prior_weights": "imagenet", "vqgan": BOOK},
            "prior_weights 'imagenet' are unknown; expected trained",
        ),
        ({"prior_frozen": "no", "vqgan": BOOK}, "olc, option prior_frozen: expected true or false, got 'no'"),
        ({"prior": "none", "prior_frozen": False}, "with prior: none there is no codebook decoder"),
        ({"prior": "none", "prior_weights": "random"}, "with prior: none there is no codebook decoder"),
    ],
)
def test_unknown_parts_and_controls_without_sense_are_answered_with_a_sentence(options, sentence):
    with pytest.raises(UsageError, match=sentence):
        methods["olc"].build("smoke", **options)


def test_a_variant_without_a_codebook_has_no_target(build_row, truth):
    with pytest.raises(UsageError, match="has no codebook"):
        build_row(1).target_codes(truth)
