"""Steps that are timed on this machine's GPU, for estimates."""

from collections.abc import Sequence

import torch

from bench.core.errors import UsageError
from bench.core.params import Params
from bench.stages.cost.estimate import Item
from bench.stages.cost.setups import setup
from bench.stages.cost.step import seconds_per_step
from bench.stages.training import environment


def calibrate(params: Params, found: Sequence[Item]) -> tuple[dict[int, float], str]:
    """Time the dearest item of both stages on this machine's GPU; scale the upper bounds of the others by what it took.

    Returns the hours of items by their index, and what was timed in a sentence. UsageError without a GPU.
    """
    if not torch.cuda.is_available():
        raise UsageError("--timed: this machine has no CUDA GPU; leave it out, and hours come from the data sheet.")
    return timed(params, found, environment.start(params))


def timed(params: Params, found: Sequence[Item], device: torch.device) -> tuple[dict[int, float], str]:
    """Do what `calibrate` does on `device`."""
    measured: dict[int, float] = {}
    said = []
    for stage in ("codebook", "train"):
        own = [index for index, item in enumerate(found) if item.stage == stage]
        if not own:
            continue
        item = found[max(own, key=lambda index: found[index].cost.flops)]
        try:
            seconds = seconds_per_step(setup(params, stage, item.names[0]), device, params.precision)
        except torch.cuda.OutOfMemoryError:
            said.append(f"{item.names[0]} doesn't fit its memory")
            continue
        except RuntimeError as error:  # compiled code that failed
            said.append(f"{item.names[0]} can't be timed ({error})")
            continue
        factor = seconds * item.steps * len(item.names) / 3600 / item.upper
        measured |= {index: factor * found[index].upper for index in own}
        said.append(f"{item.names[0]} takes {seconds:.4f} s a step")
    told = f"Timed on {environment.device_name(device)}: {', '.join(said) or 'nothing'}"
    return measured, f"{told}. Other rows of measured: upper times what these took over theirs."
