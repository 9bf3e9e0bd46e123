"""`explain`: trace a number of a report to its origin."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from bench.cli.settings import ROOT, Json, Settings, find_profile, workplace
from bench.core.errors import BenchError, UsageError

if TYPE_CHECKING:
    from bench.core.params import Params
    from bench.provenance.evidence import Evidence
    from bench.provenance.number import Number, ScoreNames

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


class Disagreement(BenchError):
    """A table's cell differs from the value computed again."""


@app.command("explain")
def explain(
    context: typer.Context,
    address: Annotated[
        str | None, typer.Argument(metavar="[FILE:ROW:COLUMN]", help="A cell of a report's table, or a whole file.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="Instead of a cell: a variant, a row's label or a method;")] = None,
    metric: Annotated[str | None, typer.Option(help="with a metric, such as psnr-mu or psnr-mu@moving,")] = None,
    scene: Annotated[str | None, typer.Option(help="and a scene; default: the mean over scenes.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Test set, where there are several.")] = None,
    table: Annotated[int | None, typer.Option(help="1, 2 or 3: the table that shows the score.")] = None,
    value: Annotated[bool, typer.Option("--value", help="Print only the value, computed again.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Compare with the cell; exit code 1 if they differ.")] = False,
    as_json: Json = False,
) -> None:
    """Trace a number back to data and code.

    Prints score rows, predictions, weights, data, code, commits, and the command that makes the number again. ROW is a
    label, a variant or a number; COLUMN is a column of the CSV. The value is computed again from the score rows in
    work/ where they are on this disk, else from those of the report.

    Example: python -m bench explain reports/demo/tables/table3.csv:olc-64:psnr_mu
    """
    settings, here = cast(Settings, context.obj), Path.cwd()
    if (address is None) == (method is None) or (method is None) != (metric is None):
        raise UsageError("name a cell as FILE:ROW:COLUMN, or a score by --method and --metric.")
    for name, given in {"--scene": scene, "--table": table}.items():
        if address is not None and given is not None:
            raise UsageError(
                f"{name} goes with --method and --metric, not with {address}: a cell belongs to its table "
                "and is a mean over scenes. Leave it out, or name the score by --method and --metric."
            )
    with workplace():
        from bench.provenance.number import ScoreNames

        names = ScoreNames(method or "", metric or "", scene, dataset, table)
        meant = _find(settings, here, address, names)
        print(_answer(meant, only_value=value, check=check, as_json=as_json))


def _answer(meant: "tuple[Evidence, Number | None, Path]", *, only_value: bool, check: bool, as_json: bool) -> str:
    """Return the text to print."""
    from bench.provenance import chain, text

    evidence, number, file = meant
    if number is None:
        if only_value or check:
            raise UsageError(f"{file} is a whole file; --value and --check need a cell, FILE:ROW:COLUMN.")
        found = chain.of_file(file, evidence)
        return json.dumps(found, indent=2) if as_json else text.of_file(found)
    if only_value or check:
        return _value(number, evidence, check)
    found = chain.of_number(number, evidence)
    return json.dumps(found, indent=2) if as_json else text.of_number(found)


def _value(number: "Number", evidence: "Evidence", check: bool) -> str:
    """Return the value computed again, or that it agrees with its cell; Disagreement if it doesn't."""
    from bench.provenance.chain import agrees
    from bench.provenance.values import compute

    value = compute(number, evidence)
    if not value.text:
        raise UsageError(f"{number.words}: there is no value to compute here: {value.missing or value.how}.")
    if not check:
        return value.text
    same, source = agrees(number, value), ", ".join(value.files)
    if number.cell is None or same is None:
        raise UsageError(f"{number.words}: no table holds this score, so there is nothing to compare it with.")
    if not same:
        raise Disagreement(f"{number.words}: the cell holds {number.cell.text!r}, {source} gives {value.text!r}.")
    return f"{value.text}: the cell agrees with {source}"


def _find(
    settings: Settings, here: Path, address: str | None, names: "ScoreNames"
) -> "tuple[Evidence, Number | None, Path]":
    """Return the profile's records, the number to explain (None: a whole file) and the file."""
    from bench.provenance import number as numbers
    from bench.provenance.evidence import Evidence

    if address is None:
        evidence = Evidence(settings.load())
        return evidence, numbers.of_names(evidence.params, evidence.scores, names), evidence.scores_file
    path, row, column = numbers.split_address(address)
    full = here / path if (here / path).exists() else ROOT / path
    file = full.resolve().relative_to(ROOT) if full.resolve().is_relative_to(ROOT) else path
    if len(file.parts) != 4 or file.parts[0] != "reports" or file.parts[2] not in ("tables", "figures", "viewer"):
        raise UsageError(
            f"{path} is no table or figure of a report, nor its viewer; expected reports/PROFILE/tables/NAME.csv."
        )
    evidence = Evidence(_params(settings, file.parts[1]), file.parts[2])
    if not row:
        if names.dataset:
            raise UsageError(f"{file} is a whole file; --dataset needs a cell, FILE:ROW:COLUMN.")
        return evidence, None, file
    # Table 1 names rows by their labels only.
    labels = numbers.labels_of(evidence.params, file) if file.with_suffix(".csv").exists() else {}
    cell = numbers.find_cell(file.with_suffix(".csv"), labels.get(row, row), column, names.dataset)
    return evidence, numbers.of_cell(evidence.params, cell), file


def _params(settings: Settings, profile: str) -> "Params":
    """Load a profile's parameters: those of --params if they are its own."""
    own = settings.load() if settings.params_file.exists() else None
    return own if own is not None and own.profile == profile else Settings(find_profile(profile), settings.quiet).load()
