"""The reader of brackets of three frames with an exposure file and a truth, as Kalantari's set and its kin have them.

Layout: N. K. Kalantari, R. Ramamoorthi, "Deep High Dynamic Range Imaging of Dynamic Scenes", SIGGRAPH 2017.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.color.exposure import times_from_ev
from bench.core.errors import Incomplete, UsageError
from bench.core.reading import number, read_note, shown
from bench.core.scene import Array, Radiance, Scene
from bench.data.layouts.places import natural
from bench.io.ldr import Frame, need_alike, read_frame, read_grey
from bench.io.radiance import read_rgbe

FRAMES = 3

UNCOVERED = "uncovered.png"
"""Beside the frames of simulated brackets: 8-bit grey, 255 where another frame doesn't show what the reference shows,
else 0 (`bench.core.scene.Scene`)."""

LARGEST = 64
"""EV; no camera spans more, and 2^EV must stay finite."""


class Names(NamedTuple):
    """Names of a scene's files.

    frames : pattern of the frames' names; they are ordered as numbers.
    """

    frames: str
    exposures: str
    truth: str


OFFICIAL = Names(r".*\.tiff?", "exposure.txt", "HDRImg.hdr")
OXFORD = Names(r"input_\d_aligned\.tiff?", "input_exp.txt", "ref_hdr_aligned.hdr")
HU = Names(r"input_\d_aligned\.tiff?", "input_exp.txt", "ref_hdr_aligned_linear.hdr")


def read_scene(folder: Path, dataset: str, names: Names = OFFICIAL, truth: bool = True) -> Scene:
    """Read one scene.

    Frames keep their stored values, RGB; times start at 1 whatever the EV origin; the truth is clipped to [0, 1].
    Uncovered pixels are those that `UNCOVERED` marks, None without this file.
    truth : whether the truth is expected; without it `radiance` is None.
    UsageError, with one sentence, for anything missing, unreadable or contradictory; Incomplete where a frame or the
    truth is missing.
    """
    folder = Path(folder)
    what = f'scene "{folder.name}" of {dataset}'
    paths = [folder / name for name in _frames(folder, names, what)]
    scene = read_files(folder.name, what, paths, folder / names.exposures, folder / names.truth if truth else None)
    marked = folder / UNCOVERED
    return replace(scene, uncovered=_read_uncovered(marked, scene, what)) if marked.exists() else scene


def read_files(name: str, what: str, paths: Sequence[Path], exposures: Path, truth: Path | None) -> Scene:
    """Read scene `name` from its three frames, short to long, wherever they lie; as `read_scene` otherwise.

    what : how errors name the scene.
    """
    times = times_from_ev(read_evs(inside(exposures, what), what, FRAMES))
    frames = [read_frame(inside(path, what)) for path in paths]
    check_alike(frames, [path.name for path in paths], what)
    need_alike(paths, what, upright=False)  # mixtures are refused; what all frames have is the set's own, and known
    told: list[str] = []
    radiance = None if truth is None else _read_truth(inside(truth, what), frames[0], what, told)
    metadata = {"capture": name} | ({"notes": told} if told else {})
    return Scene(name, np.stack(frames), times, FRAMES // 2, radiance, metadata)


def read_evs(path: Path, what: str, count: int) -> list[float]:
    """Read `count` EVs, one a line or all on one; any line ends, blanks and a byte-order mark.

    UsageError if the file is missing, doesn't hold so many finite numbers of a possible size, or they don't rise.
    """
    try:
        text = read_note(path)
    except UsageError as error:
        raise UsageError(f"{what}: {path.name} can't be read as {count} EVs: {error}") from error
    words = text.replace(",", " ").split()
    try:
        values = [number(word) for word in words]
    except ValueError as error:
        held = shown(repr(text.strip()[:60]))
        raise UsageError(f"{what}: {path.name} holds {held}; expected {count} numbers (EVs).") from error
    if len(values) != count:
        held = shown(" ".join(words)[:60])
        raise UsageError(f"{what}: {path.name} holds {len(values)} value(s), {held}; expected {count} finite EVs.")
    if max(map(abs, values)) > LARGEST:
        raise UsageError(f"{what}: {path.name} holds {values}; expected EVs between -{LARGEST} and {LARGEST}.")
    if sorted(set(values)) != values:
        raise UsageError(
            f"{what}: the EVs {values} in {path.name} don't rise; expected short to long, in the order of the frames' "
            "names. Rename the frames or correct the file."
        )
    return values


def inside(path: Path, what: str) -> Path:
    """Return a scene's file as it is, or refuse one that is a link to somewhere outside the scene's folder."""
    if path.is_symlink() and not path.resolve().is_relative_to(path.parent.resolve()):
        raise UsageError(f"{what}: {path.name} is a link to {path.resolve()}, outside its scene; put the file there.")
    return path


def check_alike(frames: Sequence[Frame], names: Sequence[str], what: str) -> None:
    """Refuse frames of different size or type."""
    for frame, name in zip(frames, names, strict=True):
        if frame.shape != frames[0].shape or frame.dtype != frames[0].dtype:
            raise UsageError(
                f"{what}: {name} is {_size(frame)}, {names[0]} is {_size(frames[0])}; a bracket's frames must agree."
            )


def _frames(folder: Path, names: Names, what: str) -> list[str]:
    if not folder.is_dir():
        raise UsageError(f"{what}: no folder {folder}.")
    try:
        listed = [path.name for path in folder.iterdir()]
    except OSError as error:
        raise UsageError(f"{what}: {folder} can't be read ({error.strerror}); check its permissions.") from error
    found = [name for name in listed if re.fullmatch(names.frames, name, re.IGNORECASE) and name[0] != "."]
    found.sort(key=natural)
    if len(found) < FRAMES:
        raise Incomplete(
            f"{what}: {len(found)} exposures found, {FRAMES} expected.\n"
            f"Missing: {_missing(found)}. The download may be incomplete."
        )
    if len(found) > FRAMES:
        raise UsageError(f"{what}: {len(found)} exposures found ({', '.join(found)}), {FRAMES} expected.")
    for name in found:
        inside(folder / name, what)
    return found


def _missing(names: Sequence[str]) -> str:
    # Names hold consecutive numbers: a gap is the middle frame, a start above 1 or an end below 3 the others.
    numbers = [int(found[-1]) for found in (re.findall(r"\d+", Path(name).stem) for name in names) if found]
    if len(names) != 2 or len(numbers) != 2:
        return "all of them" if not names else "more than one, or one that the names don't tell"
    if numbers[1] - numbers[0] == 2:
        return "the middle exposure"
    known: Mapping[tuple[int, int], str] = {(1, 2): "the long exposure", (2, 3): "the short exposure"}
    return known.get((numbers[0], numbers[1]), "the short or the long exposure")


def _size(pixels: Array) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]} {pixels.dtype}"


def _read_truth(path: Path, frame: Frame, what: str, told: list[str]) -> Radiance:
    if not path.is_file():
        raise Incomplete(f"{what}: no {path.name}, the truth; the download may be incomplete.")
    # Other primaries than BT.709 are told, not converted: the truth was merged from the frames beside it and has their
    # colours; a line PRIMARIES is no more than a program's default, which no published number took into account.
    said: list[str] = []
    truth = read_rgbe(path, said)
    told += [f"{path.name}: {one}" for one in said]
    check_floating(truth, frame, what)
    return np.minimum(truth, np.float32(1))


def _read_uncovered(path: Path, scene: Scene, what: str) -> NDArray[np.bool_]:
    marks = read_grey(inside(path, what))
    size, found = scene.frames.shape[1:3], set(np.unique(marks).tolist())
    if marks.shape != size or not found <= {0, 255}:
        raise UsageError(
            f"{what}: {path.name} is {marks.shape[1]}x{marks.shape[0]} with values from {min(found)} to {max(found)}; "
            f"expected {size[1]}x{size[0]} as the frames, 0 and 255 alone."
        )
    return np.asarray(marks == 255)


def check_floating(truth: Array, frame: Array, what: str) -> None:
    """Refuse a truth that isn't linear floating point, not of a frame's size, or not finite and >= 0.

    To be asked before a truth is clipped to [0, 1]: the clip would turn infinity into 1.
    """
    if not np.issubdtype(truth.dtype, np.floating):
        raise UsageError(
            f"{what}: the truth was decoded to {truth.dtype}; expected linear floating point. The reader of .hdr files "
            "has reduced it to a picture."
        )
    if truth.shape != frame.shape:
        raise UsageError(f"{what}: the truth is {_size(truth)}, the frames are {_size(frame)}; expected one size.")
    bad = int((~np.isfinite(truth)).sum()), int((truth < 0).sum())
    if any(bad):
        raise UsageError(f"{what}: the truth holds {bad[0]} non-finite and {bad[1]} negative values; expected >= 0.")
