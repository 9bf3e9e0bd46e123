"""The verb: what it prints and how it fails, on the tracked reports."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from bench.__main__ import main
from bench.core.registry import ROOT
from bench.provenance import values

CELL = "reports/study/tables/table3.csv:olc-64:ssim_mu"


@pytest.fixture
def explain(monkeypatch, capsys):
    """Run the verb in this process; returns exit code, output and errors."""
    monkeypatch.chdir(ROOT)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["bench", "explain", *words])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code or 0, *capsys.readouterr()

    return run


def test_the_chain_as_json(explain):
    code, out, _ = explain(CELL, "--json")
    assert code == 0
    found = json.loads(out)
    assert found["value"]["agrees"] is True
    assert found["command"].endswith(f"&& python -m bench explain {CELL} --check")


def test_the_printed_check_runs_and_agrees(explain):
    code, said, _ = explain(CELL, "--check")
    assert code == 0
    _, value, _ = explain(CELL, "--value")
    assert said.startswith(f"{value.strip()}: the cell agrees with ")


def test_a_cell_that_differs_is_a_failure(explain, monkeypatch):
    made = values.compute
    monkeypatch.setattr(values, "compute", lambda *a: replace(made(*a), text="0.123456"))
    code, out, errors = explain(CELL, "--check")
    assert (code, out) == (1, "")
    assert "the cell holds" in errors and "gives '0.123456'" in errors


def test_a_file_is_found_from_where_the_user_stands():
    command = [sys.executable, "-m", "bench", "explain", "table2.csv:2:psnr_mu", "--value"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    folder = ROOT / "reports" / "study" / "tables"
    answer = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip() in (folder / "table2.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name a cell as FILE:ROW:COLUMN, or a score by --method and --metric"),
        (("--method", "olc-64"), "name a cell as FILE:ROW:COLUMN"),
        ((CELL, "--scene", "courtyard-00"), "--scene goes with --method and --metric, not with reports/study/tables"),
        ((CELL, "--table", "2"), "--table goes with --method and --metric"),
        (("reports/study/tables/table3.csv", "--scene", "courtyard-00"), "--scene goes with --method and --metric"),
        (("reports/study/tables/table3.csv", "--dataset", "panoramas"), "is a whole file; --dataset needs a cell"),
        (("table3:1:2",), "names no cell of a report"),
        (("README.md:1:2",), "no table or figure of a report"),
        (("params.csv:1:2",), "no table or figure of a report"),
        (("reports/studi/tables/table3.csv:1:psnr_mu",), "Did you mean 'study'"),
        (("reports/study/tables/table3.csv:2:psnr_mu", "--value"), "no value to compute here: the cell is empty"),
        (("reports/study/tables/table3.csv:7:note", "--check"), "no value to compute here: a word"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(explain, arguments, message):
    code, out, errors = explain(*arguments)
    assert (code, out) == (2, "")
    assert message in errors
    assert len(errors.splitlines()) == 1
