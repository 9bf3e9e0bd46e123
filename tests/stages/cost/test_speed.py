"""A step's speed: each way is timed and priced, a failing one costs its own row, and the page says what binds."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from bench.__main__ import app
from bench.core.errors import UsageError
from bench.core.params import load
from bench.stages.cost import speed
from bench.stages.cost.cost import Cost
from bench.stages.cost.speed import Ceilings, Speed, Timed, Way

ROOT = Path(__file__).resolve().parents[3]
SMOKE = load(ROOT / "profiles/smoke/params.yaml")
TOP = Ceilings(bandwidth=1e12, flops={"fp32": 5e13, "bf16": 8e14}, launch=1e-5)
COST = Cost(phases=(("network", 1e13),), traffic=5e10, operators=1000, saved=0.0, trainable=1, frozen=0)


def read(kept):
    timed = [{**one, "way": Way(**one["way"]), "cost": Cost(**one["cost"])} for one in kept["timed"]]
    return Speed(**{**kept, "ceilings": Ceilings(**kept["ceilings"]), "timed": [Timed(**one) for one in timed]})


def row(timed, first=None):
    first = first or Timed(Way("fp32"), COST, 0.5, 2e10)
    return speed._row(Speed("r", "d", "t", 16, 256, "none", TOP), timed, first).split(" | ")


def test_figures_follow_from_seconds_cost_and_ceilings():
    cells = row(Timed(Way("bf16"), COST, 0.1, 1.5e10))
    # 10 TFLOP in 0.1 s are 100 TFLOP/s, an eighth of 800; 50 GB in 0.1 s are half of 1 TB/s.
    assert cells[1:8] == ["100.0", "160.0", "5.00x", "15.0", "100", "12.5%", "50%"]
    assert cells[8].startswith("memory (50 ms)")


@pytest.mark.parametrize(
    ("changed", "limit"),
    [({"traffic": 1.0}, "compute (12 ms)"), ({"operators": 100_000}, "launches (1000 ms)")],
)
def test_the_longest_need_binds(changed, limit):
    cost = Cost(**{**COST.__dict__, **changed})
    assert row(Timed(Way("bf16"), cost, 2.0))[8].startswith(limit)


def test_bytes_and_launches_of_a_compiled_step_are_not_claimed():
    cells = row(Timed(Way("bf16", True), COST, 0.1, 1e10))
    assert cells[7] == "-" and cells[8].startswith("-")


def test_a_way_that_fails_costs_its_own_row_only(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no kernel\nat all")

    monkeypatch.setattr(speed, "seconds_per_step", broken)
    timed = speed._time(SMOKE, next(iter(SMOKE.runs)), Way("fp32"), COST, 1, 16, torch.device("cpu"))
    assert timed.failed == "RuntimeError: no kernel" and "failed: RuntimeError" in row(timed)[1]


def test_a_run_is_timed_here_and_kept_outside_the_pipeline(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(speed, "STEPS", 1)
    found = speed.run(SMOKE, "olc-baseline--panoramas--s0", batch=1, size=16)
    out, told = capsys.readouterr()
    heading, *lines = told.splitlines()
    assert heading.startswith(
        f"speed: timing olc-baseline--panoramas--s0 on {found.device}, batch 1, 16x16; written to"
    )
    assert [line.partition(": ")[2].partition(":")[0] for line in lines] == ["fp32, eager"] and not out
    assert [timed.way.label for timed in found.timed] == ["fp32, eager"] and found.timed[0].seconds > 0
    kept = json.loads((tmp_path / "runs/smoke/speed/speed.json").read_text(encoding="utf-8"))
    assert kept["timed"][0]["seconds"] == found.timed[0].seconds
    assert (tmp_path / "runs/smoke/speed/speed.md").read_text(encoding="utf-8") == speed.page(found)


def test_only_keep_writes_over_the_committed_figures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(speed, "_time", lambda _, __, way, cost, *___: Timed(way, cost, 1.0))
    monkeypatch.setattr(speed, "_cost", lambda *_: COST)
    monkeypatch.setattr(speed, "ceilings", lambda _: TOP)
    for keep, folder in ((False, "runs/smoke/speed"), (True, "reports/smoke")):
        speed.run(SMOKE, "olc-baseline--panoramas--s0", keep=keep)
        assert sorted(path.name for path in (tmp_path / folder).iterdir()) == ["speed.json", "speed.md"]
        assert keep or not (tmp_path / "reports").exists()


def test_the_default_run_is_the_last_row_of_table_3():
    assert SMOKE.runs[speed._proposed(SMOKE)].variant == list(SMOKE.tables.table3.values())[-1]
    with pytest.raises(UsageError, match="name a run with --run"):
        speed._proposed(SMOKE.model_copy(update={"train": {}}))


def test_a_size_that_the_network_cannot_take_is_refused():
    result = CliRunner().invoke(app, ["speed", "--size", "20"])
    assert result.exit_code == 2 and "multiple of 8" in result.output


def test_ways_on_a_gpu_begin_with_the_plain_one():
    assert [way.label for way in speed.ways(torch.device("cuda"))] == [
        "fp32, eager", "bf16, eager", "bf16, compiled", "bf16, compiled, CUDA graphs",
    ]  # fmt: skip


def test_the_committed_figures_are_the_page_of_their_json():
    """reports/lab/speed.json was measured on a GPU; speed.md beside it is what this code makes of it."""
    kept = json.loads((ROOT / "reports/lab/speed.json").read_text(encoding="utf-8"))
    assert (ROOT / "reports/lab/speed.md").read_text(encoding="utf-8") == speed.page(read(kept))
