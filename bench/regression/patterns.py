"""Patterns of the changed rows: one metric, scene or run; a sign turned; exposures off by whole EV."""

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from statistics import median
from typing import Any

from bench.regression.judging import RESCORED, Change
from bench.regression.matching import Key, RowPair

MOVED = ("worse", "better", "changed", "undefined", "defined")
"""Changes of a value."""

WHOLE = 0.9
"""Share of a group's rows from which on it is said to have changed as a whole."""

FEWEST = 3
"""Rows that a group needs before it says anything."""

MU = 5000.0
NEAR = 1.5
"""dB; the sizes of errors that are the same for every method lie this near to what whole EV give."""

EVS = range(1, 7)


def patterns(pairs: Sequence[RowPair], changes: Iterable[Change]) -> list[str]:
    """Say what the changed rows have in common, in a sentence each; [] where they have nothing."""
    moved = {change.key for change in changes if change.name in MOVED}
    there = [pair for pair in pairs if not pair.renamed and (pair.key in moved or math.isfinite(pair.base))]
    if not moved or len(there) < FEWEST:
        return []
    return [*_turned(there, moved), *_exposures(there, moved), *_groups(there, moved)]


def _turned(pairs: Sequence[RowPair], moved: set[Key]) -> Iterator[str]:
    for metric, rows in _grouped(pairs, lambda key: key.metric).items():
        if any(pair.key in moved for pair in rows) and all(abs(pair.base + pair.new) <= RESCORED for pair in rows):
            yield f"{metric}: every value is that of BASE with its sign turned"


def _exposures(pairs: Sequence[RowPair], moved: set[Key]) -> Iterator[str]:
    """Find scenes whose psnr-mu became what a wrong exposure gives, whatever the method.

    Radiance that is 2^k times the truth lies k log(2) / log(1 + mu) beside it in the mu-law domain, in all but dark
    pixels: psnr-mu is 21.8 dB for 1 EV, 15.8 dB for 2, 12.3 dB for 3, where no method is as bad by itself.
    """
    rows = [pair for pair in pairs if pair.key.metric == "psnr-mu"]
    for (dataset, scene, protocol), group in _grouped(rows, lambda key: (key.dataset, key.scene, key.protocol)).items():
        levels = [pair.new for pair in group]
        apart = {k: max(abs(level - _level(k)) for level in levels) for k in EVS}
        nearest = min(apart, key=lambda k: apart[k])
        lost = all(pair.key in moved and pair.new < pair.base for pair in group)
        close = abs(median(levels) - _level(nearest)) <= NEAR and apart[nearest] <= 2 * NEAR
        if lost and close and len({pair.key.run for pair in group}) > 1:
            yield (
                f"EV origin: every method's psnr-mu on {dataset}/{scene} fell to about {median(levels):.1f} dB under "
                f"{protocol}, as exposures off by {nearest} EV give"
            )


def _level(ev: int) -> float:
    return -20 * math.log10(ev * math.log(2) / math.log1p(MU))


def _groups(pairs: Sequence[RowPair], moved: set[Key]) -> Iterator[str]:
    if sum(pair.key in moved for pair in pairs) >= WHOLE * len(pairs):
        yield "every row moved: all scenes, all predictions, or how all of them are scored"
        return
    if metrics := _whole(pairs, moved, lambda key: (key.metric, key.protocol)):
        names = ", ".join(f"{metric} under {protocol}" for metric, protocol in metrics)
        yield f"{names}: moved in every row, other metrics didn't: how it is computed, or a setting of its protocol"
    elif scenes := _whole(pairs, moved, lambda key: (key.dataset, key.scene)):
        names = ", ".join("/".join(scene) for scene in scenes)
        yield f"{names}: moved for every method and metric, other scenes didn't: its frames or its truth"
    elif runs := _whole(pairs, moved, lambda key: key.run):
        yield f"{', '.join(runs)}: moved in every row, other runs didn't: its weights or its predictions"


def _whole(pairs: Sequence[RowPair], moved: set[Key], of: Callable[[Key], Hashable]) -> list[Any]:
    """Return the groups that moved as a whole, if no other one moved at all and some didn't; else none."""
    groups = _grouped(pairs, of)
    shares = {group: sum(pair.key in moved for pair in rows) / len(rows) for group, rows in groups.items()}
    touched = [group for group, share in shares.items() if share > 0]
    whole = all(shares[group] >= WHOLE and len(groups[group]) >= FEWEST for group in touched)
    return touched if whole and len(touched) < len(groups) else []


def _grouped(pairs: Sequence[RowPair], of: Callable[[Key], Hashable]) -> dict[Any, list[RowPair]]:
    groups: dict[Any, list[RowPair]] = defaultdict(list)
    for pair in pairs:
        groups[of(pair.key)].append(pair)
    return groups
