"""`merge`: one bracket of your photographs to one HDR picture."""

import importlib
from pathlib import Path
from typing import Annotated, cast

import typer

from bench.cli.settings import Settings, quietly, workplace

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

Option = typer.Option


@app.command()
def merge(
    context: typer.Context,
    frames: Annotated[
        list[Path],
        typer.Argument(help="The bracket's frames in any order, or their folder, in which a truth is passed over."),
    ],
    method: Annotated[str, Option(help="Which method; see: python -m bench list methods.")],
    out: Annotated[Path, Option("-o", "--out", help="EXR file for the result: linear RGB, float32.")],
    exposures: Annotated[
        str, Option(help="Seconds or EVs of each frame, such as 1/320,1/80,1/20 or 0ev,2ev,4ev; or exif.")
    ] = "",
    weights: Annotated[Path | None, Option(help="Weights of a network, as train writes them.")] = None,
    preset: Annotated[str, Option(help="A method's mode; a network's size, for weights without a card.")] = "",
    preview: Annotated[Path | None, Option(help="PNG file for a tone-mapped look at it.")] = None,
    tile: Annotated[int, Option(min=0, help="Edge of tiles in pixels, a multiple of 8, where memory is short.")] = 0,
    force: Annotated[bool, Option("--force", help="Replace existing files.")] = False,
) -> None:
    """Merge your own bracket.

    Exposure times come from --exposures, from exposure_times.txt or exposure.txt beside the frames, or from EXIF. In
    the result 1 is the largest radiance that the shortest frame holds. The frames are taken as gamma 2.2: a camera's
    JPEGs have a curve of their own, and a note says how far they are from it.

    Example: python -m bench merge a.jpg b.jpg c.jpg --method triangle-merge -o out.exr --preview out.png
    """
    # Commands run in the project's root; the user's paths are relative to where the command was typed.
    here = [path.absolute() for path in frames]
    written = {"out": out.absolute(), "preview": preview and preview.absolute()}
    weights = weights and weights.absolute()
    settings = cast(Settings, context.obj)
    with workplace():
        params, stage = settings.load(), importlib.import_module("bench.stages.own_files.merge")
        request = stage.MergeRequest(
            frames=stage.frames_of(here, list(written.values())), method=method, exposures=exposures, weights=weights,
            preset=preset, tile=tile, force=force, **written,
        )  # fmt: skip
        quietly(settings, lambda: stage.run(params, request))
