"""A step's speed: each way is timed and priced, a failing one costs its own row, and the page says what binds."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from bench.__main__ import app
from bench.core.errors import UsageError
from bench.core.params import load
from bench.stages.cost import step
from bench.stages.cost.cost import Cost
from bench.stages.cost.setups import setup

ROOT = Path(__file__).resolve().parents[3]
SMOKE = load(ROOT / "profiles/smoke/params.yaml")
TOP = {"bandwidth": 1e12, "flops": {"fp32": 5e13, "tf32": 4e14, "bf16": 8e14}, "launch": 1e-5}
COST = {"phases": [["network", 1e13]], "traffic": 5e10, "operators": 1000, "saved": 0.0, "trainable": 1, "frozen": 0}


def timed(precision, seconds=0.0, memory=0.0, *, compiled=False, failed="", **cost):
    way = {"precision": precision, "compile": compiled}
    return {"way": way, "cost": COST | cost, "seconds": seconds, "memory": memory, "failed": failed}


def row(one):
    return step.row(one, {"batch": 16, "ceilings": TOP, "timed": [timed("fp32", 0.5, 2e10)]})


def test_figures_follow_from_seconds_cost_and_ceilings():
    cells = row(timed("bf16", 0.1, 1.5e10))
    # 10 TFLOP in 0.1 s are 100 TFLOP/s, an eighth of 800; 50 GB in 0.1 s are half of 1 TB/s.
    assert cells[1:8] == ["100.0", "160.0", "5.00x", "15.0", "100", "12.5%", "50%"]
    assert cells[8] == "memory (50 ms)"


@pytest.mark.parametrize(
    ("changed", "limit"),
    [({"traffic": 1.0}, "compute (12 ms)"), ({"operators": 100_000}, "launches (1000 ms)")],
)
def test_the_longest_need_binds(changed, limit):
    assert row(timed("bf16", 2.0, **changed))[8] == limit


def test_bytes_and_launches_of_a_compiled_step_are_not_claimed():
    cells = row(timed("bf16", 0.1, 1e10, compiled=True))
    assert cells[7:] == ["-", "-"]


def test_a_way_that_fails_costs_its_own_row_only(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no kernel\nat all")

    monkeypatch.setattr(step, "seconds_per_step", broken)
    took = step._time(setup(SMOKE, "train", next(iter(SMOKE.runs))), "fp32", False, torch.device("cpu"))
    assert took == {"seconds": 0.0, "memory": 0.0, "failed": "RuntimeError: no kernel"}
    assert row(timed("fp32", failed=took["failed"]))[1] == "failed: RuntimeError: no kernel"


def test_compiled_code_that_failed_is_not_timed_as_if_it_ran(monkeypatch):
    """A training goes on eagerly; its seconds would stand in the row of compiled steps."""
    monkeypatch.setattr(step.TrainStep, "compile", lambda self, size: setattr(self, "failure", f"no kernel for {size}"))
    monkeypatch.setattr(step, "WARM_UP", 0)
    training = setup(SMOKE, "train", "ahdrnet--panoramas--s0")._replace(size=16)
    with pytest.raises(RuntimeError, match=r"^no kernel for 16$"):
        step.seconds_per_step(training, torch.device("cpu"), "bf16", 1)


@pytest.mark.parametrize(("flops", "said"), [(TOP["flops"], "in its own row alone"), ({"fp32": 1e12}, "off")])
def test_a_page_says_where_tf32_was_on(flops, said):
    record = {
        "run": "one", "device": "gpu", "torch": "2", "batch": 1, "size": 8, "perceptual": "none", "timed": [],
        "ceilings": TOP | {"flops": flops},
    }  # fmt: skip
    assert f"TF32 {said};" in step.page(record)


def test_a_run_is_timed_here_and_kept_outside_the_pipeline(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(step, "STEPS", 1)
    page = step.run(SMOKE, "olc-baseline--panoramas--s0", batch=1, size=16)
    out, told = capsys.readouterr()
    record = json.loads((tmp_path / "runs/smoke/speed/speed.json").read_text(encoding="utf-8"))
    heading, *lines = told.splitlines()
    assert heading.startswith(
        f"cost step: timing olc-baseline--panoramas--s0 on {record['device']}, batch 1, 16x16; written to"
    )
    assert [line.partition(": ")[2].partition(":")[0] for line in lines] == ["fp32, eager"] and not out
    assert [one["way"] for one in record["timed"]] == [{"precision": "fp32", "compile": False}]
    assert record["timed"][0]["seconds"] > 0
    assert (tmp_path / "runs/smoke/speed/speed.md").read_text(encoding="utf-8") == page == step.page(record)


def test_only_keep_writes_over_the_committed_figures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(step, "_time", lambda *_: {"seconds": 1.0, "memory": 0.0, "failed": ""})
    monkeypatch.setattr(step, "counted", lambda *_: Cost(**COST))
    monkeypatch.setattr(step, "ceilings", lambda _: TOP)
    for keep, folder in ((False, "runs/smoke/speed"), (True, "reports/smoke")):
        step.run(SMOKE, "olc-baseline--panoramas--s0", keep=keep)
        assert sorted(path.name for path in (tmp_path / folder).iterdir()) == ["speed.json", "speed.md"]
        assert keep or not (tmp_path / "reports").exists()


def test_the_default_run_is_the_last_row_of_table_3():
    assert SMOKE.runs[step._proposed(SMOKE)].variant == list(SMOKE.rows(3).values())[-1]
    with pytest.raises(UsageError, match="name a run with --run"):
        step._proposed(SMOKE.model_copy(update={"tables": SMOKE.tables.model_copy(update={"third": None})}))


def test_a_size_that_the_network_cannot_take_is_refused():
    result = CliRunner().invoke(app, ["cost", "step", "--size", "20"])
    assert result.exit_code == 2 and "multiple of 8" in result.output


def test_ways_on_a_gpu_begin_with_the_plain_one():
    assert [row(timed(precision, 1.0, compiled=compiled))[0] for precision, compiled in step.WAYS] == [
        "fp32, eager", "tf32, eager", "bf16, eager", "bf16, compiled", "bf16, compiled, CUDA graphs",
    ]  # fmt: skip


def test_the_committed_figures_are_the_page_of_their_json():
    """reports/lab/speed.json was measured on a GPU; speed.md beside it is what this code makes of it."""
    kept = json.loads((ROOT / "reports/lab/speed.json").read_text(encoding="utf-8"))
    committed = (ROOT / "reports/lab/speed.md").read_text(encoding="utf-8")
    # They were made when this verb was called `speed`.
    assert committed.replace("`python -m bench speed`", "`python -m bench cost step`") == step.page(kept)
