"""Chains in an invented profile whose every file is here, changed or taken away by the test."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from bench.core.errors import UsageError
from bench.io.tables import ScoreRow, read_scores, write_scores
from bench.provenance import chain, number, text, values
from bench.provenance.evidence import Evidence
from bench.provenance.number import ScoreNames

from .conftest import SECOND, invented

FULL = "full--panoramas--s0"


def meant(evidence, name, row, column):
    cell = number.find_cell(evidence.params.reports / "tables" / f"{name}.csv", row, column)
    return number.of_cell(evidence.params, cell)


def traced(evidence, name="table3", row="full", column="psnr_mu"):
    return chain.of_number(meant(evidence, name, row, column), evidence)


def unfolded(said):
    return re.sub(r"\n {15}", " ", said)


def test_every_link_stands_in_the_chain(evidence):
    found = traced(evidence)
    assert found["value"]["text"] == "34.2000" and found["value"]["agrees"] is True
    assert [row["scene"] for row in found["value"]["rows"]] == ["courtyard-00", "sunset-00"]
    assert found["protocol"]["id"] == "whole-float@1" and found["protocol"]["settings"]["psnr"]["peak"] == 1.0
    (evaluation,), (training,) = found["evaluations"], found["trainings"]
    assert evaluation["scores"]["here"] == "as recorded"
    assert evaluation["predictions"]["here"] == "as recorded" and len(evaluation["predictions"]["sha256"]) == 64
    assert training["weights"]["here"] == "as recorded" and len(training["weights"]["md5"]) == 32
    assert training["card"]["parameters"] == 123456 and training["card"]["data"] == "0" * 64
    assert training["parameters"] == {"plan.stage2": {"steps": 60, "batch": 4}}
    assert [book["codebook"] for book in found["codebooks"]] == ["olc-32--panoramas--s0"]
    names = [stage["stage"] for stage in found["stages"]]
    assert names == [
        "fetch@panoramas", "backbone", "prepare@panoramas", "codebook@olc-32--panoramas--s0", f"train@{FULL}",
        f"evaluate@{FULL}--panoramas", "summarize", "report",
    ]  # fmt: skip
    address_ = "reports/tiny/tables/table3.csv:full:psnr_mu"
    assert found["command"] == f"dvc repro evaluate@{FULL}--panoramas && python -m bench explain {address_} --check"
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_as_text_it_names_files_hashes_stages_and_the_command(evidence):
    said = text.of_number(traced(evidence))
    for part in (
        "table3.csv, line 8: 7. + PA + FMU + D_VQ + RF on panoramas, psnr_mu",
        "34.2000 = mean over 2 scenes of seed 0, from work/tiny/scores/full--panoramas--s0--panoramas.csv",
        "courtyard-00 33.2000; sunset-00 35.2000", "on this disk, as recorded", "parameters 123,456",
        f"train@{FULL}: weights.safetensors", "settings: stage2 {batch 4, steps 60}",
    ):  # fmt: skip
        assert part in unfolded(said)
    assert said.splitlines()[-1].startswith("again        dvc repro evaluate@")
    assert max(len(line) for line in said.splitlines()[:-1]) <= text.WIDTH


STAGE2 = {"steps": 60, "lr": 0.001}


@pytest.mark.parametrize(
    ("card", "ran", "said"),
    [
        (
            {},
            {"plan.stage2": STAGE2, "plan.recipe": "common", "plan.head": "x"},
            {"recipe": "common", "stage2": STAGE2},
        ),
        ({}, {"stage2": STAGE2, "patches": {"size": 32}}, {"stage2": STAGE2, "patches": {"size": 32}}),
        (
            {"settings": {"lr": 0.5}, "patches": {"size": 8}},
            {"plan.stage2": STAGE2},
            {"lr": 0.5, "patches": {"size": 8}},
        ),
        ({"recipe": "published"}, {"plan.stage2": STAGE2, "plan.recipe": "common"}, {"recipe": "common"}),
        ({}, {}, {}),
    ],
    ids=["lock of today", "older lock", "card", "another recipe's card without settings", "nothing"],
)
def test_the_settings_are_those_that_the_training_used(card, ran, said):
    assert text.used(card, ran, ("recipe", "stage2", "patches", "caps")) == said


def test_means_are_over_scenes_then_over_seeds(evidence):
    value = values.compute(meant(evidence, "table3", "baseline", "psnr_mu"), evidence)
    assert value.exact == pytest.approx((32.9 + 33.15) / 2)
    assert value.how == "mean over 2 scenes, then over seeds 0, 1"
    assert SECOND in traced(evidence, row="baseline")["command"]


def test_an_undefined_score_is_left_out_and_counted(evidence):
    value = values.compute(meant(evidence, "masks", "full", "psnr_mu_moving"), evidence)
    assert value.exact == pytest.approx(34.2 - 3 - 1)
    assert value.how.endswith("1 scores are NaN and left out")


def test_fresh_rows_are_read_before_the_reports_own(evidence):
    file = evidence.params.work / "scores" / f"{FULL}--panoramas.csv"
    rows = [row._replace(value=row.value + 0.5) for row in records(file)]
    write_scores(file, rows)
    value = traced(evidence)["value"]
    assert (value["text"], value["agrees"]) == ("34.7000", False)
    assert traced(evidence)["evaluations"][0]["scores"]["here"] == "changed since"
    assert "DIFFERS from the cell" in unfolded(text.of_number(traced(evidence)))
    file.unlink()
    value = traced(evidence)["value"]
    assert (value["text"], value["agrees"], value["files"]) == ("34.2000", True, ["reports/tiny/scores.csv"])


def records(file):
    frame = read_scores([file])
    frame["seed"] = [None if pd.isna(seed) else int(seed) for seed in frame["seed"]]
    return [ScoreRow(*row) for row in frame.itertuples(index=False)]


def test_without_work_the_provenance_file_and_the_lock_tell(evidence):
    whole = traced(evidence)
    shutil.rmtree("work")
    found = traced(Evidence(invented()))
    for kind, key in (("evaluations", "predictions"), ("trainings", "weights")):
        ((before,), (after,)) = whole[kind], found[kind]
        assert after[key] == before[key] | {"here": "absent"}
    assert found["trainings"][0]["card"]["parameters"] == 123456
    assert "work/tiny isn't on this disk" in found["notes"][0]


@pytest.mark.parametrize(
    ("name", "row", "column", "expected"),
    [
        ("table3", "full", "params_m", "0.12346"),
        ("table1", "Proposed", "macs_256_g", "7.0000"),
        ("table1", "Proposed", "macs_full_g", "160.000"),
        ("table1", "Proposed", "published_params_m", "0.12346"),
        ("table3", "baseline", "seeds", "2"),
        ("table3", "baseline", "scenes", "2"),
        ("table1", "reference-only", "seeds", "1"),
        ("table1", "reference-only", "psnr_mu", "31.6000"),
        ("table3", "full", "protocol", "whole-float@1"),
        ("table3", "full", "paper_psnr_mu", "44.89"),
        ("table3", "full", "psnr_mu_difference", None),
        ("table1", "Proposed", "psnr_mu_difference", None),
        ("table3", "full", "psnr_mu_gain", None),
        ("table1", "AHDRNet", "psnr_mu_gain", None),
        ("table2", "full", "psnr_mu_moving", "30.2000"),
    ],
)
@pytest.mark.parametrize("work", [True, False], ids=["work", "clone"])
def test_each_kind_of_column_is_computed_again(evidence, name, row, column, expected, work):
    if not work:
        shutil.rmtree("work")
    wanted = meant(evidence, name, row, column)
    value = values.compute(wanted, Evidence(invented()))
    assert value.text == wanted.cell.text
    assert expected in (None, value.text)
    assert value.files


def test_changed_files_are_told(evidence):
    predictions = evidence.params.work / "predictions" / FULL / "panoramas" / "test" / "courtyard-00.exr"
    predictions.write_bytes(b"other")
    scores = Path("reports/tiny/scores.csv")
    scores.write_text(scores.read_text().replace("35.2,", "35.20,"))
    found = traced(Evidence(invented()))
    assert found["evaluations"][0]["predictions"]["here"] == "changed since"
    assert any("scores.csv isn't the file that dvc.lock records" in note for note in found["notes"])


def test_changed_parameters_are_told(evidence):
    other = Evidence(evidence.params.model_copy(update={"threads": 7}))
    assert "params.yaml has changed since this report was made." in traced(other)["notes"]
    assert not any("has changed" in note for note in traced(evidence)["notes"])


def test_a_report_without_provenance_and_lock_says_what_is_unknown(evidence):
    evidence.provenance_file.unlink()
    evidence.lock.file.unlink()
    found = traced(Evidence(invented()))
    assert found["value"]["agrees"] is True
    said = " ".join(found["notes"])
    assert "dvc.lock isn't tracked" in said and "provenance.json isn't there" in said


def test_a_paper_number_and_a_dash_have_no_chain(evidence):
    printed = traced(evidence, column="paper_psnr_mu")
    assert printed["value"]["files"] == ["reports/printed/table3.csv, line 8"]
    assert printed["stages"] == [] and "dvc repro" not in printed["command"]
    dash = traced(evidence, "table1", "TransHDR", "psnr_mu")
    assert dash["command"] is None and dash["subject"]["reason"]
    assert "empty: " in text.of_number(dash)


def test_a_table_and_a_figure_are_traced_whole(evidence):
    found = chain.of_file(Path("reports/tiny/tables/table2.csv"), evidence)
    assert {link["run"] for link in found["trainings"]} == {
        f"{name}--panoramas--s0" for name in ("vanilla-16", "olc-16", "vanilla-32", "full")
    }
    assert found["command"] == "dvc repro report" and found["notes"][0].startswith("dvc.lock doesn't record")
    figure = chain.of_file(Path("reports/tiny/figures/pareto_parameters.png"), Evidence(invented(), "figures"))
    assert "reference-only--panoramas" in {link["evaluation"] for link in figure["evaluations"]}
    assert "sha256" in text.of_file(figure)
    Path("reports/tiny/tables/table2.csv").write_text("a\n1\n")
    altered = chain.of_file(Path("reports/tiny/tables/table2.csv"), evidence)
    assert "changed by hand" in altered["notes"][0]


def test_a_cell_of_another_table_has_the_chain_of_its_table(evidence):
    found = traced(evidence, "table3_differences", "1", "difference")
    assert found["value"]["text"] == "" and found["command"] == "dvc repro report"
    assert len(found["evaluations"]) == 3


def test_a_report_of_an_older_version_names_the_remedy(evidence):
    evidence.provenance_file.unlink()
    with pytest.raises(UsageError, match="Run: dvc repro report"):
        chain.of_file(Path("reports/tiny/tables/table2.csv"), Evidence(invented()))


def test_a_submission_is_traced_to_its_file(evidence):
    rows = [row._replace(method="submitted", variant="mine", value=row.value + 1) for row in
            records(evidence.params.work / "scores" / f"{FULL}--panoramas.csv")]  # fmt: skip
    write_scores(Path("reports/submissions/mine.csv"), rows)
    file = Path("reports/tiny/tables/table1.csv")
    columns = file.read_text().splitlines()[0].split(",")
    row = dict.fromkeys(columns, "") | {
        "dataset": "panoramas", "method": "mine", "kind": "submitted", "psnr_mu": "35.2000", "scenes": "2",
    }  # fmt: skip
    file.write_text(file.read_text() + ",".join(row.values()) + "\n")
    value = traced(evidence, "table1", "mine")["value"]
    assert (value["text"], value["agrees"], value["files"]) == ("35.2000", True, ["reports/submissions/mine.csv"])


@pytest.mark.parametrize("name", ["full", "Proposed", "OLC (K=1024)"])
def test_a_score_is_found_by_names(evidence, name):
    found = number.of_names(evidence.params, evidence.scores, ScoreNames(name, "psnr-mu"))
    assert (found.cell.name, found.cell.text, found.variant) == ("table1", "34.2000", "full")
    second = number.of_names(evidence.params, evidence.scores, ScoreNames(name, "psnr_mu", table=2))
    assert second.cell.name == "table2"
    one = number.of_names(evidence.params, evidence.scores, ScoreNames(name, "psnr-mu@saturated", "sunset-00"))
    assert values.compute(one, evidence).exact == pytest.approx(34.2 - 6 + 1)
    command = chain.of_number(one, evidence)["command"]
    assert command.endswith("--method full --metric psnr-mu@saturated --scene sunset-00 --dataset panoramas --value")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (ScoreNames("fool", "psnr-mu"), "Did you mean 'full'"),
        (ScoreNames("full", "psnr-mo"), "Did you mean 'psnr-mu'"),
        (ScoreNames("full", "psnr-mu", "sunset-01"), "Did you mean 'sunset-00'"),
        (ScoreNames("full", "psnr-mu", dataset="panorama"), "Did you mean 'panoramas'"),
        (ScoreNames("full", "psnr-mu", table=4), "expected 1, 2 or 3"),
        (ScoreNames("ahdrnet", "psnr-mu", table=2), "Table 2 of reports/tiny has no cell"),
    ],
)
def test_names_that_are_not_there_are_told(evidence, wanted, message):
    with pytest.raises(UsageError, match=message):
        number.of_names(evidence.params, evidence.scores, wanted)


def test_the_commit_is_that_of_the_files(evidence):
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    for words in (["init", "-q"], ["add", "reports", "dvc.lock"], [*who, "commit", "-qm", "first"]):
        subprocess.run(["git", *words], check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    commits = traced(evidence)["commits"]
    assert commits["files"]["reports/tiny/tables/table3.csv"] == commits["files"]["dvc.lock"] == head
    assert not commits["dirty"] and not commits["changed_since"]
    Path("dvc.lock").write_text(Path("dvc.lock").read_text() + "# by hand\n")
    commits = traced(evidence)["commits"]
    assert commits["dirty"] and commits["changed_since"] == ["dvc.lock"]
