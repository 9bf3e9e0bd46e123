"""The records of a report's inputs: on this disk, in its provenance.json and in dvc.lock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from bench.core import layout
from bench.core.errors import UsageError
from bench.core.params import Params
from bench.core.reading import read_json
from bench.io.tables import read_scores
from bench.report.results.results import Summary, clean, collect
from bench.report.trace import digests, origins, provenance
from bench.repository.lock import as_today, stages


@dataclass(frozen=True)
class RecordedStages:
    """A profile's dvc.lock; without one, `stages` is empty.

    stages : stage -> cmd, deps, params and outs, as DVC wrote them.
    """

    file: Path
    stages: Mapping[str, Mapping[str, Any]]

    def outputs(self, stage: str) -> dict[str, dict[str, Any]]:
        """Return path -> md5, size and number of files of a stage's outputs; {} for a stage that isn't recorded."""
        return self._hashes(stage, "outs")

    def inputs(self, stage: str) -> dict[str, dict[str, Any]]:
        """Return path -> md5, size and number of files of a stage's inputs."""
        return self._hashes(stage, "deps")

    def parameters(self, stage: str) -> dict[str, Any]:
        """Return dotted key -> value of the parameters that a stage ran with."""
        files = self.stages.get(stage, {}).get("params", {})
        return {key: value for values in files.values() for key, value in values.items()}

    def _hashes(self, stage: str, part: str) -> dict[str, dict[str, Any]]:
        entries = self.stages.get(stage, {}).get(part, [])
        return {str(e["path"]): {k: e[k] for k in ("md5", "size", "nfiles") if k in e} for e in entries}


class Evidence:
    """The records of one profile; files are read when first asked for."""

    def __init__(self, params: Params, folder: str = "tables") -> None:
        """Read the records of a profile; `folder` of its report is the one whose provenance.json counts."""
        self.params, self.folder = params, folder
        self._known: dict[str, dict[tuple[str, str], Summary]] = {}

    @cached_property
    def lock(self) -> RecordedStages:
        """The dvc.lock beside the profile's parameter file; a damaged one raises UsageError."""
        file = Path(self.params.params_file).with_name("dvc.lock")
        entries = stages(file.read_bytes(), str(file)) if file.exists() else {}
        return RecordedStages(file, {as_today(name): entry for name, entry in entries.items()})

    @property
    def provenance_file(self) -> Path:
        """The folder's provenance.json."""
        return self.params.reports / self.folder / provenance.NAME

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """The content of provenance.json, {} where an older version made it; a damaged file raises UsageError."""
        return _json(self.provenance_file) if self.provenance_file.exists() else {}

    @property
    def scores_file(self) -> Path:
        """The report's score rows, reports/<profile>/scores.csv."""
        return self.params.reports / "scores.csv"

    @cached_property
    def scores(self) -> pd.DataFrame:
        """The report's score rows, sorted, names as text."""
        return clean(read_scores([layout.need(self.params, self.scores_file, "summarize")]))

    @cached_property
    def results(self) -> dict[tuple[str, str], Summary]:
        """The means of these rows, as the tables take them."""
        return collect(self.scores)

    def evaluations(self, variants: Sequence[str], dataset: str) -> tuple[str, ...]:
        """Return the evaluations whose rows stand behind the means of these variants."""
        results = {key: result for name in variants for key, result in self._means(name).items()}
        return origins.scored(self.params, results, variants, dataset)

    def protocol(self, variant: str, dataset: str) -> str:
        """Return the protocol of a variant's rows, "" where it has none."""
        found = self._means(variant).get((variant, dataset))
        return found.protocol if found else ""

    def _means(self, variant: str) -> dict[tuple[str, str], Summary]:
        # Of one variant: the intervals that come with means take seconds for a whole profile of several seeds.
        if variant not in self._known:
            self._known[variant] = collect(self.scores[self.scores["variant"] == variant])
        return self._known[variant]

    def rows(self, keys: Sequence[str]) -> tuple[pd.DataFrame, list[Path]]:
        """Return the rows of these evaluations and their files: of work/ where all are here, else the report's."""
        files = [layout.scores(self.params, key) for key in keys]
        if files and all(file.exists() for file in files):
            return clean(read_scores(files)), files
        found = [origins.rows(self.params, self.scores, key) for key in keys]
        return (pd.concat(found) if found else self.scores[:0]), [self.scores_file]

    def submitted(self, name: str, dataset: str) -> tuple[pd.DataFrame, list[Path]]:
        """Return the score rows of a submission in this profile, and their file."""
        file = layout.submissions() / f"{name}.csv"
        rows = clean(read_scores([file]))
        return rows[(rows["dataset"] == dataset) & (rows["profile"] == self.params.profile)], [file]

    def recorded(self, group: str, name: str) -> dict[str, Any]:
        """Return what provenance.json says of an evaluation, run, codebook or dataset; {} where it isn't listed."""
        return dict(self.provenance.get(group, {}).get(name, {}))

    def card(self, group: str, name: str) -> dict[str, Any]:
        """Return a card, whole from this disk or short from provenance.json; {} without.

        group : "runs" and "codebooks" for their weights, "evaluations" for the others' weights that one used.
        """
        if group == "evaluations":
            file = layout.foreign_card(self.params, self.params.evaluations[name])
        else:
            file = {"runs": layout.weights, "codebooks": layout.codebook}[group](self.params, name).with_suffix(".json")
        return _json(file) if file.exists() else dict(self.recorded(group, name).get("card", {}))

    @cached_property
    def sizes(self) -> dict[str, Any]:
        """Variant -> counted parameters and multiply-adds, {} where they are neither here nor recorded."""
        file = layout.sizes(self.params)
        return _json(file) if file.exists() else dict(self.provenance.get("sizes", {}))

    def file(self, stage: str, path: Path, recorded: str | None) -> dict[str, Any]:
        """Return what is known of a stage's file or folder: its hashes, and whether this disk holds the same.

        recorded : its sha256 in provenance.json, None without.
        """
        known: dict[str, Any] = {"path": path.as_posix(), **self.lock.outputs(stage).get(path.as_posix(), {})}
        known["sha256"], known["here"] = recorded, "absent"
        if path.exists():
            now = digests.of_folder(path).sha256 if path.is_dir() else digests.of_file(path)
            known["here"] = "present" if recorded is None else "as recorded" if now == recorded else "changed since"
            known["sha256"] = recorded or now
        return known


def _json(file: Path) -> dict[str, Any]:
    try:
        return read_json(file)
    except UsageError as error:
        raise UsageError(f"{error} Make the report again, or restore it from git.") from error
