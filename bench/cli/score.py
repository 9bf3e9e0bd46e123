"""`score`: anyone's results, without our models."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from bench.cli.settings import Settings, workplace
from bench.cli.stages import check_names

if TYPE_CHECKING:
    from bench.stages.own_files.score import ScoreRequest, ScoreResult

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

Option = typer.Option


@app.command()
def score(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(help="Folder of <scene>.exr, .hdr, .npy or float .tif: linear RGB, relative radiance.")
    ],
    dataset: Annotated[str, Option(help="Dataset whose test scenes the files belong to; with --truth, any name.")],
    protocol: Annotated[
        list[str] | None, Option(help="How to score, once or more, or 'all'; default: the profile's.")
    ] = None,
    out: Annotated[Path | None, Option(help="CSV file for the scores of each scene.")] = None,
    maps: Annotated[Path | None, Option(help="Folder for error and visibility maps, a PNG for each scene.")] = None,
    truth: Annotated[Path | None, Option(help="Folder of true radiance, same names; 1 is its peak.")] = None,
    submit: Annotated[str, Option(help="Keep the scores under reports/submissions as NAME.", metavar="NAME")] = "",
    force: Annotated[bool, Option("--force", help="Replace a submission of this name.")] = False,
    trust: Annotated[bool, Option("--trust", help="Score files that look wrongly encoded too.")] = False,
    limit: Annotated[int | None, Option(min=1, help="Score only the first N scenes, to try things out.")] = None,
    jobs: Annotated[int | None, Option(min=1, help="Processes; default: a core each, 8 at most.")] = None,
    device: Annotated[str, Option(help="cpu or cuda.")] = "cpu",
    as_json: Annotated[bool, Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Score your own results, without our models.

    Prints the scores of each scene, and means with 95 % confidence intervals. A missing, extra or faulty file is named
    in one line on stderr; the others are scored.

    Exit codes: 0 all scored, 1 some files are bad, 2 nothing could be scored or the command is at fault.

    Example: python -m bench score work/demo/predictions/triangle-merge/panoramas/test --dataset panoramas
    """
    # Commands run in the project's root; the user's paths are relative to where the command was typed.
    paths = {"folder": folder, "out": out, "maps": maps, "truth": truth}
    options: dict[str, Any] = {name: path.absolute() for name, path in paths.items() if path}
    options |= {"dataset": dataset, "protocols": tuple(protocol or ()), "submit": submit, "force": force}
    options |= {"trust": trust, "limit": limit, "jobs": jobs, "device": device}
    with workplace():
        request, result = _run(cast(Settings, context.obj), options)
        _show(result, request, as_json)


def _run(settings: Settings, options: dict[str, Any]) -> "tuple[ScoreRequest, ScoreResult]":
    from bench.core import progress
    from bench.stages.own_files.score import ScoreRequest, run

    request = ScoreRequest(**options)
    progress.quiet = settings.quiet
    params = settings.load()
    check_names(params, settings.params_file)
    return request, run(params, request)


def _show(result: "ScoreResult", request: "ScoreRequest", as_json: bool) -> None:
    from bench.core.errors import UsageError
    from bench.stages.own_files import scorecard

    for line in scorecard.complaints(result):
        print(line, file=sys.stderr)
    if as_json:
        typer.echo(scorecard.as_json(result))
    elif result.rows:
        typer.echo(scorecard.text(result))
    if not result.rows:
        raise UsageError(f"nothing in {request.folder} could be scored.")
    if request.submit and result.kept is None:
        print(f"no submission was kept: {request.submit} needs every scene and no bad file.", file=sys.stderr)
        raise typer.Exit(1)
    if result.bad:
        raise typer.Exit(1)
