"""Exposure files of public sets: three EVs, in whatever form an editor left them."""

import math
from pathlib import Path

from bench.core.errors import UsageError

LARGEST = 64
"""EV; no camera spans more, and 2^EV must stay finite."""


def read_evs(path: Path, what: str, count: int) -> list[float]:
    """Read `count` EVs, one a line or all on one; any line ends, blanks and a byte-order mark.

    UsageError if the file is missing, doesn't hold so many finite numbers of a possible size, or they don't rise.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise UsageError(f"{what}: {path.name} can't be read as text ({reason}); expected {count} EVs.") from error
    try:
        values = [float(word) for word in text.replace(",", " ").split()]
    except ValueError as error:
        raise UsageError(f"{what}: {path.name} holds {text.strip()[:60]!r}; expected {count} numbers (EVs).") from error
    if len(values) != count or not all(map(math.isfinite, values)):
        raise UsageError(f"{what}: {path.name} holds {len(values)} value(s), {values}; expected {count} finite EVs.")
    if max(map(abs, values)) > LARGEST:
        raise UsageError(f"{what}: {path.name} holds {values}; expected EVs between -{LARGEST} and {LARGEST}.")
    if sorted(set(values)) != values:
        raise UsageError(
            f"{what}: the EVs {values} in {path.name} don't rise; expected short to long, in the order of the frames' "
            "names. Rename the frames or correct the file."
        )
    return values
