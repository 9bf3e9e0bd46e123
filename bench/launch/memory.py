"""What stages take of a GPU's memory, by the cost model: how many trainings fit on one side by side."""

from bench.core.params import Params

RESERVE = 2e9
"""Bytes of each process beside what its networks take: CUDA's context, libraries, gaps of PyTorch's allocator."""

PREDICTION = 6e9
"""Bytes of a prediction of whole frames of 1.5 megapixels; a guess: OLC's take 3.6 GB on a CPU."""


def takes(params: Params) -> dict[str, float]:
    """Return stage -> bytes of a GPU's memory, of the profile's trainings and evaluations of what is trained."""
    from bench.stages.cost import estimate, gpus

    found: dict[str, float] = {}
    for item in estimate.items(params, gpus.find(estimate.CARDS[0])):  # bytes are the same on any
        size = RESERVE + (PREDICTION if item.stage == "evaluate" else item.cost.memory)
        found |= {f"{item.stage}@{name}": size for name in item.names}
    return found
