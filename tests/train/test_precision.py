"""Precision and compilation of training steps: what holds within a step alone, and what happens where it fails."""

import json

import pytest
import torch

from bench.core.optimisation import COMPILE_FROM, FEW_PIXELS, Stage2
from bench.core.params import Params
from bench.core.registry import methods
from bench.nn import deform, windows
from bench.stages.training import environment
from bench.train.checkpoint import Checkpoint
from bench.train.learner import HdrLearner
from bench.train.loop import TrainStep, fit, seed_parameters
from bench.train.patches import PatchStream
from bench.train.precision import products
from tests.methods.test_methods import LEARNED, build

CPU = torch.device("cpu")
LIBRARIES = torch.backends.cuda.matmul, torch.backends.cudnn


def allowed():
    return [library.allow_tf32 for library in LIBRARIES]


@pytest.fixture
def off():
    """TF32 as a command begins with it; no attribute that monkeypatch could put back."""
    before = allowed()
    for library in LIBRARIES:
        library.allow_tf32 = False
    yield
    for library, value in zip(LIBRARIES, before, strict=True):
        library.allow_tf32 = value


@pytest.mark.parametrize(("precision", "wanted"), [("fp32", False), ("tf32", True), ("bf16", False)])
@pytest.mark.usefixtures("off")
def test_tf32_is_on_within_a_step_alone(precision, wanted):
    with pytest.raises(ZeroDivisionError), products(precision):
        assert allowed() == [wanted, wanted]
        raise ZeroDivisionError
    assert allowed() == [False, False]


@pytest.mark.parametrize(
    ("precision", "device", "wanted"),
    [("tf32", "cuda", ("tf32", "on")), ("fp32", "cuda", ("fp32", "off")), ("bf16", "cuda", ("bf16", "off")),
     ("tf32", "cpu", ("fp32", "off")), ("bf16", "cpu", ("fp32", "off"))],
)  # fmt: skip
def test_a_card_says_what_was_computed_in(precision, device, wanted, small_params):
    said = environment.numerics(Params(**small_params | {"precision": precision}), torch.device(device))
    assert (said["precision"], said["tf32"]) == wanted


@pytest.mark.parametrize(
    ("changes", "pixels", "mode"),
    [
        ({"steps": COMPILE_FROM - 1}, 1, None),
        ({}, FEW_PIXELS, "default"),
        ({}, FEW_PIXELS - 1, "reduce-overhead"),
        ({"accumulate": 2}, FEW_PIXELS - 1, "default"),
        ({"compile": True, "steps": 1}, 1, "default"),
        ({"compile": "reduce-overhead", "steps": 1}, 1 << 30, "reduce-overhead"),
        ({"compile": False}, 1 << 30, None),
    ],
)
def test_a_training_is_compiled_where_it_pays(changes, pixels, mode):
    assert Stage2(**{"steps": COMPILE_FROM, **changes}).compile_mode(pixels) == mode


def test_the_cpu_never_compiles(monkeypatch):
    learner = HdrLearner(methods["ahdrnet"].build("smoke"), Stage2(steps=1), None)
    monkeypatch.setattr(learner, "compile", lambda mode: pytest.fail("compiled"))
    step = TrainStep(learner, Stage2(steps=COMPILE_FROM, compile="reduce-overhead"), CPU)
    step.compile(32)
    assert step.mode is None


class Stance:
    """Stands for torch.compiler.set_stance, which takes seconds to import; `now` is what holds."""

    now = "default"

    def __init__(self, stance):
        self.stance = stance

    def __enter__(self):
        Stance.now = self.stance

    def __exit__(self, *_):
        Stance.now = "default"


@pytest.mark.parametrize("where", ["losses", "backward", "prepare"])
def test_compiled_code_that_fails_is_left_in_a_line(where, monkeypatch, capsys):
    """The same weights as of eager steps, to the bit: nothing of the failed part stays."""
    frames, truth = torch.rand(2, 3, 6, 16, 16), torch.rand(2, 3, 16, 16)
    monkeypatch.setattr(torch.compiler, "set_stance", Stance)
    ended, tried = [], []

    def failing(call):
        def either(*given):
            if Stance.now == "default":
                tried.append(where)
                if where == "losses":
                    call(*given)["reconstruction"].backward()  # gradients are there already
                raise RuntimeError("no kernel\nat all")
            return call(*given)

        return either

    for mode in (None, "default"):
        network = build("ahdrnet")
        seed_parameters(network, 0)
        learner = HdrLearner(network, Stage2(steps=2, batch=2, accumulate=2), None)
        step = TrainStep(learner, Stage2(steps=2, batch=2, accumulate=2), CPU)
        step.mode = mode
        if mode and where == "backward":
            monkeypatch.setattr(torch.autograd, "backward", failing(torch.autograd.backward))
        elif mode:
            monkeypatch.setattr(learner, where, failing(getattr(learner, where)))
        for number in range(2):
            step(frames, truth, number)
        ended.append([p.detach().clone() for p in network.parameters()])
    assert all(map(torch.equal, *ended)) and tried == [where]
    assert capsys.readouterr().err == "compiled code failed (RuntimeError: no kernel); goes on eagerly\n"


@pytest.mark.parametrize("breaks", [False, True])
def test_how_steps_were_computed_stands_beside_their_speed(tiny_scene, tmp_path, monkeypatch, capsys, breaks):
    monkeypatch.setattr(torch.compiler, "set_stance", Stance)
    monkeypatch.setattr(TrainStep, "compile", lambda self, size: setattr(self, "mode", "default"))
    network = build("ahdrnet")
    learner = HdrLearner(network, Stage2(steps=1, batch=2), None)
    losses = learner.losses

    def broken(*given):
        if breaks and Stance.now == "default":
            raise RuntimeError("no kernel")
        return losses(*given)

    monkeypatch.setattr(learner, "losses", broken)
    stream = PatchStream([tiny_scene], size=16, stride=8, augment=False, seed=0)
    fit(learner, stream, Stage2(steps=1, batch=2), Checkpoint(tmp_path), label="tiny", device=CPU)
    timing = json.loads((tmp_path / "timing.json").read_text())
    failure = "RuntimeError: no kernel" if breaks else ""
    assert (timing["compiled"], timing["failure"]) == ("default", failure)
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.endswith(", compiled (default)" + (f" until it failed: {failure}" if breaks else ""))


def test_a_full_memory_is_no_fault_of_the_compiler(monkeypatch, capsys):
    """Eager code would take as much: whoever chose the batch must hear of it, and `launch`, which tries it alone."""
    learner = HdrLearner(build("ahdrnet"), Stage2(steps=1), None)
    step = TrainStep(learner, Stage2(steps=1, batch=2), CPU)
    step.mode = "default"

    def full(*_):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(learner, "losses", full)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        step(torch.rand(2, 3, 6, 16, 16), torch.rand(2, 3, 16, 16), 0)
    assert not step.failure and not capsys.readouterr().err


def test_a_step_that_fails_eagerly_too_fails(monkeypatch):
    monkeypatch.setattr(torch.compiler, "set_stance", Stance)
    learner = HdrLearner(methods["ahdrnet"].build("smoke"), Stage2(steps=1), None)
    step = TrainStep(learner, Stage2(steps=1, batch=2), CPU)
    step.mode = "default"
    with pytest.raises(RuntimeError, match="channels"):
        step(torch.rand(2, 3, 5, 16, 16), torch.rand(2, 3, 16, 16), 0)


@pytest.mark.parametrize("name", LEARNED)
def test_compiled_code_gets_what_gpus_run(name, monkeypatch):
    """Nothing is taken piece by piece, and radiance and gradients are those of the pieces."""
    stream, found = torch.Generator().manual_seed(0), []
    # In float64 but where codes are looked up in float32.
    dtype = torch.float32 if methods[name].requires else torch.float64
    frames = torch.rand(1, 3, 6, 16, 16, generator=stream).to(dtype)
    network = build(name).to(dtype).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.02 * torch.randn(parameter.shape, generator=stream)
    weights = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for compiling in (False, True):
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda now=compiling: now)
        if compiling:
            for pieces in (windows._RowByRow, deform.StripDeformation, deform.GuidedDeformation):
                monkeypatch.setattr(pieces, "apply", lambda *_: pytest.fail("taken in pieces"))
        radiance = network(frames)
        found.append([radiance.detach(), *torch.autograd.grad(radiance.square().sum(), weights, allow_unused=True)])
    scale = max(float(part.abs().max()) for part in found[0] if part is not None)
    close = 1e-5 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(*found, rtol=close, atol=close * scale)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.usefixtures("off")
def test_products_on_cuda_are_rounded_in_tf32_alone():
    left, right = torch.rand(2, 256, 256, device="cuda")
    wanted = left.double() @ right.double()
    errors = {}
    for precision in ("fp32", "tf32"):
        with products(precision):
            errors[precision] = float(((left @ right).double() - wanted).abs().max() / wanted.abs().max())
    assert errors["fp32"] < 1e-5 < errors["tf32"] < 1e-2
