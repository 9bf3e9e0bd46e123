"""What the inspected codebooks say about the paper's claim, in sentences that follow the numbers."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from bench.core.scene import IMAGE_KINDS
from bench.report.results.seeds import seedless

Report = Mapping[str, Any]

SEGMENTS = {"L1": "Q1, Q2", "L2": "Q2, Q3", "L3": "Q3, Q4"}
NAMES = {"saturated": "saturated", "mid": "mid-tone", "shadows": "shadow"}
"""Zones in the order of the sentences, and what their cells are called."""


def sentences(found: Sequence[Report]) -> list[str]:
    """Return sentences on each codebook, seeds together, then on pairs of vanilla and overlapped books."""
    complete = [report for report in found if "zones" in report]
    made = [_several(name, books) if len(books) > 1 else _one(books[0]) for name, books in _families(complete).items()]
    made += list(_pairs(complete))
    if len(lowest_seed(found)) < len(found):
        made.append("Figures of codebooks show the lowest seed of each.")
    return made


def _families(found: Sequence[Report]) -> dict[str, list[Report]]:
    """Group the reports of books that differ in their seed alone, in the order of each group's first."""
    groups: dict[str, list[Report]] = {}
    for report in found:
        groups.setdefault(family(report), []).append(report)
    return groups


def _several(name: str, books: Sequence[Report]) -> str:
    """Sum up one codebook of several seeds: means with their ranges, and in how many seeds zones matter."""
    shared = [1 - book["zones"]["sharers"]["mass"]["none"] for book in books]
    used = [round(book["kinds"]["H"]["used"] * book["codes"]) for book in books]
    of = " or ".join(dict.fromkeys(f"{book['vectors']} vectors of {_images(book)}" for book in books))
    zones = ", ".join(_zone_of_several(zone, books) for zone in NAMES)
    bits = sum(_bits(book) > book["zones"]["information_shifted"]["high"] for book in books)
    return (
        f"{name} ({books[0]['segments']}, n = {len(books)} seeds, {of} each): HDR images use {_range(used)} "
        f"of {books[0]['codes']} codes; {fmean(shared):.1%} of their vectors ({min(shared):.1%} to "
        f"{max(shared):.1%}) chose codes that LDR frames of the same images use too. Against zone maps shifted at "
        f"random, HDR vectors chose {zones}. Zone and quarter share more bits than 95 % of shifts do in {bits} of "
        f"{len(books)} seeds."
    )


def _range(counts: Sequence[int]) -> str:
    return " to ".join(dict.fromkeys((str(min(counts)), str(max(counts)))))


def _zone_of_several(zone: str, books: Sequence[Report]) -> str:
    halves = [half for book in books if (half := book["zones"]["zones"][zone].get("half"))]
    if not halves:
        return f"in {NAMES[zone]} cells nothing, as there are none"
    more = sum(half["share"] > half["shifted"]["high"] for half in halves)
    less = sum(half["share"] < half["shifted"]["low"] for half in halves)
    where = f"in {NAMES[zone]} cells {SEGMENTS[halves[0]['frame']]}"
    return f"{where} more often in {more} and less often in {less} of {len(halves)} seeds"


def _one(report: Report) -> str:
    return " ".join((_use(report), *_places(report), _association(report)))


def lowest_seed(found: Sequence[Report]) -> list[Report]:
    """Keep of books that differ in their seed alone the one with the lowest."""
    best: dict[str, int] = {}
    for report in found:
        seed = int(report.get("seed", 0))
        best[family(report)] = min(seed, best.get(family(report), seed))
    return [report for report in found if int(report.get("seed", 0)) == best[family(report)]]


def family(report: Report) -> str:
    """Return a codebook's name without its seed."""
    return seedless(str(report["codebook"]))


def counterpart(name: str) -> str:
    """Return the name of the vanilla book that an overlapped one is compared with; of a vanilla book, its own."""
    return name.replace("olc", "vanilla", 1)


def _use(report: Report) -> str:
    hdr, sharers = report["kinds"]["H"], report["zones"]["sharers"]
    used, alone = round(hdr["used"] * report["codes"]), sharers["mass"]["none"]
    amount = "All" if alone == 0 else "Nearly all" if alone < 0.05 else "Most" if alone < 0.5 else "Fewer than half"
    return (
        f"{report['codebook']} ({report['segments']}): HDR images use {used} of {report['codes']} codes (perplexity "
        f"{hdr['perplexity']:.1f}, {report['vectors']} vectors of {_images(report)}). {amount} of their vectors, "
        f"{1 - alone:.1%}, chose codes that LDR frames of the same images use too; {alone:.1%} chose codes that no "
        f"frame uses, which are {sharers['codes']['none']:.1%} of the book."
    )


def _images(report: Report) -> str:
    return f"{report['images']} image" + ("" if report["images"] == 1 else "s")


def _places(report: Report) -> Iterator[str]:
    """Say of each zone whether it draws on the half of the frame that exposes it best more than shifted zones do."""
    zones = report["zones"]["zones"]
    for zone, place in NAMES.items():
        if "half" not in zones[zone]:
            yield f"No cell lies in the zone {zone}." if zone != "shadows" else "No cell lies in the shadows."
            continue
        half = zones[zone]["half"]
        span = f"{half['shifted']['low']:.1%} to {half['shifted']['high']:.1%}"
        yield (
            f"In {place} cells ({zones[zone]['vectors']} vectors) {half['share']:.1%} chose the half that an "
            f"overlapped book gives {half['frame']} ({SEGMENTS[half['frame']]}); zone maps shifted at random give "
            f"{span}: {_verdict(half, claimed=report['segments'] == 'olc')}."
        )


def _verdict(half: Mapping[str, Any], claimed: bool) -> str:
    if half["share"] > half["shifted"]["high"]:
        return "more than chance" + (", as the claim has it" if claimed else ", without any segments")
    if half["share"] < half["shifted"]["low"]:
        return "less than chance" + (", against the claim" if claimed else "")
    return "not distinguishable from chance"


def _association(report: Report) -> str:
    zones = report["zones"]
    bits, high = zones["information"], zones["information_shifted"]["high"]
    counted = sum(zones["zones"][zone]["vectors"] > 0 for zone in NAMES)
    if counted < 2:
        return "With fewer than two zones, nothing can be said about zones and quarters."
    verdict = "more than" if bits > high else "no more than"
    return (
        f"Zone and quarter share {bits:.3f} bits (Cramér's V {zones['cramers_v']:.2f}), {verdict} the {high:.3f} bits "
        "that 95 % of shifts stay below."
    )


def _pairs(found: Sequence[Report]) -> Iterator[str]:
    """Compare overlapped books with vanilla ones of their size and seeds: what the segments change."""
    families = {
        name: {int(report.get("seed", 0)): report for report in books} for name, books in _families(found).items()
    }
    for name, books in families.items():
        controls = families.get(counterpart(name), {})
        seeds = sorted(set(books) & set(controls))
        pairs = [(books[seed], controls[seed]) for seed in seeds if _comparable(books[seed], controls[seed])]
        if pairs:
            yield _pair(name, pairs)


def _comparable(olc: Report, vanilla: Report) -> bool:
    return bool(olc["segments"] == "olc" and vanilla["segments"] == "vanilla" and olc["codes"] == vanilla["codes"])


def _pair(name: str, pairs: Sequence[tuple[Report, Report]]) -> str:
    """Say what differs between overlapped and vanilla books, and in how many seeds of how many."""
    seeds = len(pairs)
    spread = "n = 1 seed, no spread" if seeds == 1 else f"means of n = {seeds} seeds"
    facts = {
        "mutual information of zone and quarter": [[_bits(book) for book in pair] for pair in pairs],
        "share of codes that HDR images use": [[_used(book) for book in pair] for pair in pairs],
    }
    saturated = [[value for book in pair if (value := _saturated(book)) is not None] for pair in pairs]
    if all(len(pair) == 2 for pair in saturated):
        facts["share of saturated HDR vectors in Q1 and Q2"] = saturated
    compared = "; ".join(f"{fact} {_contrast(values)}" for fact, values in facts.items())
    return f"{name} against its vanilla counterpart, where every kind may use every quarter ({spread}): {compared}."


def _contrast(values: Sequence[Sequence[float]]) -> str:
    """Write means of pairs (overlapped, vanilla), which is larger as shown, and in how many of several seeds."""
    first, second = (sum(column) / len(values) for column in zip(*values, strict=True))
    comparison = _compared(round(first, 3), round(second, 3), "higher", "lower", "equal to three digits")
    text = f"{first:.3f} against {second:.3f}, {comparison}"
    if len(values) > 1:
        text += f" (higher in {sum(a > b for a, b in values)} of {len(values)} seeds)"
    return text


def _bits(report: Report) -> float:
    return float(report["zones"]["information"])


def _saturated(report: Report) -> float | None:
    half = report["zones"]["zones"]["saturated"].get("half")
    return float(half["share"]) if half else None


def _compared(first: float, second: float, above: str, below: str, equal: str) -> str:
    return above if first > second else below if first < second else equal


def _used(report: Report) -> float:
    return float(report["kinds"][IMAGE_KINDS[-1]]["used"])
