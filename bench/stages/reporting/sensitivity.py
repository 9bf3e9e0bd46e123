"""The report's comparison of protocols: which rows there are is decided here, what they say in `bench.report`."""

from collections.abc import Iterator, Mapping

import pandas as pd

from bench.core import layout
from bench.core.params import Params
from bench.core.registry import protocols as registry
from bench.io.tables import read_scores
from bench.report.page.page import Figure, PageSection
from bench.report.protocols import protocols
from bench.report.protocols.figure import charted, protocol_figure
from bench.report.protocols.ranking import ProtocolGrid, by_protocol, grids
from bench.report.results.inputs import Measured
from bench.report.results.results import Results, single_protocol

INTRO = (
    "The predictions of this profile, scored again as public evaluation code does it. A change of rank under another "
    "protocol says how much of a comparison hangs on its protocol; values under different protocols don't compare."
)
CAPTION = (
    "Left: a line is a method, the number its rank under that protocol. Protocols that give every method the same "
    "value share a column; the profile's own stands first, then those whose order is most like it (Kendall's τ over "
    "the methods, floors left out; 1 is the same order). What is in colour stands below the chart. Dotted: no rank in "
    "between, or another metric. Right: value minus the value under the profile's protocol; in each row methods stand "
    "from first to last under the latter."
)


def section(params: Params, scores: pd.DataFrame, measured: Measured) -> PageSection:
    """Return table, figures and findings from work/<profile>/sensitivity, and a sentence for what is missing.

    scores : the profile's score rows; they stand for its own protocol.
    """
    own = single_protocol(scores["protocol"], "scores.csv")
    paths = {key: layout.sensitivity(params, key) for key in params.evaluations}
    other = read_scores([path for path in paths.values() if path.exists()])
    rows = pd.concat([scores, other[other["protocol"] != own]], ignore_index=True)
    results = by_protocol(rows)
    tested = dict.fromkeys(entry.dataset for entry in params.evaluations.values())
    made = [grid for dataset in tested for grid in grids(results, own, dataset)]
    missing = list(_missing(params, [key for key, path in paths.items() if not path.exists()], results, own))
    name = ("protocols", "Protocols")
    if not made:
        none = "No other protocol was scored in this profile, so there is nothing to compare."
        return PageSection(*name, missing=[none, *missing])
    figures = _figures(params, made)
    if not figures:
        missing.append("No figure: these protocols give every method the same values, to the digits shown.")
    first = [grid for grid in made if grid.metric.name == made[0].metric.name]
    return PageSection(
        *name,
        INTRO,
        tables=[protocols.table(made, results, measured)],
        figures=figures,
        missing=missing,
        findings=[sentence for grid in first for sentence in protocols.findings(grid, measured)],
    )


def _missing(params: Params, unscored: list[str], results: Mapping[str, Results], own: str) -> Iterator[str]:
    if unscored:
        yield f"No file in work/{params.profile}/sensitivity, so only {own} scores: {', '.join(unscored)}."
    wanted = list(registry) if params.sensitivity == "all" else list(params.sensitivity)
    known = {name.partition("@")[0] for name in results}
    lost = [name for name in wanted if name not in known]
    if lost and len(unscored) < len(params.evaluations):
        yield f"No prediction could be scored under {', '.join(lost)}, though the parameter file asks for it."
    scenes = {name: max(result.scenes for result in found.values()) for name, found in results.items() if found}
    for name, count in scenes.items():
        if count < scenes[own]:
            yield f"Under {name} only {count} of {scenes[own]} scenes could be scored; its means are of those."


def _figures(params: Params, made: list[ProtocolGrid]) -> list[Figure]:
    figures = []
    for i, dataset in enumerate(dict.fromkeys(grid.dataset for grid in made)):
        for name, chosen in charted([grid for grid in made if grid.dataset == dataset]).items():
            heads = ", ".join(grid.metric.head for grid in chosen)
            title = f"What the protocol alone changes on {dataset}: {heads}"
            png = protocol_figure(chosen, params.tables.floors, params.rows(1).get("Proposed", ""))
            figures.append(Figure(f"{name}_{dataset}" if i else name, png, title, CAPTION))
    return figures
