"""The training loop of every network: seeded, resumable, shared by processes, guarded against NaN.

A resumed training equals an uninterrupted one bit for bit: batches, learning rates and all draws are functions of the
step, and everything else that decides the rest is in the checkpoint.
"""

import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from bench.core import progress
from bench.core.errors import TrainingFailed, TrainingPaused, UsageError
from bench.core.optimisation import Optimisation
from bench.core.recipe import Initialisation
from bench.core.seeding import derive
from bench.nn.frames import to_network
from bench.nn.initialisation import draw
from bench.train import metering
from bench.train.checkpoint import Checkpoint
from bench.train.failure import Guard, NotFinite
from bench.train.learner import Learner
from bench.train.optimiser import EMA, forget_moments, make_optimisers, only, trained
from bench.train.parallel import ALONE, ProcessGroup
from bench.train.patches import Patch, PatchStream, shares
from bench.train.precision import autocast, products

Made = TypeVar("Made")


@dataclass(frozen=True)
class RunOptions:
    """Arguments of `fit` that decide no result.

    deadline : reading of `time.monotonic` after which the training pauses; None: never.
    again    : the command that goes on with this training, for messages.
    origin   : JSON values that say how to build the learner; a dump of a failed step holds them.
    peak     : operations a second that one device could do at best, for the MFU; None: unknown.
    """

    deadline: float | None = None
    again: str = "the same command"
    origin: Mapping[str, Any] = field(default_factory=dict)
    peak: float | None = None


PLAIN = RunOptions()
"""No limits."""


def fit(
    learner: Learner,
    stream: PatchStream,
    settings: Optimisation,
    checkpoint: Checkpoint,
    *,
    label: str,
    device: torch.device,
    precision: str = "fp32",
    group: ProcessGroup = ALONE,
    options: RunOptions = PLAIN,
) -> list[dict[str, float]]:
    """Train to the last step, from the last checkpoint if there is one.

    Returns the learning curve: for every `log_every` steps the mean of each loss term. With `ema` the first network
    ends as its average. A loss or gradient that isn't finite raises TrainingFailed with the step and the term, and
    leaves a dump that can be replayed; at the deadline and on SIGTERM TrainingPaused is raised once a checkpoint is
    written. The last checkpoint stays.
    """
    if settings.batch % (group.world * settings.accumulate):
        raise UsageError(
            f"{label}: a batch of {settings.batch} can't be shared by {group.world} processes in {settings.accumulate} "
            "parts each (accumulate); make it a multiple of their product."
        )
    step = TrainStep(learner, settings, device, precision=precision, group=group)
    state = _restore(checkpoint, step, device, label)
    group.agree(state.step, "the step to go on from")
    step.compile(stream.size)

    first, observe_every = state.step, settings.observe_every
    meter = metering.Meter(device, options.peak, counted=step.mode is None)
    batches = _batches(stream, settings, first, device, group)
    try:
        with StopSignal(options.deadline) as stop:
            for frames, truth in progress.track(batches, settings.steps, label, done=first):
                with meter.step():
                    terms = step(frames, truth, state.step)
                meter.see(terms)
                state.record(terms)
                state.step += 1
                last = state.step == settings.steps

                if last or state.step % settings.log_every == 0:
                    state.end_row()
                    step.guard.check()
                    if group.leads and observe_every and state.step % observe_every == 0:
                        with eagerly(step.mode):  # pictures of other sizes aren't worth a compilation
                            state.curve[-1] |= learner.observe(state.step)
                if last:
                    continue  # not break: progress ends at its last line

                paused = group.any(stop.due())
                if paused or state.step % settings.checkpoint_every == 0:
                    step.guard.check()  # a checkpoint holds finite weights only
                    if group.leads:
                        _save(checkpoint, state, step)
                if paused:
                    _note(checkpoint, meter, label, state.step - first, step)
                    raise TrainingPaused(
                        f"{label}: paused after step {state.step} of {settings.steps}, because {stop.reason()}. "
                        f"Its state is saved; go on with: {options.again}"
                    )
    except NotFinite as failure:
        said = f"{label}: {failure.sentence}. Lower the learning rate (lr), or clip."
        if group.leads:
            said += f" Look closer with: python -m bench replay {_dump(checkpoint, failure, step, stream, options)}"
        raise TrainingFailed(said) from failure

    only(trained(step.optimisers), *step.optimisers)  # what was trainable before is trainable again
    if step.ema:
        step.ema.apply()
    _note(checkpoint, meter, label, state.step - first, step)
    return state.curve


class TrainStep:
    """One step of a training: prepare, then for each phase the losses of all parts, one mean gradient, one update."""

    def __init__(
        self,
        learner: Learner,
        settings: Optimisation,
        device: torch.device,
        *,
        precision: str = "fp32",
        group: ProcessGroup = ALONE,
    ) -> None:
        """Make optimisers and average of what `learner` trains, whose networks are on the device."""
        self.learner, self.settings, self.group = learner, settings, group
        self.guard = Guard(device)
        self.optimisers = make_optimisers(learner, settings, self.guard, device)
        self.ema = EMA(next(iter(learner.networks.values())), settings.ema) if settings.ema else None
        self.precision, self.autocast = precision, autocast(precision, device)
        self.cuda = device.type == "cuda"
        self.mode: str | None = None
        """Mode of torch.compile that the learner was compiled in; None: it wasn't."""
        self.failure = ""
        """Why compiled code wasn't gone on with."""

    def compile(self, size: int) -> None:
        """Compile the learner where asked for, on CUDA, for patches of edge `size`; the CPU runs eagerly."""
        part = self.settings.batch // self.group.world // self.settings.accumulate
        self.mode = self.settings.compile_mode(part * size**2) if self.cuda else None
        if self.mode:
            self.learner.compile(self.mode)

    def __call__(self, frames: Tensor, truth: Tensor, step: int) -> dict[str, Tensor]:
        """Take step `step` (0, 1, ...) on this process's share; returns each term's mean over the whole batch."""
        with products(self.precision):
            return self._step(frames, truth, step)

    def _step(self, frames: Tensor, truth: Tensor, step: int) -> dict[str, Tensor]:
        samples, terms = self.group.samples(self.settings.batch), dict[str, Tensor]()
        if self.mode == "reduce-overhead":  # all that CUDA graphs return stays until the next step
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        only(trained(self.optimisers))
        overwritten = self._compiled(lambda: self._prepare(frames, truth, step, samples))
        for parameter, rows in overwritten:
            for optimiser in self.optimisers.values():
                forget_moments(optimiser, parameter, rows)
            if self.ema:
                self.ema.forget(parameter, rows)
        for phase in self.optimisers:
            terms |= self._phase(phase, frames, truth, step, samples.start)
        if self.ema:
            self.ema.update(step)
        return terms

    def _compiled(self, part: Callable[[], Made]) -> Made:
        """Run a part of a step, as compiled; where that fails, say so, and run it and all that follows eagerly.

        What the part that failed has drawn and counted, it draws and counts again.
        """
        if self.mode and not self.failure:
            try:
                return part()
            except torch.cuda.OutOfMemoryError:  # no compiler is to blame; who chose batch and patch must know
                raise
            except Exception as error:  # of the compiler, of a tool that it calls, of its code; others come up again
                self.failure = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"[:160]
            if not progress.quiet:
                print(f"compiled code failed ({self.failure}); goes on eagerly", file=sys.stderr, flush=True)
        with eagerly(self.mode):
            return part()

    def _prepare(self, *given: Any) -> Sequence[tuple[nn.Parameter, Tensor]]:
        with self.autocast:
            return self.learner.prepare(*given)

    def _phase(self, phase: str, frames: Tensor, truth: Tensor, step: int, start: int) -> dict[str, Tensor]:
        optimiser = self.optimisers[phase]
        only(trained(self.optimisers), phase)
        terms = self._compiled(lambda: self._backward(phase, frames, truth, step, start))
        if not terms:
            return {}
        values, parameters = torch.stack(list(terms.values())), optimiser.param_groups[0]["params"]
        gradients = [p.grad for p in parameters if p.grad is not None]
        # The terms travel with the gradients, so that all processes see a failure of one.
        self.group.mean([*gradients, values])
        norm = nn.utils.get_total_norm(gradients)
        self.guard.look(phase, step, list(terms), values, norm)
        if not self.cuda:  # a GPU is asked later, so that no step waits for it
            self.guard.check()
        if self.settings.clip is not None and self.settings.clip_by == "value":
            nn.utils.clip_grad_value_(parameters, self.settings.clip)
        elif self.settings.clip is not None:
            nn.utils.clip_grads_with_norm_(parameters, self.settings.clip, norm)
        optimiser.param_groups[0]["lr"] = self.settings.lr_at(phase, step)
        optimiser.step()
        self.learner.updated(phase)
        return dict(zip(terms, values, strict=True))

    def _backward(self, phase: str, frames: Tensor, truth: Tensor, step: int, start: int) -> dict[str, Tensor]:
        """Add up the gradients of equal parts of the share, in order; returns each term's mean over the parts."""
        self.optimisers[phase].zero_grad(set_to_none=True)
        parts, size, sums = self.settings.accumulate, len(frames) // self.settings.accumulate, dict[str, Tensor]()
        for part in range(parts):
            own = slice(part * size, (part + 1) * size)
            with self.autocast:
                samples = slice(start + own.start, start + own.stop)
                terms = self.learner.losses(phase, frames[own], truth[own], step, samples)
            if not terms:
                return {}
            torch.autograd.backward(torch.stack(list(terms.values())).sum() / parts)
            for name, term in terms.items():
                value = term.detach().float() / parts
                sums[name] = sums[name] + value if name in sums else value
        return sums


@contextmanager
def eagerly(mode: str | None) -> Iterator[None]:
    """Within, run what was compiled as if it weren't; `mode` is the compilation's, None for none."""
    with torch.compiler.set_stance("force_eager") if mode else nullcontext():
        yield


@dataclass
class TrainState:
    """Steps done, the curve so far, and each term's sum (on the device, float64) and count since its last row."""

    step: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def record(self, terms: Mapping[str, Tensor]) -> None:
        """Add the terms of a step, without waiting for the device."""
        for name, term in terms.items():
            value = term.detach().double()
            self.sums[name] = self.sums[name] + value if name in self.sums else value
            self.counts[name] = self.counts.get(name, 0) + 1

    def end_row(self) -> None:
        """Add a row of means to the curve; a term that joined in between is averaged over the steps that had it."""
        means = {name: float(total) / self.counts[name] for name, total in self.sums.items()}
        self.curve.append({"step": float(self.step)} | means)
        self.sums, self.counts = {}, {}


def _save(checkpoint: Checkpoint, state: TrainState, step: TrainStep) -> None:
    """Write everything that decides the rest of the training; the patches are a function of the step."""
    checkpoint.save(
        {
            "state": {
                "step": state.step,
                "curve": state.curve,
                "sums": {name: float(total) for name, total in state.sums.items()},
                "counts": state.counts,
            },
            "networks": {name: network.state_dict() for name, network in step.learner.networks.items()},
            "optimisers": {name: optimiser.state_dict() for name, optimiser in step.optimisers.items()},
            "learner": step.learner.state(),
            "average": step.ema.values if step.ema else {},
            "random": [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [])],
        }
    )


def _restore(checkpoint: Checkpoint, step: TrainStep, device: torch.device, label: str) -> TrainState:
    """Go back to the last checkpoint, or to the start if there is none."""
    saved: dict[str, Any] | None = checkpoint.load()
    if saved is None:
        return TrainState()
    for name, network in step.learner.networks.items():
        network.load_state_dict(saved["networks"][name])
        step.optimisers[name].load_state_dict(saved["optimisers"][name])
    step.learner.load_state({name: value.to(device) for name, value in saved["learner"].items()})
    if step.ema:
        step.ema.load(saved["average"])
    torch.set_rng_state(saved["random"][0])
    if device.type == "cuda" and len(saved["random"]) == 1 + torch.cuda.device_count():
        torch.cuda.set_rng_state_all(saved["random"][1:])
    state = saved["state"]
    sums = {name: torch.tensor(total, dtype=torch.float64, device=device) for name, total in state["sums"].items()}
    if not progress.quiet:
        print(f"{label}: goes on after step {state['step']}", file=sys.stderr, flush=True)
    return TrainState(state["step"], state["curve"], sums, state["counts"])


def _dump(
    checkpoint: Checkpoint, failure: NotFinite, step: TrainStep, stream: PatchStream, options: RunOptions
) -> Path:
    """Write everything that the failed step needs to run again, with the whole batch; return the file."""
    batch = stream.__getitems__(shares(step.settings.batch, failure.step, failure.step + 1))
    target = Checkpoint(checkpoint.folder, f"failed-step-{failure.step}.pt")
    target.save(
        {
            "step": failure.step,
            "phase": failure.phase,
            "sentence": failure.sentence,
            "batch": {name: torch.from_numpy(value) for name, value in batch._asdict().items()},
            "networks": {name: network.state_dict() for name, network in step.learner.networks.items()},
            "learner": step.learner.state(),
            "processes": step.group.world,
            "settings": step.settings.model_dump_json(),
            "origin": json.dumps(dict(options.origin)),
        }
    )
    return target.path


def _note(checkpoint: Checkpoint, meter: metering.Meter, label: str, steps: int, step: TrainStep) -> None:
    """Print the throughput of the last `steps` steps and how they were computed, and keep both by the checkpoint."""
    timing = meter.read(steps, step.settings.batch, step.group.world)
    timing |= {"compiled": step.mode, "failure": step.failure}
    if step.group.leads:
        checkpoint.note_time(timing)
        metering.say(label, timing)


class StopSignal:
    """Hears SIGTERM (as Slurm sends before it takes a machine back) and watches the clock, within a `with` block."""

    def __init__(self, deadline: float | None) -> None:
        """`deadline` is a reading of `time.monotonic`, or None."""
        self.deadline, self.terminated = deadline, False

    def __enter__(self) -> "StopSignal":
        # Python lets the main thread alone set handlers; elsewhere SIGTERM ends the process, as it would anyway.
        self.main = threading.current_thread() is threading.main_thread()
        if self.main:
            self.before = signal.signal(signal.SIGTERM, self._hear)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.main:
            signal.signal(signal.SIGTERM, self.before)

    def due(self) -> bool:
        """Tell if the training should save and end after the step at hand."""
        return self.terminated or (self.deadline is not None and time.monotonic() >= self.deadline)

    def reason(self) -> str:
        """Say why, for a sentence."""
        return "its time is up" if not self.terminated else "it was asked to end (SIGTERM)"

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.terminated = True


def _batches(
    stream: PatchStream, settings: Optimisation, start: int, device: torch.device, group: ProcessGroup
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield shares of the batches from step `start` on, cut in the background and linearised on the device."""
    loader: Iterable[tuple[Tensor, Tensor, Tensor]] = DataLoader(
        stream,  # type: ignore[arg-type]
        batch_size=settings.batch // group.world,
        sampler=shares(settings.batch, start, settings.steps, rank=group.rank, world=group.world),
        num_workers=settings.workers,
        collate_fn=_tensors,  # type: ignore[arg-type]  # the stream hands over whole batches
        pin_memory=device.type == "cuda",
        worker_init_fn=ignore_sigterm,
        generator=torch.Generator(),  # its own, so that the global stream doesn't depend on how often one resumed
        multiprocessing_context="fork" if settings.workers else None,  # another start would copy the mapped scenes
    )
    for batch in loader:
        yield to_inputs(batch, device)


def _tensors(batch: Patch) -> tuple[Tensor, ...]:
    return tuple(map(torch.from_numpy, batch))


def ignore_sigterm(worker: int) -> None:
    """Make data-loader workers ignore SIGTERM; the trainer stops them."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def to_inputs(batch: Sequence[Tensor], device: torch.device) -> tuple[Tensor, Tensor]:
    """Turn frames, times and truth of a batch, as `Patch` stores them, into what networks take, on the device.

    Returns frames (B, N, 6, H, W) and truth (B, 3, H, W), on CUDA with the channels last in memory.
    """
    stored, times, truth = (part.to(device, non_blocking=True) for part in batch)
    frames, wanted = to_network(stored, times), truth.movedim(-1, 1)
    if device.type == "cuda":
        return channels_last(frames), wanted  # stored with the channels last
    return frames, wanted.contiguous()


def channels_last(frames: Tensor) -> Tensor:
    """Return frames (B, N, 6, H, W) whose slices (B, 6, H, W) convolutions take without copying them."""
    return frames.permute(1, 0, 3, 4, 2).contiguous().permute(1, 0, 4, 2, 3)


def seed_parameters(network: nn.Module, seed: int, initialisation: Initialisation = "") -> None:
    """Draw the initial weights of every module from a seed of its own name.

    Modules of equal name and shape start equal in all variants, so that an ablation changes nothing but its part.

    initialisation : of which public code, see `bench.nn.initialisation`; "": as the modules draw themselves.
    """
    # Before CUDA has begun, torch.manual_seed notes each call for it, with the whole stack as text: milliseconds each.
    known = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    begin = torch.manual_seed if known else torch.default_generator.manual_seed
    for name, module in network.named_modules():
        reset = getattr(module, "reset_parameters", None)
        if callable(reset):
            with torch.random.fork_rng(devices=[]):
                begin(derive(seed, "weights", name))
                reset()
                if initialisation:
                    draw(module, initialisation)


def trainable(networks: Sequence[nn.Module]) -> int:
    """Count the parameters that training changes."""
    return sum(p.numel() for network in networks for p in network.parameters() if p.requires_grad)
