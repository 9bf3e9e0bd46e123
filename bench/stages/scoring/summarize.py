"""Summarize: gather the score rows of a profile into the two files that git tracks."""

from bench.core import layout
from bench.core.params import Params
from bench.io.files import write_json_atomic, write_text_atomic
from bench.io.tables import quoted, read_scores
from bench.report.results.results import clean, collect, nested

SHOWN = "psnr-mu"
"""The metric whose means are printed; metrics.json has all."""


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
    results = collect(scores)
    write_json_atomic(params.reports / "metrics.json", nested(results))

    width = max((len(variant) for variant, _ in results), default=0)
    best_first = sorted(results.items(), key=lambda one: (one[0][1], -one[1].values.get(SHOWN, 0.0), one[0][0]))
    for (variant, dataset), found in best_first:
        mean = f"{found.values[SHOWN]:.2f} dB" if SHOWN in found.values else "-"
        print(f"{dataset}  {variant:<{width}}  {mean:>9}  {found.scenes} scenes, {found.seeds} seed(s)")
    print(f"above: {SHOWN}, means over scenes and seeds; {len(scores)} scores of {len(files)} evaluations in all")
    print(f"scores: {params.reports / 'scores.csv'}; means of all metrics: {params.reports / 'metrics.json'}")
