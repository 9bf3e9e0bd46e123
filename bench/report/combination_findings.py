"""What the inspected codebooks say about the paper's claim, in sentences that follow the numbers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.report.inspection import KINDS

Report = Mapping[str, Any]

SEGMENTS = {"L1": "Q1, Q2", "L2": "Q2, Q3", "L3": "Q3, Q4"}


def sentences(found: Sequence[Report]) -> list[str]:
    """Return sentences on each codebook of the lowest seed, then on pairs of vanilla and overlapped books."""
    complete = [report for report in lowest_seed(found) if "zones" in report]
    made = [" ".join((_use(report), *_places(report), _association(report))) for report in complete]
    made += list(_pairs([report for report in found if "zones" in report]))
    left_out = len(found) - len(lowest_seed(found))
    if left_out:
        made.append(f"Sentences and figures show the lowest seed; {left_out} books of other seeds are in the tables.")
    return made


def lowest_seed(found: Sequence[Report]) -> list[Report]:
    """Keep of books that differ in their seed alone the one with the lowest."""
    best: dict[str, int] = {}
    for report in found:
        seed = int(report.get("seed", 0))
        best[family(report)] = min(seed, best.get(family(report), seed))
    return [report for report in found if int(report.get("seed", 0)) == best[family(report)]]


def family(report: Report) -> str:
    """Return a codebook's name without its seed."""
    return str(report["codebook"]).removesuffix(f"--s{report.get('seed', 0)}")


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
    for zone in ("saturated", "mid", "shadows"):
        if "half" not in zones[zone]:
            yield f"No cell lies in the zone {zone}." if zone != "shadows" else "No cell lies in the shadows."
            continue
        half, place = zones[zone]["half"], {"mid": "mid-tone", "shadows": "shadow"}.get(zone, zone)
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
    counted = sum(zones["zones"][zone]["vectors"] > 0 for zone in ("saturated", "mid", "shadows"))
    if counted < 2:
        return "With fewer than two zones, nothing can be said about zones and quarters."
    verdict = "more than" if bits > high else "no more than"
    return (
        f"Zone and quarter share {bits:.3f} bits (Cramér's V {zones['cramers_v']:.2f}), {verdict} the {high:.3f} bits "
        "that 95 % of shifts stay below."
    )


def _pairs(found: Sequence[Report]) -> Iterator[str]:
    """Compare overlapped books with vanilla ones of their size and seeds: what the segments change."""
    families: dict[str, dict[int, Report]] = {}
    for report in found:
        families.setdefault(family(report), {})[int(report.get("seed", 0))] = report
    for name, books in families.items():
        controls = families.get(name.replace("olc", "vanilla", 1), {})
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
    comparison = _compared(round(first, 3), round(second, 3), "higher", "lower", "equal")
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
    return float(report["kinds"][KINDS[-1]]["used"])
