"""A comparison as text, Markdown and JSON."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from bench.core.reading import shown
from bench.regression.comparison import Comparison
from bench.regression.judging import Change

SHOWN = 20
"""Changes that are listed unless all are asked for."""

COLUMNS = ("change", "run", "scene", "metric", "protocol", "BASE", "NEW", "difference", "allowed")


def text(found: Comparison, everything: bool = False) -> str:
    """Return a table of the changes, the worst first, what explains them, and the verdict in the last line."""
    changes = found.changes if everything else found.changes[:SHOWN]
    lines = [list(COLUMNS), *(_cells(change) for change in changes)] if changes else []
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    rows = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
    remarks = [f"{head}: {line}" for head, line in _remarks(found)]
    return "\n".join([*rows, *_rest(found, changes), *remarks, verdict(found)])


def markdown(found: Comparison, everything: bool = False) -> str:
    """Return the same for a job summary or a comment, as GitHub renders it."""
    changes = found.changes if everything else found.changes[:SHOWN]
    heading = f"### {'❌' if found.failed else '✅'} `{found.new}` against `{found.base}`"
    table = ["| " + " | ".join(COLUMNS) + " |", "|" + " :--- |" * 5 + " ---: |" * 4]
    table += ["| " + " | ".join(_escaped(cell) for cell in _cells(change)) + " |" for change in changes]
    remarks = [f"- {head}: {_escaped(line)}" for head, line in _remarks(found)]
    blocks = [table if changes else [], _rest(found, changes), remarks]
    return "\n\n".join([heading, verdict(found), *("\n".join(lines) for lines in blocks if lines)]) + "\n"


def as_json(found: Comparison) -> str:
    """Return everything as JSON: every change, NaN as null and infinity as "inf"."""
    content = {
        "base": found.base,
        "new": found.new,
        "failed": found.failed,
        "rows": dict(found.rows),
        "changes": [_entry(change) for change in found.changes],
        "within": {
            "rows": found.within.rows,
            "largest": _entry(found.within.largest) if found.within.largest else None,
            "mean": _entry(found.within.mean) if found.within.mean else None,
        },
        "patterns": list(found.patterns),
        "notes": list(found.notes),
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)


def verdict(found: Comparison) -> str:
    """Return one line: what came out, and of how many rows. Only equal rows are "unchanged"."""
    rows = sum(found.rows.values())
    how = ", ".join(f"{count} {kind}" for kind, count in sorted(found.rows.items()))
    counts = Counter((change.name, change.fails) for change in found.changes)
    parts = [f"{count} {name}" + ("" if fails else " (no failure)") for (name, fails), count in counts.items()]
    if found.failed:
        word = "regression"
    elif found.changes:
        word = "no regression"
    else:
        word = "changed within bands" if found.within.rows else "unchanged"
    parts += [_within(found, word)] if found.within.rows else []
    return f"{word}: {'; '.join(parts) or 'nothing changed'}; {rows} rows compared ({how or 'none on both sides'})"


def _within(found: Comparison, word: str) -> str:
    """Say how many rows moved by no more than is allowed, and how far: the row and the mean nearest to their bands."""
    inside = found.within
    told = [f"{inside.rows} row{'s' * (inside.rows != 1)}"]
    if word != "changed within bands":
        told[0] += " changed within bands"
    if inside.largest:
        told.append(f"the largest {_moved(inside.largest)}")
    if inside.mean:
        told.append(f"the largest mean {_moved(inside.mean)}")
    return ", ".join(told)


def _moved(change: Change) -> str:
    key = change.key
    place = shown(key.dataset if change.mean else f"{key.dataset}/{key.scene}")
    return f"{change.difference:+.3g} of {change.allowed:.2g} in {shown(key.metric)} ({shown(key.run)} on {place})"


def _cells(change: Change) -> list[str]:
    key = change.key
    values = [_number(value) for value in (change.base, change.new)]
    moved = f"{change.difference:+.6g}" if math.isfinite(change.difference) else ""
    allowed = "" if change.allowed is None else f"{change.allowed:.2g}"
    name = change.name if change.fails else f"({change.name})"
    where = "/".join(part for part in (key.dataset, key.scene) if part)
    return [name, *map(shown, (key.run, where, key.metric, key.protocol)), *values, moved, allowed]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.10g}"


def _rest(found: Comparison, shown: Sequence[Change]) -> list[str]:
    left = len(found.changes) - len(shown)
    return [f"... and {left} more; --all lists them"] if left else []


def _remarks(found: Comparison) -> Iterator[tuple[str, str]]:
    """Yield what changes say besides numbers, what they have in common, their causes, and notes, each with its head."""
    yield from ((head, "".join(map(shown, line))) for head, line in _said(found))  # a whole line would be shortened


def _said(found: Comparison) -> Iterator[tuple[str, str]]:
    for said, count in Counter((change.name, change.said) for change in found.changes if change.said).items():
        yield said[0], f"{said[1]}{f' ({count} rows)' if count > 1 else ''}"
    yield from (("pattern", line) for line in found.patterns)
    yield from (("cause", line) for line in _causes(found))
    yield from (("note", line) for line in found.notes)


def _causes(found: Comparison) -> Iterator[str]:
    """Yield what differs upstream by kind of stage: the stages of all runs together."""
    differences: dict[str, dict[str, None]] = {}
    rows: Counter[str] = Counter()
    for change in found.changes:
        for cause in change.cause:
            kind = cause.stage.partition("@")[0]
            differences.setdefault(kind, {}).update(dict.fromkeys(cause.differences))
            rows[kind] += 1
    for kind, count in rows.most_common():
        code = [line.removeprefix("code ") for line in differences[kind] if line.startswith("code ")]
        rest = [line for line in differences[kind] if not line.startswith("code ")]
        said = ", ".join([*(["code of " + " ".join(code)] if code else []), *rest])
        yield f"{kind}: {said} (upstream of {count} changed row{'s' * (count > 1)})"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def _entry(change: Change) -> dict[str, Any]:
    numbers = {"base": change.base, "new": change.new, "difference": change.difference, "allowed": change.allowed}
    shown = {name: _plain(value) for name, value in numbers.items()}
    rest = {
        "kind": change.kind,
        "fails": change.fails,
        "said": change.said,
        "cause": [cause._asdict() for cause in change.cause],
    }
    return {"change": change.name, **change.key._asdict(), **shown, **rest}


def _plain(value: float | None) -> float | str | None:
    if value is None or math.isnan(value):
        return None
    return value if math.isfinite(value) else str(value)
