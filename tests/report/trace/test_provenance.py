"""The provenance that a report records: what each of its files was made from."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
import yaml

from bench.core.params import load
from bench.core.registry import ROOT
from bench.report.trace import digests, origins, provenance
from bench.report.trace.origins import Sources
from bench.stages import plan
from tests.report.conftest import parameters

FULL = "full--panoramas--s0"


@pytest.fixture
def recorded(reported):
    return {
        folder: json.loads((reported[1] / folder / provenance.NAME).read_text(encoding="utf-8"))
        for folder in ("tables", "figures")
    }


def everything(params):
    return Sources(tuple(params.evaluations), tuple(params.runs), tuple(params.codebook_runs))


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("folder", ["tables", "figures"])
def test_every_file_has_an_entry_with_its_hash_and_its_stages(recorded, reported, folder):
    entries = recorded[folder]["entries"].values()
    hashes = {file: digest for entry in entries for file, digest in entry["sha256"].items()}
    found = {path.name: sha256(path) for path in (reported[1] / folder).iterdir() if path.name != provenance.NAME}
    assert hashes == found
    assert (reported[1] / folder / provenance.NAME).stat().st_size < 60_000
    assert all(entry["stages"] for entry in entries)


def test_hashes_are_those_of_the_files(recorded, reported):
    params, reports, _ = reported
    root = reports.parent.parent
    tables = recorded["tables"]
    cell = tables["evaluations"][f"{FULL}--panoramas"]
    listing = "find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum"
    predictions = root / params.work / "predictions" / FULL / "panoramas"
    by_hand = subprocess.run(["sh", "-c", listing], cwd=predictions, check=True, capture_output=True, text=True).stdout
    assert cell["predictions"] == {"files": 3, "sha256": by_hand.split()[0]}
    lines = (reports / "scores.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    own = [line for line in lines if line.startswith("tiny,full,full,")]
    assert cell["scores"] == {"rows": 14, "sha256": hashlib.sha256("".join([lines[0], *own]).encode()).hexdigest()}
    records = sorted((root / params.work / "scenes" / "panoramas" / "test").glob("*/scene.json"))
    joined = hashlib.sha256(b"".join(path.read_bytes() for path in records)).hexdigest()
    assert tables["datasets"]["panoramas"]["test"] == joined
    inspection = root / params.work / "inspect" / "network-full--panoramas--s0.json"
    assert tables["inspections"][f"network-{FULL}"]["json_sha256"] == sha256(inspection)
    assert tables["runs"][FULL]["curve_sha256"] == sha256(root / params.work / "curves" / f"{FULL}.csv")
    assert tables["runs"][FULL]["card"]["parameters"] == 123456


def test_a_prediction_that_changes_changes_the_hash(tmp_path):
    for name in ("a/x.exr", "b.exr"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    before = digests.of_folder(tmp_path)
    (tmp_path / "b.exr").rename(tmp_path / "c.exr")
    renamed = digests.of_folder(tmp_path)
    (tmp_path / "c.exr").write_bytes(b"other")
    assert len({before.sha256, renamed.sha256, digests.of_folder(tmp_path).sha256}) == 3
    assert before.files == renamed.files == 2


def test_parameters_that_say_the_same_have_one_hash():
    assert digests.of_params(parameters()) == digests.of_params(parameters(threads=2))
    assert digests.of_params(parameters()) != digests.of_params(parameters(threads=3))


def test_tables_name_their_rows_and_what_these_stand_on(recorded):
    entries = recorded["tables"]["entries"]
    assert entries["table3"]["runs"] == ["baseline--panoramas--s0", FULL]
    assert entries["table3"]["codebooks"] == ["olc-32--panoramas--s0"]
    assert entries["table3_differences"]["evaluations"] == entries["table3"]["evaluations"]
    assert "reference-only--panoramas" in entries["table1"]["evaluations"] and entries["table1"]["sizes"]
    assert entries["table2"]["stages"].index("codebook@vanilla-32--panoramas--s0") < entries["table2"]["stages"].index(
        f"evaluate@{FULL}--panoramas"
    )
    assert "runs" in entries["parts"] and f"inspect_network@{FULL}" in entries["parts"]["stages"]


def test_figures_name_what_they_show(recorded):
    entries = recorded["figures"]["entries"]
    assert "evaluations" not in entries["fig7_k32"]
    assert {stage.partition("@")[0] for stage in entries["curves_codebooks"]["stages"]} == {
        "fetch", "backbone", "prepare", "codebook",
    }  # fmt: skip
    crops = [name for name in entries if name.startswith("crops_")]
    shown = {"reference-only--panoramas", "ahdrnet--panoramas--s0--panoramas", f"{FULL}--panoramas"}
    assert crops and all(set(entries[name]["evaluations"]) == shown for name in crops)
    assert entries["contact_panoramas"]["stages"] == ["fetch@panoramas", "prepare@panoramas"]


def test_figures_of_one_size_name_the_books_of_that_size():
    kinds = [(kind, codes) for kind in ("olc", "vanilla") for codes in (16, 32, 64)]
    books = {f"{kind}-{codes}": {"segments": kind, "codes": codes} for kind, codes in kinds}
    params = parameters(
        codebooks=books, variants={book: {"method": "olc", "codebook": book} for book in books}, tables={}
    )
    found = origins.of_file(params, {}, "codebooks", "atlas_k16_2")
    assert set(found.inspections) == {"olc-16--panoramas--s0", "vanilla-16--panoramas--s0"}


def everything_said(folder):
    return "".join(path.read_text(encoding="utf-8") for path in (folder / "index.html", *folder.glob("pages/*.html")))


def test_what_every_section_of_the_page_draws_on_is_known(reported):
    page = everything_said(reported[1])
    sections = {part.partition('"')[0] for part in page.split('<section id="')[1:]}
    known = {name for name in sections if origins.of_file(reported[0], {}, name, "x") != everything(reported[0])}
    assert sections - {"decisions", "repeat"} <= known


def test_a_section_that_is_not_known_names_everything():
    assert origins.of_file(parameters(), {}, "a new one", "x") == everything(parameters())


def test_only_the_training_that_counts_stands_behind_a_mean(measured):
    variants = parameters().model_dump()["variants"]
    twice = {**variants["ahdrnet"], "train": {"panoramas": [0], "elsewhere": [0]}}
    made = measured(datasets={"panoramas": {}, "elsewhere": {}}, variants={**variants, "ahdrnet": twice})
    assert "ahdrnet--elsewhere--s0--panoramas" in made.params.evaluations
    assert origins.scored(made.params, made.results, ["ahdrnet"]) == ("ahdrnet--panoramas--s0--panoramas",)


@pytest.mark.parametrize("file", ["params.yaml", "profiles/paper/params.yaml"])
def test_stages_are_those_of_the_pipeline(file, monkeypatch):
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    monkeypatch.chdir(ROOT)
    params = load(Path(file))
    planned, named = plan.document(params), set()
    for name, stage in stages.items():
        group = stage.get("foreach", "").strip("${}").removeprefix("plan.")
        named |= {f"{name}@{key}" for key in planned[group]} if group else {name}
    every = Sources(tuple(params.evaluations), inspections=tuple(params.inspections), sizes=True).stages(params)
    assert set(every) <= named
    unused = {stage.partition("@")[0] for stage in named - set(every)}
    assert unused <= {"plan", "summarize", "report", "fetch", "prepare"}


def test_the_page_names_the_command_for_each_table(reported):
    page = everything_said(reported[1])
    for name in ("table1", "table2_differences", "masks", "codebooks", "parts"):
        assert f"<code>python -m bench explain reports/tiny/tables/{name}.csv</code>" in page
