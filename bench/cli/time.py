"""`time`: how fast things run on this machine; never part of a result."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from bench.cli.catalogue import table
from bench.cli.settings import Settings, workplace
from bench.cli.stages import check_names, execute

if TYPE_CHECKING:
    from bench.report.cost.speed import Speed
    from bench.stages.cost.inference import Outcome

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="How fast trainings ran and methods predict on this machine. Without a verb: trainings.",
)

Option = typer.Option


@app.callback(invoke_without_command=True)
def default(context: typer.Context) -> None:
    """How fast trainings ran (`time trainings`, also without a verb) and methods predict (`time methods`)."""
    if context.invoked_subcommand is None:
        trainings(context)


@app.command()
def trainings(context: typer.Context) -> None:
    """Print how fast the trainings ran on this machine, and what share of the device that is.

    Example: python -m bench time trainings
    """
    execute(context, "cost.time")


@app.command()
def methods(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Variants of the profile, or methods with another --preset; default: Table 1, or all."),
    ] = None,
    preset: Annotated[
        str, Option(help="'profile': as the profile's variants say; or one of the methods' own, such as published.")
    ] = "profile",
    size: Annotated[list[str] | None, Option(help="Height and width, once or more; default: 256x256.")] = None,
    repeat: Annotated[int, Option(min=1, help="Predictions to time after a warm-up; the median counts.")] = 5,
    device: Annotated[str, Option(help="cpu or cuda; default: a GPU where there is one.")] = "",
    minutes: Annotated[float, Option(min=0, help="Give a method up after so long.")] = 30.0,
    force: Annotated[bool, Option("--force", help="Measure again what is kept.")] = False,
    as_json: Annotated[bool, Option("--json", help="Print the rows as JSON.")] = False,
) -> None:
    """Measure seconds per megapixel and peak memory of methods, and draw the Pareto figure.

    Each method predicts a made-up bracket in a process of its own, with random weights: the whole way from stored
    frames to radiance. What was measured is kept in runs/<profile>/time and measured again only after its code or
    settings changed; a method that fails has its reason in its row. The figure needs the profile's scores.

    Example: python -m bench time methods --size 256x256 --size 1000x1500
    """
    settings = cast(Settings, context.obj)
    with workplace():
        from bench.core import progress
        from bench.stages.cost.inference import Request, read_sizes, run

        progress.quiet = settings.quiet
        params = settings.load()
        check_names(params, settings.params_file)
        sizes = tuple(read_sizes(size or ["256x256"]))
        outcome = run(params, Request(tuple(names or ()), preset, sizes, repeat, device, minutes, force))
        _show(outcome, as_json)


def _show(outcome: "Outcome", as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([speed._asdict() for speed in outcome.speeds], indent=2))
        return
    rows = [_row(speed) for speed in outcome.speeds]
    typer.echo(table(rows, rows[0]))
    first = outcome.speeds[0]
    typer.echo(f"\n{first.device}, CPU threads: {first.threads}")
    for path in (*(outcome.file.with_suffix(end) for end in (".json", ".csv", ".md")), *outcome.figures):
        typer.echo(Path(path))
    if not outcome.figures:
        typer.echo("no figure: it needs two variants of the profile that are both timed (--preset profile) and scored")


def _row(speed: "Speed") -> dict[str, Any]:
    from bench.report.cost.speed import cells

    found = cells(speed)
    digits = {"params_m": 3, "seconds_per_megapixel": 3, "seconds": 3, "memory_gb": 2, "rest_gb": 2}
    numbers = {key: f"{value:.{digits[key]}f}" if (value := found.get(key)) is not None else "-" for key in digits}
    heads = ("params (M)", "s/MP", "s", "memory GB", "at rest GB")
    shown = {"method": found["name"], "preset": found["preset"], "size": found["size"]}
    return {**shown, **dict(zip(heads, numbers.values(), strict=True)), "remark": speed.reason}
