"""Predict: one scene through one method, with or without weights, on whichever device there is."""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.color.registration import registered
from bench.core.errors import UsageError
from bench.core.fingerprint import fingerprint
from bench.core.method import MethodCard
from bench.core.params import Params
from bench.core.runs import Evaluation
from bench.core.scene import Radiance, Scene
from bench.io.container import CARD
from bench.io.radiance import read_exr, write_exr
from bench.nn.frames import scene_input
from bench.nn.tiling import predict
from bench.stages.training import environment, inputs

Predictor = Callable[[Scene], Radiance]
"""A scene to (H, W, 3) float32, relative linear radiance."""

LIBRARIES = ("numpy", "numba", "opencv-python-headless", "pillow", "scipy", "torch")
"""Whose versions may decide it too."""

SLOW = 2.0
"""Seconds that a prediction must have taken to be worth keeping."""


def predictor(
    card: MethodCard, network: nn.Module | None, device: torch.device, tile: int = 0, preset: str = "",
    options: Mapping[str, Any] | None = None, registration: str = "none",
) -> Predictor:  # fmt: skip
    """Return what turns scenes into radiance: `network` (on its way to `device`), or the card's code without weights.

    A network's scenes must have three frames, the middle one the reference; others raise UsageError.

    tile            : edge of inference tiles in pixels; 0 takes the whole image at once.
    preset, options : of a method without weights; a network is built with its own.
    registration    : how a network's frames were registered in its training, where its method has no way of its own.
    """
    if network is None:
        return partial(card.predict, preset=preset, **(options or {}))
    placed = environment.to_device(network, device).eval()

    def run(scene: Scene) -> Radiance:
        inputs.need_bracket(card.label, [scene])
        frames = scene_input(registered(scene, card.registers or registration)).to(device)
        radiance = predict(placed, frames, multiple=card.multiple, tile=tile, overlap=card.overlap)
        return np.asarray(radiance[0].permute(1, 2, 0).float().cpu().numpy())

    return run


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:  # a method may live without it, or with another build of it
        return ""


@dataclass(frozen=True)
class PredictionCache:
    """Predictions without weights that took long: an evaluation that was interrupted goes on with the scene it was at.

    They lie in runs/, outside the pipeline's outputs, under a hash of variant, code and libraries, and of the scene.
    """

    folder: Path
    used: set[Path] = field(default_factory=set)

    @classmethod
    def of(cls, params: Params, name: str, evaluation: Evaluation) -> "PredictionCache":
        """Return those of evaluation `name`, whose `code` is where the method's sources lie."""
        variant = params.variants[evaluation.variant]
        made = {"method": variant.method, "preset": variant.preset, "options": dict(variant.options)}
        settings = {**made, "libraries": {name: _version(name) for name in LIBRARIES}}
        decided = fingerprint("prediction", evaluation.code, settings=settings)
        return cls(Path("runs") / params.profile / "predictions" / name / decided)

    def predict(self, predict: Predictor, scene: Scene, folder: Path) -> Radiance:
        """Return the prediction that is kept for the prepared scene in `folder`, or make it and keep it if it is slow.

        A damaged file is made again. Frames and times count by the scene's record, which holds the arrays' sha256.
        """
        path = self.folder / f"{hashlib.sha256((folder / CARD).read_bytes()).hexdigest()}.exr"
        self.used.add(path)
        if path.exists():
            try:
                return read_exr(path)
            except UsageError:
                path.unlink()
        start = time.monotonic()
        radiance = predict(scene)
        if time.monotonic() - start >= SLOW:
            write_exr(path, radiance)
        return radiance

    def tidy(self) -> None:
        """Forget predictions of this evaluation that weren't used: other code, other scenes."""
        for path in self.folder.parent.glob("*/*.exr"):
            if path not in self.used:
                path.unlink()
