"""`fetch`: a dataset's files, from the network, another server or this disk; `rehearse`: with synthetic ones."""

from pathlib import Path
from typing import Annotated, Any

import typer

from bench.cli.stages import DryRun, execute, registered

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command("fetch")
def fetch(
    context: typer.Context,
    dataset: str,
    accept_licence: Annotated[bool, typer.Option("--accept-licence", help="You have read and accept it.")] = False,
    mirror: Annotated[str | None, typer.Option(help="Address that serves the official files by their names.")] = None,
    root: Annotated[Path | None, typer.Option(help="Folder with the unpacked files, read in place.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Only report what is here, missing or changed.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Download or simulate a dataset, or say where it lies.

    Downloads resume where they were cut off; their sha256 is recorded the first time and checked from then on. For a
    set that no machine can fetch, the steps to do by hand are printed.

    Example: python -m bench --params profiles/paper/params.yaml fetch kalantari --accept-licence
    """
    place = None if root is None else root.absolute()  # before the command goes to the project's folder
    if verify:
        execute(context, "data.fetch", dry_run, dataset, registered, function="check", root=place)
        return
    options: dict[str, Any] = {"mirror": mirror, "root": place, "accept_licence": accept_licence}
    execute(context, "data.fetch", dry_run, dataset, registered, **options)


@app.command("rehearse")
def rehearse(
    context: typer.Context,
    serve: Annotated[bool, typer.Option("--serve", help="Only serve the archives, until Ctrl-C.")] = False,
) -> None:
    """Run the paper profile's pipeline on synthetic archives.

    Archives with the official names and layouts are made from the shipped panoramas and served on this machine; then
    the whole pipeline runs, from the downloads to the report, with tiny networks.

    Example: python -m bench --params profiles/rehearsal/params.yaml rehearse
    """
    execute(context, "tools.rehearse", only_serve=serve)
