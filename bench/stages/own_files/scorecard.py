"""The output of `score`: scores and means with intervals as a table, or the same as JSON."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.metrics.checks import FileFinding
from bench.metrics.intervals import FEW, Interval, bootstrap
from bench.metrics.protocol import Protocol
from bench.stages.own_files.score import ScoreResult

LEVEL = 0.95
Values = dict[str, dict[str, float]]
"""Scene -> metric -> value."""


def text(result: ScoreResult) -> str:
    """Return one block a protocol: scenes, their mean and its interval; of several protocols, all means at the end."""
    used = [protocol for protocol in result.protocols if _values(protocol, result)]
    blocks = [_block(protocol, result) for protocol in used]
    blocks += [_summary(used, result)] if len(used) > 1 else []
    last = [f"submission kept as {result.kept}; report --partial shows its place"] if result.kept else []
    return "\n".join([*"\n\n".join(blocks).splitlines(), *last])


def _summary(protocols: Sequence[Protocol], result: ScoreResult) -> str:
    """Return the means under each protocol, a line each; "-" for a metric that it doesn't have."""
    means = {protocol.id: intervals(protocol, result) for protocol in protocols}
    columns = list(
        dict.fromkeys(name for protocol in protocols for name in protocol.metrics if name in means[protocol.id])
    )
    widths = [max(9, len(name)) for name in columns]
    left = max(map(len, [*means, "means"]))
    heads = [f"{name:>{width}}" for name, width in zip(columns, widths, strict=True)]
    lines = ["  ".join([f"{'means':<{left}}", "scenes", *heads])]
    for protocol in protocols:
        found = means[protocol.id]
        cells = [
            f"{found[name].mean:{width}.4f}" if name in found else f"{'-':>{width}}"
            for name, width in zip(columns, widths, strict=True)
        ]
        lines.append("  ".join([f"{protocol.id:<{left}}", f"{len(_values(protocol, result)):>6}", *cells]))
    return "\n".join([*lines, f"of {result.whole} scenes; values under different protocols don't compare"])


def complaints(result: ScoreResult) -> list[str]:
    """Return one line for each file or scene with findings: "bad: ..." or, where none is a fault, "note: ..."."""
    found: dict[str, list[FileFinding]] = {}
    for name, finding in result.findings:
        found.setdefault(name, []).append(finding)
    return [
        f"{'bad' if any(finding.bad for finding in those) else 'note'}: {name}: "
        + "; ".join([*(finding.said.removesuffix(".") for finding in those[:-1]), those[-1].said])
        for name, those in found.items()
    ]


def _block(protocol: Protocol, result: ScoreResult) -> str:
    values, means = _values(protocol, result), intervals(protocol, result)
    columns = [name for name in protocol.metrics if name in means]
    body = {scene: [scores.get(name, math.nan) for name in columns] for scene, scores in values.items()}
    body["mean"] = [means[name].mean for name in columns]
    places = max((means[name].places for name in columns), default=0)
    if places > 1:
        body |= {f"{end}, {LEVEL:.0%}": [getattr(means[name], end) for name in columns] for end in ("low", "high")}
    width = max(map(len, [*body, "scene"]))
    lines = [f"protocol {protocol.id}", f"{'scene':<{width}}" + "".join(f"  {name:>9}" for name in columns)]
    lines += [f"{name:<{width}}" + "".join(f"  {value:9.4f}" for value in row) for name, row in body.items()]
    shown: dict[str, int] = {name: means[name].scenes for name in columns}
    seen = protocol.hdrvdp2.caution if "hdrvdp2" in shown else ""
    notes = [*_notes(places, len(values), result, shown), *([seen] if seen else [])]
    return "\n".join([*lines, *notes])


def _notes(places: int, scored: int, result: ScoreResult, defined: Mapping[str, int]) -> Iterator[str]:
    """Say what the means are over; defined : metric -> scenes whose value is no NaN."""
    if scored < result.whole:
        lacking = f" ({result.scenes} were asked for)" if scored < result.scenes < result.whole else ""
        yield f"means of {scored} of {result.whole} scenes{lacking}: not comparable with means of all"
    for name, count in defined.items():
        if count == 0:
            yield f"{name}: no mean, undefined (NaN) in each scene"
        elif count < scored:
            yield f"{name}: mean of {count} of {scored} scenes (undefined, NaN, in the others)"
    if places < 2:
        yield "no interval: all scenes show one place"
    else:
        few = "; with so few it is a rough guide" if places < FEW else ""
        yield f"interval: bootstrap over {places} places (views of one place aren't independent){few}"


def intervals(protocol: Protocol, result: ScoreResult) -> dict[str, Interval]:
    """Return metric -> mean over scenes with its interval, those inside masks included."""
    values = _values(protocol, result)
    metrics = dict.fromkeys(metric for scores in values.values() for metric in scores)
    places = [result.places[scene] for scene in values]
    return {
        metric: bootstrap([scores.get(metric, math.nan) for scores in values.values()], places, level=LEVEL)
        for metric in metrics
    }


def _values(protocol: Protocol, result: ScoreResult) -> Values:
    values: Values = {}
    for row in result.rows:
        if row.protocol == protocol.id:
            values.setdefault(row.scene, {})[row.metric] = row.value
    return values


def as_json(result: ScoreResult) -> str:
    """Return everything as JSON: infinite values as "inf", undefined ones as null.

    A mean holds how many scenes it is over, and in how many scored ones its metric is undefined.
    """
    content = {
        "protocols": {protocol.id: _card(protocol, result) for protocol in result.protocols},
        "findings": [
            {"name": name, "kind": finding.kind, "said": finding.said, "scored": finding.scored}
            for name, finding in result.findings
        ],
        "submission": str(result.kept) if result.kept else None,
    }
    return json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False)


def _card(protocol: Protocol, result: ScoreResult) -> dict[str, Any]:
    values = _values(protocol, result)
    means = {
        metric: {**interval._asdict(), "undefined": len(values) - interval.scenes}
        for metric, interval in intervals(protocol, result).items()
    }
    return {"scenes": values, "means": means, "level": LEVEL, "asked": result.scenes, "published": result.published}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else repr(value)
    return value
