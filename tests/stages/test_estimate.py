"""What a profile costs: every stage is priced once, bounds hold, and the page says what the numbers are."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.__main__ import app
from bench.core.errors import UsageError
from bench.core.params import load
from bench.stages import estimate, gpus, pricing

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def smoke():
    return load(ROOT / "profiles/smoke/params.yaml")


@pytest.fixture(scope="module")
def priced(smoke):
    return estimate.run(smoke, "h100")


def of(result, stage):
    return [item for item in result.items if item.stage == stage]


class TestItems:
    def test_every_training_and_network_is_priced_once(self, smoke, priced):
        assert sorted(name for item in of(priced, "codebook") for name in item.names) == sorted(smoke.codebooks)
        assert sorted(name for item in of(priced, "train") for name in item.names) == sorted(smoke.runs)
        cells = [name for name, cell in smoke.evaluations.items() if cell.run in smoke.runs]
        assert sorted(name for item in of(priced, "evaluate") for name in item.names) == sorted(cells)

    def test_books_of_one_size_are_one_item(self, priced):
        groups = {name: index for index, item in enumerate(of(priced, "codebook")) for name in item.names}
        vanilla, olc, other = (groups[f"{name}--panoramas--s0"] for name in ("vanilla-16", "olc-16", "olc-32"))
        assert vanilla == olc != other

    def test_steps_and_samples_are_the_parameters(self, smoke, priced):
        assert {(item.steps, item.batch) for item in of(priced, "train")} == {(smoke.stage2.steps, smoke.stage2.batch)}
        # Two test panoramas with a view each, and a scene without truth.
        assert {item.steps for item in of(priced, "evaluate")} == {3}

    def test_trained_parameters_are_those_of_the_network(self, smoke, priced):
        from bench.stages import networks
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

    def test_a_slower_gpu_takes_longer(self, priced):
        for item in priced.items:
            slower = pricing.priced(item, gpus.GPUS["3090ti"], "fp32")
            assert (slower.compute > item.compute, slower.traffic > item.traffic) == (True, True)

    @pytest.mark.parametrize(
        ("hours", "binds"),
        [((2, 1, 1), "compute"), ((1, 2, 1), "memory"), ((1, 2, 4), "launches"), ((1, 2, 2), "memory")],
    )
    def test_what_binds(self, priced, hours, binds):
        from dataclasses import replace

        compute, traffic, launch = hours
        assert replace(priced.items[0], compute=compute, traffic=traffic, launch=launch).binds == binds


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
        assert pricing.frame(smoke, "panoramas") == (64, 96)
        assert pricing.frame(paper, "kalantari") == (1000, 1500)
        assert pricing.frame(paper, "hu") == pricing.UNKNOWN
        assert pricing.scenes(paper, "kalantari") == 15


class TestCommand:
    def call(self, *words):
        return CliRunner().invoke(app, ["estimate", *words])

    def test_page(self):
        answer = self.call("--profile", "smoke", "--gpu", "a100")
        assert answer.exit_code == 0, answer.output
        lines = answer.output.splitlines()
        assert lines[0] == "smoke on one NVIDIA A100 80GB SXM, trained in fp32"
        assert any(line.startswith("codebook  vanilla-16--panoramas--s0 and 1 more ") for line in lines)
        assert any(line.startswith("all ") and line.endswith(" h") for line in lines)
        assert "measured h" not in answer.output

    def test_json_holds_everything_and_is_the_same_every_time(self, priced):
        found = json.loads(self.call("--profile", "smoke", "--json").output)
        assert found == json.loads(json.dumps(priced.as_json()))
        assert {"lower", "upper", "binds", "memory", "measured"} <= set(found["items"][0])

    def test_an_unknown_profile_is_refused(self):
        answer = self.call("--profile", "papr")
        assert isinstance(answer.exception, UsageError)
        assert str(answer.exception) == "no profile is called 'papr'. Did you mean 'paper'?"
