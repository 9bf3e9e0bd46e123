"""`speed`: what a training step takes on this machine's GPU, and what limits it."""

from typing import Annotated, cast

import typer

from bench.cli.estimate import find
from bench.cli.settings import Settings, workplace
from bench.cli.stages import check_names
from bench.core import progress

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command("speed")
def speed(
    context: typer.Context,
    profile: Annotated[str | None, typer.Option(help="A profile by name; default: that of --params.")] = None,
    run: Annotated[str | None, typer.Option(help="A run of the profile; default: the last row of Table 3.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Samples in a step.")] = 16,
    size: Annotated[int, typer.Option(min=16, help="Edge of the patches, a multiple of 8.")] = 256,
    keep: Annotated[
        bool, typer.Option("--keep", help="Write to reports/<profile>, which git tracks, over what is there.")
    ] = False,
) -> None:
    """Time a stage-2 step in fp32, bf16, compiled and in CUDA graphs, and say what binds it.

    Beside the milliseconds stand images/s, memory, MFU and the share of the memory's bandwidth, against ceilings
    measured in the same call. Written to runs/<profile>/speed/speed.md and speed.json. On a CPU: fp32 alone.

    Example: python -m bench speed --profile lab --batch 16 --size 256
    """
    settings = cast(Settings, context.obj)
    if size % 8:
        raise typer.BadParameter(f"{size} isn't a multiple of 8.", param_hint="--size")
    with workplace():
        chosen = settings if profile is None else Settings(find(profile), settings.quiet)
        params = chosen.load()
        check_names(params, chosen.params_file)
        from bench.stages.cost.speed import page
        from bench.stages.cost.speed import run as measure

        progress.quiet = settings.quiet
        typer.echo(page(measure(params, run, batch=batch, size=size, keep=keep)))
