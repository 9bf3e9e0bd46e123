"""Test sets that were scored in part: said under every table that shows their means."""

from collections.abc import Mapping
from dataclasses import replace

from bench.report.results.inputs import Measured
from bench.report.scores.published import published_scenes
from bench.report.table.table import Table


def incomplete(measured: Measured) -> dict[str, str]:
    """Return data set -> a sentence on it, of those of which fewer scenes than published were scored."""
    found: dict[str, str] = {}
    for dataset in sorted({dataset for _, dataset in (*measured.results, *measured.submitted)}):
        results = [*measured.results.items(), *measured.submitted.items()]
        counts = sorted({result.scenes for (_, tested), result in results if tested == dataset})
        published = published_scenes(measured.params, dataset)
        if published is not None and counts[0] < published:
            few = " or ".join(str(count) for count in counts if count < published)
            found[dataset] = (
                f"Incomplete: means on {dataset} are of {few} of {published} scenes and compare with no mean of all."
            )
    return found


def told(table: Table, sentences: Mapping[str, str]) -> Table:
    """Return the table with the sentences on the data sets of its rows at the end of its caption."""
    rows = (*table.rows, *(table.tidy.rows if table.tidy else ()))
    shown = {row.cells.get("dataset") for row in rows}
    said = [sentence for dataset, sentence in sentences.items() if dataset in shown]
    return (
        replace(table, caption=" ".join([table.caption, *said]), brief=" ".join([table.gist, *said])) if said else table
    )
