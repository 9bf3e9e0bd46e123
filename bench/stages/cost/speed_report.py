"""What is written about timings: a table of the kept rows, and Pareto figures beside the profile's scores."""

from collections.abc import Collection, Sequence
from pathlib import Path

from bench.core.params import Params
from bench.io.files import write_bytes_atomic, write_text_atomic
from bench.io.tables import read_scores
from bench.report.cost import speed as timings
from bench.report.cost.speed import Speed
from bench.report.results.results import collect
from bench.report.table.writers import to_csv, to_markdown


def write(params: Params, speeds: Sequence[Speed], outdated: Collection[Speed], file: Path) -> list[Path]:
    """Write table (CSV, Markdown) and figures (PNG, SVG, PDF) beside the kept rows `file`; return the figures.

    There is a figure for each data set on which two variants or more were scored and timed.
    """
    table = timings.table(params, speeds, outdated)
    write_text_atomic(file.with_suffix(".csv"), to_csv(table))
    write_text_atomic(file.with_suffix(".md"), to_markdown(table))
    scores = params.reports / "scores.csv"
    results = collect(read_scores([scores])) if scores.exists() else {}
    drawn = []
    for dataset in dict.fromkeys(cell.dataset for cell in params.evaluations.values()):
        for kind, content in (timings.timed(params, speeds, results, dataset) or {}).items():
            path = file.with_name(f"{file.stem}-pareto-{dataset}.{kind}")
            write_bytes_atomic(path, content)
            drawn.append(path)
    return drawn
