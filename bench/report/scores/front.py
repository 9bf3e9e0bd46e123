"""What the page's front says: what is new to know about this profile's results, in five sentences at most."""

from collections.abc import Iterator, Mapping, Sequence

from bench.report.page.page import PageFinding, PageSection
from bench.report.results import gains, paired
from bench.report.results.inputs import Measured, Paper
from bench.report.results.paired import PRIMARY, interval
from bench.report.scores.scored import METRICS, datasets_of
from bench.report.table.table import Row, Table

VIEWED = METRICS[-1]
"""HDR-VDP-2: what people see, beside PSNR."""


def findings(
    papers: Mapping[int, Paper], table: Table | None, sections: Sequence[PageSection], measured: Measured
) -> list[PageFinding]:
    """Return the findings on the first data set of Table 1; none of what this profile doesn't tell.

    table : Table 1.
    """
    panels = datasets_of(papers[1], measured) if 1 in papers else []
    found: list[PageFinding] = []
    if table and panels:
        rows = [row for row in table.rows if row.panel == panels[0] and isinstance(row.cells.get("psnr_mu"), float)]
        found += _first(rows, papers[1], measured, panels[0])
        found += _untrained(rows)
        found += _gained(papers[1], measured, panels[0])
    if 2 in papers:
        found += _codebooks(papers[2], measured)
    for section in sections:
        if section.anchor == "protocols" and section.findings:
            first, *order = section.findings[:2]  # how far one method moves; how often the order changes
            said = " ".join([first, *(f"{sentence.partition(';')[0].rstrip('.')}." for sentence in order)])
            found.append(PageFinding(said, "pages/protocols.html", "every protocol"))
    return found


def _value(row: Row, key: str = "psnr_mu") -> float:
    value = row.cells.get(key)
    return float(value) if isinstance(value, float) else float("-inf")


def _name(row: Row) -> str:
    return str(row.cells["method"])


def _first(rows: Sequence[Row], paper: Paper, measured: Measured, panel: str) -> Iterator[PageFinding]:
    """Say which row is on top, how far above the next learned one, and which one HDR-VDP-2 puts there."""
    if not rows:
        return
    top = max(rows, key=_value)
    test = paired.tests(paper, measured, [panel]).get((panel, _name(top)))
    said = f"{_name(top)} has the highest PSNR-μ on {panel}, {_value(top):.2f} dB"
    said += f" ({test.phrase(' dB')})" if test else "" if top.ranked else ", and isn't trained"
    seen = max(rows, key=lambda row: _value(row, VIEWED.key))
    if seen.cells.get(VIEWED.key) is not None and seen is not top:
        untrained = "" if seen.ranked else ", which isn't trained"
        value = VIEWED.text(seen.cells[VIEWED.key])
        said += f". {VIEWED.head} puts {_name(seen)} first ({value}){untrained}"
    yield PageFinding(f"{said}.", "#table1", "Table 1")


def _untrained(rows: Sequence[Row]) -> Iterator[PageFinding]:
    """Say how far learning gets beyond the best row without training."""
    learned = [_value(row) for row in rows if row.ranked and row.cells["kind"] != "submitted"]
    others = [row for row in rows if row.cells["kind"] in ("measured", "floor") and not row.ranked]
    if not learned or not others:
        return
    best = max(others, key=_value)
    above = [value for value in learned if value > _value(best)]
    beyond = f", by {max(above) - _value(best):.2f} dB at most" if above else ""
    lie = "lies" if len(above) == 1 else "lie"
    yield PageFinding(
        f"Without training, {_name(best)} reaches {_value(best):.2f} dB: {len(above) or 'none'} of {len(learned)} "
        f"learned rows {lie} above it{beyond}.",
        "#table1",
        "Table 1",
    )


def _gained(paper: Paper, measured: Measured, panel: str) -> Iterator[PageFinding]:
    """Say what training adds to the row that each network starts from."""
    rows = {label: variant for label, variant in paper.own.items() if (variant, panel) in measured.results}
    found = {label: gain for label, variant in rows.items() if (gain := gains.gain(variant, measured, panel))}
    if not found:
        return
    best = max(found, key=lambda label: found[label].difference.mean)
    idle = [label for label, gain in found.items() if gain.nothing]
    rest = f"; {', '.join(idle)}: nothing" if idle else ""
    yield PageFinding(
        f"Training adds most to {best}, {interval(found[best].difference)} dB over the row without training that it "
        f"starts from{rest}.",
        "#table1",
        "gains in Table 1",
    )


def _codebooks(paper: Paper, measured: Measured) -> Iterator[PageFinding]:
    """Say what overlapped codebooks bring against vanilla ones."""
    tests = paired.tests(paper, measured, datasets_of(paper, measured)[:1]).values()
    pairs = [test for test in tests if test.pair.label not in paper.controls]
    if not pairs:
        return
    parts = [
        f"{measured.named(test.pair.label, test.pair.variant)} {interval(test.difference)} dB against "
        f"{measured.named(test.pair.other_label, test.pair.other)}"
        for test in pairs
    ]
    single = max(test.difference.seeds for test in pairs) < 2
    held = (
        "One seed of each supports nothing, for or against OLC"
        if single
        else f"Verdicts: {', '.join(dict.fromkeys(test.verdict for test in pairs))}"
    )
    yield PageFinding(f"Overlapped codebooks in {PRIMARY.upper().replace('MU', 'μ')}: {'; '.join(parts)}. {held}.",
                  "pages/support.html", "what the data support")  # fmt: skip
