"""Summarize: gather the score rows of a profile into the two files that git tracks."""

from bench.core.params import Params
from bench.io.files import write_json_atomic, write_text_atomic
from bench.io.tables import quoted, read_scores
from bench.report.results.results import clean, collect, nested
from bench.stages import layout


def run(params: Params) -> None:
    """Write reports/<profile>/scores.csv, every score row sorted, and metrics.json, the means.

    Files of evaluations that the parameter file doesn't name are left out; one that it names and that is missing
    raises UsageError.
    """
    files = [
        layout.need(params, layout.scores(params, name), f"evaluate {name}") for name in sorted(params.evaluations)
    ]
    scores = clean(read_scores(files))
    safe = scores.assign(**{name: scores[name].map(quoted) for name in scores.columns if name != "value"})
    write_text_atomic(params.reports / "scores.csv", safe.to_csv(index=False, lineterminator="\n", na_rep="nan"))
    write_json_atomic(params.reports / "metrics.json", nested(collect(scores)))
