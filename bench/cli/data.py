"""Data: `fetch` a dataset's files, `rehearse` all of it with synthetic ones, `data report` on prepared scenes."""

import importlib
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from bench.cli.settings import Settings, quietly, workplace
from bench.cli.stages import DryRun, execute, registered

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
data = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Look at the data.")

Option = typer.Option


@app.command("fetch")
def fetch(
    context: typer.Context,
    dataset: str,
    accept_licence: Annotated[bool, Option("--accept-licence", help="You have read and accept it.")] = False,
    mirror: Annotated[str | None, Option(help="URL of a server with the official files under their names.")] = None,
    root: Annotated[Path | None, Option(help="Folder with the unpacked files, to be read in place.")] = None,
    verify: Annotated[bool, Option("--verify", help="Only list what is here, missing or changed.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Download or simulate a dataset, or say where it is.

    Interrupted downloads are resumed; their sha256 is recorded the first time and checked from then on. For a dataset
    that can't be downloaded automatically, the steps to do by hand are printed.

    Example: python -m bench --params profiles/paper/params.yaml fetch kalantari --accept-licence
    """
    options: dict[str, Any] = {"root": root and root.absolute()}  # before the command goes to the project's folder
    if not verify:
        options |= {"mirror": mirror, "accept_licence": accept_licence}
    execute(context, "data.fetch", dry_run, dataset, registered, function="check" if verify else "run", **options)


@app.command("rehearse")
def rehearse(
    context: typer.Context,
    serve: Annotated[bool, Option("--serve", help="Only serve the archives, until Ctrl-C.")] = False,
) -> None:
    """Run the pipeline of `paper` or `day` on synthetic archives.

    Archives with the official names and layouts are made from the shipped panoramas and served on this machine; then
    the whole pipeline runs, from the downloads to the report, with tiny networks: Tables 2 and 3 first, killed in the
    middle and launched again, then the rest, and once more, which may run nothing.

    Example: python -m bench --params profiles/day-rehearsal/params.yaml rehearse
    """
    execute(context, "tools.rehearse", only_serve=serve)


@data.callback()
def describe() -> None:
    """Look at the data that methods are trained and tested on."""


@data.command("report")
def report(
    context: typer.Context,
    dataset: Annotated[str, Option(help="A dataset of the profile, or a profile's name for all of its datasets.")],
    out: Annotated[Path | None, Option(help="HTML file; default: work/<profile>/data/<name>.html.")] = None,
    limit: Annotated[int | None, Option(min=1, help="Only the first N scenes of each split.")] = None,
) -> None:
    """Write an HTML page with a row for each prepared scene.

    It shows thumbnails, exposures, saturation, motion, dynamic range and checks of each scene, and their distributions.
    The page is one file that needs no network.

    Example: python -m bench data report --dataset demo
    """
    settings = cast(Settings, context.obj)
    page = out and out.absolute()
    with workplace():
        params = settings.load()
        stage = importlib.import_module("bench.stages.tools.data_report")
        quietly(settings, lambda: print(f"Page: {stage.run(params, dataset, page, limit)}"))
