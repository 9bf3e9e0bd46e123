"""`explain`: where a number of a report comes from."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from bench.cli.settings import ROOT, Settings, find_profile, workplace
from bench.core.errors import BenchError, UsageError

if TYPE_CHECKING:
    from bench.core.params import Params
    from bench.provenance.evidence import Evidence
    from bench.provenance.subject import Subject, Wanted
    from bench.provenance.values import Value

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


class Disagreement(BenchError):
    """A table's cell and the value computed again differ."""


@app.command("explain")
def explain(
    context: typer.Context,
    address: Annotated[
        str | None, typer.Argument(metavar="[FILE:ROW:COLUMN]", help="A cell of a report's table; or just a file.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="Instead: a variant, a row's label or a method, ...")] = None,
    metric: Annotated[str | None, typer.Option(help="... a metric, such as psnr-mu or psnr-mu@moving, ...")] = None,
    scene: Annotated[str | None, typer.Option(help="... and a scene; default: the mean over scenes.")] = None,
    dataset: Annotated[str | None, typer.Option(help="The data set, where several were tested.")] = None,
    table: Annotated[int | None, typer.Option(help="1, 2 or 3: the table whose cell is meant.")] = None,
    value: Annotated[bool, typer.Option("--value", help="Print nothing but the value, computed again.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Compare with the cell: exit code 1 if they differ.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole chain as JSON.")] = False,
) -> None:
    """Trace a number back to score rows, predictions, weights, data, code and the command that makes it again.

    ROW is a label, a variant or a number; COLUMN is as in the CSV. The value is computed again from the score rows of
    work/ where they are on this disk, else from those of the report.

    Example: python -m bench explain reports/demo/tables/table3.csv:olc-64:psnr_mu
    """
    settings, here = cast(Settings, context.obj), Path.cwd()
    if (address is None) == (method is None) or (method is None) != (metric is None):
        raise UsageError("name a cell as FILE:ROW:COLUMN, or a score by --method and --metric.")
    if address is not None:
        _refuse(address, {"--scene": scene, "--table": table})
    with workplace():
        from bench.provenance.subject import Wanted

        wanted = Wanted(method or "", metric or "", scene, dataset, table)
        typer.echo(_said(_meant(settings, here, address, wanted), value, check, as_json))


def _refuse(address: str, options: Mapping[str, object]) -> None:
    """Raise UsageError for options, name -> value or None, that an address would silently ignore."""
    for name, value in options.items():
        if value is not None:
            raise UsageError(
                f"{name} goes with --method and --metric, not with {address}: a cell stands in its own table and is a "
                "mean over scenes. Leave it out, or name the score by --method and --metric."
            )


def _said(meant: "tuple[Evidence, Subject | None, Path]", value: bool, check: bool, as_json: bool) -> str:
    """Return what is to be printed."""
    from bench.provenance import chain, text

    evidence, subject, file = meant
    if subject is None:
        if value or check:
            raise UsageError(f"{file} is a whole file; --value and --check need a cell, FILE:ROW:COLUMN.")
        found = chain.of_file(file, evidence)
        return json.dumps(found, indent=2) if as_json else text.of_file(found)
    if value or check:
        return _checked(subject, evidence) if check else _computed(subject, evidence).text
    found = chain.of_subject(subject, evidence)
    return json.dumps(found, indent=2) if as_json else text.of_subject(found)


def _meant(
    settings: Settings, here: Path, address: str | None, wanted: "Wanted"
) -> "tuple[Evidence, Subject | None, Path]":
    """Return the profile's records, what is to be explained (None: a whole file) and the file."""
    from bench.provenance import address as addresses
    from bench.provenance import subject
    from bench.provenance.evidence import Evidence

    if address is None:
        evidence = Evidence(settings.load())
        return evidence, subject.of_names(evidence.params, evidence.scores, wanted), evidence.scores_file
    path, row, column = addresses.split(address)
    file = _inside(here, path)
    evidence = Evidence(_params(settings, file), file.parts[2])
    if not row:
        if wanted.dataset:
            raise UsageError(f"{file} is a whole file; --dataset needs a cell, FILE:ROW:COLUMN.")
        return evidence, None, file
    cell = addresses.find(file.with_suffix(".csv"), row, column, wanted.dataset)
    return evidence, subject.of_cell(evidence.params, cell), file


def _inside(here: Path, path: Path) -> Path:
    """Return the file relative to the root; one that is no table or figure of a report raises UsageError."""
    full = here / path if (here / path).exists() else ROOT / path
    file = full.resolve().relative_to(ROOT) if full.resolve().is_relative_to(ROOT) else path
    if len(file.parts) != 4 or file.parts[0] != "reports" or file.parts[2] not in ("tables", "figures"):
        raise UsageError(f"{path} is no table or figure of a report; expected reports/PROFILE/tables/NAME.csv.")
    return file


def _params(settings: Settings, file: Path) -> "Params":
    """Load the parameters of the profile whose report holds the file: those of --params if they are its own."""
    profile = file.parts[1]
    own = settings.load() if settings.params_file.exists() else None
    if own is not None and own.profile == profile:
        return own
    return Settings(find_profile(profile), settings.quiet).load()


def _computed(subject: "Subject", evidence: "Evidence") -> "Value":
    from bench.provenance.values import compute

    made = compute(subject, evidence)
    if not made.text:
        raise UsageError(f"{subject.words}: there is no value to compute here: {made.missing or made.how}.")
    return made


def _checked(subject: "Subject", evidence: "Evidence") -> str:
    from bench.provenance.chain import agrees

    made = _computed(subject, evidence)
    same, source = agrees(subject, made), ", ".join(made.files)
    if subject.cell is None or same is None:
        raise UsageError(f"{subject.words}: no table holds this score, so there is nothing to compare it with.")
    if not same:
        raise Disagreement(f"{subject.words}: the cell holds {subject.cell.text!r}, {source} gives {made.text!r}.")
    return f"{made.text}: the cell agrees with {source}"
