"""Exposures of anyone's frames: from EXIF, from a text file beside them, or as given on the command line."""

import math
import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.core.errors import UsageError
from bench.core.reading import lines, positive_number, read_note, shown
from bench.io.ldr import exif, has_damaged_exif

EV_FILE, TIME_FILE = "exposure.txt", "exposure_times.txt"
"""EVs as in the public sets, or seconds (`1/320`): a number for each frame, or lines of `<name> <value>`."""

TIME, APERTURE, SPEED = 33434, 33437, 34855
"""EXIF tags: ExposureTime, FNumber, ISO. Exposure *bias* is a wish, not what the camera did."""

APEX_TIME, APEX_APERTURE = 37377, 37378
"""ShutterSpeedValue and ApertureValue: t = 2^-Tv seconds, N = 2^(Av/2). Read where the plain tags aren't there."""

SPEEDS = (SPEED, 34866, 34867, 34865)
"""Where an ISO stands: PhotographicSensitivity, and where it doesn't hold it (65535) RecommendedExposureIndex,
ISOSpeed, StandardOutputSensitivity."""

LARGEST = 1e6
"""Seconds; and 1 / LARGEST is the shortest."""

TIMES, APERTURES, ISOS = (1 / LARGEST, LARGEST), (0.1, 1000.0), (0.1, 1e8)
"""Seconds, f-numbers and ISOs that can be; anything else is as if it weren't stored."""

ROUNDED = 0.25
"""EV by which steps may differ from those of the times that cameras show: 1/60 s is 1/64."""

LONGEST_LINE = 500
"""Characters of a line with one exposure: a name may have 255."""

SECONDS = {"": 1.0, "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0, '"': 1.0,
           "ms": 1e-3, "msec": 1e-3}  # fmt: skip
"""Units of a time, after a number or behind a blank."""

PLAIN = str.maketrans({"\u2212": "-", "\u2044": "/", "\u2215": "/", "\u2033": '"', "\u201d": '"', "\u201c": '"'})
"""Typographic signs of minus, fractions, seconds and quotes -> plain ones."""

NUMBER = r"(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:e[+-]?\d+)?"
UNIT = r"ev|s|secs?\.?|seconds?|ms|msec|\""
VALUE = re.compile(rf"([-+]?{NUMBER})(?: ?/ ?({NUMBER}))? ?((?:{UNIT})?)", re.IGNORECASE | re.ASCII)
"""A number, what it is divided by, and its unit."""

GAP = re.compile(r" (?:->|=>|\u2192) | ?[ ,;:=|] ?")
"""What stands between a name and its value."""

SPLITS = (r" ?; ?", r" ?, ", r" (?=[-+.,\d])", r"[ ,;]+")
"""What stands between the values of one line, the surest first: a comma within a value may be a decimal one."""

NO_NUMBERS = re.compile(
    r"[-+]?(nan|inf|infinity|infinite|null|none|n/?a|unknown|auto|automatic|bulb|zero|one|two|three|half) ?(ev|s|sec)?",
    re.IGNORECASE,
)
"""What people and programs write in place of a number: such a first line is no heading."""

COMMENT = re.compile(r" (#|//).*$")
"""A comment behind a value."""


class Exposure(NamedTuple):
    """Camera settings of one frame: seconds, f-number and ISO; the last two None where they aren't told."""

    time: float
    aperture: float | None = None
    speed: float | None = None

    def __str__(self) -> str:
        """Return them as people write them: 1/320 s, f/4, ISO 100."""
        parts = [f"1/{1 / self.time:.4g} s" if self.time < 0.3 else f"{self.time:.4g} s"]
        parts += [f"f/{self.aperture:.3g}"] if self.aperture else []
        return ", ".join([*parts, *([f"ISO {self.speed:g}"] if self.speed else [])])


class Told(NamedTuple):
    """What is known of the exposures of some frames.

    values : of each frame, proportional to light.
    said   : of each frame, what its value was made from and where that stands, for people.
    notes  : what isn't known.
    """

    values: list[float]
    said: list[str]
    notes: list[str]


def given(text: str, frames: Sequence[Path]) -> Told:
    """Return the exposures that the option --exposures states: one for each frame, in the frames' order.

    Commas stand between them or, where it holds semicolons, those: then commas may be decimal ones.
    """
    words = [word.strip() for word in text.split(";" if ";" in text else ",")]
    if len(words) != len(frames):
        raise UsageError(f"--exposures holds {len(words)} value(s) for {len(frames)} frames ({_names(frames)}).")
    return Told(_alike(words, "--exposures", "s"), [f"{shown(word)} (--exposures)" for word in words], [])


def of_frames(paths: Sequence[Path], option: str = "") -> Told:
    """Return the relative exposure of each frame, from a text file in their folder, else from EXIF.

    option : the command's option that takes exposures, for messages; "" where it has none.
    UsageError, with what to do, where a frame has none, and where two text files contradict each other.
    """
    files = [(paths[0].parent / name, unit) for name, unit in ((EV_FILE, "ev"), (TIME_FILE, "s"))]
    # What is no regular file is refused where it is read.
    told = [_from_file(path, paths, unit) for path, unit in files if os.path.lexists(path)]
    if len(told) > 1:
        _need_agreement(paths, *told)
    return told[0] if told else from_exif(paths, option)


def _need_agreement(paths: Sequence[Path], evs: Told, times: Told) -> None:
    """Refuse exposures of the two text files that differ by more than a camera's rounding of its times."""
    steps = [[math.log2(value / told.values[0]) for value in told.values] for told in (evs, times)]
    for path, one, other in zip(paths, *steps, strict=True):
        if abs(one - other) > ROUNDED:
            raise UsageError(
                f"{shown(path.parent)}: {EV_FILE} and {TIME_FILE} contradict each other: {shown(path.name)} is "
                f"{one:.3g} EV from {shown(paths[0].name)} by the one, {other:.3g} EV by the other; delete the wrong "
                "one."
            )


def is_told(path: Path) -> bool:
    """Tell whether a file holds its exposure (EXIF), or a text file beside it does under its name."""
    files = [file for name in (EV_FILE, TIME_FILE) if (file := path.parent / name).is_file()]
    named = (name for file in files for _, line in _lines(file) for name, _ in _pairs(line))
    return any(_meant(name, [path]) for name in named) or read_exif(path) is not None


def from_exif(paths: Sequence[Path], option: str = "") -> Told:
    """Return t * ISO / N^2 of each frame as its camera wrote it; notes on what the camera left out.

    option : the command's option that takes exposures, for messages; "" where it has none.
    """
    found = [read_exif(path) for path in paths]
    lacking = [path for path, exposure in zip(paths, found, strict=True) if exposure is None]
    if lacking:
        reasons = [_reason(path) for path in lacking]
        said = "; ".join(
            f"{_names([path for path, of in zip(lacking, reasons, strict=True) if of == reason])}: {reason}"
            for reason in dict.fromkeys(reasons)
        )
        ways = f"Give the times with {option} (such as 1/320,1/80,1/20), or write" if option else "Write"
        raise UsageError(
            f"{said}. {ways} {'them' if option else 'the times'} to {TIME_FILE} beside the frames, a line "
            "'<name> <seconds>' for each."
        )
    known = [exposure for exposure in found if exposure is not None]
    notes, factors = [], [1.0] * len(known)
    for name, power in (("speed", 1), ("aperture", -2)):
        values = [getattr(exposure, name) for exposure in known]
        if None not in values:
            factors = [factor * value**power for factor, value in zip(factors, values, strict=True)]
        elif any(value is not None for value in values):
            without = _names([path for path, value in zip(paths, values, strict=True) if value is None])
            raise UsageError(
                f"{name} is stored in some of the frames only, not in {without}; give the exposures "
                f"{f'with {option}' if option else f'in {TIME_FILE} beside the frames'}."
            )
        else:
            notes.append(f"{name} isn't stored; taken to be the same in all frames")
    times = [exposure.time * factor for exposure, factor in zip(known, factors, strict=True)]
    return Told(times, [f"{exposure} (EXIF)" for exposure in known], notes)


def read_exif(path: Path) -> Exposure | None:
    """Read a frame's camera settings; None if it states no exposure time, or isn't a picture that can hold one."""
    tags = exif(path)
    time = _within(tags.get(TIME), *TIMES) or _within(_power(tags.get(APEX_TIME), -1), *TIMES)
    aperture = _within(tags.get(APERTURE), *APERTURES) or _within(_power(tags.get(APEX_APERTURE), 0.5), *APERTURES)
    isos = (_within(tags.get(tag), *ISOS) for tag in SPEEDS)
    speed = next((iso for iso in isos if iso is not None and iso != 65535), None)
    return None if time is None else Exposure(time, aperture, speed)


def _reason(path: Path) -> str:
    """Tell why a file has no exposure time."""
    tags = exif(path)
    for tag, name in ((TIME, "exposure time"), (APEX_TIME, "shutter speed (APEX)")):
        if (value := tags.get(tag)) is not None:
            return f"the {name} that is stored, {_ratio(value)}, can't be right"
    return "the EXIF data is damaged" if has_damaged_exif(path) else "no exposure time is stored in the file"


def _ratio(value: Any) -> str:
    above, below = getattr(value, "numerator", None), getattr(value, "denominator", None)
    return shown(f"{above}/{below}" if isinstance(above, int) and isinstance(below, int) else value)


def _number(value: Any) -> float | None:
    if isinstance(value, tuple):
        value = value[0] if value else None
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _within(value: Any, low: float, high: float) -> float | None:
    number = _number(value)
    return number if number is not None and low <= number <= high else None


def _power(value: Any, factor: float) -> float | None:
    """Return 2^(factor * value), of an APEX value."""
    number = _number(value)
    return None if number is None or abs(number) > 64 else float(2.0 ** (factor * number))


def _parse(word: str, unit: str) -> tuple[float, bool]:
    """Return the exposure that a word states, and whether in EVs: seconds ("1/320", "0.5 sec") or 2^EV ("2ev").

    unit : "s" or "ev", where the word names none.
    UsageError for anything else, and for values that no camera has.
    """
    try:
        value, in_ev = _value(word, unit)
    except (ValueError, OverflowError) as error:
        expected = (
            "neither seconds (1/320, 0.5) nor EVs (2ev)" if unit == "s" else f"no EV; seconds go into {TIME_FILE}"
        )
        raise UsageError(f"exposure {shown(repr(word))} is {expected}.") from error
    if not 1 / LARGEST <= value <= LARGEST:
        raise UsageError(
            f"exposure {shown(repr(word))} isn't possible; expected positive seconds (1/320, 0.5) or EVs (2ev)."
        )
    return value, in_ev


def _value(word: str, unit: str) -> tuple[float, bool]:
    """Return seconds, or 2^EV; ValueError or OverflowError for anything else. Exponents are bounded beforehand."""
    found = VALUE.fullmatch(" ".join(word.translate(PLAIN).split()))
    if found is None or len(word) > LONGEST_LINE:
        raise ValueError("no number with a unit of time or EV")
    above, below, named = found[1].replace(",", "."), found[2], found[3].lower().rstrip(".")
    if (named or unit) == "ev":
        if below is not None:
            raise ValueError("a fraction of EVs")
        size = above.lstrip("+-")
        steps = positive_number(size) if size.strip("0.") else 0.0
        return float(2.0 ** (-steps if above.startswith("-") else steps)), True
    above, below = above.removeprefix("+"), (below or "1").replace(",", ".")
    return (positive_number(above) if above.strip("0.") else 0.0) / positive_number(below) * SECONDS[named], False


def _alike(words: Sequence[str], where: str, unit: str) -> list[float]:
    """Return the values of words that are all seconds or all EVs; UsageError, which begins with `where`, otherwise."""
    try:
        found = [_parse(word, unit) for word in words]
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    if len({in_ev for _, in_ev in found}) > 1:
        raise UsageError(f"{where}: holds seconds and EVs ({shown(', '.join(words))}); write all in one unit.")
    return [value for value, _ in found]


def _lines(path: Path) -> list[tuple[int, str]]:
    """Return number and content of each line that isn't a comment, single blanks within."""
    return [
        (number, " ".join(line.translate(PLAIN).split())) for number, line in lines(read_note(path)) if line[:2] != "//"
    ]


def _pairs(line: str) -> list[tuple[str, str]]:
    """Return each way to read a line as a name, without its folders, and a value; the shortest name first."""
    found = []
    for text in dict.fromkeys((line, COMMENT.sub("", line))):
        if len(text) <= LONGEST_LINE:
            ways = ((text[: gap.start()].strip(" '\""), text[gap.end() :].strip()) for gap in GAP.finditer(text))
            found += [(re.split(r"[/\\]", name)[-1], value) for name, value in ways if VALUE.fullmatch(value)]
    return [(name, value) for name, value in found if name]


def _meant(name: str, frames: Sequence[Path]) -> list[Path]:
    """Return the frames that a line's name means: by name or stem, exactly or in another case or composition."""
    exact = [frame for frame in frames if name in (frame.name, frame.stem)]
    return exact or [frame for frame in frames if _folded(name) in (_folded(frame.name), _folded(frame.stem))]


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name.translate(PLAIN)).casefold().split())


def _mentioned(line: str, frames: Sequence[Path]) -> bool:
    return any(re.search(rf"(?<!\w){re.escape(_folded(frame.stem))}(?!\w)", _folded(line)) for frame in frames)


def _values(line: str, count: int) -> list[str]:
    """Return the values of a line that holds nothing else, `count` of them if it can be read so; else []."""
    text = COMMENT.sub("", line)
    ways = [[text], *(re.split(split, text.strip(" ,;")) for split in SPLITS)]
    found = [words for words in ways if all(map(VALUE.fullmatch, words))]
    return next((words for words in found if len(words) == count), found[-1] if found else [])


def _from_file(path: Path, frames: Sequence[Path], unit: str) -> Told:
    """Read values alone, in the order of the frames, or lines of a frame's name and its value."""
    held = _lines(path)
    heading = held[0] if held and _is_heading(held[0][1]) and not _mentioned(held[0][1], frames) else None
    held = held[1:] if heading else held
    alone = [_values(line, len(frames) if len(held) == 1 else 1) for _, line in held]
    if all(alone) and (len(held) == 1 or all(len(found) == 1 for found in alone)):
        words = [word for found in alone for word in found]
        if len(words) == len(frames):
            numbers = [number for (number, _), found in zip(held, alone, strict=True) for _ in found]
            return _told(path, numbers, words, unit)
    by_frame, unread = _by_name(path, held, frames)
    if all(alone) and not by_frame:
        taken = f" Line {heading[0]}, {shown(repr(heading[1][:120]))}, is taken for a heading." if heading else ""
        raise UsageError(
            f"{shown(path)}: holds {sum(map(len, alone))} value(s) for {len(frames)} frames ({_names(frames)}); "
            f"expected one for each, or lines '<name> <value>'.{taken}"
        )
    if not by_frame and any(alone):  # values alone are meant
        unread = [line for line, found in zip(held, alone, strict=True) if not found]
    lacking = [frame for frame in frames if frame not in by_frame]
    unread += [(number, line) for number, line in held if _mentioned(line, lacking)]
    if unread:
        number, line = unread[0]
        kind, value = ("seconds", "1/320") if unit == "s" else ("EV", "2")
        raise UsageError(
            f"{shown(path)}: line {number}, {shown(repr(line[:120]))}, tells no exposure; expected '<name> <{kind}>' "
            f"such as '{shown(frames[0].name)} {value}', or values alone, one a line."
        )
    if lacking:
        raise UsageError(f"{shown(path)}: no line for {_names(lacking)}; expected '<name> <value>' for each frame.")
    told = [by_frame[frame] for frame in frames]
    return _told(path, [number for number, _ in told], [word for _, word in told], unit)


def _is_heading(line: str) -> bool:
    """Tell whether a line has letters and nothing like a number, in any script, nor what stands in place of one."""
    kinds = {unicodedata.category(letter)[0] for letter in line}
    return "L" in kinds and "N" not in kinds and not NO_NUMBERS.fullmatch(line)


def _by_name(
    path: Path, held: Sequence[tuple[int, str]], frames: Sequence[Path]
) -> tuple[dict[Path, tuple[int, str]], list[tuple[int, str]]]:
    """Return line and value of each frame that a line names, and the lines that are no name with a value."""
    found: dict[Path, tuple[int, str]] = {}
    unread = []
    for number, line in held:
        pairs = _pairs(line)
        named, value = next(((those, value) for name, value in pairs if (those := _meant(name, frames))), ([], ""))
        if not pairs:
            unread.append((number, line))
        for frame in named:
            if frame in found and found[frame][1] != value:
                raise UsageError(
                    f"{shown(path)}: lines {found[frame][0]} and {number} tell different exposures of "
                    f"{shown(frame.name)}; keep one of them."
                )
            found[frame] = number, value
    return found, unread


def _told(path: Path, numbers: Sequence[int], words: Sequence[str], unit: str) -> Told:
    for number, word in zip(numbers, words, strict=True):
        _alike([word], f"{shown(path)}: line {number}", unit)
    said = [f"{shown(word)} ({path.name}, line {number})" for number, word in zip(numbers, words, strict=True)]
    return Told(_alike(words, shown(path), unit), said, [])


def _names(frames: Sequence[Path]) -> str:
    return shown(", ".join(frame.name for frame in frames))
