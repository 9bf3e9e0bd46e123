"""The training loop of every network: seeded, resumable, shared by processes, guarded against NaN."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from bench.core.errors import TrainingFailed, TrainingPaused, UsageError
from bench.core.optimisation import Optimisation
from bench.core.progress import track
from bench.core.seeding import derive
from bench.nn.frames import to_network
from bench.train import metering, state
from bench.train.averaging import EMA
from bench.train.checkpoint import Checkpoint
from bench.train.failure import Guard, NotFinite, dump
from bench.train.learner import Learner
from bench.train.metering import Meter
from bench.train.parallel import ALONE, Group
from bench.train.patches import Patch, PatchStream, shares
from bench.train.state import TrainState
from bench.train.step import TrainStep, make_optimisers, only, trained
from bench.train.stopping import Stop, ignore_sigterm


@dataclass(frozen=True)
class RunOptions:
    """What a call of `fit` is given that decides no result.

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
"""A run without limits."""


def fit(
    learner: Learner,
    stream: PatchStream,
    settings: Optimisation,
    checkpoint: Checkpoint,
    *,
    label: str,
    device: torch.device,
    precision: str = "fp32",
    group: Group = ALONE,
    options: RunOptions = PLAIN,
) -> list[dict[str, float]]:
    """Train to the last step, from the last checkpoint if there is one.

    Returns the learning curve: for every `log_every` steps the mean of each loss term. With `ema` the first network
    ends as its average. A loss or gradient that isn't finite raises TrainingFailed with the step and the term, and
    leaves a dump that can be replayed; at the deadline and on SIGTERM TrainingPaused is raised once a checkpoint is
    written. The last checkpoint stays.
    """
    _check_batch(settings, group, label)
    guard = Guard(device)
    optimisers = make_optimisers(learner, settings, guard, device)
    ema = EMA(next(iter(learner.networks.values())), settings.ema) if settings.ema else None
    standing = state.restore(checkpoint, learner, optimisers, ema, device, label)
    group.agree(standing.step, "the step to go on from")
    if settings.compile and device.type == "cuda":
        learner.compile(settings.compile_mode)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16" and device.type == "cuda")
    step = TrainStep(learner, settings, optimisers, group, guard, ema, autocast, waits=device.type != "cuda")
    meter = Meter(device, options.peak, counted=not (settings.compile and device.type == "cuda"))
    training = _Training(step, standing, checkpoint, label, options, meter, standing.step)
    _run(training, stream, device)
    only(trained(optimisers), *optimisers)
    if ema:
        ema.apply()
    training.note()
    return standing.curve


def _run(training: "_Training", stream: PatchStream, device: torch.device) -> None:
    standing, settings, group = training.standing, training.step.settings, training.step.group
    batches = _batches(stream, settings, standing.step, device, group)
    try:
        training.run(track(batches, settings.steps, training.label, done=standing.step))
    except NotFinite as failure:
        raise TrainingFailed(training.failed(failure, stream)) from failure


def _check_batch(settings: Optimisation, group: Group, label: str) -> None:
    if settings.batch % (group.world * settings.accumulate):
        raise UsageError(
            f"{label}: a batch of {settings.batch} can't be shared by {group.world} processes in {settings.accumulate} "
            "parts each (accumulate); make it a multiple of their product."
        )


@dataclass
class _Training:
    """A call of `fit` at work, from step `first` on."""

    step: TrainStep
    standing: TrainState
    checkpoint: Checkpoint
    label: str
    options: RunOptions
    meter: Meter
    first: int

    def run(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Take all steps, unless the call is told to pause."""
        standing, settings, group = self.standing, self.step.settings, self.step.group
        with Stop(self.options.deadline) as stop:
            for frames, truth in batches:
                with self.meter.step():
                    terms = self.step(frames, truth, standing.step)
                self.meter.see(terms)
                standing.record(terms)
                if standing.advance(settings):
                    self.step.guard.check()
                    self.observe()
                if standing.step == settings.steps:
                    continue
                paused = group.any(stop.due())
                if paused or standing.step % settings.checkpoint_every == 0:
                    self.save()
                if paused:
                    self.note()
                    raise TrainingPaused(
                        f"{self.label}: paused after step {standing.step} of {settings.steps}, because "
                        f"{stop.reason()}. Its state is saved; go on with: {self.options.again}"
                    )

    def observe(self) -> None:
        """Add the learner's measurements to the row that has just ended, where it is their turn."""
        every, standing = getattr(self.step.settings, "observe_every", 0), self.standing
        if every and standing.step % every == 0 and self.step.group.leads:
            standing.curve[-1] |= self.step.learner.observe(standing.step)

    def save(self) -> None:
        """Write a checkpoint, of finite weights only."""
        self.step.guard.check()
        if self.step.group.leads:
            state.save(self.checkpoint, self.standing, self.step.learner, self.step.optimisers, self.step.ema)

    def note(self) -> None:
        """Print the throughput of this call, and keep it beside the checkpoint."""
        group, settings = self.step.group, self.step.settings
        timing = self.meter.read(self.standing.step - self.first, settings.batch, group.world)
        if group.leads:
            self.checkpoint.note_time(timing)
            metering.say(self.label, timing)

    def failed(self, failure: NotFinite, stream: PatchStream) -> str:
        """Dump the failed step; returns the sentence for the user."""
        sentence = f"{self.label}: {failure.sentence}. Lower the learning rate (lr), or clip."
        if not self.step.group.leads:
            return sentence
        given = self.step.learner, stream, self.step.settings, self.step.group.world, self.options.origin
        path = dump(self.checkpoint, failure, *given)
        return f"{sentence} Look closer with: python -m bench replay {path}"


def _batches(
    stream: PatchStream, settings: Optimisation, start: int, device: torch.device, group: Group
) -> Iterator[tuple[Tensor, Tensor]]:
    """Shares of the batches from step `start` on, cut in the background and linearised on the device."""
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


def to_inputs(batch: Sequence[Tensor], device: torch.device) -> tuple[Tensor, Tensor]:
    """Codes, times and truth of a batch, as `Patch` stores them, to what networks take, on the device.

    Returns frames (B, N, 6, H, W) and truth (B, 3, H, W), on CUDA with the channels last in memory.
    """
    codes, times, truth = (part.to(device, non_blocking=True) for part in batch)
    frames, wanted = to_network(codes, times), truth.movedim(-1, 1)
    if device.type == "cuda":
        return channels_last(frames), wanted  # stored with the channels last
    return frames, wanted.contiguous()


def channels_last(frames: Tensor) -> Tensor:
    """Return frames (B, N, 6, H, W) whose slices (B, 6, H, W) convolutions take without copying them."""
    return frames.permute(1, 0, 3, 4, 2).contiguous().permute(1, 0, 4, 2, 3)


def _tensors(batch: Patch) -> tuple[Tensor, ...]:
    return tuple(map(torch.from_numpy, batch))


def seed_parameters(network: nn.Module, seed: int) -> None:
    """Draw the initial weights of every module from a seed of its own name.

    Modules of equal name and shape start equal in all variants, so that an ablation changes nothing but its part.
    """
    for name, module in network.named_modules():
        reset = getattr(module, "reset_parameters", None)
        if callable(reset):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(derive(seed, "weights", name))
                reset()


def trainable(networks: Sequence[nn.Module]) -> int:
    """Count the parameters that training changes."""
    return sum(p.numel() for network in networks for p in network.parameters() if p.requires_grad)
