"""A small invented profile: scores, cards, curves, inspections, scenes and predictions as other stages write them."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.core.params import Params
from bench.core.seeding import generator
from bench.io.files import to_npz
from bench.io.tables import ScoreRow, write_scores
from bench.report.codebooks.figures import InspectedCodebook
from bench.report.figures.images import Exhibit
from bench.report.results.inputs import Measured, Paper
from bench.report.results.results import collect
from bench.report.table.table import Table
from bench.report.table.writers import to_csv
from bench.stages.reporting import report
from bench.stages.scoring import summarize
from tests import shared as drawing
from tests.shared import shared

from .inspected import CODEBOOKS, codebook_arrays, codebook_report, network_report
from .scenes import SCENES, scene, write_pictures

QUALITY = {
    "reference-only": 31.6, "triangle-merge": 26.8, "ahdrnet": 33.1, "baseline": 32.9, "vanilla-16": 33.4,
    "olc-16": 33.9, "vanilla-32": 33.5, "full": 34.2,
}  # fmt: skip
ROWS_2 = {
    "Vanilla (K=512)": "vanilla-16", "OLC (K=512)": "olc-16", "Vanilla (K=1024)": "vanilla-32", "OLC (K=1024)": "full",
}  # fmt: skip


def records(table: Table) -> list[dict[str, str]]:
    """Return the rows of a table's CSV."""
    return list(csv.DictReader(io.StringIO(to_csv(table))))


def frame(rows: list[ScoreRow]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(ScoreRow._fields))


FLOORS = ("reference-only", "triangle-merge")


def variant(name: str) -> dict[str, object]:
    if name in (*FLOORS, "ahdrnet"):
        return {"method": name, "preset": "narrow"}
    book = {"baseline": None, "vanilla-32": "vanilla-32"}.get(name, "olc-32")
    return {"method": "olc", "preset": "narrow", "codebook": book}


def parameters(**changes: object) -> Params:
    content: dict[str, object] = {
        "profile": "tiny", "head": "mu-residual", "preset": "narrow",
        "datasets": {"panoramas": {}}, "patches": {"size": 64},
        "perceptual": {"backbone": "random-vgg16"},
        "stage1": {"steps": 40, "batch": 4}, "stage2": {"steps": 60, "batch": 4},
        "train": {"panoramas": [0]}, "evaluate": ["panoramas"],
        "codebooks": {kind: {"segments": kind.partition("-")[0], "codes": 32} for kind in ("vanilla-32", "olc-32")},
        "variants": {name: variant(name) for name in QUALITY},
        "tables": {
            "1": {"rows": {"AHDRNet": "ahdrnet", "Proposed": "full"}},
            "2": {"rows": ROWS_2},
            "3": {"rows": {"1. Baseline": "baseline", "7. + PA + FMU + D_VQ + RF": "full"}},
            "floors": FLOORS,
            "crops": ["reference-only", "ahdrnet", "full"],
        },
    }  # fmt: skip
    return Params.model_validate({**content, **changes})


def score_rows(protocol: str = "whole-float@1") -> dict[str, list[ScoreRow]]:
    found: dict[str, list[ScoreRow]] = {}
    for name, quality in QUALITY.items():
        classic = name in FLOORS
        run = name if classic else f"{name}--panoramas--s0"
        scores = {
            "psnr-mu": quality, "psnr-l": quality + 2, "ssim-mu": quality / 36, "ssim-l": quality / 35.5,
            "psnr-mu@saturated": quality - 6, "psnr-l@saturated": quality - 8, "psnr-mu@moving": quality - 3,
        }  # fmt: skip
        found[f"{run}--panoramas"] = [
            ScoreRow(
                profile="tiny", method=name, variant=name, trainset="" if classic else "panoramas",
                seed=None if classic else 0, dataset="panoramas", scene=scene, metric=metric,
                value=float("nan") if metric.endswith("moving") and scene == "sunset-00" else value + shift,
                protocol=protocol,
            )
            for scene, shift in zip(SCENES, (-1.0, 1.0), strict=True)
            for metric, value in scores.items()
        ]  # fmt: skip
    return found


def sensitivity_rows(rows: list[ScoreRow]) -> list[ScoreRow]:
    """The same predictions under three protocols: the profile's, an equal one, and one that turns the order round."""
    whole = [row for row in rows if "@" not in row.metric]
    equal = [row._replace(protocol="equal@1") for row in whole]
    turned = [row._replace(protocol="turned@2", value=70 - row.value) for row in whole if row.metric == "psnr-mu"]
    return [*whole, *equal, *turned]


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def write_curve(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{step},{0.3 / step:.5f},{1 / step:.5f},{-0.1:.5f},{1.3 / step:.5f}" for step in range(1, 60, 6)]
    path.write_text("\n".join(["step,reconstruction,mapping,adversarial,total", *rows]) + "\n", encoding="utf-8")


def card(params: Params, run: str) -> dict[str, object]:
    entry = params.runs[run]
    return {
        "run": run, "variant": entry.variant, "method": entry.variant, "label": entry.variant, "preset": "narrow",
        "head": "mu-residual", "parameters": 123456, "steps": 60, "batch": 4, "trainset": "panoramas",
        "data": "0" * 64, "perceptual": "random-vgg16 (seeded)", "codebook": entry.codebook, "libraries": {},
        "parameters_frozen": 65432 if entry.codebook else 0,
    }  # fmt: skip


def write_score_files(params: Params) -> None:
    for key, rows in score_rows().items():
        write_scores(params.work / "scores" / f"{key}.csv", rows)


def fill(params: Params) -> None:
    """Write what the stages before `summarize` leave, below the current folder."""
    write_score_files(params)
    for key, rows in score_rows().items():
        write_scores(params.work / "sensitivity" / f"{key}.csv", sensitivity_rows(rows))
    for run in params.runs:
        write_json(params.work / "weights" / f"{run}.json", card(params, run))
        write_curve(params.work / "curves" / f"{run}.csv")
    for name in CODEBOOKS:
        write_curve(params.work / "codebooks" / f"{name}.csv")
        write_json(params.work / "inspect" / f"{name}.json", codebook_report(name))
        (params.work / "inspect" / f"{name}.npz").write_bytes(to_npz(codebook_arrays(name)))
    write_json(params.work / "inspect" / "network-full--panoramas--s0.json", network_report("full--panoramas--s0"))
    write_pictures(params)


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures that are drawn faster, for tests that ask something else of them than how fine they are."""
    drawing.coarse(monkeypatch)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """A profile with every input, in an empty folder that is now the current one."""
    monkeypatch.chdir(tmp_path)
    params = parameters()
    fill(params)
    return params


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """A profile of which nothing but scores exists: no cards, curves, inspections, scenes or predictions."""
    monkeypatch.chdir(tmp_path)
    params = parameters()
    write_score_files(params)
    return params


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Params, Path, Path]:
    """The reports of two runs over the same input in two folders."""
    params = parameters()
    folder = shared(tmp_path_factory, "reports", report_twice)
    return params, *(folder / name / params.reports for name in TWICE)


TWICE = ("first", "second")


def report_twice(folder: Path) -> None:
    """Run the report in two folders over the same input."""
    params = parameters()
    for name in TWICE:
        (folder / name).mkdir()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder / name)
            drawing.coarse(patch)
            fill(params)
            summarize.run(params)
            report.run(params)


@pytest.fixture
def measured() -> Callable[..., Measured]:
    """What a profile measured, from score rows that a test may change."""

    def make(rows: list[ScoreRow] | None = None, **changes: object) -> Measured:
        params = parameters(**changes)
        chosen = rows if rows is not None else [row for part in score_rows().values() for row in part]
        scores = pd.DataFrame(chosen, columns=list(ScoreRow._fields))
        return Measured(params, collect(scores), {run: card(params, run) for run in params.runs})

    return make


@pytest.fixture
def rows() -> list[ScoreRow]:
    """Every score row of the invented profile."""
    return [row for part in score_rows().values() for row in part]


@pytest.fixture
def papers() -> dict[int, Paper]:
    """The paper's tables with the invented profile's variants."""
    return {paper.number: paper for paper in report.read_papers(parameters())}


STUDY = {
    "vanilla-16": "vanilla-16", "olc-16": "olc-16", "vanilla-32": "vanilla-32", "full": "olc-32",
    "hdr-32": "hdr-32", "vanilla-32-r": "vanilla-32-r", "full-r": "olc-32-r", "full-random": "olc-32",
    "step-6": "olc-32",
}  # fmt: skip
"""Variants of the invented study -> codebook."""
PLACES = ("beach", "castle", "forest", "garden", "harbour", "market", "square", "temple")


def study_changes(seeds: int, against: dict[str, str]) -> dict[str, object]:
    """What the invented study changes of the parameters: controls, restarts, HDR images alone, several seeds."""
    options_of = {
        "full-random": {"prior_weights": "random", "prior_frozen": False},
        "step-6": {"prior": "concat"}, "baseline": {"prior": "none"},
    }  # fmt: skip
    options = {"hdr-32": {"images": "hdr"}, "vanilla-32-r": {"restart_every": 10}, "olc-32-r": {"restart_every": 10}}
    return {
        "train": {"panoramas": list(range(seeds))},
        "codebooks": {
            name: {
                "segments": "olc" if name.startswith("olc") else "vanilla", "codes": int(name.split("-")[1]),
                "options": options.get(name, {}),
            } for name in dict.fromkeys(STUDY.values())
        },
        "variants": {
            name: {
                "method": "olc", "preset": "narrow", "options": options_of.get(name, {}),
                "codebook": STUDY.get(name),
            } for name in (*STUDY, "baseline")
        },
        "tables": {
            "1": {"rows": {"Proposed": "full"}},
            "2": {
                "rows": ROWS_2,
                "controls": {"V-HDR": "hdr-32", "Vanilla, restarts": "vanilla-32-r", "OLC, restarts": "full-r"},
            },
            "3": {
                "rows": {
                    "1. Baseline": "baseline", "6. + PA + FMU + D_VQ": "step-6", "7. + PA + FMU + D_VQ + RF": "full",
                },
                "controls": {"Row 7, random D_VQ": "full-random"},
            },
            "against": against,
        },
    }  # fmt: skip


@pytest.fixture
def study(measured) -> Callable[..., tuple[dict[int, Paper], Measured]]:
    """The tables of an invented study, and what it measured: each variant at its level, in dB above 30.

    A variant that isn't named isn't measured. Views differ by decibels, alike for all variants; beyond that, each
    score moves by 0.02 dB at most.
    """

    def make(
        levels: dict[str, float], seeds: int = 3, places: int = 8, against: dict[str, str] | None = None
    ) -> tuple[dict[int, Paper], Measured]:
        rng = generator(3, "study")
        scenes = {f"{name}-{view:02d}": 3 * rng.normal() for name in PLACES[:places] for view in (1, 2, 3)}
        rows = [
            ScoreRow("tiny", "olc", variant, "panoramas", seed, "panoramas", scene, metric, value, "whole-float@1")
            for variant, level in levels.items()
            for seed in range(seeds)
            for scene, shift in scenes.items()
            for metric, value in (
                ("psnr-mu", 30 + level + shift + rng.uniform(-0.02, 0.02)),
                ("ssim-mu", 0.9 + rng.uniform(-0.001, 0.001)),
            )
        ]
        found = measured(rows, **study_changes(seeds, against or {}))
        return {paper.number: paper for paper in report.read_papers(found.params)}, found

    return make


@pytest.fixture
def codebooks() -> list[InspectedCodebook]:
    """Two codebooks of one size."""
    return two_codebooks()


def two_codebooks() -> list[InspectedCodebook]:
    """Make them anew: tests change what they are given."""
    return [
        InspectedCodebook(name, kind, report=codebook_report(name), **codebook_arrays(name))
        for name, kind in CODEBOOKS.items()
    ]


@pytest.fixture
def exhibits() -> dict[str, Exhibit]:
    """A scene with truth, and one without, with one method that has no prediction."""
    made = {}
    for name, truth in (("truth", True), ("no-truth", False)):
        shown = scene(name, truth)
        mask = shown.ldr[1].max(axis=-1) > 0.95
        moved = np.zeros_like(mask)
        moved[28:44, 18:32] = True
        predictions = {"floor": shown.linear[1], "missing": None}
        made[name] = Exhibit(shown, {"saturated": mask, "moving": moved}, predictions)
    return made
