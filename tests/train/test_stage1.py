"""Training of codebooks: vanilla and OLC differ in nothing but the segments."""

import pytest
import torch

from bench.core.optimisation import Stage1
from bench.core.params import Params
from bench.nn.losses import Fidelity
from bench.stages.training.codebook import learner as codebook_learner
from bench.train.checkpoint import Checkpoint
from bench.train.loop import fit, seed_parameters
from bench.train.patches import PatchStream
from methods.olc.codebook import segment
from methods.olc.stage1 import CodebookLearner, image_of_kind
from methods.olc.vqgan import VQGAN
from tests.train.tiny import same

CPU = torch.device("cpu")
PLAIN = {"steps": 8, "batch": 2, "lr": 2e-3, "lr_discriminator": 2e-3, "discriminator_width": 16}


VANILLA, OLC = "vanilla--panoramas--s3", "olc--panoramas--s3"


@pytest.fixture
def params(small_params):
    """A profile with a vanilla and an OLC book of one size and seed."""
    small_params["codebooks"] = {name: {"segments": name, "codes": 16} for name in ("vanilla", "olc")}
    small_params["variants"] = {
        name: {"method": "olc", "codebook": name, "train": {"panoramas": [3]}} for name in ("vanilla", "olc")
    }
    small_params |= {"preset": "smoke", "tables": {}, "stage1": {**PLAIN, "init": "data", "encoder_domain": "mu-law"}}
    return Params.model_validate(small_params)


@pytest.fixture
def stream(tiny_scene):
    return PatchStream([tiny_scene], size=32, stride=8, augment=True, seed=0)


def learner(**changes):
    settings = Stage1(**{**PLAIN, **changes})
    vqgan = VQGAN(channels=4, codes=16, segments="olc", encoder_blocks=1, decoder_blocks=1, middle_blocks=0)
    seed_parameters(vqgan, 0)
    return CodebookLearner(vqgan, settings, Fidelity(None, 0.0), 7)


def batch(size=2):
    torch.manual_seed(0)
    return torch.rand(size, 3, 6, 32, 32), torch.rand(size, 3, 32, 32)


def losses(made, phase, frames, truth, step):
    """Terms of a phase on a whole batch, after what precedes a step."""
    samples = slice(0, len(frames))
    if phase == "generator":
        made.prepare(frames, truth, step, samples)
    return made.losses(phase, frames, truth, step, samples)


def states(made):
    return {f"{part}.{name}": v for part, n in made.networks.items() for name, v in n.state_dict().items()}


def train(params, name, stream, folder, layout=None):
    """Train as the stage does; returns the weights of both networks, what the learner was shown, and the curve."""
    made, shown = codebook_learner(params, name, None), []
    if layout:
        made.vqgan.codebook.layout = layout
    losses = made.losses

    def spy(phase, frames, truth, step, samples):
        shown.append((phase, step, frames.clone(), truth.clone()))
        return losses(phase, frames, truth, step, samples)

    made.losses = spy
    curve = fit(made, stream, params.stage1, Checkpoint(folder), label=name, device=CPU)
    return states(made), shown, curve


@pytest.mark.parametrize("init", ["uniform", "data"])
def test_vanilla_and_olc_start_from_the_same_weights(params, init):
    chosen = params.model_copy(update={"stage1": params.stage1.model_copy(update={"init": init})})
    vanilla, olc = (codebook_learner(chosen, name, None) for name in (VANILLA, OLC))
    assert (vanilla.vqgan.codebook.layout, olc.vqgan.codebook.layout) == ("vanilla", "olc")
    assert same(states(vanilla), states(olc))
    uniform = vanilla.vqgan.codebook.weight.detach().clone()
    for made in (vanilla, olc):
        losses(made, "generator", *batch(), 0)
    assert same(states(vanilla), states(olc))
    assert torch.equal(vanilla.vqgan.codebook.weight, uniform) == (init == "uniform")


@pytest.mark.parametrize("eta", ["per-batch", "per-sample"])
def test_vanilla_and_olc_see_the_same_kinds(params, eta):
    chosen = params.model_copy(update={"stage1": params.stage1.model_copy(update={"eta": eta})})
    vanilla, olc = (codebook_learner(chosen, name, None) for name in (VANILLA, OLC))
    drawn = [[torch.as_tensor(made.kinds(step, 2)).tolist() for step in range(50)] for made in (vanilla, olc)]
    assert drawn[0] == drawn[1]
    assert set(torch.tensor(drawn[0]).flatten().tolist()) == {0, 1, 2, 3}


def test_vanilla_and_olc_differ_in_nothing_but_the_segments(params, stream, tmp_path):
    """Both see the same batches; given the same segments, they become the same networks to the last bit."""
    vanilla, olc = (train(params, name, stream, tmp_path / name) for name in (VANILLA, OLC))
    for (phase, step, *tensors), (other_phase, other_step, *others) in zip(vanilla[1], olc[1], strict=True):
        assert (phase, step) == (other_phase, other_step)
        assert all(torch.equal(a, b) for a, b in zip(tensors, others, strict=True))
    assert not same(vanilla[0], olc[0])
    patched = train(params, OLC, stream, tmp_path / "patched", layout="vanilla")
    assert same(vanilla[0], patched[0]) and vanilla[2] == patched[2]


def test_data_initialisation_fills_each_quarter_from_kinds_that_may_use_it():
    made, (frames, truth), quarter = learner(init="data"), batch(), 4
    losses(made, "generator", frames, truth, 0)
    with torch.no_grad():
        pools = [made.vqgan.encode(image_of_kind(frames, truth, kind)) for kind in range(4)]
    pools = [pool.permute(0, 2, 3, 1).flatten(0, 2) for pool in pools]
    for index, code in enumerate(made.vqgan.codebook.weight.detach()):
        part = index // quarter
        users = [kind for kind in range(4) if part in {c // quarter for c in range(16)[segment(kind, 16, "olc")]}]
        assert min(float((pools[kind] - code).abs().max(1).values.min()) for kind in users) < 1e-5


@pytest.mark.parametrize("init", ["uniform", "data"])
def test_quantisation_starts_after_its_share_of_the_run(init):
    made, given = learner(quantise_from=0.5, init=init, weight_adversarial=0.0), batch()
    book = made.vqgan.codebook.weight.detach().clone()
    early = losses(made, "generator", *given, 3)
    assert set(early) == {"reconstruction"}
    early["reconstruction"].backward()
    assert made.vqgan.codebook.weight.grad is None and torch.equal(made.vqgan.codebook.weight, book)
    assert set(losses(made, "generator", *given, 4)) == {"reconstruction", "codebook", "commitment"}
    assert torch.equal(made.vqgan.codebook.weight, book) == (init == "uniform")
    drawn = made.vqgan.codebook.weight.detach().clone()
    losses(made, "generator", *batch(), 5)
    assert torch.equal(made.vqgan.codebook.weight, drawn)


@pytest.mark.parametrize("at", [2, 4, 7])
def test_an_interrupted_codebook_resumes_to_the_same_bits(tiny_scene, tmp_path, at):
    """Codes are drawn from data at step 4, right after a checkpoint; both networks and optimisers resume."""
    stream = PatchStream([tiny_scene], size=32, stride=8, augment=True, seed=0)
    every = {"init": "data", "quantise_from": 0.5, "checkpoint_every": 2, "log_every": 2}

    def run(folder, stop=False):
        made = learner(**every)
        seed_parameters(made.networks["discriminator"], 1)
        losses = made.losses

        def stopping(phase, frames, truth, step, samples):
            if stop and step == at:
                raise KeyboardInterrupt
            return losses(phase, frames, truth, step, samples)

        made.losses = stopping
        curve = fit(made, stream, made.settings, Checkpoint(folder), label="book", device=CPU)
        return states(made), curve

    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", stop=True)
    resumed = run(tmp_path / "cut")
    assert same(resumed[0], whole[0]) and resumed[1] == whole[1]


def test_the_discriminator_joins_after_the_warm_up():
    made, given = learner(adversarial_from=0.5), batch()
    assert "adversarial" not in losses(made, "generator", *given, 3)
    assert losses(made, "discriminator", *given, 3) == {}
    assert "adversarial" in losses(made, "generator", *given, 4)
    assert set(losses(made, "discriminator", *given, 4)) == {"discriminator"}


def test_without_an_adversarial_weight_there_is_no_discriminator():
    made = learner(weight_adversarial=0.0)
    assert list(made.networks) == ["generator"]
    assert "adversarial" not in losses(made, "generator", *batch(), 7)


def test_both_networks_train_and_stay_trainable(params, stream, tmp_path):
    before = states(codebook_learner(params, OLC, None))
    made = codebook_learner(params, OLC, None)
    fit(made, stream, params.stage1, Checkpoint(tmp_path), label="both", device=CPU)
    moved = {name for name, value in states(made).items() if not torch.equal(value, before[name])}
    assert {"generator.codebook.weight", "generator.decoder.exit.1.weight", "discriminator.layers.0.weight"} <= moved
    assert all(p.requires_grad for network in made.networks.values() for p in network.parameters())


def test_the_hinge_loss_and_the_generators_term_by_hand():
    made, given = learner(adversarial_from=0.0), batch()
    terms = losses(made, "generator", *given, 0)
    real, fake = made.pairs[0]
    score = made.networks["discriminator"]
    with torch.no_grad():
        wanted = -0.1 * float(score(fake).mean())
        hinge = 0.5 * float((1 - score(real)).clamp(min=0).mean() + (1 + score(fake)).clamp(min=0).mean())
    assert float(terms["adversarial"].detach()) == pytest.approx(wanted, rel=1e-5)
    assert float(losses(made, "discriminator", *given, 0)["discriminator"].detach()) == pytest.approx(hinge, rel=1e-5)
    assert not fake.requires_grad


def test_images_of_a_kind():
    frames, truth = batch(4)
    assert all(torch.equal(image_of_kind(frames, truth, kind), frames[:, kind, 3:]) for kind in range(3))
    assert torch.equal(image_of_kind(frames, truth, 3), truth)
    mixed = learner().images(frames, truth, torch.tensor([3, 1, 0, 2]))
    wanted = [truth[0], frames[1, 1, 3:], frames[2, 0, 3:], frames[3, 2, 3:]]
    assert torch.equal(mixed, torch.stack(wanted))


def test_kinds_are_drawn_evenly_and_from_the_step_alone():
    made = learner()
    drawn = [made.kinds(step, 2) for step in range(2000)]
    assert all(abs(drawn.count(kind) / 2000 - 0.25) < 0.04 for kind in range(4))
    assert made.kinds(17, 2) == drawn[17]
    mixed = learner(eta="per-sample")
    shares = torch.stack([mixed.kinds(step, 2) for step in range(1000)]).flatten().bincount() / 2000
    assert (shares - 0.25).abs().max() < 0.04


@pytest.mark.parametrize("eta", ["per-batch", "per-sample"])
def test_eta_trains_codes_of_its_segments_alone(eta):
    made, given = learner(eta=eta, weight_adversarial=0.0), batch()
    for step in range(6):
        made.vqgan.zero_grad()
        sum(losses(made, "generator", *given, step).values()).backward()
        kinds = torch.as_tensor(made.kinds(step, 2)).reshape(-1).tolist()
        allowed = {code for kind in kinds for code in range(16)[segment(kind, 16, "olc")]}
        touched = set(made.vqgan.codebook.weight.grad.abs().sum(1).nonzero().flatten().tolist())
        assert touched and touched <= allowed


@pytest.mark.parametrize("lazy", [False, True])
def test_codes_without_gradient_drift_unless_the_book_is_lazy(stream, tmp_path, lazy):
    made, idle = learner(lazy_codebook=lazy, weight_adversarial=0.0), []
    weight = made.vqgan.codebook.weight
    prepare, updated = made.prepare, made.updated
    snapshots = []

    def spy(*given):
        snapshots.append(weight.detach().clone())
        return prepare(*given)

    def after(phase):
        updated(phase)
        untouched = (weight.grad == 0).all(1)
        idle.append(torch.equal(weight.detach()[untouched], snapshots[-1][untouched]))
        assert not torch.equal(weight.detach()[~untouched], snapshots[-1][~untouched])

    made.prepare, made.updated = spy, after
    fit(made, stream, made.settings, Checkpoint(tmp_path), label="lazy", device=CPU)
    assert all(idle) == lazy
