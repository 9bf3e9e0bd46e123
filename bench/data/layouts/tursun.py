"""The reader of Tursun's layout: numbered TIFFs, each with a text file of its camera settings, and no truth.

O. T. Tursun et al., "An Objective Deghosting Quality Metric for HDR Images", Eurographics 2016.
"""

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from bench.core.errors import UsageError
from bench.core.reading import positive_number, read_note, shown
from bench.core.scene import Scene
from bench.data.layouts.brackets import check_alike, inside
from bench.io.ldr import need_alike, read_frame

SETTINGS = ("ExposureTime", "ISO", "FNumber")

SMALLEST, LARGEST = 1e-7, 1e7
"""Of a setting: seconds, ISO or f-number."""

EQUAL = 1 / 24
"""EV; two frames nearer than this are the same exposure."""


def read_scene(folder: Path, dataset: str, step: float = 2.0) -> Scene:
    """Read the triplet of a scene whose frames are `step` EV apart, as near as there are.

    Nine frames 1 EV apart give frames 5, 7 and 9, the reference being 7: the longest three. Three frames are taken as
    they are. Times are t * ISO / N^2 relative to the shortest of the triplet, from each frame's own text file.
    UsageError, with one sentence, for anything missing, unreadable or contradictory.
    """
    what = f'scene "{folder.name}" of {dataset}'
    paths = _frames(folder, what)
    exposures = [_exposure(inside(path.with_suffix(".txt"), what), what) for path in paths]
    for (one, shorter), (other, longer) in pairwise(zip(paths, exposures, strict=True)):
        if math.log2(longer / shorter) < EQUAL:
            raise UsageError(
                f"{what}: {other.name} isn't exposed longer than {one.name} by their text files; "
                "expected short to long."
            )
    chosen = triplet(exposures, step)
    names = [paths[index].name for index in chosen]
    frames = [read_frame(paths[index]) for index in chosen]
    check_alike(frames, names, what)
    need_alike([paths[index] for index in chosen], what, upright=False)
    times = np.array([exposures[index] / exposures[chosen[0]] for index in chosen])
    metadata = {"capture": folder.name, "frames": names, "frames_found": len(paths)}
    return Scene(folder.name, np.stack(frames), times, len(chosen) // 2, None, metadata)


def triplet(exposures: Sequence[float], step: float) -> list[int]:
    """Choose three frames: the longest, and those `step` and 2 `step` EV before it, or the nearest there are.

    exposures : t * ISO / N^2 of each frame, rising.
    """
    evs = [math.log2(exposure / exposures[-1]) for exposure in exposures]
    last = len(evs) - 1
    middle = min(range(1, last), key=lambda index: (abs(evs[index] + step), -index))
    first = min(range(middle), key=lambda index: (abs(evs[index] + 2 * step), -index))
    return [first, middle, last]


def _frames(folder: Path, what: str) -> list[Path]:
    try:
        found = [path for path in folder.iterdir() if re.fullmatch(r"[0-9]+\.tiff?", path.name, re.IGNORECASE)]
    except OSError as error:
        raise UsageError(f"{what}: {folder} can't be read ({error.strerror}); expected a folder of frames.") from error
    found.sort(key=lambda path: int(path.stem))
    if len(found) < 3:
        raise UsageError(f"{what}: {len(found)} frames found (1.tiff, 2.tiff, ...); three or more are expected.")
    numbers = [int(path.stem) for path in found]
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise UsageError(f"{what}: frames {numbers} were found; one between them is missing or there twice.")
    return [inside(path, what) for path in found]


def _exposure(path: Path, what: str) -> float:
    """Return t * ISO / N^2 of one text file: lines `ExposureTime: 1/4098`, `ISO: 1600`, `FNumber: 5.0`."""
    try:
        text = read_note(path)
    except UsageError as error:
        raise UsageError(f"{what}: {path.name} can't be read as camera settings: {error}") from error
    values = {key: _number(text, key, path, what) for key in SETTINGS}
    return values["ExposureTime"] * values["ISO"] / values["FNumber"] ** 2


def _number(text: str, key: str, path: Path, what: str) -> float:
    found = re.findall(rf"^[ \t]*{key}[ \t]*[:=][ \t]*(\S+)[ \t\r]*$", text, re.MULTILINE | re.IGNORECASE)
    try:
        (word,) = found
        value = positive_number(word)
    except ValueError as error:
        held = f"{len(found)} of them" if len(found) != 1 else shown(repr(found[0]))
        raise UsageError(
            f"{what}: {path.name} holds {held} for {key}; expected one line '{key}: <positive number>'."
        ) from error
    if not SMALLEST < value < LARGEST:
        raise UsageError(
            f"{what}: {path.name} holds {key}: {value:g}; expected a positive number from {SMALLEST:g} to {LARGEST:g}."
        )
    return value
