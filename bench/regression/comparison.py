"""Two sides compared: what changed, why as far as it can be told, and whether that is a regression."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

from bench.core.errors import UsageError
from bench.core.params import Regression
from bench.core.registry import metrics
from bench.regression.judging import CHANGE_KINDS, Change, Kind, judge
from bench.regression.locks import Cause, causes, overview
from bench.regression.matching import Key, Matched, match
from bench.regression.patterns import patterns
from bench.regression.sides import Side


@dataclass(frozen=True)
class Within:
    """Changes by no more than is allowed.

    rows          : how many.
    largest, mean : the row and the run's mean that came nearest to what is allowed; None where none moved.
    """

    rows: int = 0
    largest: Change | None = None
    mean: Change | None = None


@dataclass(frozen=True)
class Comparison:
    """Result of a comparison.

    rows     : number of rows that both sides have, by how NEW's came about.
    changes  : beyond what is allowed, the worst first.
    patterns : what changed rows have in common, a sentence each.
    notes    : what else is worth knowing; nothing that fails.
    within   : what moved by no more than is allowed.
    """

    base: str
    new: str
    rows: Mapping[str, int]
    changes: tuple[Change, ...]
    patterns: tuple[str, ...]
    notes: tuple[str, ...]
    within: Within = Within()

    @property
    def failed(self) -> bool:
        """True for a regression, or a drift where nothing may change."""
        return any(change.fails for change in self.changes)


def compare(base: Side, new: Side, kind: Kind | None = None, bands: Regression | None = None) -> Comparison:
    """Compare NEW with BASE: every row, and of retrained runs every mean over the scenes of a data set.

    kind  : how NEW came about; None: as the lock files of both tell for each row (`kinds`).
    bands : what a scene's score and a run's mean may move by between two trainings.
    UsageError if the sides are of different profiles, or if rows that differ need bands and there are none.
    """
    if base.profile != new.profile:
        raise UsageError(
            f"{base.name} holds scores of profile {base.profile!r}, {new.name} of {new.profile!r}: numbers of "
            "different profiles don't compare. A revision can name its folder: REV:reports/demo."
        )
    matched, kind_of = match(base.scores, new.scores), (lambda _: kind) if kind else kinds(base, new)
    bands = bands or Regression()
    _need_bands(matched, kind_of, bands, base.profile)
    # BASE is what was accepted: its directions count, and where they turned is a change of its own.
    better = {name: card.better for name, card in metrics.items()} | dict(new.better) | dict(base.better)
    found = [*judge(matched, kind_of, bands, better), *_directions(base, new, matched, kind_of)]
    changes = [change for change in found if change.name != "within"]
    changes = [replace(change, cause=_causes(base, new, change.key)) for change in changes]
    return Comparison(
        base.name,
        new.name,
        Counter(kind_of(pair.key) for pair in matched.pairs),
        tuple(sorted(changes, key=lambda change: (change.severity, change.key))),
        tuple(patterns(matched.pairs, changes)),
        tuple(_notes(base, new, kind)),
        _within(change for change in found if change.name == "within"),
    )


def _within(changes: Iterable[Change]) -> Within:
    rows: list[Change] = []
    means: list[Change] = []
    for change in changes:
        (means if change.mean else rows).append(change)
    largest, mean = (max(some, key=lambda change: change.share, default=None) for some in (rows, means))
    return Within(len(rows), largest, mean)


def kinds(base: Side, new: Side) -> Callable[[Key], Kind]:
    """Return what tells how a row of NEW came about, from the lock files of both sides.

    rerun     : all that went into its evaluation is the same, and so is what came out.
    rescored  : the predictions are the same; also where nothing is known, since that is strict and can be overruled.
    retrained : the predictions differ.
    """

    @cache
    def kind_of(evaluation: str) -> Kind:
        if base.lock is None or new.lock is None:
            return "rescored"
        one, two = (lock.stages.get(lock.evaluation(evaluation) or "") for lock in (base.lock, new.lock))
        if one is None or two is None:
            return "rescored"
        if one == two:
            return "rerun"
        path = next((path for path in one.outs if "/predictions/" in path), None)
        return "rescored" if path and one.outs[path] == two.outs.get(path) else "retrained"

    return lambda key: kind_of(key.evaluation)


def _need_bands(matched: Matched, kind_of: Callable[[Key], Kind], bands: Regression, profile: str) -> None:
    absent = [name for name in ("retrained", "retrained_means") if not getattr(bands, name)]
    other = (pair for pair in matched.pairs if pair.base != pair.new and not math.isnan(pair.base))
    if absent and any(pair.key.trained and kind_of(pair.key) == CHANGE_KINDS[-1] for pair in other):
        raise UsageError(
            f"NEW was retrained and differs from BASE, and the parameter file has no bands for that "
            f"({' and '.join(f'regression.{name}' for name in absent)}; profile {profile!r}). Derive them: python -m "
            "bench bands FOLDER, with scores of several seeds; or say --kind rescored or rerun."
        )


def _directions(base: Side, new: Side, matched: Matched, kind_of: Callable[[Key], Kind]) -> Iterator[Change]:
    for name in sorted(base.better.keys() & new.better.keys()):
        if (was := base.better[name]) != (now := new.better[name]):
            keys = [pair.key for pair in matched.pairs if pair.key.metric.partition("@")[0] == name]
            key = Key("", "all", "", "", "", "all", name, "")
            said = f"{was} was better, now {now} is; {len(keys)} rows"
            yield Change("direction", key, None, None, kind_of(keys[0]) if keys else "rescored", said=said)


def _causes(base: Side, new: Side, key: Key) -> tuple[Cause, ...]:
    if base.lock is None or new.lock is None:
        return ()
    stage = base.lock.evaluation(key.evaluation) or new.lock.evaluation(key.evaluation)
    return tuple(causes(base.lock, new.lock, stage)) if stage else ()


def _notes(base: Side, new: Side, kind: Kind | None) -> Iterator[str]:
    unknown = [f"{side.name}: {side.remark}" for side in (base, new) if side.lock is None]
    if unknown:
        taken = (
            "" if kind else "; rows are held to what rescoring the same predictions may change (--kind says otherwise)"
        )
        yield f"nothing is known of how the rows were made ({'; '.join(unknown)}){taken}"
    elif base.lock and new.lock and (differences := overview(base.lock, new.lock)):
        yield f"between the lock files differ: {differences}"
