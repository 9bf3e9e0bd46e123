"""The training loop of every network: seeded, resumable, guarded against NaN."""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from bench.core import progress
from bench.core.errors import TrainingFailed
from bench.core.optimisation import Optimisation
from bench.core.progress import track
from bench.core.seeding import derive
from bench.data.patches import Patch, PatchStream, shares
from bench.nn.frames import to_network
from bench.train.checkpoint import Checkpoint
from bench.train.schedule import rate


class Learner(Protocol):
    """What the loop trains. A phase is one optimiser step; most learners have one, adversarial ones two."""

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """What a phase updates, by the phase's name, in the order of the phases; saved in checkpoints."""

    @property
    def rates(self) -> Mapping[str, float]:
        """Peak learning rate of each phase."""

    def losses(self, phase: str, frames: Tensor, truth: Tensor, step: int) -> dict[str, Tensor]:
        """Return the weighted loss terms of a phase; none: the phase is left out at this step."""

    def updated(self, phase: str) -> None:
        """Hear that the optimiser has just changed what this phase trains; the gradients are still there."""


@dataclass
class _State:
    """Where a training stands: steps done, the curve so far, and each term's sum and count since its last row."""

    step: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def record(self, terms: Mapping[str, Tensor]) -> None:
        for name, term in terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(term.detach())
            self.counts[name] = self.counts.get(name, 0) + 1

    def advance(self, settings: Optimisation) -> None:
        self.step += 1
        if self.step % settings.log_every == 0 or self.step == settings.steps:
            means = {name: total / self.counts[name] for name, total in self.sums.items()}
            self.curve.append({"step": float(self.step)} | means)
            self.sums, self.counts = {}, {}


def fit(
    learner: Learner,
    stream: PatchStream,
    settings: Optimisation,
    checkpoint: Checkpoint,
    *,
    label: str,
    device: torch.device,
    precision: str = "fp32",
) -> list[dict[str, float]]:
    """Train to the last step, from the last checkpoint if there is one.

    Returns the learning curve: for every `log_every` steps the mean of each loss term. A loss or gradient that isn't
    finite raises TrainingFailed with the step and the term; the last checkpoint stays.
    """
    optimisers = _optimisers(learner, settings)
    state = _restore(learner, optimisers, checkpoint, label)
    first, start = state.step, time.monotonic()
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16" and device.type == "cuda")
    for frames, truth in track(_batches(stream, settings, state.step, device), settings.steps, label, done=state.step):
        for phase, optimiser in optimisers.items():
            _only(optimisers, phase)
            with autocast:
                terms = learner.losses(phase, frames, truth, state.step)
            if terms:
                _update(optimiser, terms, settings, learner.rates[phase], state.step, label)
                learner.updated(phase)
                state.record(terms)
        state.advance(settings)
        if state.step % settings.checkpoint_every == 0 and state.step < settings.steps:
            _save(learner, optimisers, checkpoint, state)
    _only(optimisers, *optimisers)
    checkpoint.note_time(state.step - first, time.monotonic() - start)
    return state.curve


def _optimisers(learner: Learner, settings: Optimisation) -> dict[str, torch.optim.Adam]:
    optimisers = {}
    for phase, network in learner.networks.items():
        parameters = [p for p in network.parameters() if p.requires_grad]
        optimisers[phase] = torch.optim.Adam(parameters, lr=learner.rates[phase], betas=settings.betas)
    return optimisers


def _batches(
    stream: PatchStream, settings: Optimisation, start: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches from step `start` on, cut in the background and linearised on the device."""
    loader: Iterable[tuple[Tensor, Tensor, Tensor]] = DataLoader(
        stream,  # type: ignore[arg-type]
        batch_size=settings.batch,
        sampler=shares(settings.batch, start, settings.steps),
        num_workers=settings.workers,
        collate_fn=_tensors,  # type: ignore[arg-type]  # the stream hands over whole batches
        pin_memory=device.type == "cuda",
        multiprocessing_context="fork" if settings.workers else None,  # another start would copy the mapped scenes
    )
    for codes, times, truth in loader:
        stored, wanted = codes.to(device, non_blocking=True), truth.to(device, non_blocking=True)
        yield to_network(stored, times.to(device, non_blocking=True)), wanted.movedim(-1, 1).contiguous()


def _tensors(batch: Patch) -> tuple[Tensor, ...]:
    return tuple(map(torch.from_numpy, batch))


def _only(optimisers: Mapping[str, torch.optim.Adam], *phases: str) -> None:
    """Let gradients reach what these phases train and nothing else; what is frozen stays frozen."""
    for name, optimiser in optimisers.items():
        for group in optimiser.param_groups:
            for parameter in group["params"]:
                parameter.requires_grad_(name in phases)


def _update(
    optimiser: torch.optim.Adam,
    terms: Mapping[str, Tensor],
    settings: Optimisation,
    peak: float,
    step: int,
    label: str,
) -> None:
    for name, term in terms.items():
        if not torch.isfinite(term):
            raise TrainingFailed(
                f"{label}: loss term {name!r} is {float(term.detach())} at step {step}. Lower the rate, or clip."
            )
    optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(torch.stack(list(terms.values())).sum())
    for group in optimiser.param_groups:
        group["lr"] = rate(settings.schedule, peak, step, settings.steps)
        norm = nn.utils.get_total_norm([p.grad for p in group["params"] if p.grad is not None])
        if not torch.isfinite(norm):
            raise TrainingFailed(f"{label}: the gradient of {' + '.join(terms)} is {float(norm)} at step {step}.")
        if settings.clip is not None:
            nn.utils.clip_grads_with_norm_(group["params"], settings.clip, norm)
    optimiser.step()


def _save(learner: Learner, optimisers: Mapping[str, torch.optim.Adam], checkpoint: Checkpoint, state: _State) -> None:
    checkpoint.save(
        {
            "state": asdict(state),
            "networks": {name: network.state_dict() for name, network in learner.networks.items()},
            "optimisers": {name: optimiser.state_dict() for name, optimiser in optimisers.items()},
        }
    )


def _restore(
    learner: Learner, optimisers: Mapping[str, torch.optim.Adam], checkpoint: Checkpoint, label: str
) -> _State:
    saved: dict[str, Any] | None = checkpoint.load()
    if saved is None:
        return _State()
    for name, network in learner.networks.items():
        network.load_state_dict(saved["networks"][name])
        optimisers[name].load_state_dict(saved["optimisers"][name])
    state = _State(**saved["state"])
    if not progress.quiet:
        print(f"{label}: goes on after step {state.step}", file=sys.stderr, flush=True)
    return state


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
