"""The file of what was counted: as old as the code, complete, and true to counts by others."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli.settings import profiles
from bench.core.params import load
from bench.stages.cost import counts, workload
from bench.stages.cost.workload import works

ROOT = Path(__file__).resolve().parents[3]
PROFILES = {name: load(ROOT / path) for name, path in profiles().items()}
PAPER = PROFILES["paper"]

PUBLIC = {
    "kalantari2017": 575, "deephdr": 651, "ahdrnet": 2170, "nhdrrnet": 326, "hdr-gan": 727, "adnet": 4904,
    "cavit": 1965, "sctnet": 1698, "safnet": 969, "afunet": 87.484 * 1000 * 1504 / 256**2, "olc-1024": 2400,
}  # fmt: skip
"""Variant -> 10^9 multiply-adds of a prediction from frames of 1000x1500 pixels, counted by others on public code.

They had it padded as the public code pads. AFUNet's is its count at 256x256, scaled; OLC's that of its specification.
"""


def cost(key):
    return counts._cost(counts._kept()[key])


def of_run(name, precision="fp32", stage="train"):
    (found,) = [work for work in works(PAPER) if work.stage == stage and name in work.names]
    return found, cost(found.key(precision))


def test_the_file_is_up_to_date():
    """Mended by `make costs`, which counts anew what is stale."""
    missing, unused = counts.stale(PROFILES.values())
    assert not missing, f"run `make costs`: {len(missing)} counts are missing or of other code, such as {missing[0]}"
    assert not unused, f"run `make costs`: no profile asks for {unused[0]}"


def test_attention_is_counted_at_once():
    """SCTNet as published, on real tensors with attention at once: 31.4 GB and 3,416 operators for 128x128 pixels."""
    found, counted = of_run("sctnet--kalantari--s0")
    assert (found.told["size"], found.batch) == (128, 22)
    assert 3_416 < counted.operators < 1.1 * 3_416, "with the perceptual loss"
    assert 0.75 * 22 * 31.4e9 < counted.traffic < 22 * 31.4e9, "less than linear: biases are every sample's"


@pytest.mark.parametrize("variant", PUBLIC)
def test_flops_of_predictions_are_those_of_public_code(variant):
    _, counted = of_run(f"{variant}--kalantari--s0--kalantari", stage="evaluate")
    assert counted.flops / 2e9 == pytest.approx(PUBLIC[variant], rel=0.03)


@pytest.mark.parametrize(
    ("variant", "lower", "upper"),
    [("deephdr", 15, 20), ("adnet", 13, 23), ("cavit", 14, 20), ("sctnet", 18, 23), ("afunet", 22, 30)],
)
def test_hours_on_an_h100_in_fp32_are_of_the_expected_size(variant, lower, upper):
    from bench.stages.cost.estimate import overview

    (item,) = [i for i in overview(PAPER).items["h100", "fp32"] if f"{variant}--kalantari--s0" in i.names]
    least, most = item.hours.times(1 / len(item.names))
    assert lower < least < most < upper


class TestStore:
    """A file of its own, and a counter that costs nothing."""

    @pytest.fixture
    def counted(self, tmp_path, monkeypatch):
        monkeypatch.setattr(counts, "FILE", tmp_path / "counts.json")
        counts._kept.cache_clear()
        done = []

        def count(one):
            done.append(one.key)
            return cost_of_one

        monkeypatch.setattr(counts, "_count", count)
        yield done
        counts._kept.cache_clear()

    def test_only_what_changed_is_counted_anew(self, counted, monkeypatch):
        smoke = PROFILES["smoke"]
        every = counts.update([smoke])
        assert every == len(counted) == len(set(counted)) > 20
        assert counts.update([smoke]) == 0 and counts.stale([smoke]) == ([], [])
        counted.clear()
        true = counts.fingerprint
        monkeypatch.setattr(
            counts, "fingerprint", lambda result, own: "other" if own.endswith("ahdrnet.py") else true(result, own)
        )
        assert counts.update([smoke]) == len(counted) > 0
        assert all("method=ahdrnet" in key for key in counted)

    def test_what_no_profile_asks_for_is_dropped(self, counted):
        counts.update([PROFILES["smoke"], PROFILES["lab"]])
        missing, unused = counts.stale([PROFILES["smoke"]])
        assert not missing and unused
        counts.update([PROFILES["smoke"]])
        assert counts.stale([PROFILES["smoke"]]) == ([], [])

    def test_an_interruption_keeps_what_was_counted(self, counted, monkeypatch):
        def interrupted(one):
            if len(counted) == 5:
                raise KeyboardInterrupt
            counted.append(one.key)
            return cost_of_one

        monkeypatch.setattr(counts, "_count", interrupted)
        with pytest.raises(KeyboardInterrupt):
            counts.update([PROFILES["smoke"]])
        assert sorted(json.loads(counts.FILE.read_text(encoding="utf-8"))) == sorted(counted)

    def test_an_estimate_counts_what_the_file_lacks(self, counted):
        found = works(PROFILES["lab"])
        costs = counts.find(PROFILES["lab"], found, ["bf16"])
        assert set(costs.values()) == {cost_of_one} and sorted(counted) == sorted(costs)


cost_of_one = cost(next(iter(counts._kept())))


class TestKeys:
    def test_what_a_step_does_not_depend_on_is_not_in_them(self):
        def keys(stage2):
            return {work.key("fp32") for work in works(PROFILES["lab"].model_copy(update={"stage2": stage2}))}

        own = PROFILES["lab"].stage2
        assert keys(own) == keys(own.model_copy(update={"steps": 7, "lr": 1e-5, "clip": 0.1, "weight_mapping": 2.0}))
        assert keys(own) != keys(own.model_copy(update={"batch": 2}))
        assert keys(own) != keys(own.model_copy(update={"weight_mapping": 0.0}))

    def test_tf32_is_counted_as_fp32_and_predictions_have_one_precision(self):
        train, evaluate = (next(w for w in works(PAPER) if w.stage == stage) for stage in ("train", "evaluate"))
        assert train.key("tf32") == train.key("fp32") != train.key("bf16")
        assert evaluate.key("bf16") == evaluate.key("fp32")

    def test_settings_that_are_passed_over_exist(self):
        known = {*type(PAPER.stage1).model_fields, *type(PAPER.stage2).model_fields}
        assert known >= workload.INDIFFERENT


def test_the_estimate_of_a_shipped_profile_needs_no_torch():
    code = (
        "import sys; from pathlib import Path; from bench.core.params import load;"
        "from bench.stages.cost.estimate import overview; from bench.stages.cost.disk import disk;"
        "params = load(Path('profiles/paper/params.yaml')); overview(params); disk(params);"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
