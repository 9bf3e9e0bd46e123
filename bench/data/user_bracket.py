"""Anyone's bracket as a scene: frames of any kind and in any order, sorted by their exposures."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.color.exposure import encode
from bench.core.errors import UsageError
from bench.core.reading import shown
from bench.core.scene import Radiance, Scene
from bench.data.layouts.brackets import check_alike
from bench.data.layouts.places import natural
from bench.io.camera import HEIF_SUFFIXES, RAW_SUFFIXES, common_balance, need_reader, read_raw
from bench.io.ldr import SUFFIXES, Frame, facts, need_alike, read_frame
from bench.io.submission import read_radiance

LINEAR = (".exr", ".hdr")
"""Frames that hold linear values, 1 being the sensor's white."""

TRUTHS = ("truth", "hdrimg", "hdr_img", "ref_hdr_aligned_linear", "ref_hdr_aligned", "ref_hdr", "gt", "gt_hdr",
          "hdr_gt", "groundtruth", "ground_truth", "ground-truth", "ground truth")  # fmt: skip
"""Names, without their endings and in small letters, of the truth beside the frames: ours, those of the public sets,
and what people call theirs. None is a frame; of several the one named first here is taken."""

SATURATED, TOLD = 1.0, 0.001
"""A pixel is saturated where its brightest channel is at this share of the range; a frame tells the highlights where at
most this share of its pixels is."""

DARK, SEEN = 0.1, 0.01
"""A pixel is dark where its brightest channel is below this share of the range; a frame tells the shadows where at most
this share of its pixels is."""

EQUAL = 1 / 24
"""EV; two frames nearer than this are the same exposure."""

TURNS: Mapping[int, Callable[[Frame], Frame]] = {
    2: lambda frame: frame[:, ::-1],
    3: lambda frame: frame[::-1, ::-1],
    4: lambda frame: frame[::-1],
    5: lambda frame: frame.swapaxes(0, 1),
    6: lambda frame: np.rot90(frame, -1),
    7: lambda frame: frame[::-1, ::-1].swapaxes(0, 1),
    8: lambda frame: np.rot90(frame),
}
"""EXIF orientation -> turn that brings the stored rows upright; 1 and unknown values leave them as they are."""


def read_bracket(name: str, paths: Sequence[Path], exposures: Sequence[float], upright: bool = False) -> Scene:
    """Read frames into a scene, short to long; the reference is the middle frame, the shorter of two.

    exposures : of each frame, in any unit that is proportional to light.
    upright   : whether frames are turned as EXIF says; else rows stay as stored, as those of a truth beside them.
    UsageError for fewer than two frames, the same file or exposure twice, or frames of different size or type.
    """
    if len(paths) < 2:
        raise UsageError(f"{name}: {len(paths)} frame(s); a bracket has two or more.")
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError(f"{name}: a frame is named twice; name each once.")
    order = sorted(range(len(paths)), key=lambda index: exposures[index])
    for one, other in pairwise(order):
        if math.log2(exposures[other] / exposures[one]) < EQUAL:
            raise UsageError(
                f"{name}: {shown(paths[one].name)} and {shown(paths[other].name)} have the same exposure; a bracket's "
                "differ. Leave one out or, if a filter made the difference, state the exposures."
            )
    ordered = [paths[index] for index in order]
    names = [path.name for path in ordered]
    frames, notes = _frames(ordered, upright, name)
    check_alike(frames, names, name)
    times = np.array([exposures[index] / exposures[order[0]] for index in order])
    metadata = {"capture": name, "frames": names} | ({"notes": notes} if notes else {})
    return Scene(name, np.stack(frames), times, (len(frames) - 1) // 2, None, metadata)


def may_be_frame(path: Path) -> bool:
    """Tell by its name whether a file may be a frame of a bracket: of a kind that is read, no truth and not hidden."""
    kinds = (*SUFFIXES, *LINEAR, *RAW_SUFFIXES, *HEIF_SUFFIXES)
    return path.name[0] != "." and path.stem.lower() not in TRUTHS and path.name.lower().endswith(kinds)


def list_frames(folder: Path, besides: Collection[str] = ()) -> list[Path]:
    """List the files of a folder that may be frames, in natural order, without those named in `besides`.

    A truth is none (`TRUTHS`). UsageError if the folder can't be read or holds none.
    """
    kinds = (*SUFFIXES, *LINEAR)
    try:
        names = [path.name for path in folder.iterdir() if may_be_frame(path)]
    except OSError as error:
        raise UsageError(f"{shown(folder)}: can't be read ({error.strerror}); expected a folder of frames.") from error
    names = [name for name in names if name not in besides]
    frames = [name for name in names if name.lower().endswith(kinds)] or names  # cameras store JPEGs beside raw files
    if not frames:
        raise UsageError(f"{shown(folder)}: no frames there; expected two or more of {', '.join(kinds)}.")
    return [folder / name for name in sorted(frames, key=natural)]


def find_truth(folder: Path) -> Path | None:
    """Return the truth that lies beside the frames, the first by `TRUTHS`; None where there is none.

    UsageError if the folder can't be read.
    """
    try:
        found = [path for path in folder.iterdir() if path.suffix.lower() in LINEAR and path.stem.lower() in TRUTHS]
    except OSError as error:
        raise UsageError(f"{shown(folder)}: can't be read ({error.strerror}); check its permissions.") from error
    return min(found, key=lambda path: (TRUTHS.index(path.stem.lower()), path.suffix.lower(), path.name), default=None)


def covering(scene: Scene, step: float = 2.0) -> list[int]:
    """Choose three frames of a longer bracket that cover its range, at least `step` EV apart where there are such.

    The short one is the longest that tells the highlights (the shortest, where none does), the long one the shortest
    that tells the shadows (the longest, where none does), the middle one the nearest to their middle.
    """
    evs = np.log2(scene.times)
    last = len(evs) - 1
    brightest = [frame.max(axis=-1) / np.iinfo(frame.dtype).max for frame in (f[::4, ::4] for f in scene.frames)]
    tells_highlights = [float((values >= SATURATED).mean()) <= TOLD for values in brightest]
    tells_shadows = [float((values < DARK).mean()) <= SEEN for values in brightest]

    def apart(short: int, long: int) -> bool:
        return bool(evs[long] - evs[short] >= 2 * step - EQUAL)

    lower = [index for index in range(last - 1) if tells_highlights[index] and apart(index, last)]
    short = lower[-1] if lower else 0
    upper = [index for index in range(short + 2, last) if tells_shadows[index] and apart(short, index)]
    long = upper[0] if upper else last
    middle = min(range(short + 1, long), key=lambda index: (abs(2 * evs[index] - evs[short] - evs[long]), index))
    return [short, middle, long]


def _frames(paths: Sequence[Path], upright: bool, name: str) -> tuple[list[Frame], list[str]]:
    """Return the frames, and what isn't taken as their files store it."""
    for path in paths:
        need_reader(path)
    raw = [path for path in paths if path.suffix.lower() in RAW_SUFFIXES]
    balance, notes = common_balance(raw) if raw else ((), [])
    notes += need_alike([path for path in paths if path.suffix.lower() not in (*LINEAR, *RAW_SUFFIXES)], name, upright)
    frames = []
    for path in paths:
        told: list[str] = []
        frames.append(_frame(path, upright, balance, told))
        notes += [f"{shown(path.name)}: {said}" for said in told]
    return frames, notes


def _frame(path: Path, upright: bool, balance: Sequence[float], told: list[str]) -> Frame:
    suffix = path.suffix.lower()
    if suffix in RAW_SUFFIXES:
        return _encoded(read_raw(path, balance, upright))
    if suffix not in LINEAR:
        if suffix not in (*SUFFIXES, *HEIF_SUFFIXES):
            kinds = ", ".join((*SUFFIXES, *LINEAR))
            raise UsageError(f"{shown(path)}: unknown kind of frame; expected one of {kinds}.")
        frame = read_frame(path)
        return TURNS[turn](frame) if upright and (turn := facts(path).orientation) in TURNS else frame
    linear = read_radiance(path, told)
    if not np.isfinite(linear).all() or linear.min() < 0 or linear.max() > 1:
        raise UsageError(
            f"{shown(path)}: linear values from {linear.min():.4g} to {linear.max():.4g}; a frame's lie in [0, 1], "
            "where 1 is the sensor's white. Divide them by it."
        )
    return _encoded(linear)


def _encoded(linear: Radiance) -> NDArray[np.uint16]:
    encoded: NDArray[np.uint16] = np.rint(65535 * encode(linear)).astype(np.uint16)
    return encoded
