"""Printed numbers for a terminal and as Markdown: a table of ranges for each data set, then every number behind it."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from bench.report.literature.numbers import Key, KnownCause, PrintedNumber, Range, best, ordered, ranges
from bench.report.table.view import DASH

LARGE = 100
"""Numbers from which on a data set has a file of its own."""

OTHERS = "others"


def files(rows: Sequence[PrintedNumber], causes: Sequence[KnownCause]) -> dict[str, str]:
    """Return file name -> Markdown: one for each large data set, and one for all others."""
    by_set = {name: list(group) for name, group in groupby(rows, key=lambda row: row.dataset)}
    large = {name: group for name, group in by_set.items() if len(group) >= LARGE}
    small = {name: group for name, group in by_set.items() if name not in large}
    made = {f"{name}.md": document([name], {name: group}, causes) for name, group in large.items()}
    return {**made, f"{OTHERS}.md": document(sorted(small), small, causes)} if small else made


def document(names: Sequence[str], by_set: dict[str, list[PrintedNumber]], causes: Sequence[KnownCause]) -> str:
    """Return the Markdown of one file."""
    title = names[0] if len(names) == 1 else "smaller and other test sets"
    head = [
        f"# Printed numbers: {title}",
        "",
        "Written by `python -m bench literature --write` from `printed.csv` and `causes.csv` beside it. A range is "
        "from the lowest to the highest printed value, with (distinct values / sources) behind it; a value alone has "
        "one source, or the same digits everywhere. Numbers that most likely belong to another table don't count.",
    ]
    return "\n".join(
        [*head, *(line for name in names for line in _section(name, by_set[name], causes, len(names) > 1))]
    )


def _section(name: str, rows: Sequence[PrintedNumber], causes: Sequence[KnownCause], titled: bool) -> list[str]:
    found = ranges(rows)
    metrics = ordered(row.metric for row in rows)
    methods = sorted({row.method for row in rows}, key=lambda method: (best(found, name, method, metrics[0]), method))
    lines = ["", f"## {name}"] if titled else []
    lines += ["", f"| method | {' | '.join(metrics)} |", f"|---|{'--:|' * len(metrics)}"]
    for method in methods:
        cells = [_cell(found.get((name, method, metric))) for metric in metrics]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    known = [cause for cause in causes if any(cause.dataset and cause.concerns(key) for key in found)]
    if known:
        lines += ["", "Why numbers differ, as far as known:", ""]
        lines += [f"- {_about(cause)}: {cause.cause} ({cause.certainty})" for cause in known]
    lines += ["", "Every number, with its source:", ""]
    lines += ["| method | metric | value | whose | source | where | note |", "|---|---|--:|---|---|---|---|"]
    for row in sorted(rows, key=lambda row: (methods.index(row.method), metrics.index(row.metric), float(row.value))):
        cells = [row.method, row.metric, row.value, row.origin, row.source, row.where, row.note]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return [*lines, ""] if not titled else lines


def _cell(found: Range | None) -> str:
    if found is None:
        return ""
    if found.distinct == 1:
        return found.high
    return f"{found.low}{DASH}{found.high} ({found.distinct}/{found.sources})"


def _about(cause: KnownCause) -> str:
    parts = [part.replace("|", ", ") for part in (cause.method, cause.metric) if part]
    return ", ".join(parts) or "all"


def listing(rows: Sequence[PrintedNumber], causes: Sequence[KnownCause]) -> str:
    """Return numbers for a terminal, those of one data set, method and metric together with their range and causes."""
    found, lines = ranges(rows), []
    for key, group in groupby(rows, key=lambda row: (row.dataset, row.method, row.metric)):
        entry = found.get(key)
        extent = f"{entry.low} to {entry.high}, apart by {entry.spread:.4g}" if entry and entry.distinct > 1 else ""
        lines.append(f"{key[0]}, {key[1]}, {key[2]}{': ' + extent if extent else ''}")
        lines += [
            f"  {row.value:>8}  {row.origin:<18}  {row.source}; {row.where}{'; ' + row.note if row.note else ''}"
            for row in sorted(group, key=lambda row: float(row.value))
        ]
        if extent:
            lines += [f"  why: {cause.cause} ({cause.certainty})" for cause in of_key(causes, key)]
    return "\n".join(lines)


def of_key(causes: Iterable[KnownCause], key: Key) -> list[KnownCause]:
    """Return the causes that concern a data set, method and metric."""
    return [cause for cause in causes if cause.concerns(key)]
