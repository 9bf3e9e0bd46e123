"""Origins of a table or figure: evaluations, trainings, codebooks, data sets, and their stages in dvc.yaml."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import pandas as pd

from bench.core.params import Params
from bench.report.results.results import Results, clean
from bench.report.trace import digests
from bench.report.viewer.choice import chosen

GROUPS = ("evaluations", "runs", "codebooks", "datasets", "inspections")


@dataclass(frozen=True)
class Sources:
    """Entries of the parameter file, by name.

    inspections : codebooks by name, networks as `network-<run>`.
    sizes       : networks were counted.
    """

    evaluations: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    codebooks: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    inspections: tuple[str, ...] = ()
    sizes: bool = False

    def closed(self, params: Params) -> "Sources":
        """Return these entries and all that they were made from."""
        evaluations = [params.evaluations[key] for key in self.evaluations]
        networks = [name.removeprefix("network-") for name in self.inspections if name.startswith("network-")]
        runs = _ordered([*self.runs, *networks, *(entry.run for entry in evaluations)], params.runs)
        entries = [params.runs[run] for run in runs]
        used = [*self.codebooks, *self.inspections, *(entry.codebook or "" for entry in entries)]
        codebooks = _ordered(used, params.codebook_runs)
        tested, trained = [entry.dataset for entry in evaluations], [entry.trainset for entry in entries]
        data = [*self.datasets, *tested, *trained, *(params.codebook_runs[name].trainset for name in codebooks)]
        return replace(self, runs=runs, codebooks=codebooks, datasets=_ordered(data, params.datasets))

    def stages(self, params: Params) -> list[str]:
        """Return the stages that make these entries and all they stand on, upstream first, without the report's own."""
        every = self.closed(params)
        return [
            *(f"fetch@{name}" for name in every.datasets),
            *(["backbone"] if every.runs or every.codebooks else []),
            *(f"prepare@{name}" for name in every.datasets),
            *(f"codebook@{name}" for name in every.codebooks),
            *(f"train@{run}" for run in every.runs),
            *(["sizes"] if every.sizes else []),
            *(f"evaluate@{key}" for key in every.evaluations),
            *(inspection(name) for name in every.inspections),
        ]


def _ordered(names: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """Keep the known names, once each, in the parameter file's order."""
    wanted = set(names)
    return tuple(name for name in known if name in wanted)


def inspection(name: str) -> str:
    """Return the stage that inspects a codebook, or a network (`network-<run>`)."""
    network = name.startswith("network-")
    return f"inspect_network@{name.removeprefix('network-')}" if network else f"inspect_codebook@{name}"


def scored(params: Params, results: Results, variants: Iterable[str], dataset: str = "") -> tuple[str, ...]:
    """Return the evaluations whose rows count in `results` for these variants, on one data set or on all.

    Where a variant was trained on several sets, only one of its trainings counts, as in
    `bench.report.results.results.collect`.
    """
    wanted, found = set(variants), []
    for key, entry in params.evaluations.items():
        run = params.runs.get(entry.run)
        result = results.get((entry.variant, entry.dataset))
        counts = result is not None and result.trainset == (run.trainset if run else "")
        if counts and entry.variant in wanted and dataset in ("", entry.dataset):
            found.append(key)
    return tuple(found)


def rows(params: Params, scores: pd.DataFrame, key: str) -> pd.DataFrame:
    """Return those of the score rows, cleaned by `bench.report.results.results.clean`, that evaluation `key` made."""
    entry, frame = params.evaluations[key], scores
    run = params.runs.get(entry.run)
    trained = (run.trainset, str(run.seed)) if run else ("", "")
    wanted = dict(
        zip(("variant", "trainset", "seed", "dataset"), (entry.variant, *trained, entry.dataset), strict=True)
    )
    for column, value in wanted.items():
        frame = frame[frame[column] == value]
    return frame


def digest(rows: pd.DataFrame) -> str:
    """Return the sha256 of score rows as reports/<profile>/scores.csv holds them, sorted, with its header."""
    return digests.of_bytes(clean(rows).to_csv(index=False, lineterminator="\n", na_rep="nan").encode())


def of_file(params: Params, results: Results, section: str, name: str) -> Sources:
    """Return what table or figure `name` of the report's section `section` draws on.

    Everything there is, for a section that isn't known here: too much is named rather than too little.
    """
    every = Sources(tuple(params.evaluations), tuple(params.runs), tuple(params.codebook_runs))
    match section:
        case "table1" | "table2" | "table3":
            number = int(section[-1])
            return Sources(scored(params, results, variants(params, number)), sizes=number == 1)
        case "differences":
            numbers = [int(name[5])] if re.match(r"table[123]_", name) else [1, 2, 3]
            compared = {variant for number in numbers for variant in variants(params, number)}
            return Sources(scored(params, results, compared), sizes=1 in numbers)
        case "sizes":
            return of_file(params, results, "table1", name)
        case "support":
            return Sources(scored(params, results, {*variants(params, 2), *variants(params, 3)}))
        case "protocol":
            return Sources()
        case "cross" | "masks" | "protocols" | "why":
            return Sources(every.evaluations)
        case "stress":
            return Sources(scored(params, results, params.variants, "stress"), datasets=("stress",))
        case "recipes":
            return Sources(runs=every.runs)
        case "curves":
            return Sources(codebooks=every.codebooks) if name.endswith("codebooks") else Sources(runs=every.runs)
        case "views":
            return Sources(datasets=tuple(params.datasets))
        case "crops" if not name.startswith("crops_"):
            return Sources(every.evaluations)
        case "crops":
            data = tuple(dataset for dataset in params.datasets if name.startswith(f"crops_{dataset}_"))
            return Sources(tuple(_shown(params, data)), datasets=data)
        case "viewer":
            tested = tuple(dict.fromkeys(params.evaluations[key].dataset for key in every.evaluations))
            views = [scored(params, results, chosen(params, results, data), data) for data in tested]
            return Sources(tuple(chain(*views)), datasets=tested)
        case "codebooks" if name == "parts":
            return Sources(inspections=tuple(f"network-{run}" for run in params.runs_with_codebook))
        case "codebooks" if name.startswith("observed"):
            return Sources(codebooks=every.codebooks)
        case "codebooks":
            size = re.search(r"_k(\d+)(?:_\d+)?$", name)
            shown = (key for key, entry in params.codebook_runs.items() if size is None or entry.codes == int(size[1]))
            return Sources(inspections=tuple(shown))
    return every


def _shown(params: Params, data: Sequence[str]) -> Iterator[str]:
    """Evaluations on these data sets of the variants that stand in crop figures."""
    for key, entry in params.evaluations.items():
        if entry.dataset in data and entry.variant in params.tables.crops:
            yield key


def variants(params: Params, number: int) -> tuple[str, ...]:
    """Return our variants in the paper's Table `number`, controls and floors included."""
    tables = params.tables
    others = tables.floors if number == 1 else tuple(tables.against.values())
    return tuple(dict.fromkeys([*params.rows(number).values(), *params.controls(number).values(), *others]))
