"""The viewer: one page, and one script for each scene that the page loads when somebody looks at it.

A page opened from disk may neither fetch files nor read the pixels of pictures that lie there, but it may run scripts
that lie beside it. So pictures come as text in scripts.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.color.transfer import MU
from bench.core.params import Params
from bench.core.registry import metrics
from bench.core.scene import Array, Radiance, Scene
from bench.report.figures.images import Exhibit
from bench.report.page.page import environment
from bench.report.viewer import packing

FOLDER, PAGE = "viewer", "index.html"
"""Of a report: the folder of the viewer, and in it the page; scripts lie beside it."""

PIXELS = 120_000
"""Largest area that is packed: larger pictures are averaged over blocks."""
SHADES = 15
"""Steps of visibility maps."""
QUALITY = 96
"""Of the frames beside the reference (WebP): their noise is seen, but no map is made from them."""
SHOWN = ("psnr-mu", "ssim-mu", "hdrvdp2")
"""Metrics beside the pictures, as far as the protocol has them."""
STOPS = 17
"""Colours of maps that the page knows; it mixes those between."""


@dataclass(frozen=True)
class ViewedScene:
    """A scene as the viewer shows it.

    name        : of its script, and in links.
    predictions : variant -> (H, W, 3) relative radiance.
    visibility  : variant -> (H, W) probability in [0, 1] that its difference from the truth is seen.
    """

    name: str
    scene: Scene
    predictions: Mapping[str, Radiance]
    visibility: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Listed:
    """A scene in the page's list: its script's name, where it is from, and variant -> metric -> score of it."""

    name: str
    dataset: str
    split: str
    scores: Mapping[str, Mapping[str, float]]


def script(viewed: ViewedScene) -> bytes:
    """Return the script that hands a scene to the page; equal input gives equal bytes on one machine."""
    scene = viewed.scene
    step = _step(scene.frames.shape[1:3])
    linear = {"reference": scene.linear[scene.reference]}
    linear |= {} if scene.radiance is None else {"truth": scene.radiance}
    linear |= viewed.predictions
    radiance = packing.pack([packing.codes(_smaller(one, step)) for one in linear.values()])
    frames = {_frame(scene, index): index for index in range(len(scene.frames)) if index != scene.reference}
    height, width = _smaller(scene.frames[0], step).shape[:2]
    header: dict[str, Any] = {
        "width": width,
        "height": height,
        "step": step,
        "white": float(f"{Exhibit(scene, {}, {}).scale:.6g}"),
        "reference": float(scene.times[scene.reference]),
        "radiance": {**radiance.header(), "names": list(linear)},
        "frames": {name: float(scene.times[index]) for name, index in frames.items()},
    }
    bodies = {"radiance": radiance.body}
    bodies |= {name: _webp(_smaller(scene.ldr[index], step)) for name, index in frames.items()}
    if viewed.visibility:
        shades = [
            np.rint(_smaller(one, step) * SHADES).astype(np.int32)[..., None] for one in viewed.visibility.values()
        ]
        maps = packing.pack(shades, bins=1)
        header["visibility"] = {**maps.header(), "names": list(viewed.visibility)}
        bodies["visibility"] = maps.body
    parts = ",\n".join(f'"{name}": "{packing.as_text(body)}"' for name, body in bodies.items())
    return f"viewer.add({json.dumps(viewed.name)}, {json.dumps(header)}, {{\n{parts}\n}});\n".encode()


def _step(size: Sequence[int]) -> int:
    step = 1
    while (size[0] // step) * (size[1] // step) > PIXELS:
        step += 1
    return step


def _smaller(image: Array, step: int) -> NDArray[np.float32]:
    """Average (H, W, ...) over blocks of step x step pixels."""
    rows, columns = image.shape[0] // step, image.shape[1] // step
    blocks = np.asarray(image[: rows * step, : columns * step], np.float32)
    averaged: NDArray[np.float32] = blocks.reshape(rows, step, columns, step, *image.shape[2:]).mean(axis=(1, 3))
    return averaged


def _frame(scene: Scene, index: int) -> str:
    """Return what the page calls a frame that isn't the reference."""
    return {0: "short", len(scene.frames) - 1: "long"}.get(index, f"frame-{index + 1}")


def _webp(values: Array) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    pixels = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(out, format="WEBP", quality=QUALITY, method=6, use_sharp_yuv=True)
    return out.getvalue()


def render(params: Params, labels: Mapping[str, str], scenes: Sequence[Listed]) -> str:
    """Return the page as HTML; equal input gives equal text.

    labels : variant -> its name in the tables, in the page's order.
    """
    found = {metric for one in scenes for scores in one.scores.values() for metric in scores}
    content = {
        "profile": params.profile,
        "labels": dict(labels),
        "metrics": [
            {"key": name, "label": metrics[name].label, "unit": metrics[name].unit, "digits": metrics[name].digits}
            for name in SHOWN
            if name in found
        ],
        "scenes": [
            {"name": one.name, "dataset": one.dataset, "split": one.split, "scores": one.scores} for one in scenes
        ],
        "colours": _colours(),
        "shades": SHADES,
        "mu": MU,
        "code": {
            "levels": packing.LEVELS, "highest": packing.HIGHEST, "order": packing.ORDER, "own": packing.OWN,
            "other": packing.OTHER, "margin": packing.MARGIN, "bits": packing.BITS, "steps": packing.STEPS,
        },
    }  # fmt: skip
    given = {"params": params, "content": content, "rounding": packing.ROUNDING}
    html: str = _environment().get_template("viewer.html.j2").render(given)
    return html


@cache
def _environment() -> Any:
    from jinja2 import FileSystemLoader

    return environment().overlay(loader=FileSystemLoader(Path(__file__).parent / "templates"))


def _colours() -> list[str]:
    """Return colours of maps, from nothing to all: matplotlib's magma, as in the report's figures."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colormaps["magma"](value)) for value in np.linspace(0, 1, STOPS)]
