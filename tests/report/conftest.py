"""A small invented profile: scores, cards, curves, inspections, scenes and predictions as other stages write them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.core.params import Params
from bench.core.scene import Scene
from bench.core.seeding import generator
from bench.io.container import write_scene
from bench.io.npz import to_npz
from bench.io.radiance import write_exr
from bench.io.tables import ScoreRow, write_scores
from bench.metrics.codebook import statistics
from bench.metrics.combination import by_zone
from bench.metrics.overlap import jaccard, same_by_chance, same_choice, shared_mass
from bench.metrics.usage import histogram
from bench.report.codebook_figures import Book
from bench.report.crops import Exhibit
from bench.report.inputs import Measured, Paper
from bench.report.results import collect
from bench.stages import report, summarize

SCENES = ("courtyard-00", "sunset-00")
QUALITY = {
    "reference-only": 31.6, "triangle-merge": 26.8, "ahdrnet": 33.1, "vanilla-16": 33.4, "olc-16": 33.9,
    "vanilla-32": 33.5, "full": 34.2, "baseline": 32.9,
}  # fmt: skip
BOOKS = {"vanilla-32--panoramas--s0": "vanilla", "olc-32--panoramas--s0": "olc"}
HEIGHT, WIDTH = 48, 64


def parameters(**changes: object) -> Params:
    trained = [name for name in QUALITY if name not in ("reference-only", "triangle-merge")]
    vq = [name for name in trained if name not in ("ahdrnet", "baseline")]
    runs = {name: f"{name}--panoramas--s0" for name in trained}

    def run(name: str) -> dict[str, object]:
        book = "vanilla-32--panoramas--s0" if name == "vanilla-32" else "olc-32--panoramas--s0"
        entry = {"variant": name, "trainset": "panoramas", "seed": 0, "code": "methods"}
        return entry | ({"codebook": book} if name in vq else {})

    def cells(names: list[str]) -> dict[str, object]:
        found = [(runs.get(name, name), name) for name in names]
        return {f"{run}--panoramas": {"run": run, "dataset": "panoramas", "code": "methods"} for run, _ in found}

    content: dict[str, object] = {
        "profile": "tiny", "root": ".", "params_file": "params.yaml", "head": "mu-residual",
        "datasets": {"panoramas": {"code": "panoramas"}}, "patches": {"size": 64}, "olc_preset": "narrow",
        "perceptual": {"backbone": "random-vgg16"},
        "stage1": {"steps": 40, "batch": 4}, "stage2": {"steps": 60, "batch": 4},
        "codebooks": {
            name: {"segments": kind, "codes": 32, "trainset": "panoramas", "seed": 0} for name, kind in BOOKS.items()
        },
        "variants": {name: {"method": name, "preset": "narrow"} for name in QUALITY},
        "plain_runs": {runs[name]: run(name) for name in trained if name not in vq},
        "vq_runs": {runs[name]: run(name) for name in vq},
        "classic_evaluations": cells(["reference-only", "triangle-merge"]),
        "plain_evaluations": cells(["ahdrnet", "baseline"]), "vq_evaluations": cells(vq),
        "tables": {
            "table1": {"AHDRNet": "ahdrnet", "Proposed": "full"},
            "table2": {
                "Vanilla (K=512)": "vanilla-16", "OLC (K=512)": "olc-16", "Vanilla (K=1024)": "vanilla-32",
                "OLC (K=1024)": "full",
            },
            "table3": {"1. Baseline": "baseline", "7. + PA + FMU + D_VQ + RF": "full"},
            "floors": ["reference-only", "triangle-merge"],
            "crops": ["reference-only", "ahdrnet", "full"],
        },
    }  # fmt: skip
    return Params.model_validate({**content, **changes})


def score_rows(protocol: str = "whole-float@1") -> dict[str, list[ScoreRow]]:
    found: dict[str, list[ScoreRow]] = {}
    for name, quality in QUALITY.items():
        classic = name in ("reference-only", "triangle-merge")
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


def scene(name: str, truth: bool = True) -> Scene:
    rng = generator(0, name)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    sun = np.exp(-((x - rng.integers(14, 50)) ** 2 + (y - 14) ** 2) / 60)
    base = 0.02 + 0.1 * (np.sin(x / 5) * np.cos(y / 4) + 1) / 2 + sun * (0.7 + 0.2 * np.sin(x))
    radiance = np.clip(base[..., None] * np.array([1.0, 0.9, 0.7]), 0, 1).astype(np.float32)
    times = np.array([1.0, 4.0, 16.0])
    frames = []
    for i, time in enumerate(times):
        frame = radiance.copy()
        frame[28:44, 6 + 12 * i : 20 + 12 * i] = (0.05, 0.02, 0.02)
        frames.append(np.rint(np.clip(frame * time, 0, 1) ** (1 / 2.2) * 65535).astype(np.uint16))
    still = radiance.copy()
    still[28:44, 18:32] = (0.05, 0.02, 0.02)
    return Scene(name, np.stack(frames), times, 1, still if truth else None, {"capture": name})


def book_arrays(name: str) -> dict[str, np.ndarray]:
    rng = generator(1, name)
    hits = rng.poisson(9, (4, 32)) * (rng.random((4, 32)) < (0.35 if name.startswith("vanilla") else 0.8))
    atlas = np.repeat(rng.random((32, 1, 1, 3)), 8, 1).repeat(8, 2) ** 3
    codes = rng.normal(size=(32, 16)).astype(np.float32)
    return {"histograms": hits.astype(np.int64), "codes": codes, "atlas": atlas.astype(np.float32)}


def book_report(name: str) -> dict[str, object]:
    """What `inspect` writes of an invented book, by the functions that it uses: each kind draws from its segment."""
    rng, olc = generator(3, name), BOOKS[name] == "olc"
    zones = [rng.integers(-1, 3, (6, 12)).astype(np.int8) for _ in range(2)]
    spans = {"L1": (0, 16), "L2": (8, 24), "L3": (16, 32), "H": (0, 32)}
    choices = {
        kind: [rng.integers(*(span if olc else (0, 32)), one.shape) for one in zones] for kind, span in spans.items()
    }
    flat = np.stack([np.concatenate([one.ravel() for one in maps]) for maps in choices.values()])
    counts = np.stack([histogram(one, 32) for one in flat])
    kinds = {}
    for kind, indices in zip(choices, flat, strict=True):
        found = statistics(indices, 32, rng.random(indices.shape))
        kinds[kind] = {
            "used": found.used, "perplexity": found.perplexity, "quantisation_error": found.quantisation_error,
            "quarters": found.quarter_shares, "quarters_used": found.quarter_used, "allowed": 32,
            "quarters_error": found.quarter_errors, "psnr-mu": 24.5, "psnr-l": 28.0,
        }  # fmt: skip
    matrices = {"jaccard": jaccard(counts), "shared": shared_mass(counts), "same": same_choice(flat)}
    return {
        "codebook": name, "segments": BOOKS[name], "seed": 0, "codes": 32, "images": 2, "vectors": 144, "kinds": kinds,
        "quarters": [{"used": 0.5, "hits": 0.25}] * 4, "zones": by_zone(zones, choices, 32, 0),
        "overlap": {key: value.tolist() for key, value in matrices.items()}
        | {"kinds": list(kinds), "same_by_chance": same_by_chance(counts).tolist()},
    }  # fmt: skip


def network_report(run: str) -> dict[str, object]:
    return {
        "run": run, "codes": 32, "psnr-mu": 34.2, "psnr-mu-permuted-features": 33.0, "fsm-permuted-change": 0.04,
        "mapping-loss-first": 0.9, "mapping-loss-last": 0.2, "hdr-perplexity": 7.25,
    }  # fmt: skip


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def write_curve(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{step},{0.3 / step:.5f},{1 / step:.5f},{-0.1:.5f},{1.3 / step:.5f}" for step in range(1, 60, 6)]
    path.write_text("\n".join(["step,reconstruction,mapping,adversarial,total", *rows]) + "\n", encoding="utf-8")


def write_pictures(params: Params) -> None:
    for split, names in (("test", SCENES), ("no-truth", ("street-00",))):
        for name in names:
            made = scene(name, truth=split == "test")
            write_scene(params.work / "scenes" / "panoramas" / split / name, made)
            for run in ("reference-only", "full--panoramas--s0", "ahdrnet--panoramas--s0"):
                if (run, name) != ("ahdrnet--panoramas--s0", "street-00"):
                    noise = generator(2, run).normal(0, 0.01, made.linear[1].shape)
                    radiance = np.clip(made.linear[1] + noise, 0, 1).astype(np.float32)
                    write_exr(params.work / "predictions" / run / "panoramas" / split / f"{name}.exr", radiance)


def card(params: Params, run: str) -> dict[str, object]:
    entry = params.runs[run]
    return {
        "run": run, "variant": entry.variant, "method": entry.variant, "label": entry.variant, "preset": "narrow",
        "head": "mu-residual", "parameters": 123456, "steps": 60, "batch": 4, "trainset": "panoramas",
        "data": "0" * 64, "perceptual": "random-vgg16 (seeded)", "codebook": entry.codebook, "libraries": {},
        "parameters_frozen": 65432 if entry.codebook else 0,
    }  # fmt: skip


def fill(params: Params) -> None:
    """Write what the stages before `summarize` leave, below the current folder."""
    for cell, rows in score_rows().items():
        write_scores(params.work / "scores" / f"{cell}.csv", rows)
        write_scores(params.work / "sensitivity" / f"{cell}.csv", sensitivity_rows(rows))
    for run in params.runs:
        write_json(params.work / "weights" / f"{run}.json", card(params, run))
        write_curve(params.work / "curves" / f"{run}.csv")
    for name in BOOKS:
        write_curve(params.work / "codebooks" / f"{name}.csv")
        write_json(params.work / "inspect" / f"{name}.json", book_report(name))
        (params.work / "inspect" / f"{name}.npz").write_bytes(to_npz(book_arrays(name)))
    write_json(params.work / "inspect" / "network-full--panoramas--s0.json", network_report("full--panoramas--s0"))
    write_pictures(params)


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
    for cell, rows in score_rows().items():
        write_scores(params.work / "scores" / f"{cell}.csv", rows)
    return params


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Params, Path, Path]:
    """The reports of two runs over the same input in two folders."""
    params = parameters()
    folders = []
    for _ in range(2):
        folder = tmp_path_factory.mktemp("repeat")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            fill(params)
            summarize.run(params)
            report.run(params)
        folders.append(folder / params.reports)
    return params, folders[0], folders[1]


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
    return {paper.number: paper for paper in report._papers(parameters())}


STUDY = {
    "vanilla-16": "vanilla-16", "olc-16": "olc-16", "vanilla-32": "vanilla-32", "full": "olc-32",
    "hdr-32": "hdr-32", "vanilla-32-r": "vanilla-32-r", "full-r": "olc-32-r", "full-random": "olc-32",
    "step-6": "olc-32",
}  # fmt: skip
"""Variants of the invented study -> codebook."""
PLACES = ("beach", "castle", "forest", "garden", "harbour", "market", "square", "temple")


def study_changes(seeds: int, against: dict[str, str]) -> dict[str, object]:
    """What the invented study changes of the parameters: controls, restarts, HDR images alone, several seeds."""
    options = {"hdr-32": {"images": "hdr"}, "vanilla-32-r": {"restart_every": 10}, "olc-32-r": {"restart_every": 10}}
    books = {
        name: {
            "segments": "olc" if name.startswith("olc") else "vanilla", "codes": int(name.split("-")[1]),
            "trainset": "panoramas", "seed": 0, "options": options.get(name, {}),
        } for name in dict.fromkeys(STUDY.values())
    }  # fmt: skip
    entries = {v: {"variant": v, "trainset": "panoramas", "code": "methods"} for v in (*STUDY, "baseline")}
    runs = {f"{v}--panoramas--s{s}": {**entry, "seed": s} for v, entry in entries.items() for s in range(seeds)}
    vq = {run: {**entry, "codebook": STUDY[str(entry["variant"])]} for run, entry in runs.items() if "base" not in run}
    return {
        "codebooks": books,
        "variants": {name: {"method": "olc", "preset": "narrow"} for name in (*STUDY, "baseline")},
        "plain_runs": {run: entry for run, entry in runs.items() if run not in vq},
        "vq_runs": vq,
        "classic_evaluations": {}, "plain_evaluations": {},
        "vq_evaluations": {f"{run}--panoramas": {"run": run, "dataset": "panoramas", "code": "m"} for run in runs},
        "tables": {
            "table1": {"Proposed": "full"},
            "table2": {
                "Vanilla (K=512)": "vanilla-16", "OLC (K=512)": "olc-16", "Vanilla (K=1024)": "vanilla-32",
                "OLC (K=1024)": "full",
            },
            "table2_controls": {"V-HDR": "hdr-32", "Vanilla, restarts": "vanilla-32-r", "OLC, restarts": "full-r"},
            "table3": {
                "1. Baseline": "baseline", "6. + PA + FMU + D_VQ": "step-6", "7. + PA + FMU + D_VQ + RF": "full",
            },
            "table3_controls": {"Row 7, random D_VQ": "full-random"},
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
        return {paper.number: paper for paper in report._papers(found.params)}, found

    return make


@pytest.fixture
def books() -> list[Book]:
    """Two codebooks of one size."""
    return [Book(name, kind, report=book_report(name), **book_arrays(name)) for name, kind in BOOKS.items()]


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
