"""Disk: what a profile's files take, before there are any."""

from collections.abc import Iterator, Mapping
from typing import Any

from bench.core.params import Params
from bench.core.registry import datasets
from bench.stages.cost import workload
from bench.stages.cost.estimate import CARDS, Overview

FRAMES = 3
"""Frames of a scene."""

ADAM = 12
"""Bytes of a checkpoint for each parameter: the weight, and two moments of Adam."""


def disk(params: Params, found: Overview) -> dict[str, float]:
    """Return the bytes of a profile's files by what they are, the last of them all together; `found` is its overview.

    archives    : as published, and once more unpacked; sets that are on this disk already, or of no known size, are 0.
    scenes      : frames of 16 bits, and the truth.
    weights     : of all networks and codebooks.
    predictions : of all evaluations, one after another: radiance in float32.
    checkpoints : if all trainings are under way at once; each is removed when its training ends.
    cache       : scenes, weights and predictions once more, unless DVC links them (`dvc config cache.type`).
    """
    items = found.items[CARDS[0], "fp32"]
    trained = {name: item.cost.trainable for item in items if item.stage != "evaluate" for name in item.names}
    # What is evaluated is all of a network, frozen parts too; in training, the perceptual backbone is among the frozen.
    tested = {name: item.cost.frozen for item in items if item.stage == "evaluate" for name in item.names}
    whole = {params.evaluations[name].run: size for name, size in tested.items()}
    kept = {
        "scenes": sum(
            workload.pixels(params, name) * 3 * (2 * FRAMES + 4) * workload.scenes(params, name, every=True)
            for name in params.datasets
        ),
        "weights": sum(4 * whole.get(name, count) for name, count in trained.items()),
        "predictions": sum(
            workload.pixels(params, one.dataset) * 3 * 4 * workload.scenes(params, one.dataset)
            for one in params.evaluations.values()
        )
        * params.keep_predictions,
    }
    archives = [source["bytes"] or 0 for _, source in _fetched(params)]
    parts = {
        "archives": 2 * sum(archives),
        **kept,
        "checkpoints": ADAM * sum(trained.values()),
        "cache": sum(kept.values()),
    }
    return {**parts, "all": sum(parts.values())}


def unknown(params: Params) -> list[str]:
    """Return the sets that are fetched and whose archives' sizes aren't published."""
    return sorted({name for name, source in _fetched(params) if source["bytes"] is None})


def _fetched(params: Params) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield set and source of what isn't on this disk already."""
    for name, use in params.datasets.items():
        for source in datasets[name].sources if use.on_disk is None else ():
            yield name, source
