"""The same predictions under every setting of HDR-VDP-2: scored here, told in `bench.report.protocols.why`."""

from collections.abc import Mapping, Sequence

import numpy as np

from bench.core import layout
from bench.core.params import Params
from bench.core.places import place
from bench.core.registry import datasets
from bench.metrics import why
from bench.metrics.viewing import NOT_PHOTOMETRIC
from bench.report.page.page import Figure, PageSection
from bench.report.protocols.why import ScoredSetting, ScoredSettings, findings, table
from bench.report.protocols.why_figure import CAPTION, why_figure
from bench.report.results.inputs import Measured
from bench.stages.reporting.pictures import run_of, scenes_of
from bench.stages.scoring.scoring import Outcome, Rules, Task, Truth, cache_folder, score_all

INTRO = (
    "Papers print HDR-VDP-2 with no word on how it was called. These are the settings that public code states, and "
    "what each step between them does on the same predictions: so much of a difference between two papers says nothing "
    "about their methods. `python -m bench why` makes the table of your own results."
)
FULL = (1500, 1000)
"""Columns and rows of the field's test pictures."""

SCENES = 4
"""Scenes that are scored, from different places first: means over these show what settings do."""


def section(measured: Measured) -> PageSection:
    """Return the table, the figure and its findings for a floor, a merge and the paper's method, as far as they are."""
    params = measured.params
    dataset = next(iter(dict.fromkeys(entry.dataset for entry in params.evaluations.values())), "")
    name = ("why", "Why is my Q different?")
    tasks = _tasks(measured, dataset) if dataset else {}
    if not tasks:
        return PageSection(*name, missing=["No predictions in this profile, so settings of HDR-VDP-2 aren't compared."])
    found, _ = score_settings(params, dataset, tasks, params.threads)
    drawn = why_figure(found) if found.published else None
    caption = CAPTION.format(base=found.base)
    figures = [Figure("why", drawn, f"HDR-VDP-2 by setting, on {dataset}", caption)] if drawn else []
    return PageSection(*name, INTRO, [table(found)], figures, findings=findings(found))


def _tasks(measured: Measured, dataset: str) -> dict[str, list[Task]]:
    """Return variant -> its predictions of the first scenes, those from different places first."""
    params = measured.params
    split = next((name for name, role in datasets[dataset].splits.items() if role == "test"), "")
    scenes = scenes_of(params, dataset, split) if split else {}
    firsts = {place(name): name for name in sorted(scenes, reverse=True)}
    chosen = sorted(sorted(scenes), key=lambda name: firsts[place(name)] != name)[:SCENES]
    found = {}
    for variant in _shown(measured):
        folder = layout.predictions(params, run_of(params, variant, dataset), dataset) / split
        tasks = [Task(name, folder / f"{name}.exr", scenes[name]) for name in chosen]
        if tasks and all(task.prediction.exists() for task in tasks):
            found[variant] = tasks
    return found


def _shown(measured: Measured) -> list[str]:
    """Choose a floor, a row without training that is none, and the paper's method or else the last crop's."""
    params = measured.params
    shown = [name for name in (*params.tables.crops, *params.variants) if name in params.variants]
    floors = [name for name in shown if name in params.tables.floors]
    merges = [name for name in shown if name not in params.tables.floors and not measured.learned(name)]
    learned = [params.rows(1).get("Proposed", ""), *(name for name in shown if measured.learned(name))]
    return list(dict.fromkeys(name for names in (floors, merges, filter(None, learned)) for name in [*names][:1]))


def score_settings(
    params: Params, dataset: str, tasks: Mapping[str, Sequence[Task]], workers: int, trusted: bool = True
) -> tuple[ScoredSettings, Mapping[str, list[Outcome]]]:
    """Score predictions under published settings and single steps; return what came out, and each scene's outcome.

    tasks   : prediction -> its scenes, at least one.
    trusted : take files as they are; False looks for faults, and leaves out what can't be scored.
    """
    settings = (*why.published(), *why.steps())
    named = tuple(one.protocol.model_copy(update={"name": one.key}) for one in settings)
    rules = Rules((), named, cache_folder(params), examined=not trusted)
    outcomes = {name: score_all(those, rules, workers=workers, label=f"why {name}") for name, those in tasks.items()}
    values: dict[str, dict[str, float]] = {one.key: {} for one in settings}
    for name, those in outcomes.items():
        scored = [outcome.scores for outcome in those if outcome.scores]
        for one in settings:
            reached = [scores[one.key][one.metric] for scores in scored if one.key in scores]
            if reached and len(reached) == len(scored):
                values[one.key][name] = float(np.mean(reached))
    rows, columns = Truth.read(next(iter(tasks.values()))[0].truth).radiance.shape[:2]
    scenes = max(sum(bool(outcome.scores) for outcome in those) for those in outcomes.values())
    told = tuple(_told(one, (columns, rows), values[one.key]) for one in settings)
    return ScoredSettings(dataset, tuple(tasks), scenes, (columns, rows), told, NOT_PHOTOMETRIC), outcomes


def _told(one: why.ViewingSetting, size: tuple[int, int], values: Mapping[str, float]) -> ScoredSetting:
    view = one.view
    return ScoredSetting(
        one.name, one.group, one.against or why.BASE, view.version, view.encoding, one.scale, view.density(*size),
        view.density(*FULL), getattr(view, "order", "prediction-first"), one.protocol.values.quantise, one.unit, values,
    )  # fmt: skip
