"""Error and visibility maps of scored predictions, one picture a scene."""

import importlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.core.errors import UsageError
from bench.core.registry import protocols
from bench.core.scene import Array
from bench.io.files import write_bytes_atomic
from bench.io.submission import read_radiance
from bench.metrics.protocol import Protocol
from bench.report.maps import Maps, map_figure
from bench.stages.parallel import spread
from bench.stages.scoring import Task, Truth, placed

DEFAULT = "whole-float"
"""Whose viewing conditions hold where the protocol has no HDR-VDP-2."""


def draw(folder: Path, tasks: Sequence[Task], protocol: Protocol, *, workers: int, device: str) -> None:
    """Write <scene>.png with prediction, truth, error map and HDR-VDP-2's visibility map of each task."""
    viewing = protocol if protocol.hdrvdp2 is not None else protocols[DEFAULT]
    work = partial(_draw, folder, viewing, device)
    spread(work, tasks, workers if device == "cpu" else 1, "maps")


def _draw(folder: Path, viewing: Protocol, device: str, task: Task) -> None:
    prediction, truth = read_radiance(task.prediction), np.asarray(Truth.read(task.truth).radiance)
    reason, visibility = "", None
    try:
        visibility = visible(prediction, truth, viewing, device)
    except UsageError as error:
        reason = str(error)
    title = f"{task.scene}: {task.prediction.name}. Visibility: HDR-VDP-2 as in {viewing.id}"
    content = map_figure(Maps(prediction, truth, visibility, title, reason))
    write_bytes_atomic(folder / f"{task.scene}.png", content)


def visible(prediction: Array, truth: Array, viewing: Protocol, device: str = "cpu") -> Array:
    """Return HDR-VDP-2's map (H, W) of the probability that an observer sees the difference, in [0, 1].

    prediction, truth : (H, W, 3), in the values that the protocol hands over.
    A protocol without viewing conditions, or a picture that is too small, raises UsageError.
    """
    settings: Any = viewing.hdrvdp2
    if settings is None:
        raise UsageError(f"protocol {viewing.id} says nothing of HDR-VDP-2's viewing conditions.")
    model = importlib.import_module("bench.metrics.hdrvdp2")
    images = (placed(prediction, device), placed(truth, device))
    result = model.hdrvdp2(*images, color_encoding=settings.encoding, pixels_per_degree=settings.pixels_per_degree)
    seen = torch.as_tensor(result.p_map, dtype=torch.float64).cpu().numpy()
    visibility: Array = np.nan_to_num(np.clip(seen, 0, 1))
    return visibility
