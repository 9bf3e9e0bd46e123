"""Compiled losses and gradients are the eager ones: of every method and preset, and of the learners with two networks.

On the CPU a C++ compiler takes minutes for each: `pytest tests/slow/test_compiled.py -k "smoke and cpu"` has the
smallest alone. Who has a GPU runs `make test-compiled DEVICE=cuda`.
"""

import os
import shutil
from collections.abc import Iterator

import pytest
import torch

from bench.core.optimisation import Stage1, Stage2
from bench.core.registry import methods
from bench.nn.losses import Fidelity
from bench.stages.cost.step import WAYS
from bench.stages.training import environment
from bench.train.learner import HdrLearner
from bench.train.loop import TrainStep, channels_last, seed_parameters
from methods.hdrgan.adversarial import AdversarialLearner, PatchDiscriminator
from methods.olc.stage1 import CodebookLearner
from methods.olc.vqgan import VQGAN
from tests.methods.test_methods import LEARNED, NEEDS

pytestmark = pytest.mark.filterwarnings("ignore:::torch")  # the compiler warns of other parts of PyTorch
PRESETS = [(name, preset) for name in LEARNED for preset in methods[name].presets]
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
BY_CXX = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None, reason="needs a C++ compiler: set CXX, or install g++"
)
PLACES = [pytest.param(*one, "cpu", marks=BY_CXX) for one in PRESETS]
PLACES += [pytest.param(name, "smoke", "cuda", marks=GPU) for name in LEARNED]
BATCH, SIZE = 2, 32


@pytest.fixture(autouse=True)
def compiler(monkeypatch) -> Iterator[None]:
    """Draw as eager code does, keep the order of what is mutated, and leave nothing compiled behind.

    PyTorch 2.13 forgets, where it lays loops out anew, that a buffer is read after it has been added to: issue 185509
    of pytorch/pytorch, mended by 185873. Gradients behind a resize are 0 then, those of the alignment in the small
    SAFNet among them. Only code for the CPU is laid out so, which nothing but these tests compiles.
    """
    import torch._dynamo
    import torch._inductor.config
    from torch._inductor.scheduler import SchedulerNode

    lay_out = SchedulerNode.recompute_size_and_body

    def keeping_order(node, *args, **kwargs):
        lay_out(node, *args, **kwargs)
        node.set_read_writes(node.read_writes.rename(node.mutation_renames))

    monkeypatch.setattr(SchedulerNode, "recompute_size_and_body", keeping_order)
    # Code that was kept from before would be taken as it is.
    with torch._inductor.config.patch(fallback_random=True, fx_graph_cache=False):
        yield
    torch._dynamo.reset()


def hdr(name, preset):
    options = {}
    for need in methods[name].requires:
        options |= NEEDS[need]
    network = methods[name].build(preset, **options)
    seed_parameters(network, 0)
    if hasattr(network, "calibrate"):
        network.calibrate()
    return HdrLearner(network, Stage2(steps=1, batch=BATCH), None)


def dtype(name):
    """Return float64, but float32 for networks that look codes up in it."""
    return torch.float32 if methods[name].requires else torch.float64


def stage1():
    settings = Stage1(steps=1, batch=BATCH, discriminator="unet-sn", discriminator_width=4, adversarial_from=0)
    vqgan = VQGAN(channels=4, codes=16, segments="olc", encoder_blocks=1, decoder_blocks=1, middle_blocks=0)
    return CodebookLearner(vqgan, settings, Fidelity(None, 0.0), 7)


def adversarial():
    return AdversarialLearner(methods["hdr-gan"].build("smoke"), Stage2(steps=1, batch=BATCH), Fidelity(None, 0.0))


def ready(learner, device, dtype):
    """Prepare a learner whose weights all differ from zero, so that gradients reach them."""
    stream = torch.Generator().manual_seed(5)
    for network in learner.networks.values():
        seed_parameters(network, 0)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter += 0.02 * torch.randn(parameter.shape, generator=stream)
        environment.to_device(network.to(dtype), device)
    return learner


def batch(device, dtype=torch.float32, size=SIZE):
    stream = torch.Generator().manual_seed(1)
    frames, truth = (torch.rand(BATCH, *shape, size, size, generator=stream).to(dtype) for shape in ((3, 6), (3,)))
    return channels_last(frames.to(device)), truth.to(device)


def gradients(learner, device, dtype, size):
    """Run the losses of all phases; returns them, and every gradient by its parameter's name."""
    frames, truth = batch(device, dtype, size)
    torch.manual_seed(0)
    learner.prepare(frames, truth, 0, slice(0, BATCH))
    found = {}
    for phase, network in learner.networks.items():
        network.zero_grad()
        terms = learner.losses(phase, frames, truth, 0, slice(0, BATCH))
        torch.stack([term.double() for term in terms.values()]).sum().backward()
        found |= {f"{phase}: {name}": term.detach().double() for name, term in terms.items()}
        found |= {f"{phase}.{name}": p.grad for name, p in network.named_parameters() if p.grad is not None}
    return found


def check(make, device, dtype=torch.float64, mode="default", size=SIZE):
    """In float64 rounding moves no sample to the other side of a pixel, where its gradient is another."""
    device = torch.device(device)
    eager, compiled = (ready(make(), device, dtype) for _ in range(2))
    compiled.compile(mode)
    wanted, found = (gradients(learner, device, dtype, size) for learner in (eager, compiled))
    assert wanted.keys() == found.keys()
    scale = max(float(value.abs().max()) for value in wanted.values())
    for name, value in wanted.items():
        # Losses are taken in float32.
        torch.testing.assert_close(
            found[name], value, rtol=1e-6, atol=1e-6 * scale, msg=lambda said, at=name: at + said
        )


@pytest.mark.parametrize(("name", "preset", "device"), PLACES)
def test_a_compiled_step_is_the_eager_one(name, preset, device):
    check(lambda: hdr(name, preset), device, dtype(name))


@pytest.mark.parametrize("device", [pytest.param("cpu", marks=BY_CXX), pytest.param("cuda", marks=GPU)])
@pytest.mark.parametrize(("make", "size"), [(stage1, SIZE), (adversarial, PatchDiscriminator.least)])
def test_so_it_is_with_a_discriminator(make, size, device):
    check(make, device, torch.float32, size=size)


@GPU
@pytest.mark.parametrize("name", LEARNED)
def test_cuda_graphs_give_the_eager_step(name):
    check(lambda: hdr(name, "smoke"), "cuda", dtype(name), "reduce-overhead")


@GPU
@pytest.mark.parametrize("mode", [True, "reduce-overhead"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_weights_after_compiled_steps_are_those_after_eager_ones_on_cuda(accumulate, mode):
    """What a graph has returned is read before the next step alone, however many parts a batch has."""
    device, ended = torch.device("cuda"), []
    for compiled in (False, mode):
        settings = Stage2(steps=4, batch=BATCH, lr=1e-3, accumulate=accumulate, compile=compiled)
        learner = ready(hdr("ahdrnet", "smoke"), device, torch.float32)
        step = TrainStep(learner, settings, device)
        step.compile(SIZE)
        for number in range(4):
            step(*batch(device), number)
        step.guard.check()
        assert not step.failure and bool(step.mode) == bool(compiled)
        ended.append([p.detach().clone() for p in learner.network.parameters()])
    torch.testing.assert_close(*ended, rtol=1e-6, atol=1e-6)


@GPU
@pytest.mark.parametrize(("precision", "mode"), WAYS)
@pytest.mark.parametrize("name", LEARNED)
def test_every_precision_trains_on_cuda(name, precision, mode):
    device, settings = torch.device("cuda"), Stage2(steps=2, batch=BATCH, compile=mode)
    learner = hdr(name, "smoke")
    environment.to_device(learner.network, device)
    step = TrainStep(learner, settings, device, precision=precision)
    step.compile(SIZE)
    for number in range(2):
        terms = step(*batch(device), number)
    step.guard.check()
    assert not step.failure and all(term.isfinite() for term in terms.values())


@BY_CXX
def test_on_the_cpu_what_cannot_be_compiled_goes_on_eagerly(capsys):
    """A compiler that fails in the middle of a training costs one line, and the weights are the eager ones."""

    def broken(graph, given):
        raise RuntimeError("no such kernel\nand much more")

    ended, device = [], torch.device("cpu")
    for backend in (None, broken):
        learner = hdr("ahdrnet", "smoke")
        step = TrainStep(learner, Stage2(steps=3, batch=BATCH, lr=1e-3), device)
        if backend:
            learner.network.compile(backend=backend)
            step.mode = "default"
        for number in range(3):
            step(*batch(device), number)
        ended.append([p.detach().clone() for p in learner.network.parameters()])
    assert all(map(torch.equal, *ended))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("compiled code failed (BackendCompilerFailed: ") and line.endswith("; goes on eagerly")
