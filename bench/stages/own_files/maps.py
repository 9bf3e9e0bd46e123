"""Error and visibility maps of scored predictions, one picture a scene."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from bench.core.errors import UsageError
from bench.core.registry import protocols
from bench.io.files import write_bytes_atomic
from bench.io.submission import read_radiance
from bench.metrics.protocol import Protocol
from bench.metrics.scorer import Scorer
from bench.metrics.viewing import visibility
from bench.report.figures.maps import Maps, map_figure
from bench.stages.scoring.parallel import spread
from bench.stages.scoring.scoring import Task, Truth, placed

DEFAULT = "whole-float"
"""Whose viewing conditions hold where the protocol has no HDR-VDP-2."""


def draw(folder: Path, tasks: Sequence[Task], protocol: Protocol, *, workers: int, device: str) -> None:
    """Write <scene>.png with prediction, truth, error map and HDR-VDP-2's visibility map of each task."""
    viewing = protocol if protocol.hdrvdp2 is not None else protocols[DEFAULT]
    work = partial(_draw, folder, viewing, device)
    spread(work, tasks, workers if device == "cpu" else 1, "maps")


def _draw(folder: Path, viewing: Protocol, device: str, task: Task) -> None:
    prediction, truth = read_radiance(task.prediction), np.asarray(Truth.read(task.truth).radiance)
    reason, seen = "", None
    try:
        pair = Scorer(placed(prediction, device), placed(truth, device)).pair(viewing)
        seen = np.nan_to_num(visibility(pair, viewing).cpu().numpy())
    except UsageError as error:
        reason = str(error)
    title = f"{task.scene}: {task.prediction.name}. Visibility: HDR-VDP-2 as in {viewing.id}"
    content = map_figure(Maps(prediction, truth, seen, title, reason))
    write_bytes_atomic(folder / f"{task.scene}.png", content)
