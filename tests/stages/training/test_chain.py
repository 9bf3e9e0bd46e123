"""The chain of stages: what each leaves behind, and that two runs from scratch leave the same bytes."""

import csv
import json
import platform
import re
import shutil
import socket

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

from bench.core import layout
from bench.core.registry import protocols
from bench.io.container import list_scenes, read_scene
from bench.io.radiance import read_exr
from bench.io.tables import read_scores
from bench.report.table.kinds import KINDS

SCORE_COLUMNS = "profile,method,variant,trainset,seed,dataset,scene,metric,value,protocol"
METRICS = ["psnr_mu", "psnr_l", "psnr_pu", "ssim_mu", "ssim_l", "ssim_pu", "hdrvdp2"]
TAIL = ["scenes", "seeds", "protocol", "note"]
SIZES = ["macs_256_g", "macs_full_g", "published_params_m", "published_macs_256_g", "published_macs_full_g"]
TESTED = ["psnr_mu_saturated", "psnr_mu_moving", "psnr_mu_uncovered", "psnr_mu_gain", "psnr_mu_difference"]
PRINTED = [f"paper_{name}" for name in METRICS]
TABLE_1 = ["dataset", "method", "kind", "params_m", *SIZES, *METRICS, *TESTED, *PRINTED, *TAIL]
CARD = {
    "run", "variant", "trainset", "seed", "method", "label", "preset", "options", "head", "base", "register",
    "recipe", "settings", "steps", "batch", "patches", "codebook", "codebook_sha256", "stage1", "data", "perceptual",
    "device", "parameters", "parameters_frozen", "macs_per_pixel", "libraries", "precision", "tf32", "adam",
    "processes",
}  # fmt: skip


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def header(path):
    return path.read_text(encoding="utf-8").splitlines()[0]


@pytest.fixture
def inside(workshop, monkeypatch):
    """The finished workshop as the current folder."""
    monkeypatch.chdir(workshop.folder)
    return workshop


def test_every_stage_leaves_its_files_where_the_layout_says(inside):
    p, name = inside.params, "panoramas"
    assert (layout.raw(p, name) / "views.csv").is_file()
    assert [len(list_scenes(layout.scenes(p, name, split))) for split in ("train", "test", "no-truth")] == [2, 2, 1]
    paths = [layout.codebook(p, inside.codebook).with_suffix(suffix) for suffix in (".safetensors", ".json", ".csv")]
    paths += [layout.inspection(p, inside.codebook).with_suffix(suffix) for suffix in (".json", ".npz")]
    paths += [layout.inspection(p, f"network-{inside.vq}")]
    for run in (inside.plain, inside.vq):
        paths += [layout.weights(p, run), layout.weights(p, run).with_suffix(".json"), layout.curve(p, run)]
    paths += [place(p, cell) for cell in p.evaluations for place in (layout.scores, layout.sensitivity)]
    paths += [p.reports / file for file in ("scores.csv", "metrics.json", "index.html", "tables/table1.csv")]
    assert not [str(path) for path in paths if not path.is_file()]


def test_nothing_half_written_and_no_checkpoint_is_left(inside):
    assert not [path for path in inside.folder.rglob("*") if path.name.endswith((".part", ".old"))]
    assert not list((inside.folder / "runs").rglob("*.pt"))


def test_score_rows_keep_the_contract(inside):
    p = inside.params
    for cell, entry in p.evaluations.items():
        path = layout.scores(p, cell)
        assert header(path) == SCORE_COLUMNS
        rows = read_scores([path])
        assert set(rows["protocol"]) == {protocols[p.protocol].id} == {"whole-float@1"}
        assert set(rows["profile"]) == {"tiny"}
        assert set(rows["dataset"]) == {"panoramas"}
        assert {"psnr-mu", "psnr-l", "ssim-mu", "ssim-l", "psnr-mu@saturated", "psnr-mu@moving"} <= set(rows["metric"])
        assert not rows.duplicated(["scene", "metric"]).any()
        run = p.runs.get(entry.run)
        assert set(rows["variant"]) == {run.variant if run else entry.run}
        assert set(rows["trainset"]) == ({"panoramas"} if run else {""})
        assert rows["seed"].isna().all() if run is None else set(rows["seed"]) == {0}


def test_every_scene_is_predicted_and_only_those_with_truth_are_scored(inside):
    p = inside.params
    splits = ("test", "no-truth")
    scenes = {split: {path.name for path in list_scenes(layout.scenes(p, "panoramas", split))} for split in splits}
    for cell, entry in p.evaluations.items():
        folder = layout.predictions(p, entry.run, "panoramas")
        assert {split: {path.stem for path in (folder / split).iterdir()} for split in scenes} == scenes
        assert set(read_scores([layout.scores(p, cell)])["scene"]) == scenes["test"]


def test_predictions_are_radiance_of_the_scene_s_size(inside):
    p = inside.params
    for entry in p.evaluations.values():
        for split in ("test", "no-truth"):
            for path in list_scenes(layout.scenes(p, "panoramas", split)):
                radiance = read_exr(layout.predictions(p, entry.run, "panoramas") / split / f"{path.name}.exr")
                assert radiance.shape == read_scene(path).frames.shape[1:]
                assert np.isfinite(radiance).all()
                assert (radiance >= 0).all()


def test_table_1_has_the_columns_that_others_rely_on(inside):
    with (inside.params.reports / "tables" / "table1.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == TABLE_1
    assert {row["kind"] for row in rows} <= KINDS.keys()
    for row in rows:
        empty = [column for column in TABLE_1 if row[column] == "" and column != "note"]
        assert not empty or row["note"], row
    (ours,) = (row for row in rows if row["method"] == "AHDRNet" and row["dataset"] == "panoramas")
    assert (ours["kind"], ours["scenes"], ours["seeds"], ours["protocol"]) == ("measured", "2", "1", "whole-float@1")
    assert 0 < float(ours["psnr_pu"]) < 100
    assert 0 < float(ours["ssim_pu"]) < 1
    assert float(ours["hdrvdp2"]) < 100


@pytest.mark.parametrize("number", [2, 3])
def test_tables_2_and_3_name_the_variant_too(inside, number):
    columns = header(inside.params.reports / "tables" / f"table{number}.csv").split(",")
    measured = TABLE_1.index("paper_psnr_mu")
    own = [name for name in TABLE_1[2:measured] if name not in SIZES]
    assert columns == [*TABLE_1[:2], "variant", *own, *TABLE_1[measured:]]


def test_table_1_shows_the_mean_of_the_score_rows(inside):
    table = pd.read_csv(inside.params.reports / "tables" / "table1.csv").query("dataset == 'panoramas'")
    shown = table.set_index("method")["psnr_mu"]["Proposed"]
    cell = next(name for name, entry in inside.params.evaluations.items() if entry.run == inside.vq)
    rows = read_scores([layout.scores(inside.params, cell)]).query("metric == 'psnr-mu'")
    assert shown == pytest.approx(rows["value"].mean(), abs=1e-4)


def test_the_card_of_weights_is_complete(inside):
    p = inside.params
    for run in (inside.plain, inside.vq):
        card = json.loads(layout.weights(p, run).with_suffix(".json").read_text(encoding="utf-8"))
        assert set(card) == CARD
        arrays = load_file(layout.weights(p, run))
        stored = sum(
            array.numel() for name, array in arrays.items() if name != "prior_scale"
        )  # constants, no parameters
        assert card["parameters"] + card["parameters_frozen"] == stored
        assert card["macs_per_pixel"] > 0
        assert card["steps"] == p.stage2.steps == card["settings"]["steps"]
        assert re.fullmatch(r"[0-9a-f]{64}", card["data"])
        assert card["perceptual"] not in ("", None)
        assert set(card["libraries"]) == {"python", "torch", "numpy", "opencv"}
        of_stage1 = [card[field] is None for field in ("codebook", "codebook_sha256", "stage1")]
        assert of_stage1 == [run == inside.plain] * 3


def test_cards_tell_the_form_of_the_networks_of_stage_1(inside):
    """The variant of E and D, the discriminator and the perceptual backbone, of both trainings that depend on them."""
    book = layout.codebook(inside.params, inside.codebook).with_suffix(".json")
    network = layout.weights(inside.params, inside.vq).with_suffix(".json")
    cards = [json.loads(path.read_text(encoding="utf-8")) for path in (book, network)]
    for settings in (cards[0]["settings"], cards[1]["stage1"]):
        found = [settings[field] for field in ("network", "discriminator", "encoder_domain")]
        assert found == ["A", "patchgan", inside.params.stage1_of(inside.codebook).encoder_domain]
    assert all("random" in card["perceptual"] for card in cards)


def test_a_frozen_prior_is_the_codebook_to_the_bit(inside):
    prior = load_file(layout.codebook(inside.params, inside.codebook))
    network = load_file(layout.weights(inside.params, inside.vq))
    assert prior
    assert all((network[f"vqgan.{name}"] == values).all() for name, values in prior.items())


def test_no_output_holds_a_date_a_host_or_a_folder(inside):
    written = [*files(inside.folder / "work").items(), *files(inside.folder / "reports" / "tiny").items()]
    texts = {name: content.decode() for name, content in written if name.endswith((".json", ".csv", ".md", ".tex"))}
    assert len(texts) > 20
    for name, text in texts.items():
        for word in (socket.gethostname(), platform.release(), str(inside.folder)):
            assert not re.search(rf"\b{re.escape(word)}\b", text), name
        assert not re.search(r"\b20\d\d-\d\d-\d\d\b|\b\d\d:\d\d\b", text), name


@pytest.fixture(scope="module")
def again(workshop, together, tmp_path_factory):
    """The whole chain once more: another folder, another process, through the command line, other hash seed."""
    folder = tmp_path_factory.mktemp("again")
    left_out = shutil.ignore_patterns("work", "runs", "tiny")
    shutil.copytree(workshop.folder, folder, ignore=left_out, dirs_exist_ok=True)
    together(workshop._replace(folder=folder), workshop.stages)
    return folder


@pytest.mark.parametrize("place", ["work", "reports/tiny"])
def test_two_runs_from_scratch_leave_the_same_bytes(workshop, again, place):
    first, second = files(workshop.folder / place), files(again / place)
    assert set(first) == set(second)
    assert not [name for name in first if first[name] != second[name]]


def test_preparing_twice_changes_nothing(site):
    folder = layout.scenes(site.params, "panoramas")
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.rglob("*") if path.is_file()}
    site.run("prepare", "panoramas")
    assert before == {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in folder.rglob("*") if p.is_file()}


def test_preparing_removes_scenes_that_the_dataset_no_longer_holds(site):
    kept, gone = list_scenes(layout.scenes(site.params, "panoramas", "train"))
    shutil.rmtree(layout.raw(site.params, "panoramas") / "Training" / gone.name)
    (gone.parent / ".killed.1.part").mkdir()
    site.run("prepare", "panoramas")
    assert [path.name for path in gone.parent.iterdir()] == [kept.name]
