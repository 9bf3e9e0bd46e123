"""From score rows to means: over scenes first, then over seeds."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bench.core.errors import UsageError
from bench.core.places import place
from bench.core.reading import shown
from bench.metrics.intervals import Spread, crossed

Cells = Mapping[tuple[str, str], float]
"""(seed, scene) -> value of one metric, NaN where it is undefined; seed "" for a method without training."""


@dataclass(frozen=True)
class Summary:
    """Scores of one variant on one dataset.

    values   : metric -> mean over scenes, then over seeds, in the metric's unit.
    spreads  : metric -> standard error over seeds and scenes (`bench.metrics.intervals.crossed`); empty for one seed.
    counts   : metric -> scenes that have a value (a mask can be empty in a scene).
    unknown  : metric -> scores, one a scene and seed, that are NaN; only where there are any.
    trainset : what the weights were trained on; "" for a method without training.
    cells    : metric -> what the means are over.
    """

    values: Mapping[str, float]
    spreads: Mapping[str, float]
    counts: Mapping[str, int]
    scenes: int
    seeds: int
    protocol: str
    method: str
    trainset: str = ""
    notes: tuple[str, ...] = field(default=())
    unknown: Mapping[str, int] = field(default_factory=dict)
    cells: Mapping[str, Cells] = field(default_factory=dict, repr=False)

    @property
    def places(self) -> list[str]:
        """Places that the scenes show, in alphabetical order."""
        return sorted({place(scene) for values in self.cells.values() for _, scene in values})


Results = Mapping[tuple[str, str], Summary]
"""(variant, dataset) -> summary of its scores."""


def clean(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the score rows with text columns as text ("" where empty), values as float64, sorted by all keys."""
    keys = [name for name in scores.columns if name != "value"]
    frame = scores.astype({"value": "float64"})
    for name in keys:
        frame[name] = [_text(value) for value in frame[name]]
    frame["_seed"] = pd.to_numeric(frame["seed"], errors="coerce").fillna(-1)
    order = ["_seed" if name == "seed" else name for name in keys]
    return frame.sort_values(order, kind="stable").drop(columns="_seed").reset_index(drop=True)


def _text(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def collect(scores: pd.DataFrame) -> dict[tuple[str, str], Summary]:
    """Average score rows per variant and dataset.

    Where a variant was trained on several sets, the weights trained on the tested dataset count; NaN values
    (a metric that is undefined on a scene) are left out of means and counted. Two protocols raise UsageError.
    """
    frame = clean(scores)
    groups = frame.groupby(["variant", "dataset"], sort=True)
    return {(str(key[0]), str(key[1])): _summary(rows, str(key[0]), str(key[1])) for key, rows in groups}


def _summary(rows: pd.DataFrame, variant: str, dataset: str) -> Summary:
    trainsets = sorted(set(rows["trainset"]))
    trainset = dataset if dataset in trainsets else trainsets[0]
    rows = rows[rows["trainset"] == trainset]
    protocol = single_protocol(rows["protocol"], f"variant {variant!r} on {dataset!r}")
    means = rows.groupby(["metric", "seed"])["value"].mean().groupby("metric").mean()
    seeds, scenes = int(rows["seed"].nunique()), int(rows["scene"].nunique())
    cells: dict[str, dict[tuple[str, str], float]] = {}
    for metric, group in rows.groupby("metric"):
        keys = zip(group["seed"], group["scene"], strict=True)
        cells[str(metric)] = {key: float(value) for key, value in zip(keys, group["value"], strict=True)}
    spreads = {metric: spread(found).error for metric, found in cells.items()} if seeds > 1 else {}
    counts = rows.dropna(subset=["value"]).groupby("metric")["scene"].nunique()
    notes = [f"trained on {trainset}"] if trainset not in ("", dataset) else []
    notes += [
        f"{metric} is undefined on {scenes - count} of {scenes} scenes"
        for metric, count in counts.items()
        if count < scenes and "@" not in str(metric)
    ]
    return Summary(
        values={str(k): float(v) for k, v in means.items() if not math.isnan(v)},
        spreads={metric: error for metric, error in spreads.items() if not math.isnan(error)},
        counts={str(k): int(v) for k, v in counts.items()},
        scenes=scenes,
        seeds=seeds,
        protocol=protocol,
        method=str(rows["method"].iloc[0]),
        trainset=trainset,
        notes=tuple(notes),
        unknown={str(k): int(v) for k, v in rows[rows["value"].isna()].groupby("metric").size().items()},
        cells=cells,
    )


def spread(cells: Cells) -> Spread:
    """Return mean, standard error and interval of one metric over seeds, places and the views of each place."""
    seeds, scenes = sorted({seed for seed, _ in cells}), sorted({scene for _, scene in cells})
    grid = np.array([[cells.get((seed, scene), math.nan) for scene in scenes] for seed in seeds], dtype=np.float64)
    return crossed(grid.reshape(len(seeds), len(scenes)), [place(scene) for scene in scenes])


def single_protocol(protocols: Iterable[str], where: str) -> str:
    """Return the one protocol of these rows, "" if there are no rows; two of them raise UsageError."""
    names = sorted(set(protocols))
    if len(names) > 1:
        raise UsageError(
            f"{where}: rows of the protocols {' and '.join(map(shown, names))} can't stand in one table, their numbers "
            "don't compare. Evaluate all of them under one protocol (`protocol` in the parameter file)."
        )
    return names[0] if names else ""


def nested(results: Results) -> dict[str, dict[str, dict[str, float]]]:
    """Return variant -> dataset -> metric -> mean, rounded to 6 decimals (SSIM) or 4 (all others)."""
    tree: dict[str, dict[str, dict[str, float]]] = {}
    for (variant, dataset), result in sorted(results.items()):
        tree.setdefault(variant, {})[dataset] = {
            name: round(value, 6 if name.startswith("ssim") else 4)
            for name, value in sorted(result.values.items())
            if math.isfinite(value)
        }
    return tree
