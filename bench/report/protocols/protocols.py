"""The table of every method under every protocol, and what it says in sentences."""

import math
from collections.abc import Iterator, Mapping, Sequence

from bench.core.registry import protocols
from bench.report.protocols.ranking import ProtocolGrid, RankedValue, tau
from bench.report.results.caption import caution, data, seeds, settings, spread
from bench.report.results.inputs import Measured
from bench.report.results.results import Results, Summary
from bench.report.table.table import Column, Row, Table, Value

GROUP = "protocol"
TIDY = tuple(
    Column(key, key, digits=digits)
    for key, digits in {
        "dataset": None, "metric": None, "method": None, "variant": None, "kind": None, "protocol": None,
        "value": 4, "rank": 0, "rank_change": 0, "change_against": None, "scenes": 0, "seeds": 0, "note": None,
    }.items()
)  # fmt: skip
READING = (
    "Each column is one protocol, ranked by itself (rank in brackets; equal digits share one); protocols that give "
    "every method the same value share a column; nothing is ranked across protocols. ▲n or ▼n: n places gained or "
    "lost against {own}, this profile's protocol, among the methods that both rank. Rows stand in that protocol's "
    "order; floors are ranked too."
)
VIEWING = (
    " {names} take the display's resolution from the picture, and so its pixels per degree: small pictures are seen as "
    "coarse ones, which lifts Q by tens."
)
OTHER = "another metric than {twin}, which is not to be compared in value; places are against {twin} under {own}"


def table(grids: Sequence[ProtocolGrid], results: Mapping[str, Results], measured: Measured) -> Table:
    """Build the table: a panel for each data set and metric, a column for each protocol, and its tidy form.

    results : protocol -> (variant, dataset) -> result.
    """
    own = grids[0].own
    names = list(dict.fromkeys(name for grid in grids for name in grid.protocols))
    heads = {name: f"{name} (this profile's)" if name == own else name for name in names}
    columns = (
        Column("method", "method"),
        Column("kind", "kind"),
        *(Column(name, head, GROUP, 2, "higher", optional=True) for name, head in heads.items()),
    )
    return Table(
        name="protocols",
        title="Every method under every protocol",
        caption=_caption(own, results, measured),
        columns=columns,
        rows=tuple(row for grid in grids for row in _rows(grid, names, measured)),
        headings={panel(grid): _heading(grid) for grid in grids},
        groups={(panel(grid), GROUP): "" for grid in grids},
        shared=GROUP,
        tidy=_tidy(grids, results, measured),
    )


def panel(grid: ProtocolGrid) -> str:
    """Return the name of the panel that holds this grid."""
    return f"{grid.dataset}/{grid.metric.name}"


def _caption(own: str, results: Mapping[str, Results], measured: Measured) -> str:
    found = [result for group in results.values() for result in group.values()]
    tested = list(dict.fromkeys(dataset for group in results.values() for _, dataset in group))
    made = "; ".join(settings(measured.params, measured.cards))
    told = (
        f"Profile {measured.params.profile}: {data(measured.params, found, tested)}; {seeds(found)}; {made}. The same "
        f"predictions under every protocol. {READING.format(own=own)}{spread(found)}"
    )
    if not any("hdrvdp2" in result.values for result in found):
        return told
    sized = [
        name
        for name, protocol in protocols.items()
        if protocol.hdrvdp2 and isinstance(getattr(protocol.hdrvdp2.pixels_per_degree, "resolution", None), str)
    ]
    return f"{told} {caution(measured.params)}{VIEWING.format(names=' and '.join(sized)) if sized else ''}"


def _heading(grid: ProtocolGrid) -> str:
    unit = f", {grid.metric.unit}" if grid.metric.unit else ""
    twin = f": {OTHER.format(twin='PSNR-μ', own=grid.own)}" if grid.metric.twin else ""
    lacking = [name for name in grid.protocols if name not in grid.defined]
    rest = f" (not defined by {', '.join(lacking)})" if lacking else ""
    return f"{grid.metric.head}{unit}, on {grid.dataset}{rest}{twin}"


def _rows(grid: ProtocolGrid, names: Sequence[str], measured: Measured) -> Iterator[Row]:
    for variant in grid.variants:
        places = grid.row(variant)
        cells: dict[str, Value] = {"method": measured.label(variant), "kind": measured.kind(variant)}
        cells |= {name: places[name].value for name in names}
        yield Row(
            panel(grid),
            cells,
            {name: place.reason for name, place in places.items() if place.reason},
            spreads={name: place.spread for name, place in places.items() if place.spread is not None},
            marks={name: "up" if place.change > 0 else "down" for name, place in places.items() if place.change},
            tails={name: tail(place) for name, place in places.items() if place.rank},
            digits=grid.metric.digits,
        )


def tail(place: RankedValue) -> str:
    """Return rank and change as they stand behind a value: " (2 ▲1)", " (2)"."""
    arrow = f" {'▲' if place.change > 0 else '▼'}{abs(place.change)}" if place.change else ""
    return f" ({place.rank}{arrow})" if place.rank else ""


def _tidy(grids: Sequence[ProtocolGrid], results: Mapping[str, Results], measured: Measured) -> Table:
    rows = [
        _tidy_row(grid, variant, protocol, results.get(protocol, {}).get((variant, grid.dataset)), measured)
        for grid in grids
        for protocol in grid.protocols
        if any(place.value is not None for place in grid.column(protocol).values())  # others don't define the metric
        for variant in grid.variants
    ]
    return Table("protocols", "", "", TIDY, tuple(rows))


def _tidy_row(grid: ProtocolGrid, variant: str, protocol: str, result: Summary | None, measured: Measured) -> Row:
    place = grid.places[variant, protocol]
    cells: dict[str, Value] = {
        "dataset": grid.dataset, "metric": grid.metric.name, "method": measured.label(variant), "variant": variant,
        "kind": measured.kind(variant), "protocol": protocol, "value": place.value, "rank": place.rank,
        "rank_change": place.change, "change_against": f"{grid.metric.twin or grid.metric.name} {grid.own}",
        "scenes": result.scenes if result else None, "seeds": result.seeds if result else None,
    }  # fmt: skip
    missing = place.reason or "not ranked under this profile's protocol"
    remarks = {column.key: missing for column in TIDY if cells.get(column.key) is None and column.key != "note"}
    if place.value is not None and math.isnan(place.value):
        remarks["value"] = missing
    return Row(grid.dataset, {**cells, "note": Row(grid.dataset, cells, remarks).note}, remarks)


def findings(grid: ProtocolGrid, measured: Measured) -> list[str]:
    """Return what a grid shows: how far protocols move one method, and how often they order the methods anew."""
    others = [name for name in grid.defined if name != grid.own]
    if grid.own not in grid.defined or not others:
        return []
    compared = [name for name in grid.variants if measured.kind(name) != "floor"]
    return [*_spread(grid), *_orders(grid, others, compared), *_same(grid)]


def _spread(grid: ProtocolGrid) -> Iterator[str]:
    spans: dict[str, list[tuple[float, str]]] = {}
    for variant in grid.variants:
        ranked = [(place.value, name) for name, place in grid.row(variant).items() if place.rank]
        if found := sorted((value, name) for value, name in ranked if value is not None and value < math.inf):
            spans[variant] = found
    if not spans:
        return
    widest = max(spans, key=lambda name: spans[name][-1][0] - spans[name][0][0])
    (low, under), (high, over) = spans[widest][0], spans[widest][-1]
    digits, unit = grid.metric.digits, f" {grid.metric.unit}" if grid.metric.unit else ""
    yield (
        f"On {grid.dataset}, protocols alone move {grid.metric.head} of one method by up to "
        f"{high - low:.{digits}f}{unit}: {widest} has {low:.{digits}f} under {under}, {high:.{digits}f} under {over}."
    )


def _orders(grid: ProtocolGrid, others: Sequence[str], compared: Sequence[str]) -> Iterator[str]:
    if len(compared) < 2:
        return
    own, digits = {name: grid.places[name, grid.own] for name in compared}, grid.metric.digits
    found = {other: tau(own, {name: grid.places[name, other] for name in compared}, digits) for other in others}
    differ = {other: value for other, value in found.items() if value is not None and value < 1}
    text = (
        f"The order of the {len(compared)} variants (floors left out) differs from that under {grid.own} for "
        f"{len(differ)} of {len(others)} other {'protocols' if len(others) > 1 else 'protocol'} with {grid.metric.head}"
    )
    if differ:
        worst = min(differ, key=lambda name: differ[name])
        text += f"; least alike is {worst} (Kendall's tau {differ[worst]:.2f}; 1 is the same order)"
    yield f"{text}."


def _same(grid: ProtocolGrid) -> Iterator[str]:
    family = next(names for names in grid.families if grid.own in names)
    if twins := [name for name in family if name != grid.own]:
        yield (
            f"{len(twins)} of them ({', '.join(twins)}) {'give' if len(twins) > 1 else 'gives'} every method the same "
            f"{grid.metric.head} as {grid.own}, to {grid.metric.digits} decimals."
        )
