"""`estimate`: what a profile costs, before it is run."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from bench.cli.catalogue import table
from bench.cli.settings import ROOT, Settings, workplace
from bench.cli.stages import check_names
from bench.core import progress

if TYPE_CHECKING:
    from bench.stages.cost.estimate import Estimate
    from bench.stages.cost.pricing import Item

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

DEMO = "demo"
"""The profile whose parameter file lies in the project's root."""


@app.command("estimate")
def estimate(
    context: typer.Context,
    profile: Annotated[str | None, typer.Option(help="A profile by name; default: that of --params.")] = None,
    gpu: Annotated[
        str | None, typer.Option(help="h100, h200, a100 or 3090ti; default: this machine's, or h100.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Print FLOPs, memory, samples, steps and hours of every stage of a profile, and in total.

    FLOPs are counted on the real graph, without computing. Hours are a lower and an upper bound from the GPU's data
    sheet. Where there is a GPU, 20 steps of both stages are timed on random data, and the measured hours stand beside.
    The largest profile takes half an hour of one CPU core; progress goes to stderr.

    Example: python -m bench estimate --profile paper --gpu a100
    """
    settings = cast(Settings, context.obj)
    with workplace():
        chosen = settings if profile is None else Settings(find(profile), settings.quiet)
        params = chosen.load()
        check_names(params, chosen.params_file)
        from bench.stages.cost.estimate import run

        progress.quiet = settings.quiet
        result = run(params, gpu)
        typer.echo(json.dumps(result.as_json(), indent=2) if as_json else "\n".join(page(result)))


def find(profile: str) -> Path:
    """Return a profile's parameter file; UsageError with the known names if there is none."""
    files = {path.parent.name: path.relative_to(ROOT) for path in sorted(ROOT.glob("profiles/*/params.yaml"))}
    files[DEMO] = Path("params.yaml")
    if profile not in files:
        from bench.core.errors import unknown_name

        raise unknown_name("profile", profile, files)
    return files[profile]


def page(result: "Estimate") -> list[str]:
    """Return the estimate as lines: a table with a row for equal stages, totals, notes."""
    rows = [_row(item, result.measured.get(index)) for index, item in enumerate(result.items)]
    columns = [*rows[0]] if result.measured else [name for name in rows[0] if name != "measured h"]
    kinds = dict.fromkeys(item.stage for item in result.items)
    lines = [f"{result.profile} on one {result.gpu.label}, trained in {result.precision}", "", table(rows, columns), ""]
    for kind in kinds:
        lines.append(_total(kind, [item for item in result.items if item.stage == kind]))
    return [*lines, _total("all", result.items), "", *result.notes]


def _row(item: "Item", measured: float | None) -> dict[str, Any]:
    cost, others = item.cost, len(item.names) - 1
    return {
        "stage": item.stage,
        "of": item.names[0] + (f" and {others} more" if others else ""),
        "trained M": f"{cost.trainable / 1e6:.2f}",
        "frozen M": f"{cost.frozen / 1e6:.2f}",
        "GFLOP/sample": f"{cost.flops / item.batch / 1e9:.1f}",
        "TFLOP/step": f"{cost.flops / 1e12:.3f}",
        "GB/step": f"{cost.traffic / 1e9:.1f}",
        "memory GB": f"{cost.memory / 1e9:.1f}" if cost.saved else "-",
        "steps": item.steps,
        "samples": item.steps * item.batch,
        "compute h": _hours(item.compute),
        "traffic h": _hours(item.traffic),
        "launch h": _hours(item.launch),
        "binds": item.binds,
        "lower h": _hours(item.lower),
        "upper h": _hours(item.upper),
        "measured h": "-" if measured is None else _hours(measured),
    }


def _total(kind: str, items: Sequence["Item"]) -> str:
    number = sum(len(item.names) for item in items)
    flops = sum(len(item.names) * item.steps * item.cost.flops for item in items)
    lower, upper = sum(item.lower for item in items), sum(item.upper for item in items)
    return f"{kind:<10} {number:>3} stages  {flops / 1e18:>9.3g} EFLOP  {_hours(lower):>8} to {_hours(upper):>8} h"


def _hours(hours: float) -> str:
    return f"{hours:.3g}" if hours < 100 else f"{hours:.0f}"
