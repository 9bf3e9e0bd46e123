"""Rank: score a folder of results, or a method's, and show where it stands among the rows of the profile's report."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from bench.core import layout
from bench.core.errors import UsageError
from bench.core.params import Params, Variant
from bench.core.progress import track
from bench.core.reading import exists, read_bytes, read_json, shown
from bench.core.registry import code_of, methods
from bench.core.runs import registration
from bench.io.container import read_scene
from bench.io.files import check_destination, write_text_atomic
from bench.io.radiance import write_exr
from bench.io.tables import COLUMNS, read_scores
from bench.report.rank.page import MARK, render
from bench.report.rank.standing import Standing, standing
from bench.report.results.inputs import Measured
from bench.report.results.paired import PRIMARY
from bench.report.results.results import collect
from bench.report.trace import digests, provenance
from bench.stages.own_files import score
from bench.stages.own_files.score import ScoreRequest, ScoreResult
from bench.stages.reporting import submitted
from bench.stages.scoring.predict import predictor
from bench.stages.training import environment, networks


@dataclass(frozen=True)
class RankRequest:
    """What to rank: the folder of `score`, or a method whose predictions are made first.

    name    : what the row is called.
    page    : HTML file to write.
    method  : name of a method, or its file below methods/; "" for the folder of `score`.
    weights : of a network, as `train` and `import-weights` write them.
    preset  : of the method, "" for the weights' own.
    metric  : what is ranked by.
    """

    score: ScoreRequest
    name: str
    page: Path
    method: str = ""
    weights: Path | None = None
    preset: str = ""
    metric: str = PRIMARY


def run(params: Params, request: RankRequest) -> tuple[ScoreResult, Standing | None]:
    """Score and rank; the standing is None where nothing could be scored.

    What the report doesn't hold (its score rows, the data set under the protocol) raises UsageError before anything is
    scored.
    """
    _check_page(request)
    rows = committed(params, request.score)
    with _predicted(params, request) as folder:
        found = score.run(params, replace(request.score, folder=folder))
    if not found.rows:
        return found, None
    ranked = place(params, found, rows, request.name, request.metric)
    write_text_atomic(request.page, render(ranked))
    return found, ranked


def _check_page(request: RankRequest) -> None:
    check_destination("--page", request.page)
    if request.page.is_file() and not request.score.force and MARK not in read_bytes(request.page):
        said = "exists and is no page of a ranking; choose another name, or replace it with --force."
        raise UsageError(f"--page {shown(request.page)} {said}")


def committed(params: Params, request: ScoreRequest) -> pd.DataFrame:
    """Return the score rows of the profile's report on a data set under the protocol that is ranked by: the first."""
    path = params.reports / "scores.csv"
    if not exists(path):
        raise UsageError(
            f"{path} isn't there, so there are no rows to stand among; make them with: {layout.pipeline(params)}"
        )
    rows = read_scores([path])
    rows = rows[rows["dataset"] == request.dataset]
    if rows.empty:
        raise UsageError(f"{path} holds no row on {shown(request.dataset)}.")
    protocol = score.protocols_of(params, request)[0].id
    found = rows[rows["protocol"] == protocol]
    if found.empty:
        there = ", ".join(sorted(set(rows["protocol"])))
        raise UsageError(f"{path} holds no row under {protocol}, only under {there}; leave --protocol out.")
    return found


def place(params: Params, found: ScoreResult, rows: pd.DataFrame, name: str, metric: str = PRIMARY) -> Standing:
    """Return where scored files stand among a report's `rows`, as `committed` gives them."""
    protocol = found.protocols[0].id
    own = pd.DataFrame([row for row in found.rows if row.protocol == protocol], columns=COLUMNS)
    if own.empty:
        raise UsageError(f"no file could be scored under {protocol}, which the report's rows are under.")
    (result,) = collect(own).values()
    dataset = str(own["dataset"].iloc[0])
    others = {key: one for key, one in submitted.read(rows)[0].items() if key[1] == dataset}
    measured = Measured(params, collect(rows), {}, others)
    return standing(name, result, measured, dataset, metric, list(_notes(params, found, dataset)))


def _notes(params: Params, found: ScoreResult, dataset: str) -> Iterator[str]:
    scored = len({row.scene for row in found.rows})
    if scored < found.whole:
        yield f"{scored} of {found.whole} scenes are scored: place and means are of these, other rows' means of all"
    path = params.reports / "tables" / provenance.NAME
    recorded = read_json(path).get("datasets", {}).get(dataset, {}) if exists(path) else {}
    here = {split: digests.of_records(layout.scenes(params, dataset, split)) for split in recorded}
    if recorded != here:
        yield (
            f"the prepared scenes of {dataset} aren't to the bit those that the report was made from (another "
            "processor computes views with other rounding); small differences can come from that"
        )


@contextmanager
def _predicted(params: Params, request: RankRequest) -> Iterator[Path]:
    """Give the folder to score: the user's, or one with the method's predictions, which goes again."""
    if not request.method:
        yield request.score.folder
        return
    with tempfile.TemporaryDirectory(prefix="bench-rank-") as folder:
        predict(params, request, Path(folder))
        yield Path(folder)


def predict(params: Params, request: RankRequest, folder: Path) -> None:
    """Write the method's prediction of each test scene to <scene>.exr."""
    name = _method(request.method)
    card = methods[name]
    if card.trains and request.weights is None:
        raise UsageError(f"{card.label} is a network and needs --weights, a .safetensors file that train wrote.")
    if not card.trains and request.weights is not None:
        raise UsageError(f"{card.label} has no weights; leave --weights out.")
    told = networks.weights_card(request.weights) if request.weights else {}
    preset = request.preset or told.get("preset") or next(iter(card.presets), "none")
    variant = Variant(method=name, preset=preset, weights=str(request.weights) if request.weights else None)
    own = params.model_copy(update={"variants": {request.name: variant}})
    device = environment.start(params)
    network = networks.read_foreign(own, request.name) if request.weights else None
    way = str(told.get("register", "none")) if network is not None else registration(own, variant)
    run = predictor(card, network, device, params.tile, "" if preset == "none" else preset, registration=way)
    scenes, _ = score.scenes_of(params, request.score)
    for scene, path in track(scenes.items(), len(scenes), f"predict {request.name}"):
        write_exr(folder / f"{scene}.exr", run(read_scene(path)))


def _method(word: str) -> str:
    """Return the name of the method that a word names, by its name or its file."""
    if not word.endswith(".py"):
        return methods[word].name
    found = [
        card.name for card in methods.every.values() if Path(code_of(card.module)).resolve() == Path(word).resolve()
    ]
    if len(found) != 1:
        raise UsageError(
            f"--method {shown(word)}: expected a file of methods/ with one `@method(...)`, or a method's name; put "
            "your file there, see CONTRIBUTING.md."
        )
    return found[0]
