"""The stress test's brackets: each test view is taken neutrally, then with one knob of the engine turned at a time.

Pose, objects and textures of a view stay, since the engine draws them from streams of their own: what differs between
two takes is the knob. The reference's exposure stays, too, but where it is the knob: a wider step between frames makes
the short frame darker and the long one brighter. (The engine keeps the light on objects within what a bracket shows, so
an object may be a little brighter or darker where step or exposure are turned.)
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.simulation import Simulation
from bench.core.stress import BETWEEN, Take
from bench.data.camera import saturated
from bench.data.objects import Light
from bench.data.panorama import Panorama
from bench.data.simulate import Bracket, brackets, load_all, retake, write_bracket, write_views

FOLDER = "Test"
"""Where the scenes stand."""

BITS = 16
"""Quantisation of every frame: it is none of the knobs."""


def simulate_stress(settings: Simulation, panoramas: Path, out: Path, report: Callable[[str], None]) -> None:
    """Write every take of every test view to the folder `out`, and `views.csv` with each knob's value.

    settings  : of the test views; `settings.stress` says from where to where the knobs are turned.
    panoramas : folder of equirectangular `<name>.exr`.
    report    : called with one line of progress for each view.
    An earlier result at `out` is replaced once all is written. Equal settings give equal bytes. Errors are those of
    `bench.data.simulate.simulate`; the acceptance bounds hold for the view as it was drawn, not for its takes.
    """
    alone = {"train_views": 0, "validation_views": 0, "no_truth_scenes": 0}
    drawn = settings.model_copy(update={**alone, **_engine(settings.stress.takes()[0])})
    lights = load_all(drawn, panoramas)

    def write(part: Path) -> Iterator[dict[str, Any]]:
        for bracket in brackets(drawn, panoramas):
            for take in settings.stress.takes():
                name = f"{bracket.spec.name}{BETWEEN}{take.name}"
                taken = take_again(drawn, lights, bracket, take)
                write_bracket(part / FOLDER / name, taken, drawn)
                found = {"take": take.name, "reference_saturated": f"{saturated(taken.frames[1]):.4f}"}
                yield {**taken.row, "scene": name, **found, **_knobs(take)}
            report(f"stress {bracket.spec.name}: {len(settings.stress.takes())} takes")

    write_views(out, write)


def take_again(settings: Simulation, lights: Mapping[str, Panorama], drawn: Bracket, take: Take) -> Bracket:
    """Take a view once more as it was drawn, but for the knobs, which stand as `take` has them."""
    step, share = take.values["step"], take.values["saturated"] / 100
    turned, spec = settings.model_copy(update=_engine(take)), replace(drawn.spec, step=step, bits=BITS)
    return retake(turned, lights, spec, drawn.pose, drawn.row["draws"], partial(white, share=share, step=step))


def white(light: Light, share: float, step: float) -> float:
    """Return the radiance that saturates the short frame where `share` of the reference's pixels shall be saturated.

    light : (H, W, 3), any unit, above 0 somewhere.
    step  : EV between short frame and reference.
    """
    found = float(np.quantile(light.max(axis=-1), 1 - share))
    # Of a view that is black almost everywhere nothing sensible can be asked for.
    return float(2.0**step * max(found, 1e-6 * float(light.max())))


def _engine(take: Take) -> dict[str, Any]:
    """Settings of the engine that put the knobs where `take` has them, but for step and saturation."""
    values = take.values
    return {
        "motion": (values["speed"], values["speed"]),
        "rotation_jitter": values["rotation"],
        "translation": values["translation"],
        "electrons": (values["electrons"], values["electrons"]),
    }


def _knobs(take: Take) -> dict[str, str]:
    return {f"knob_{knob}": f"{value:g}" for knob, value in take.values.items()}
