"""Exposures of anyone's frames: from EXIF, from a text file beside them, or as given on the command line."""

import math
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from bench.core.errors import UsageError

EV_FILE, TIME_FILE = "exposure.txt", "exposure_times.txt"
"""EVs as in the public sets, or seconds (`1/320`): a number for each frame, or lines of `<name> <value>`."""

EXIF_FOLDER, TIME, APERTURE, SPEED = 0x8769, 33434, 33437, 34855
"""EXIF tags: the EXIF folder, ExposureTime, FNumber, ISO. Exposure *bias* is a wish, not what the camera did."""

LARGEST = 1e6
"""Seconds; and 1 / LARGEST is the shortest."""


class Exposure(NamedTuple):
    """Camera settings of one frame: seconds, f-number and ISO; the last two None where they aren't told."""

    time: float
    aperture: float | None = None
    speed: float | None = None


def parse(word: str) -> float:
    """Return the exposure that a word states: seconds ("1/320", "0.5", "0.5s") or a power of two of EVs ("2ev").

    UsageError for anything else, and for values that no camera has.
    """
    text = word.strip().lower()
    try:
        if text.endswith("ev"):
            value = float(2.0 ** float(text.removesuffix("ev")))
        else:
            value = float(Fraction(text.removesuffix("s")))
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        raise UsageError(f"exposure {word!r} is neither seconds (1/320, 0.5) nor EVs (2ev).") from error
    if not 1 / LARGEST <= value <= LARGEST:
        raise UsageError(f"exposure {word!r} isn't possible; expected positive seconds (1/320, 0.5) or EVs (2ev).")
    return value


def of_frames(paths: Sequence[Path]) -> tuple[list[float], list[str]]:
    """Return the relative exposure of each frame, from a text file in their folder, else from EXIF; and notes.

    UsageError, with what to do, where a frame has none.
    """
    for name, unit in ((EV_FILE, "ev"), (TIME_FILE, "s")):
        path = paths[0].parent / name
        if path.is_file():
            return _from_file(path, paths, unit), []
    return from_exif(paths)


def is_told(path: Path) -> bool:
    """Tell whether a file holds its exposure (EXIF), or a text file beside it does under its name."""
    files = [path.parent / name for name in (EV_FILE, TIME_FILE)]
    named = [name for file in files if file.is_file() for name in _named(_words(file))]
    return path.name in named or path.stem in named or read_exif(path) is not None


def from_exif(paths: Sequence[Path]) -> tuple[list[float], list[str]]:
    """Return t * ISO / N^2 of each frame as its camera wrote it, and notes on what the camera left out."""
    found = {path: read_exif(path) for path in paths}
    lacking = [path.name for path, exposure in found.items() if exposure is None]
    if lacking:
        raise UsageError(
            f"{', '.join(lacking)}: no exposure time is stored in the file. Give the times with --exposures (such as "
            f"1/320,1/80,1/20), or write them to {TIME_FILE} beside the frames."
        )
    known = [exposure for exposure in found.values() if exposure is not None]
    notes, factors = [], [1.0] * len(known)
    for name, power in (("speed", 1), ("aperture", -2)):
        values = [getattr(exposure, name) for exposure in known]
        if None not in values:
            factors = [factor * value**power for factor, value in zip(factors, values, strict=True)]
        elif any(value is not None for value in values):
            raise UsageError(f"{name} is stored in some of the frames only; give the exposures with --exposures.")
        else:
            notes.append(f"{name} isn't stored; taken to be the same in all frames")
    return [exposure.time * factor for exposure, factor in zip(known, factors, strict=True)], notes


def read_exif(path: Path) -> Exposure | None:
    """Read a frame's camera settings; None if it states no exposure time, or isn't a picture that can hold one."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            exif = image.getexif()
            tags: Mapping[int, Any] = {**exif, **exif.get_ifd(EXIF_FOLDER)}
    except Exception:  # what is wrong with the file is said where its pixels are read
        return None
    time, aperture, speed = (_positive(tags.get(tag)) for tag in (TIME, APERTURE, SPEED))
    return None if time is None else Exposure(time, aperture, speed)


def _positive(value: Any) -> float | None:
    if isinstance(value, tuple):
        value = value[0] if value else None
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def _words(path: Path) -> list[list[str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise UsageError(f"{path}: can't be read as text ({reason}); expected an exposure for each frame.") from error
    return [re.split(r"[\s,;=]+", line.strip()) for line in text.splitlines() if line.strip()]


def _named(words: list[list[str]]) -> dict[str, str]:
    """Return name -> exposure where each line is of a name and an exposure; else {}."""
    named = {line[0]: line[1] for line in words if len(line) == 2 and not _numeric(line[0])}
    return named if len(named) == len(words) else {}


def _from_file(path: Path, frames: Sequence[Path], unit: str) -> list[float]:
    words = _words(path)
    if named := _named(words):
        return [parse(_of(named, frame, path) + unit) for frame in frames]
    values = [word for line in words for word in line if word]
    if len(values) != len(frames):
        names = ", ".join(frame.name for frame in frames)
        raise UsageError(
            f"{path}: holds {len(values)} value(s) for {len(frames)} frames ({names}); expected one for each."
        )
    try:
        return [parse(value + unit) for value in values]
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _numeric(word: str) -> bool:
    return re.fullmatch(r"[-+]?[\d./]+(e[-+]?\d+)?", word, re.IGNORECASE) is not None


def _of(named: Mapping[str, str], frame: Path, path: Path) -> str:
    for name in (frame.name, frame.stem):
        if name in named:
            return named[name]
    raise UsageError(f"{path}: no line for {frame.name}; expected '<name> <value>' for each frame.")
