"""Losses and gradients that aren't finite, and the dumps of failed steps that `replay` repeats."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.core.errors import UsageError
from bench.train.checkpoint import Checkpoint

PARTS = {"step", "phase", "sentence", "batch", "networks", "learner", "processes", "settings", "origin"}
"""Keys of a dump, which the training loop writes."""


class NotFinite(Exception):
    """A loss term or gradient of `phase` at `step` isn't finite; `sentence` says which."""

    def __init__(self, step: int, phase: str, sentence: str) -> None:
        """Take where it happened, and what."""
        super().__init__(sentence)
        self.step, self.phase, self.sentence = step, phase, sentence


class Guard:
    """Remembers, on the device, the first step whose loss or gradient isn't finite.

    From that step on `failed` is 1, and optimisers that look at it change nothing more. So a GPU needn't be waited for
    in every step: whenever `check` is called, the weights are still those that failed.
    """

    def __init__(self, device: torch.device) -> None:
        """Watch a training on `device`."""
        self.failed = torch.zeros((), device=device)
        self.step = torch.full((), -1, dtype=torch.int64, device=device)
        # By phase and names of its terms: terms join during a run, and what has failed before them must stay.
        self.seen: dict[tuple[str, tuple[str, ...]], Tensor] = {}

    def look(self, phase: str, step: int, names: Sequence[str], terms: Tensor, norm: Tensor) -> None:
        """Take the terms (T,) of a phase and the norm of its gradient."""
        now = torch.cat([terms, norm.to(terms.dtype)[None]])
        first = ~now.isfinite().all() & (self.failed == 0)
        key = phase, tuple(names)
        kept = self.seen.get(key)
        self.seen[key] = torch.where(first, now, torch.zeros_like(now) if kept is None else kept)
        self.step = torch.where(first, torch.full_like(self.step, step), self.step)
        self.failed.copy_(torch.maximum(self.failed, first.to(self.failed.dtype)))

    def check(self) -> None:
        """Raise NotFinite if anything has failed; waits for the device."""
        if not self.failed:
            return
        for (phase, names), values in self.seen.items():
            *terms, norm = values.tolist()
            for name, value in [*zip(names, terms, strict=True), (None, norm)]:
                if not torch.isfinite(torch.tensor(value)):
                    what = f"loss term {name!r} is" if name else f"the gradient of {' + '.join(names)} is"
                    raise NotFinite(int(self.step), phase, f"{what} {value} at step {int(self.step)}")


def read_dump(path: Path) -> dict[str, Any]:
    """Read a dump; UsageError for a file that is missing, damaged or something else."""
    if not path.is_file():
        raise UsageError(f"{path} doesn't exist; name a failed-step-N.pt that a training has written below runs/.")
    found = Checkpoint(path.parent, path.name).load()
    if not isinstance(found, dict) or not found.keys() >= PARTS:
        raise UsageError(f"{path} isn't the dump of a failed step; name a failed-step-N.pt below runs/.")
    return found
