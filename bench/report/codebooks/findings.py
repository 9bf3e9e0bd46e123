"""Sentences on the inspected codebooks and the paper's claim, filled in from the numbers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from bench.report.results.seeds import seedless

Report = Mapping[str, Any]

SEGMENTS = {"L1": "Q1, Q2", "L2": "Q2, Q3", "L3": "Q3, Q4"}
ZONES = {"saturated": "saturated", "mid": "mid-tone", "shadows": "shadow"}
"""Zones in the order of the sentences, and what their cells are called."""
CONTRASTS: Mapping[str, Callable[[Report], float | None]] = {
    "mutual information of zone and quarter": lambda report: float(report["zones"]["information"]),
    "share of codes that HDR images use": lambda report: float(report["kinds"]["H"]["used"]),
    "share of saturated HDR vectors in Q1 and Q2": lambda report: (
        report["zones"]["zones"]["saturated"].get("half", {}).get("share")
    ),
}
"""Numbers in which an overlapped codebook is compared with its vanilla counterpart; None: nothing was counted."""


def sentences(found: Sequence[Report]) -> list[str]:
    """Return sentences on each codebook, seeds together, then on pairs of vanilla and overlapped codebooks."""
    complete = [report for report in found if "zones" in report]
    families: dict[str, dict[int, Report]] = {}
    for report in complete:
        families.setdefault(family(report), {})[_seed(report)] = report
    made = [_family(name, list(seeds.values())) for name, seeds in families.items()]
    for name, seeds in families.items():
        controls = families.get(counterpart(name), {})
        pairs = [(seeds[seed], controls[seed]) for seed in sorted(seeds.keys() & controls.keys())]
        if pairs := [pair for pair in pairs if _comparable(*pair)]:
            made.append(_contrast(name, pairs))
    if len(lowest_seed(found)) < len(found):
        made.append("Figures of codebooks show the lowest seed of each.")
    return made


def lowest_seed(found: Sequence[Report]) -> list[Report]:
    """Keep of codebooks that differ in their seed alone the one with the lowest."""
    lowest: dict[str, int] = {}
    for report in found:
        lowest[family(report)] = min(_seed(report), lowest.get(family(report), _seed(report)))
    return [report for report in found if _seed(report) == lowest[family(report)]]


def family(report: Report) -> str:
    """Return a codebook's name without its seed."""
    return seedless(str(report["codebook"]))


def counterpart(name: str) -> str:
    """Return the name of the vanilla codebook that an overlapped one is compared with; of a vanilla one, its own."""
    return name.replace("olc", "vanilla", 1)


def _seed(report: Report) -> int:
    return int(report.get("seed", 0))


def _family(name: str, found: Sequence[Report]) -> str:
    """Sum up one codebook: means over its seeds, with their ranges where there are several."""
    zones, sharers = [one["zones"] for one in found], [one["zones"]["sharers"] for one in found]
    seeds = f"n = {len(found)} seeds, " if len(found) > 1 else ""
    of = " or ".join(dict.fromkeys(f"{one['vectors']} vectors of {_images(one)}" for one in found))
    each = " each" if seeds else ""
    used = _mean([round(one["kinds"]["H"]["used"] * one["codes"]) for one in found], "{:.0f}")
    perplexity = _mean([one["kinds"]["H"]["perplexity"] for one in found], "{:.1f}")
    alone = [one["mass"]["none"] for one in sharers]
    told = (
        f"{name if seeds else found[0]['codebook']} ({found[0]['segments']}, {seeds}{of}{each}): HDR images use {used} "
        f"of {found[0]['codes']} codes, perplexity {perplexity}; {_mean([1 - one for one in alone])} of their vectors "
        f"chose codes that LDR frames of the same images use too, {_mean(alone)} codes that no frame uses, which are "
        f"{_mean([one['codes']['none'] for one in sharers])} of the codebook."
    )
    return " ".join((told, *(_zone(zone, zones) for zone in ZONES), _association(zones)))


def _images(report: Report) -> str:
    return f"{report['images']} image" + ("" if report["images"] == 1 else "s")


def _mean(values: Sequence[float], form: str = "{:.1%}") -> str:
    """Write a mean, and behind it the range of values that differ as shown."""
    low, high = form.format(min(values)), form.format(max(values))
    return form.format(fmean(values)) + (f" ({low} to {high})" if low != high else "")


def _zone(zone: str, zones: Sequence[Report]) -> str:
    """Say whether a zone draws on the half of the frame that exposes it best more than shifted zone maps do."""
    counted = [one["zones"][zone] for one in zones if "half" in one["zones"][zone]]
    if not counted:
        return f"There are no {ZONES[zone]} cells."
    halves = [one["half"] for one in counted]
    frame, shares = halves[0]["frame"], [half["share"] for half in halves]
    low, high = ([half["shifted"][edge] for half in halves] for edge in ("low", "high"))
    return (
        f"In {ZONES[zone]} cells ({_mean([one['vectors'] for one in counted], '{:.0f}')} vectors) {_mean(shares)} "
        f"chose {SEGMENTS[frame]}, the half that an overlapped codebook gives {frame}; zone maps shifted at random "
        f"give {min(low):.1%} to {max(high):.1%}: {_verdict(shares, high, low)}."
    )


def _association(zones: Sequence[Report]) -> str:
    if all(sum(one["zones"][zone]["vectors"] > 0 for zone in ZONES) < 2 for one in zones):
        return "With fewer than two zones, nothing can be said about zones and quarters."
    bits, high = [one["information"] for one in zones], [one["information_shifted"]["high"] for one in zones]
    return (
        f"Zone and quarter share {_mean(bits, '{:.3f}')} bits (Cramér's V "
        f"{_mean([one['cramers_v'] for one in zones], '{:.2f}')}); 95 % of shifts stay below {_mean(high, '{:.3f}')}: "
        f"{_verdict(bits, high)}."
    )


def _verdict(values: Sequence[float], high: Sequence[float], low: Sequence[float] = ()) -> str:
    """Tell one value from the range that chance gives, or count the seeds whose values lie outside."""
    more = sum(value > edge for value, edge in zip(values, high, strict=True))
    less = sum(value < edge for value, edge in zip(values, low, strict=False))
    if len(values) == 1:
        return "more than chance" if more else "less than chance" if less else "not distinguishable from chance"
    return f"more than chance in {more}{f' and less in {less}' if low else ''} of {len(values)} seeds"


def _comparable(olc: Report, vanilla: Report) -> bool:
    return bool(olc["segments"] == "olc" and vanilla["segments"] == "vanilla" and olc["codes"] == vanilla["codes"])


def _contrast(name: str, pairs: Sequence[tuple[Report, Report]]) -> str:
    """Say what differs between overlapped and vanilla codebooks, and in how many seeds of how many."""
    spread = "n = 1 seed, no spread" if len(pairs) == 1 else f"means of n = {len(pairs)} seeds"
    facts = {what: [(fact(olc), fact(vanilla)) for olc, vanilla in pairs] for what, fact in CONTRASTS.items()}
    compared = "; ".join(f"{what} {told}" for what, values in facts.items() for told in _against(values))
    return f"{name} against its vanilla counterpart, where every kind may use every quarter ({spread}): {compared}."


def _against(values: Sequence[tuple[float | None, float | None]]) -> Iterator[str]:
    """Write means of pairs, which is larger as shown, and in how many of several seeds; nothing if a value lacks."""
    pairs = [(first, second) for first, second in values if first is not None and second is not None]
    if len(pairs) < len(values):
        return
    first, second = (round(fmean(column), 3) for column in zip(*pairs, strict=True))
    told = "higher" if first > second else "lower" if first < second else "equal to three digits"
    more = sum(own > other for own, other in pairs)
    yield f"{first:.3f} against {second:.3f}, {told}" + (
        f" (higher in {more} of {len(pairs)} seeds)" if len(pairs) > 1 else ""
    )
