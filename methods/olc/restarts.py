"""Dead-code restart that respects the segments of the overlapped codebook."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from bench.core.seeding import generator
from methods.olc.codebook import Codebook

QUARTERS = 4


class Restarts:
    """Hits of each code since the last restart, and the dead codes that wait for a new value.

    A code may only be refilled from images of a kind that may use it: one that no kind of the batch at hand may use
    waits for a batch that has such a kind. It can't be hit meanwhile.
    """

    def __init__(self, codebook: Codebook, every: int, below: int, seed: int) -> None:
        """Restart `codebook` every `every` quantised steps (0: never); codes with fewer than `below` hits are dead."""
        self.codebook, self.every, self.below, self.seed = codebook, every, below, seed
        self.hits = torch.zeros(codebook.size, dtype=torch.int64)
        self.recent = self.hits.clone()
        self.waiting = torch.zeros(codebook.size, dtype=torch.bool)
        self.open = [False] * QUARTERS

    def to_device(self, device: torch.device) -> None:
        """Keep the counts where the codebook is, and forget hits of a step that didn't end."""
        self.hits, self.waiting = self.hits.to(device), self.waiting.to(device)
        self.recent = torch.zeros_like(self.hits)

    def count(self, indices: Tensor) -> None:
        """Count the codes (B, h, w) of one part of a batch, without waiting for the device."""
        flat = indices.flatten()
        self.recent.scatter_add_(0, flat, torch.ones_like(flat))

    def add_up(self, gather: Callable[[Tensor], Tensor]) -> None:
        """Add the hits of a step, of all parts and processes."""
        self.hits += gather(self.recent[None]).sum(0)
        self.recent.zero_()

    def mark_dead(self, quantised: int) -> None:
        """After every `every` of the `quantised` steps so far, mark codes with too few hits dead and count afresh."""
        if self.every and quantised > 0 and quantised % self.every == 0:
            self.waiting |= self.hits < self.below
            self.hits.zero_()
            self._look()

    @torch.no_grad()
    def refill(self, step: int, kinds: Tensor, features: Callable[[], Tensor]) -> Tensor | None:
        """Give waiting codes values that images of the batch have; returns a (K,) mask of these codes, or None.

        kinds    : (B,) kinds of the whole batch, on the CPU.
        features : encodes the whole batch, (B, n_z, h, w); called if it is needed.
        """
        size, weight, allowed = self.codebook.size // QUARTERS, self.codebook.weight, self.codebook.allowed(kinds)
        filled, vectors = torch.zeros_like(self.waiting), None
        for quarter in range(QUARTERS):
            part, users = slice(quarter * size, (quarter + 1) * size), allowed[:, quarter * size].nonzero().flatten()
            if not self.open[quarter] or not len(users):
                continue
            vectors = features() if vectors is None else vectors
            pool = vectors[users.to(vectors.device)].permute(0, 2, 3, 1).flatten(0, 2)
            stream = generator(self.seed, "restart", step, quarter)
            picks = torch.from_numpy(stream.choice(len(pool), size, replace=len(pool) < size)).to(pool.device)
            weight[part] = torch.where(self.waiting[part, None], pool[picks].to(weight.dtype), weight[part])
            filled[part] = self.waiting[part]
            self.waiting[part], self.open[quarter] = False, False
        return None if vectors is None else filled

    def state(self) -> dict[str, Tensor]:
        """Return the counts for a checkpoint."""
        return {"hits": self.hits, "waiting": self.waiting} if self.every else {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take the counts back."""
        if self.every:
            self.hits, self.waiting = state["hits"].clone(), state["waiting"].clone()
            self._look()

    def _look(self) -> None:
        # One transfer for each restart, so that the other steps needn't ask the device.
        self.open = self.waiting.view(QUARTERS, -1).any(1).tolist()
