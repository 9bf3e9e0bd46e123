"""`data`: look at the data that methods are trained and tested on."""

import importlib
from pathlib import Path
from typing import Annotated, cast

import typer

from bench.cli.settings import Settings, quietly, workplace

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Look at the data.")


@app.callback()
def data() -> None:
    """Look at the data that methods are trained and tested on."""


@app.command("report")
def report(
    context: typer.Context,
    dataset: Annotated[
        str, typer.Option(help="A dataset of the profile, or a profile's name for all of its datasets.")
    ],
    out: Annotated[Path | None, typer.Option(help="HTML file; default: work/<profile>/data/<name>.html.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N scenes of each split.")] = None,
) -> None:
    """Write a page with a row for each prepared scene.

    Thumbnails, exposures, saturation, motion, dynamic range, checks passed, and how they are distributed. The page is
    one file that needs no network.

    Example: python -m bench data report --dataset demo
    """
    settings = cast(Settings, context.obj)
    place = None if out is None else out.absolute()
    with workplace():
        params = settings.load()
        stage = importlib.import_module("bench.stages.tools.data_report")
        quietly(settings, lambda: typer.echo(f"Page: {stage.run(params, dataset, place, limit)}"))
