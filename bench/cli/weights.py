"""`import-weights`: convert the checkpoint that a method's authors released, for a row measured with it."""

import importlib
from pathlib import Path
from typing import Annotated, cast

import typer

from bench.cli.settings import Settings, quietly, workplace

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command("import-weights")
def import_weights(
    context: typer.Context,
    method: Annotated[str, typer.Argument(help="Which method; see: python -m bench list methods.")],
    file: Annotated[Path, typer.Argument(help="The authors' checkpoint: .pth, .safetensors or .npz.")],
    preset: Annotated[str, typer.Option(help="Size or variant of the network that the file is for.")] = "published",
    name: Annotated[str, typer.Option(help="What to call the result; without: the method's name.")] = "",
) -> None:
    """Convert weights that a method's authors released.

    Writes weights/NAME.safetensors in this project's names and conventions, with a card that records the source, and
    prints the entries of the parameter file for a row measured with them. Nothing in the file is executed.

    Example: python -m bench import-weights ahdrnet checkpoint.pth --name ahdrnet-authors
    """
    file, settings = file.absolute(), cast(Settings, context.obj)
    with workplace():
        stage = importlib.import_module("bench.stages.own_files.import_weights")
        params = settings.load()
        quietly(settings, lambda: stage.run(params, method, file, preset, name))
