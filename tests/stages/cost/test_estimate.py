"""What a profile costs: every stage is priced once, bounds hold, and the page says what the numbers are."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from typer.testing import CliRunner

from bench.__main__ import app
from bench.cli.settings import find_profile
from bench.core.errors import UsageError
from bench.core.params import load
from bench.core.registry import methods
from bench.stages.cost import calibration, estimate, gpus, setups, trainings, workload
from bench.stages.cost.cost import Cost
from bench.stages.cost.disk import disk
from bench.stages.cost.estimate import Bounds, Item, Way
from bench.stages.cost.step import seconds_per_step

ROOT = Path(__file__).resolve().parents[3]


KEPT = {"ahdrnet": ["panoramas"], "olc-baseline": [], "olc-32": ["panoramas"], "vanilla-16": [], "olc-16": []}
"""What these tests keep of the smoke profile, for their time's sake: variants that are trained, and their test sets."""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    content = yaml.safe_load((ROOT / "profiles/smoke/params.yaml").read_text(encoding="utf-8"))
    content["profile"] = "part-of-smoke"
    for name, variant in content["variants"].items():
        variant |= {"evaluate": KEPT.get(name, [])}
        variant.pop("train", None)
        if name not in KEPT and methods[variant["method"]].trains:
            variant |= {"train": {}}
    path = tmp_path_factory.mktemp("profile") / "params.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def smoke(file):
    return load(file)


@pytest.fixture(scope="module")
def priced(smoke):
    return estimate.run(smoke, "h100")


COST = Cost((("network", 6.7e12),), traffic=3.35e11, operators=1000, saved=0.0, trainable=0, frozen=0, products=100)


@pytest.fixture(scope="module")
def found(smoke):
    return estimate.overview(smoke)


def of(result, stage):
    return [item for item in result.items if item.stage == stage]


class TestItems:
    def test_every_training_and_network_is_priced_once(self, smoke, priced):
        assert sorted(name for item in of(priced, "codebook") for name in item.names) == sorted(smoke.codebook_runs)
        assert sorted(name for item in of(priced, "train") for name in item.names) == sorted(smoke.runs)
        evaluations = [name for name, evaluation in smoke.evaluations.items() if evaluation.run in smoke.runs]
        assert sorted(name for item in of(priced, "evaluate") for name in item.names) == sorted(evaluations)

    def test_codebooks_of_one_size_are_one_item(self, priced):
        groups = {name: index for index, item in enumerate(of(priced, "codebook")) for name in item.names}
        vanilla, olc, other = (groups[f"{name}--panoramas--s0"] for name in ("vanilla-16", "olc-16", "olc-32"))
        assert vanilla == olc != other

    def test_steps_and_samples_are_the_parameters(self, smoke, priced):
        assert {(item.steps, item.batch) for item in of(priced, "train")} == {(smoke.stage2.steps, smoke.stage2.batch)}
        # Two test panoramas with a view each, and a scene without truth.
        assert {item.steps for item in of(priced, "evaluate")} == {3}

    def test_trained_parameters_are_those_of_the_network(self, smoke, priced):
        from bench.stages.training import networks
        from bench.train.loop import trainable

        for item in of(priced, "train"):
            assert item.cost.trainable == trainable([networks.build(smoke, smoke.runs[item.names[0]])])


class TestHours:
    def test_bounds(self, priced):
        for item in priced.items:
            count = len(item.names)
            assert item.lower == count * max(item.compute, item.traffic)
            assert item.upper == count * max(item.compute + item.traffic, item.launch)
            assert 0 < item.lower <= item.upper

    def test_compute_by_hand(self, smoke, priced):
        item = of(priced, "train")[0]
        seconds = item.steps * item.cost.flops / (0.35 * 67e12)
        assert smoke.precision == "fp32"
        assert item.compute == pytest.approx(seconds / 3600, rel=1e-12)

    def test_seconds_of_a_step_by_hand(self):
        item = Item("train", ("a", "b"), COST, 8, 1800)
        eager, compiled = (estimate.priced(item, gpus.GPUS["h100"], Way("fp32", flag)) for flag in (False, True))
        assert eager.seconds == pytest.approx(Bounds(0.1 / 0.27, 0.1 / 0.35 + 0.1 / 0.27))
        assert compiled.seconds == pytest.approx(Bounds(0.1 / 0.35, 0.1 / 0.35 + 0.1 / 0.4))
        # 100 products are 200 launches of 7 us instead of 1000.
        assert (eager.launch, compiled.launch) == pytest.approx((0.5 * 7e-3, 0.5 * 1.4e-3))
        assert eager.hours == pytest.approx(eager.seconds.times(2 * 1800 / 3600))

    def test_a_slower_gpu_takes_longer(self, priced):
        for item in priced.items:
            slower = estimate.priced(item, gpus.GPUS["3090ti"], Way("fp32", compiled=False))
            assert (slower.compute > item.compute, slower.traffic > item.traffic) == (True, True)

    @pytest.mark.parametrize(
        ("hours", "binds"),
        [((2, 1, 1), "compute"), ((1, 2, 1), "memory"), ((1, 2, 4), "launches"), ((1, 2, 2), "memory")],
    )
    def test_what_binds(self, priced, hours, binds):
        compute, traffic, launch = hours
        assert replace(priced.items[0], compute=compute, traffic=traffic, launch=launch).binds == binds


class TestOverview:
    """Three GPUs, two ways each."""

    def test_every_column_is_the_estimate_of_its_gpu(self, found, priced):
        assert list(found.items) == [(card, way) for card in estimate.CARDS for way in estimate.WAYS]
        assert found.items["h100", "fp32"] == priced.items
        assert found.stages() == ("codebook", "train", "evaluate")

    def test_totals_are_sums_of_both_bounds(self, found, priced):
        hours = found.hours("h100", "fp32")
        assert hours == pytest.approx((sum(i.lower for i in priced.items), sum(i.upper for i in priced.items)))
        stages = [found.hours("h100", "fp32", stage) for stage in found.stages()]
        assert estimate.total(stages) == pytest.approx(hours)

    def test_seconds_are_those_of_one_step(self, found):
        told = found.as_json()["items"]
        for row in told:
            for card in estimate.CARDS:
                for way in estimate.WAYS:
                    seconds, hours = row["seconds"][card][way], row["hours"][card][way]
                    number = len(row["names"]) * row["steps"] / 3600
                    assert hours["upper"] == pytest.approx(seconds["upper"] * number)
                    assert 0 < hours["lower"] <= hours["upper"]

    def test_bf16_computes_faster_and_a_compiler_launches_less(self, found):
        for plain, half in zip(found.items["a100", "fp32"], found.items["a100", "bf16"], strict=True):
            if plain.stage == "evaluate":
                assert half == plain, "predictions are made in fp32"
            else:
                assert half.compute == pytest.approx(plain.compute * 19.5 / 312)
                assert half.launch < plain.launch

    def test_the_largest_step_decides_the_memory(self, found):
        assert found.memory("fp32") == max(i.cost.memory for i in found.items["h100", "fp32"] if i.stage != "evaluate")


class TestAgainstWhatWasTimed:
    """A stage-2 step of row 7 as published, batch 16 of 256x256, on an H200: reports/lab/speed.json.

    The file of counts has it with a batch of 8, as `paper` trains it; all but the parameters grows with it.
    """

    RECORD = json.loads((ROOT / "reports/lab/speed.json").read_text(encoding="utf-8"))

    def both(self, way):
        """Return the record of a way, and the step priced on that GPU."""
        (timed,) = [one for one in self.RECORD["timed"] if one["way"] == {"precision": way[0], "compile": way[1]}]
        paper = load(ROOT / "profiles/paper/params.yaml").model_copy(update={"precision": way.precision})
        (one,) = [i for i in of(estimate.run(paper, "h200"), "train") if "olc-1024--kalantari--s0" in i.names]
        assert (2 * one.batch, self.RECORD["size"]) == (self.RECORD["batch"], paper.patches.size)
        phases = tuple((name, 2 * flops) for name, flops in one.cost.phases)
        cost = replace(one.cost, phases=phases, traffic=2 * one.cost.traffic, saved=2 * one.cost.saved)
        return timed, estimate.priced(Item("train", ("one",), cost, 16, 1), gpus.GPUS["h200"], way)

    @pytest.mark.parametrize("way", [*estimate.WAYS.values(), Way("bf16", compiled=False)])
    def test_its_seconds_lie_between_the_bounds(self, way):
        timed, item = self.both(way)
        assert item.seconds.lower < timed["seconds"] < item.seconds.upper < 1.5 * item.seconds.lower

    @pytest.mark.parametrize("way", estimate.WAYS.values())
    def test_its_memory_is_counted_to_a_tenth(self, way):
        timed, item = self.both(way)
        assert item.cost.memory == pytest.approx(timed["memory"], rel=0.1)


class TestDisk:
    def test_smokes_by_hand(self, smoke, found):
        found = disk(smoke, found)
        sizes = smoke.simulate
        views = sizes.test_views * len(sizes.test) + sizes.train_views * len(sizes.train) + sizes.no_truth_scenes
        assert found["scenes"] == 64 * 96 * 3 * 10 * views
        assert found["predictions"] == 64 * 96 * 3 * 4 * 3 * len(smoke.evaluations)
        assert found["cache"] == found["scenes"] + found["predictions"] + found["weights"]
        assert found["all"] == sum(found.values()) / 2

    def test_archives_count_packed_and_unpacked_where_they_are_fetched(self):
        paper = load(ROOT / "profiles/paper/params.yaml").model_copy(update={"profile": "nowhere"})
        found = estimate.overview(paper)
        assert disk(paper, found)["archives"] == 2 * (2102116177 + 602667980)
        here = {name: use.model_copy(update={"on_disk": "/data"}) for name, use in paper.datasets.items()}
        assert disk(paper.model_copy(update={"datasets": here}), found)["archives"] == 0


class TestGpus:
    def test_devices_are_recognised_by_what_their_driver_says(self):
        assert gpus.recognise("NVIDIA H100 80GB HBM3") is gpus.GPUS["h100"]
        assert gpus.recognise("NVIDIA GeForce RTX 3090 Ti") is gpus.GPUS["3090ti"]
        assert gpus.recognise("NVIDIA A100-SXM4-80GB") is gpus.GPUS["a100"]

    @pytest.mark.parametrize("device", ["NVIDIA H100 PCIe", "NVIDIA GeForce RTX 3090", "NVIDIA A100-SXM4-40GB", "cpu"])
    def test_boards_with_other_peaks_are_not(self, device):
        assert gpus.recognise(device) is None

    def test_an_unknown_one_is_refused_with_the_nearest(self, smoke):
        with pytest.raises(UsageError, match=r"no GPU is called 'h10'. Did you mean 'h100'"):
            estimate.run(smoke, "h10")


class TestFrames:
    def test_simulated_published_and_guessed(self, smoke):
        paper = load(ROOT / "profiles/paper/params.yaml").model_copy(update={"profile": "nowhere"})
        assert workload.frame(smoke, "panoramas") == (64, 96)
        assert workload.frame(paper, "kalantari") == (1000, 1500)
        assert workload.frame(paper, "hu") == workload.UNKNOWN
        assert workload.scenes(paper, "kalantari") == 15
        assert workload.scenes(load(ROOT / "profiles/stress/params.yaml"), "stress") == 10 * 25


class TestCommand:
    def call(self, *words):
        return CliRunner().invoke(app, words)

    def test_page(self, file):
        answer = self.call("--params", str(file), "cost", "estimate", "--gpu", "a100")
        assert answer.exit_code == 0, answer.output
        lines = answer.stdout.splitlines()
        assert lines[0] == "part-of-smoke on one NVIDIA A100 80GB SXM, trained in fp32"
        assert any(line.startswith("codebook  vanilla-16--panoramas--s0 and 1 more ") for line in lines)
        assert any(line.startswith("all ") and line.endswith(("s", "min", "h")) for line in lines)
        assert "  measured" not in answer.output and "e-0" not in answer.stdout
        assert not answer.stderr, "nothing is counted that the smoke profile has"

    def test_overview(self, file, found, smoke):
        answer = self.call("--params", str(file), "cost", "estimate")
        assert answer.exit_code == 0, answer.output
        lines = answer.stdout.splitlines()
        for short in ("H100 fp32", "H100 bf16", "A100 fp32", "A100 bf16", "3090 Ti fp32", "3090 Ti bf16"):
            assert short in lines[2]
        trained = [item for item in found.items["h100", "fp32"] if item.stage != "evaluate"]
        assert sum(line.startswith(("codebook ", "train ")) for line in lines) == len(trained)
        totals = [line.split("  ")[0] for line in lines if line.startswith("all")]
        assert totals == ["all codebook", "all train", "all evaluate", "all"]
        told = json.loads(self.call("--params", str(file), "cost", "estimate", "--json").stdout)
        assert told == json.loads(json.dumps(found.as_json()))

    def test_only_one_gpu_can_be_timed(self, file):
        assert self.call("--params", str(file), "cost", "estimate", "--timed").exit_code == 2
        if not torch.cuda.is_available():
            answer = self.call("--params", str(file), "cost", "estimate", "--gpu", "h100", "--timed")
            assert isinstance(answer.exception, UsageError)
            assert str(answer.exception).startswith("--timed: this machine has no CUDA GPU")

    def test_a_profile_without_trainings_says_so(self):
        assert self.call("cost", "estimate", "--profile", "stress").stdout == "stress trains nothing.\n"

    def test_json_holds_everything_and_is_the_same_every_time(self, file, priced):
        found = json.loads(self.call("--params", str(file), "cost", "estimate", "--gpu", "h100", "--json").stdout)
        assert found == json.loads(json.dumps(priced.as_json()))
        assert {"lower", "upper", "binds", "memory", "measured"} <= set(found["items"][0])

    def test_an_unknown_profile_is_refused(self):
        answer = self.call("cost", "estimate", "--profile", "papr")
        assert isinstance(answer.exception, UsageError)
        assert str(answer.exception) == "no profile is called 'papr'. Did you mean 'paper'?"

    @pytest.mark.parametrize(("name", "path"), [("demo", "params.yaml"), ("paper", "profiles/paper/params.yaml")])
    def test_profiles_are_found_by_name(self, name, path):
        assert find_profile(name) == Path(path)


class TestTimed:
    def test_steps_are_timed_with_the_loops_own_stepper(self, smoke):
        name = "vanilla-16--panoramas--s0"
        small = smoke.model_copy(update={"perceptual": smoke.perceptual.model_copy(update={"backbone": "none"})})
        training = setups.setup(small, "codebook", name)
        learner, tools = training.build()
        before = [p.detach().clone() for p in learner.networks["generator"].parameters()]
        settings = training.settings.model_copy(update={"compile": False})
        same = setups.Setup(settings, 32, lambda: (learner, tools))
        seconds = seconds_per_step(same, torch.device("cpu"), "fp32", steps=2)
        assert 0 < seconds < 60
        pairs = zip(before, learner.networks["generator"].parameters(), strict=True)
        assert any(not torch.equal(old, new) for old, new in pairs)

    def test_measured_hours_follow_from_seconds_per_step(self, smoke, priced, monkeypatch):
        monkeypatch.setattr(calibration, "seconds_per_step", lambda setup, device, precision: 2.0)
        measured, said = calibration.timed(smoke, priced.items, torch.device("cpu"))
        timed = [index for index, item in enumerate(priced.items) if item.names[0] in said]
        assert len(timed) == 2
        for index in timed:
            item = priced.items[index]
            assert measured[index] == pytest.approx(2.0 * item.steps * len(item.names) / 3600)
        assert set(measured) == {i for i, item in enumerate(priced.items) if item.stage != "evaluate"}

    @pytest.mark.parametrize(
        ("error", "why"),
        [
            (torch.cuda.OutOfMemoryError("full"), "doesn't fit its memory"),
            (RuntimeError("no gcc"), "can't be timed (no gcc)"),
        ],
    )
    def test_what_can_not_be_timed_is_told_and_not_measured(self, smoke, priced, monkeypatch, error, why):
        def fails(setup, device, precision):
            raise error

        monkeypatch.setattr(calibration, "seconds_per_step", fails)
        measured, said = calibration.timed(smoke, priced.items, torch.device("cpu"))
        assert measured == {} and said.count(why) == 2


def test_what_is_compiled_and_what_is_not_are_never_one_work(smoke):
    names = ("once", "twice")
    plain = smoke.variants["ahdrnet"].model_copy(update={"evaluate": (), "train": {"panoramas": (0,)}})
    compiled = plain.model_copy(update={"stage2": {**plain.stage2, "compile": True}})
    both = smoke.model_copy(update={"variants": dict(zip(names, (plain, compiled), strict=True))})
    assert [(work.names, work.compiled) for work in workload.works(both)] == [
        (("once--panoramas--s0",), False), (("twice--panoramas--s0",), True),
    ]  # fmt: skip


def figures(found):
    """The cells of the only row."""
    (row,), *_ = found
    return list(row.values())


class TestTrainings:
    """`bench cost trainings` on timings that were written by hand."""

    @pytest.fixture
    def timings(self, smoke, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)

        def write(name, **timing):
            folder = tmp_path / "runs" / "part-of-smoke" / name / "hash"
            folder.mkdir(parents=True)
            (folder / "timing.json").write_text(json.dumps({"steps": 8, "seconds": 2.0} | timing))

        return write

    def test_a_gpu_of_known_peaks_has_all_figures(self, smoke, timings, priced):
        timings("codebook-vanilla-16--panoramas--s0", device="NVIDIA H100 80GB HBM3", processes=1)
        (cells,), seconds, devices = trainings.run(smoke)
        assert (seconds, devices) == (2.0, ["NVIDIA H100 80GB HBM3"])
        cost = of(priced, "codebook")[0].cost
        assert cells["steps/s"] == "4.00"
        assert cells["samples/s"] == f"{4 * smoke.stage1.batch:.1f}"
        assert cells["GFLOP/s"] == f"{4 * cost.flops / 1e9:.1f}"
        assert cells["MFU"] == f"{4 * cost.flops / 67e12:.1%}"
        assert (cells["memory MB"], cells["binds"]) == ("-", "launches")

    @pytest.mark.parametrize("failure", ["", "RuntimeError: no kernel"])
    def test_compiled_code_that_failed_is_priced_eagerly(self, smoke, timings, monkeypatch, failure):
        monkeypatch.setattr(estimate, "priced", lambda item, gpu, way: SimpleNamespace(binds=str(way.compiled)))
        smoke = smoke.model_copy(update={"stage1": smoke.stage1.model_copy(update={"compile": True})})
        name, gpu = "codebook-vanilla-16--panoramas--s0", "NVIDIA H100 80GB HBM3"
        timings(name, device=gpu, compiled="default", failure=failure)
        assert figures(trainings.run(smoke))[-1] == str(not failure)

    def test_what_the_training_counted_itself_goes_first(self, smoke, timings):
        counted = {"tflops": 0.5, "mfu": 0.123, "peak_memory_mb": 812.4, "processes": 2}
        timings("codebook-vanilla-16--panoramas--s0", device="NVIDIA H100 80GB HBM3", **counted)
        assert figures(trainings.run(smoke))[5:8] == ["812", "1000.0", "12.3%"]

    def test_a_cpu_has_no_known_peak(self, smoke, timings):
        timings("ahdrnet--panoramas--s0")
        assert figures(trainings.run(smoke))[-3:] == ["-", "-", "-"]

    def test_a_training_that_is_gone_keeps_its_time(self, smoke, timings):
        timings("forgotten--panoramas--s0")
        assert figures(trainings.run(smoke))[:4] == ["forgotten--panoramas--s0", "8", "2.0", "4.00"]

    def test_usage_by_hand(self):
        mfu, share = trainings.usage(
            Item("train", ("a",), COST, 8, 1), rate=10.0, gpu=gpus.GPUS["h100"], precision="fp32", devices=2
        )
        assert (mfu, share) == pytest.approx((0.5, 0.5))

    def test_nothing_has_run(self, smoke, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(UsageError, match="no training of profile 'part-of-smoke' has run"):
            trainings.run(smoke)
