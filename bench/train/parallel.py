"""One training by several processes that `torchrun` starts: each takes its share of every batch.

Gradients are averaged in one flat tensor after the backward pass: the same sum on every process, so that weights stay
equal to the last bit and only process 0 has to write them.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from bench.core import progress
from bench.core.errors import TrainingFailed, TrainingPaused, UsageError


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of this training: `rank` of `world`, the `local`-th on its machine."""

    rank: int = 0
    world: int = 1
    local: int = 0

    @property
    def leads(self) -> bool:
        """Process 0 writes checkpoints and results, and prints."""
        return self.rank == 0

    def samples(self, batch: int) -> slice:
        """Positions of this process's share of a batch, as `bench.train.patches.shares` deals it."""
        share = batch // self.world
        return slice(self.rank * share, (self.rank + 1) * share)

    def gather(self, tensor: Tensor) -> Tensor:
        """Concatenate a tensor of one shape everywhere along its first axis, in the order of the ranks."""
        if self.world == 1:
            return tensor
        parts = [torch.empty_like(tensor, memory_format=torch.contiguous_format) for _ in range(self.world)]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    @torch.no_grad()
    def mean(self, tensors: Sequence[Tensor]) -> None:
        """Replace float tensors, of equal shapes everywhere, by their means over the processes."""
        if self.world == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.world
        for tensor, part in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view(tensor.shape))

    def any(self, flag: bool) -> bool:
        """Tell if the flag is set in any process; asked on the CPU, which doesn't wait for a GPU."""
        if self.world == 1:
            return flag
        count = torch.tensor(int(flag))
        dist.all_reduce(count)
        return bool(count)

    def agree(self, number: int, what: str) -> None:
        """Raise UsageError unless the number is the same in all processes."""
        numbers = self.gather(torch.tensor([number])).tolist()
        if len(set(numbers)) > 1:
            raise UsageError(f"the processes disagree on {what}: {numbers}. All must see the same folder runs/.")


ALONE = ProcessGroup()
"""A training by one process."""


@contextmanager
def processes() -> Iterator[ProcessGroup]:
    """Join the processes that `torchrun` started, or yield ALONE; all but process 0 keep silent.

    gloo carries CPU tensors and nccl CUDA ones; process n of a machine takes its GPU n. UsageError for an incomplete
    environment and for more processes than GPUs.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    group = _group()
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(group.local)
    dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
    progress.quiet = progress.quiet or not group.leads
    try:
        yield group
    except (TrainingFailed, TrainingPaused) as error:
        if group.leads:
            raise
        raise SystemExit(error.exit_code) from error  # process 0 says the same sentence
    finally:
        dist.destroy_process_group()


def _group() -> ProcessGroup:
    try:
        rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        local = int(os.environ.get("LOCAL_RANK", rank))
    except (KeyError, ValueError) as error:
        raise UsageError(
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']!r}, but {error}: start several processes with "
            "`torchrun --nproc-per-node=N -m bench train RUN`, or unset WORLD_SIZE to train with one."
        ) from error
    if torch.cuda.is_available() and local >= torch.cuda.device_count():
        raise UsageError(
            f"process {local} of this machine has no GPU of its own: there are {torch.cuda.device_count()}; "
            "lower --nproc-per-node."
        )
    return ProcessGroup(rank, world, local)
