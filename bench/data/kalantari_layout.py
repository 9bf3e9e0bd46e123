"""The one reader of Kalantari's layout on disk: three TIFFs, `exposure.txt`, `HDRImg.hdr` in a folder for each scene.

Layout: N. K. Kalantari, R. Ramamoorthi, "Deep High Dynamic Range Imaging of Dynamic Scenes", SIGGRAPH 2017.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.color.exposure import linearise, times_from_ev
from bench.core.errors import UsageError
from bench.core.scene import Array, Radiance, Scene
from bench.io.ldr import TIFF_SUFFIXES, Frame, read_frame
from bench.io.radiance import read_rgbe

FRAMES = 3
NAMES = ("short", "middle", "long")
EXPOSURES, TRUTH = "exposure.txt", "HDRImg.hdr"

WELL_EXPOSED = (0.1, 0.8)
"""Codes of the reference frame, relative to the full range, where it tells the radiance."""

SCALE_BOUNDS = (0.8, 1.25)
"""Accepted median of truth / linearised reference: far from the factor 4 or 8 that a wrong EV origin makes."""

FEWEST = 64
"""With fewer well-exposed values the scale can't be checked."""

PLACES = {"train": (("Training",),), "test": (("Test", "EXTRA"), ("Test", "PAPER")), "no-truth": (("NoTruth",),)}


def natural(name: str) -> list[tuple[int, str]]:
    """Sorting key that orders numbers inside names by value: "2.tif" before "10.tif"."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name) if part]


def find_scenes(root: Path, split: str, dataset: str = "kalantari") -> list[Path]:
    """List the scene folders of "train", "test" or "no-truth" under `root`, in natural order.

    Test scenes lie in Test/EXTRA and Test/PAPER as published, or right in Test. UsageError if there are none.
    """
    places = [Path(root, *parts) for parts in PLACES[split]]
    if split == "test" and not any(place.is_dir() for place in places):
        places = [Path(root, "Test")]
    # A folder without an exposure file still counts: that it is incomplete must be said, not passed over.
    folders = [f for place in places if place.is_dir() for f in place.iterdir() if f.is_dir() and f.name[0] != "."]
    if not folders:
        expected = " or ".join("/".join(parts) for parts in PLACES[split])
        raise UsageError(
            f"{dataset}, split {split}: no scenes under {root}; expected folders in {expected}. "
            f"Place the unpacked archives there, or try: python -m bench fetch {dataset}"
        )
    return sorted(folders, key=lambda folder: (folder.parent.name, natural(folder.name)))


def read_scene(folder: Path, truth: bool = True, dataset: str = "kalantari") -> Scene:
    """Read and check one scene.

    Frames keep their stored codes, RGB; times start at 1 whatever the EV origin; the truth is clipped to [0, 1].
    truth : whether HDRImg.hdr is expected; without it `radiance` is None.
    UsageError, with one sentence, for anything missing, unreadable or contradictory.
    """
    folder = Path(folder)
    what = f'scene "{folder.name}" of {dataset}'
    names = _frame_names(folder, what, dataset)
    times = times_from_ev(read_exposures(folder / EXPOSURES, what))
    frames = [read_frame(folder / name) for name in names]
    _check_alike(frames, names, what)
    reference = FRAMES // 2
    radiance = _read_truth(folder / TRUTH, frames[reference], times[reference], what) if truth else None
    return Scene(folder.name, np.stack(frames), times, reference, radiance)


def read_exposures(path: Path, what: str) -> list[float]:
    """Read the EVs of an exposure file, one a line or all on one; any line ends, blanks and a byte-order mark.

    UsageError if it is missing, doesn't hold three finite numbers, or they don't rise.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{what}: {path.name} can't be read as text ({error}); expected three EVs.") from error
    try:
        values = [float(word) for word in text.replace(",", " ").split()]
    except ValueError as error:
        raise UsageError(f"{what}: {path.name} holds {text.strip()[:60]!r}; expected three numbers (EVs).") from error
    if len(values) != FRAMES or not all(map(math.isfinite, values)):
        raise UsageError(f"{what}: {path.name} holds {len(values)} value(s), {values}; expected {FRAMES} finite EVs.")
    if sorted(set(values)) != values:
        raise UsageError(
            f"{what}: the EVs {values} in {path.name} don't rise; expected short to long, in the order of the frames' "
            "names. Rename the frames or correct the file."
        )
    return values


def _frame_names(folder: Path, what: str, dataset: str) -> list[str]:
    if not folder.is_dir():
        raise UsageError(f"{what}: no folder {folder}.")
    found = [p.name for p in folder.iterdir() if p.suffix.lower() in TIFF_SUFFIXES and p.name[0] != "."]
    names = sorted(found, key=natural)
    if len(names) < FRAMES:
        raise UsageError(
            f"{what}: {len(names)} exposures found, {FRAMES} expected.\n"
            f"Missing: {_missing(names)}. The download may be incomplete; get it again: python -m bench fetch {dataset}"
        )
    if len(names) > FRAMES:
        raise UsageError(f"{what}: {len(names)} exposures found ({', '.join(names)}), {FRAMES} expected.")
    return names


def _missing(names: Sequence[str]) -> str:
    # Names end in consecutive numbers: a gap is the middle frame, a start above 1 or an end below 3 the others.
    numbers = [int(found[-1]) for found in (re.findall(r"\d+", Path(name).stem) for name in names) if found]
    if len(names) != 2 or len(numbers) != 2:
        return "all of them" if not names else "more than one, or one that the names don't tell"
    if numbers[1] - numbers[0] == 2:
        return "the middle exposure"
    known = {(1, 2): "the long exposure", (2, 3): "the short exposure"}
    return known.get((numbers[0], numbers[1]), "the short or the long exposure")


def _check_alike(frames: Sequence[Frame], names: Sequence[str], what: str) -> None:
    for frame, name in zip(frames, names, strict=True):
        if frame.shape != frames[0].shape or frame.dtype != frames[0].dtype:
            raise UsageError(
                f"{what}: {name} is {_size(frame)}, {names[0]} is {_size(frames[0])}; a bracket's frames must agree."
            )


def _size(pixels: Array) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]} {pixels.dtype}"


def _read_truth(path: Path, reference: Frame, time: float, what: str) -> Radiance:
    if not path.is_file():
        raise UsageError(f"{what}: no {path.name}, the truth; the download may be incomplete.")
    truth = read_rgbe(path)
    check_truth(truth, reference, time, what)
    return np.minimum(truth, np.float32(1))


def check_truth(truth: Array, reference: Frame, time: float, what: str) -> None:
    """Refuse a truth (H, W, 3) that isn't floating point, finite, >= 0, of the reference's size and on its scale.

    reference : (H, W, 3) stored codes of the frame that the truth is aligned to.
    time      : its exposure time, the shortest being 1.
    """
    if not np.issubdtype(truth.dtype, np.floating):
        raise UsageError(
            f"{what}: the truth was decoded to {truth.dtype}; expected linear floating point. The reader of .hdr files "
            "has reduced it to a picture."
        )
    if truth.shape != reference.shape:
        raise UsageError(f"{what}: the truth is {_size(truth)}, the frames are {_size(reference)}; expected one size.")
    bad = int((~np.isfinite(truth)).sum()), int((truth < 0).sum())
    if any(bad):
        raise UsageError(f"{what}: the truth holds {bad[0]} non-finite and {bad[1]} negative values; expected >= 0.")
    factor = scale(truth, reference, time)
    if factor is not None and not SCALE_BOUNDS[0] <= factor <= SCALE_BOUNDS[1]:
        raise UsageError(_scale_sentence(factor, what))


def scale(truth: Array, reference: Frame, time: float) -> float | None:
    """Median of truth / linearised reference over well-exposed values: 1 if both are on one scale.

    A median, since objects and noise move a part of the pixels. None if too few values are well exposed.
    """
    ldr: Any = reference / np.float32(np.iinfo(reference.dtype).max)
    good = (ldr >= WELL_EXPOSED[0]) & (ldr <= WELL_EXPOSED[1])
    if int(good.sum()) < FEWEST:
        return None
    return float(np.median(truth[good] / linearise(ldr[good], time)))


def _scale_sentence(factor: float, what: str) -> str:
    if factor <= 0:
        return f"{what}: the truth is black where the reference frame is well exposed; the file belongs elsewhere."
    steps = math.log2(factor)
    near = round(steps)
    origin = (
        f"That is 2^{near}: most likely the truth counts its EVs from another origin than the shortest frame, or "
        if near and abs(steps - near) < 0.3
        else "Most likely the truth is scaled by its own maximum, or "
    )
    return (
        f"{what}: the truth is {factor:.3g} times the linearised reference frame, expected 1 "
        f"({SCALE_BOUNDS[0]} to {SCALE_BOUNDS[1]}). {origin}{EXPOSURES} belongs to another scene."
    )
