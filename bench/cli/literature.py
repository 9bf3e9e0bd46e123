"""`literature`: what papers and users printed of a method, with sources, spread and known causes."""

import json
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.settings import Json, workplace

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

FOLDER = Path("reports") / "literature"


@app.command()
def literature(
    method: Annotated[str, typer.Option(help="Method, as papers or this benchmark call it.")] = "",
    metric: Annotated[str, typer.Option(help="Metric, such as psnr-mu or hdrvdp2.")] = "",
    dataset: Annotated[str, typer.Option(help="Data set, such as kalantari.")] = "",
    write: Annotated[
        bool, typer.Option("--write", help="Write tables and figures of reports/literature anew.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what papers and users printed.

    Each number with its source, whose it is (own, trained again, measured or quoted), how far sources lie apart, and
    why, as far as it is known. The numbers are reports/literature/printed.csv.

    Example: python -m bench literature --method ahdrnet --metric hdrvdp2 --dataset kalantari
    """
    with workplace():
        from bench.core.errors import UsageError
        from bench.report.literature import numbers, section, text

        rows, causes = numbers.read(FOLDER), numbers.causes(FOLDER)
        if write:
            for path in section.write(FOLDER, rows, causes):
                print(path)
            return
        if not (method or metric or dataset):
            raise UsageError("name a --method, a --metric or a --dataset; reports/literature holds tables of all.")
        found = numbers.chosen(rows, dataset, method, metric)
        if as_json:
            print(json.dumps([row._asdict() for row in found], indent=2, ensure_ascii=False))
        else:
            print(text.listing(found, causes) or "nobody printed such a number, as far as is known here")
