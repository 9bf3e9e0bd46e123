"""What is known of a report's inputs: on this disk, in the sidecar and in `dvc.lock`."""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from bench.core.errors import UsageError
from bench.core.params import Params
from bench.io.tables import read_scores
from bench.provenance import lock
from bench.report.results.results import Result, clean, collect
from bench.report.trace import digests, origins, sidecar
from bench.stages import layout


class Evidence:
    """The records of one profile; files are read when first asked for.

    scores : the score rows of reports/<profile>/scores.csv.
    """

    def __init__(self, params: Params, folder: str = "tables") -> None:
        """Take the profile, and the folder of its report whose sidecar counts."""
        self.params, self.folder = params, folder
        self._known: dict[str, dict[tuple[str, str], Result]] = {}

    @cached_property
    def lock(self) -> lock.Lock:
        """What DVC recorded."""
        return lock.read(self.params)

    @property
    def sidecar_file(self) -> Path:
        """Where the sidecar lies."""
        return self.params.reports / self.folder / sidecar.NAME

    @cached_property
    def sidecar(self) -> dict[str, Any]:
        """What the report recorded, {} where an older version made it; a damaged file raises UsageError."""
        return _json(self.sidecar_file) if self.sidecar_file.exists() else {}

    @property
    def scores_file(self) -> Path:
        """Where the report's score rows lie."""
        return self.params.reports / "scores.csv"

    @cached_property
    def scores(self) -> pd.DataFrame:
        """The report's score rows, sorted, names as text."""
        return clean(read_scores([layout.need(self.params, self.scores_file, "summarize")]))

    @cached_property
    def results(self) -> dict[tuple[str, str], Result]:
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

    def _means(self, variant: str) -> dict[tuple[str, str], Result]:
        # Of one variant: the intervals that come with means take seconds for a whole profile of several seeds.
        if variant not in self._known:
            self._known[variant] = collect(self.scores[self.scores["variant"] == variant])
        return self._known[variant]

    def rows(self, keys: Sequence[str]) -> tuple[pd.DataFrame, list[Path]]:
        """Return the rows of these evaluations and their files: fresh ones where all are here, else the report's."""
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

    def card(self, run: str) -> dict[str, Any]:
        """Return the card of a training's weights, whole from this disk or in short from the sidecar; {} without."""
        return self._card(layout.weights(self.params, run), self.sidecar.get("runs", {}).get(run, {}))

    def codebook_card(self, name: str) -> dict[str, Any]:
        """Return the card of a codebook, likewise."""
        return self._card(layout.codebook(self.params, name), self.sidecar.get("codebooks", {}).get(name, {}))

    def foreign_card(self, key: str) -> dict[str, Any]:
        """Return the card of others' weights that an evaluation used, likewise."""
        recorded = self.sidecar.get("evaluations", {}).get(key, {})
        return self._card(layout.foreign_card(self.params, self.params.evaluations[key]), recorded)

    def _card(self, weights: Path, recorded: Mapping[str, Any]) -> dict[str, Any]:
        file = weights.with_suffix(".json")
        return _json(file) if file.exists() else dict(recorded.get("card", {}))

    @cached_property
    def sizes(self) -> dict[str, Any]:
        """Variant -> counted parameters and multiply-adds, {} where they are neither here nor recorded."""
        file = layout.sizes(self.params)
        return _json(file) if file.exists() else dict(self.sidecar.get("sizes", {}))

    def file(self, stage: str, path: Path, recorded: str | None) -> dict[str, Any]:
        """Return what is known of a stage's file or folder: its hashes, and whether what lies here is the same.

        recorded : its sha256 in the sidecar, None without.
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
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, ValueError) as error:
        raise UsageError(f"{file} isn't JSON ({error}); make the report again, or restore it from git.") from error
    return content
