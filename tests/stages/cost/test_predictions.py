"""Timing of methods: what is measured, what is kept, and what a failing method says."""

import csv
import json

import pytest
import torch

from bench.core.errors import UsageError
from bench.core.params import load
from bench.core.registry import methods
from bench.stages.cost import predictions, probe
from bench.stages.cost.probe import Candidate
from tests.stages.conftest import with_code

GOOD = {"seconds": [0.5, 0.25, 1.0], "memory": 2 * 10**9, "rest": 10**9, "parameters": 1000, "frozen": 10}


@pytest.fixture
def params(tmp_path, monkeypatch, small_params, write_params):
    """A profile of three variants; the current folder is empty."""
    monkeypatch.chdir(tmp_path)
    small_params["tables"] |= {
        "1": {"rows": {"AHDRNet": "ahdrnet", "Proposed": "proposed"}},
        "floors": ["triangle-merge"],
    }
    return load(write_params(small_params))


@pytest.fixture
def asked(monkeypatch):
    """Answer for the processes that measure: what they were asked, and answers by method, which a test may change."""
    jobs, answers = [], {}

    def ask(params, candidate, height, width, *_):
        jobs.append((candidate.method, candidate.preset, candidate.run, (height, width)))
        return answers.get(candidate.method, GOOD)

    monkeypatch.setattr(predictions, "ask", ask)
    monkeypatch.setattr(predictions, "device_title", lambda device: "Some(R) CPU @ 2 GHz")
    return jobs, answers


def test_floors_and_table_1_are_measured_as_the_profile_has_them(params, asked):
    outcome = predictions.run(params)
    assert asked[0] == [
        ("triangle-merge", "none", "", (256, 256)),
        ("ahdrnet", "smoke", "ahdrnet--panoramas--s0", (256, 256)),
        ("olc", "smoke", "proposed--panoramas--s0", (256, 256)),
    ]
    assert [row.label for row in outcome.rows] == ["Triangle merge", "AHDRNet", "Proposed"]
    assert outcome.file.as_posix() == "runs/small/time/some-cpu-2-ghz.json"
    with outcome.file.with_suffix(".csv").open() as file:
        assert [row["seconds"] for row in csv.DictReader(file)] == ["0.500000"] * 3
    assert "| AHDRNet | smoke |" in outcome.file.with_suffix(".md").read_text()


def test_what_is_kept_is_not_measured_again(params, asked):
    first = predictions.run(params, sizes=((16, 24), (8, 8)))
    assert [size for *_, size in asked[0]] == [(8, 8)] * 3 + [(16, 24)] * 3
    asked[0].clear()
    second = predictions.run(params, sizes=((8, 8), (16, 24)), repeat=3)
    assert not asked[0] and second.rows == first.rows
    predictions.run(params, sizes=((8, 8),), repeat=7)
    assert len(asked[0]) == 3, "more predictions are wanted than were timed"
    predictions.run(params, ["ahdrnet"], sizes=((8, 8),), force=True)
    assert len(asked[0]) == 4
    assert len(json.loads(first.file.read_text())) == 6


def test_an_interrupted_call_goes_on(params, asked, monkeypatch):
    honest = predictions.ask

    def interrupt(params, candidate, *rest):
        if candidate.method == "olc":
            raise KeyboardInterrupt
        return honest(params, candidate, *rest)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(predictions, "ask", interrupt)
        predictions.run(
            params,
        )
    asked[0].clear()
    assert (
        len(
            predictions.run(
                params,
            ).rows
        )
        == 3
    )
    assert [method for method, *_ in asked[0]] == ["olc"]


def test_a_change_of_code_or_settings_is_measured_again(params, asked, monkeypatch):
    predictions.run(params)
    asked[0].clear()
    other = params.model_copy(update={"head": "mu-residual"})
    predictions.run(other, ["ahdrnet"])
    assert len(asked[0]) == 1
    monkeypatch.setattr(predictions, "fingerprint", lambda *_, **__: "another")
    outcome = predictions.run(params, ["ahdrnet"])
    assert len(asked[0]) == 2
    with outcome.file.with_suffix(".csv").open() as file:
        notes = {row["name"]: row["note"] for row in csv.DictReader(file)}
    assert "other code" in notes["proposed"] and "other code" not in notes["ahdrnet"]


def test_a_failing_method_stops_no_other_and_is_tried_again(params, asked):
    asked[1]["ahdrnet"] = {"reason": "out of memory"}
    outcome = predictions.run(params)
    assert [row.reason for row in outcome.rows] == ["", "out of memory", ""]
    assert "out of memory" in outcome.file.with_suffix(".md").read_text()
    asked[0].clear()
    asked[1].clear()
    assert not any(
        row.reason
        for row in predictions.run(
            params,
        ).rows
    )
    assert [method for method, *_ in asked[0]] == ["ahdrnet"]


def test_two_variants_of_one_network_are_measured_once(params, asked):
    twin = params.variants["ahdrnet"]
    both = params.model_copy(update={"variants": {**params.variants, "twin": twin}})
    outcome = predictions.run(both, ["ahdrnet", "twin"])
    assert len(asked[0]) == 1 and [row.name for row in outcome.rows] == ["ahdrnet", "twin"]


def test_registered_methods_of_a_preset(params, asked):
    outcome = predictions.run(params, preset="demo")
    assert {row.name for row in outcome.rows} == set(methods)
    lacking = {name for name, card in methods.items() if card.trains and "demo" not in card.presets}
    assert {row.name for row in outcome.rows if row.reason} == lacking
    assert not outcome.figures


@pytest.mark.parametrize(
    ("asked_for", "said"),
    [
        ({"names": ["ahdrnt"]}, "Did you mean 'ahdrnet'"),
        ({"names": ["triangle-marge"], "preset": "published"}, "Did you mean 'triangle-merge'"),
        ({"preset": "publish"}, "Did you mean 'published'"),
        ({"device": "tpu"}, "expected cpu or cuda"),
        ({"device": "cuda"}, "no CUDA GPU"),
    ],
)
def test_a_mistake_is_a_sentence(params, asked, asked_for, said):
    with pytest.raises(UsageError, match=said):
        predictions.run(params, **asked_for)
    assert not asked[0]


@pytest.mark.parametrize("word", ["256", "0x8", "axb", "-5x5", "8x8x3"])
def test_a_size_is_height_and_width(word):
    with pytest.raises(UsageError, match="such as 1000x1500"):
        list(predictions.read_sizes([word]))
    assert list(predictions.read_sizes(["256x256", "1000x1500"])) == [(256, 256), (1000, 1500)]


def test_damaged_rows_are_measured_again(params, asked, capsys):
    file = predictions.run(params).file
    file.write_text('[{"name": 1}]')
    asked[0].clear()
    predictions.run(params)
    assert len(asked[0]) == 3 and "is damaged" in capsys.readouterr().err


class TestProbe:
    def measure(self, params, method="ahdrnet", run="", height=20, width=30):
        return probe.measure(params, Candidate(method, method, method, "smoke", run), height, width, repeat=2)

    @pytest.mark.parametrize("run", ["", "ahdrnet--panoramas--s0"])
    def test_a_network_is_counted_and_timed(self, params, run, restored_threads):
        found = self.measure(params, run=run)
        expected = sum(p.numel() for p in methods["ahdrnet"].build("smoke").parameters())
        assert (found["parameters"], found["frozen"], len(found["seconds"])) == (expected, 0, 2)
        assert found["memory"] >= found["rest"] > 10**7 and min(found["seconds"]) > 0

    def test_a_network_with_a_codebook_has_frozen_parts(self, params, restored_threads):
        found = self.measure(params, method="olc")
        assert found["frozen"] > 0

    def test_the_whole_way_is_timed(self, params, monkeypatch, restored_threads):
        sizes = []
        monkeypatch.setattr(probe, "predictor", lambda *_, **__: lambda scene: sizes.append(scene.frames.shape[1:3]))
        self.measure(params, height=200, width=100)
        assert sizes == [(128, 100), *[(200, 100)] * 3], "a small picture first, then one that isn't counted"

    def test_what_a_networks_frames_go_through_is_timed(self, params):
        def wanted(params, **candidate):
            return probe.registration_of(params, probe.Candidate("a", "a", preset="smoke", **candidate))

        registered = params.model_copy(update={"registration": "dis"})
        run = next(key for key, run in params.runs.items() if run.variant == "ahdrnet")
        assert wanted(registered, method="ahdrnet", run=run) == "dis"
        assert wanted(params, method="ahdrnet", run=run) == wanted(registered, method="ahdrnet") == "none"
        assert wanted(params, method="kalantari2017") == "dis"

    def test_a_long_prediction_counts_by_itself(self, monkeypatch):
        monkeypatch.setattr(probe, "LONG", 0.0)
        calls = []
        assert len(probe.timed(lambda: calls.append(1), 5)) == len(calls) == 1

    def test_the_peak_outlives_what_caused_it(self):
        before = probe.memory(torch.device("cpu"))
        block = torch.ones(60_000_000)
        del block
        assert probe.memory(torch.device("cpu")) >= before
        assert probe.memory(torch.device("cpu")) > 2e8
        assert probe.memory(torch.device("cpu"), peak=False) < probe.memory(torch.device("cpu"))

    @pytest.mark.parametrize(
        ("error", "said"),
        [
            (UsageError("one sentence."), "one sentence."),
            (MemoryError(), "out of memory"),
            (torch.OutOfMemoryError("CUDA out of memory. Tried"), "out of memory"),
            (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "out of memory"),
            (ValueError("not\nthis size"), "ValueError: not this size"),
        ],
    )
    def test_reasons(self, error, said):
        assert probe.reason(error) == said


@pytest.fixture
def restored_threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


FAILING = """
import os, signal
from bench.core.errors import UsageError
from bench.core.method import method

@method("killed", label="Killed", cites="nobody", trains=False)
class Killed:
    def predict(self, scene):
        os.kill(os.getpid(), signal.SIGKILL)

@method("loud", label="Loud", cites="nobody", trains=False)
class Loud:
    def predict(self, scene):
        print("hello")
        os.write(1, b"from C")
        return scene.linear[1]

@method("picky", label="Picky", cites="nobody", trains=False)
class Picky:
    def predict(self, scene):
        raise UsageError("takes no such size.")
"""


def test_each_method_has_a_process_of_its_own(fresh, monkeypatch):
    (with_code(fresh).folder / "methods" / "failing.py").write_text(FAILING)
    monkeypatch.chdir(fresh.folder)
    monkeypatch.setattr(predictions, "ROOT", fresh.folder)
    killed, loud, picky = (
        predictions.ask(fresh.params, Candidate(name, name, name, "none"), 16, 24, 1, "cpu", minutes=10)
        for name in ("killed", "loud", "picky")
    )
    assert "probably for lack of memory" in killed["reason"]
    assert len(loud["seconds"]) == 1 and loud["memory"] > 5e7
    assert picky == {"reason": "takes no such size."}


def test_a_method_is_given_up_after_its_minutes(params):
    candidate = Candidate("reference-only", "Reference only", "reference-only", "none")
    assert predictions.ask(params, candidate, 8, 8, 1, "cpu", 1e-4) == {"reason": "given up after 0.0001 minutes"}


def test_verbs(main_in, site, capsys):
    assert main_in(site, "cost", "trainings") == 0
    assert capsys.readouterr().out.startswith("training ")
    assert main_in(site, "cost", "predictions", "--size", "large") == 2
    assert "such as 1000x1500" in capsys.readouterr().err
