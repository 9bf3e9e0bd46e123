"""Timing of methods: what is measured, what is kept, and what a failing method says."""

import csv
import json

import pytest
import torch

from bench.core.errors import UsageError
from bench.core.params import load
from bench.core.registry import methods
from bench.stages.cost import inference, probe, subjects
from bench.stages.cost.inference import Request

GOOD = {"seconds": [0.5, 0.25, 1.0], "memory": 2 * 10**9, "rest": 10**9, "parameters": 1000, "frozen": 10}


@pytest.fixture
def params(tmp_path, monkeypatch, small_params, write_params):
    """A profile of three variants; the current folder is empty."""
    monkeypatch.chdir(tmp_path)
    small_params["tables"] |= {"table1": {"AHDRNet": "ahdrnet", "Proposed": "proposed"}, "floors": ["triangle-merge"]}
    return load(write_params(small_params))


@pytest.fixture
def asked(monkeypatch):
    """Answer for the processes that measure: what they were asked, and answers by method, which a test may change."""
    jobs, answers = [], {}

    def ask(job, minutes):
        jobs.append((job.method, job.preset, job.run, (job.height, job.width)))
        return answers.get(job.method, GOOD)

    monkeypatch.setattr(inference, "ask", ask)
    monkeypatch.setattr(inference, "device_title", lambda device: "Some(R) CPU @ 2 GHz")
    return jobs, answers


def test_floors_and_table_1_are_measured_as_the_profile_has_them(params, asked):
    outcome = inference.run(params, Request())
    assert asked[0] == [
        ("triangle-merge", "published", "", (256, 256)),
        ("ahdrnet", "smoke", "ahdrnet--panoramas--s0", (256, 256)),
        ("olc", "smoke", "proposed--panoramas--s0", (256, 256)),
    ]
    assert [row.label for row in outcome.speeds] == ["Triangle merge", "AHDRNet", "Proposed"]
    assert outcome.file.as_posix() == "runs/small/time/some-cpu-2-ghz.json"
    with outcome.file.with_suffix(".csv").open() as file:
        assert [row["seconds"] for row in csv.DictReader(file)] == ["0.500000"] * 3
    assert "| AHDRNet | smoke |" in outcome.file.with_suffix(".md").read_text()


def test_what_is_kept_is_not_measured_again(params, asked):
    first = inference.run(params, Request(sizes=((16, 24), (8, 8))))
    assert [size for *_, size in asked[0]] == [(8, 8)] * 3 + [(16, 24)] * 3
    asked[0].clear()
    second = inference.run(params, Request(sizes=((8, 8), (16, 24)), repeat=3))
    assert not asked[0] and second.speeds == first.speeds
    inference.run(params, Request(sizes=((8, 8),), repeat=7))
    assert len(asked[0]) == 3, "more predictions are wanted than were timed"
    inference.run(params, Request(("ahdrnet",), sizes=((8, 8),), force=True))
    assert len(asked[0]) == 4
    assert len(json.loads(first.file.read_text())) == 6


def test_an_interrupted_call_goes_on(params, asked, monkeypatch):
    honest = inference.ask

    def interrupt(job, minutes):
        if job.method == "olc":
            raise KeyboardInterrupt
        return honest(job, minutes)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(inference, "ask", interrupt)
        inference.run(params, Request())
    asked[0].clear()
    assert len(inference.run(params, Request()).speeds) == 3
    assert [method for method, *_ in asked[0]] == ["olc"]


def test_a_change_of_code_or_settings_is_measured_again(params, asked, monkeypatch):
    inference.run(params, Request())
    asked[0].clear()
    other = params.model_copy(update={"head": "mu-residual"})
    inference.run(other, Request(("ahdrnet",)))
    assert len(asked[0]) == 1
    monkeypatch.setattr(subjects, "fingerprint", lambda *_, **__: "another")
    outcome = inference.run(params, Request(("ahdrnet",)))
    assert len(asked[0]) == 2
    with outcome.file.with_suffix(".csv").open() as file:
        notes = {row["name"]: row["note"] for row in csv.DictReader(file)}
    assert "other code" in notes["proposed"] and "other code" not in notes["ahdrnet"]


def test_a_failing_method_stops_no_other_and_is_tried_again(params, asked):
    asked[1]["ahdrnet"] = {"reason": "out of memory"}
    outcome = inference.run(params, Request())
    assert [row.reason for row in outcome.speeds] == ["", "out of memory", ""]
    assert "out of memory" in outcome.file.with_suffix(".md").read_text()
    asked[0].clear()
    asked[1].clear()
    assert not any(row.reason for row in inference.run(params, Request()).speeds)
    assert [method for method, *_ in asked[0]] == ["ahdrnet"]


def test_two_variants_of_one_network_are_measured_once(params, asked):
    twin = params.variants["ahdrnet"]
    both = params.model_copy(update={"variants": {**params.variants, "twin": twin}})
    outcome = inference.run(both, Request(("ahdrnet", "twin")))
    assert len(asked[0]) == 1 and [row.name for row in outcome.speeds] == ["ahdrnet", "twin"]


def test_registered_methods_of_a_preset(params, asked):
    outcome = inference.run(params, Request(preset="demo"))
    assert {row.name for row in outcome.speeds} == set(methods)
    lacking = {name for name, card in methods.items() if card.trains and "demo" not in card.presets}
    assert {row.name for row in outcome.speeds if row.reason} == lacking
    assert not outcome.figures


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (Request(("ahdrnt",)), "Did you mean 'ahdrnet'"),
        (Request(("triangle-marge",), preset="published"), "Did you mean 'triangle-merge'"),
        (Request(preset="publish"), "Did you mean 'published'"),
        (Request(device="tpu"), "expected cpu or cuda"),
        (Request(device="cuda"), "no CUDA GPU"),
    ],
)
def test_a_mistake_is_a_sentence(params, asked, request_, said):
    with pytest.raises(UsageError, match=said):
        inference.run(params, request_)
    assert not asked[0]


@pytest.mark.parametrize("word", ["256", "0x8", "axb", "-5x5", "8x8x3"])
def test_a_size_is_height_and_width(word):
    with pytest.raises(UsageError, match="such as 1000x1500"):
        list(inference.read_sizes([word]))
    assert list(inference.read_sizes(["256x256", "1000x1500"])) == [(256, 256), (1000, 1500)]


def test_damaged_rows_are_measured_again(params, asked, capsys):
    file = inference.run(params, Request()).file
    file.write_text('[{"name": 1}]')
    asked[0].clear()
    inference.run(params, Request())
    assert len(asked[0]) == 3 and "is damaged" in capsys.readouterr().err


class TestProbe:
    def job(self, params, **changes):
        content = {"params": params.model_dump(mode="json"), "method": "ahdrnet", "preset": "smoke", "run": ""}
        return probe.Job(**{**content, "height": 20, "width": 30, "repeat": 2, "device": "cpu", **changes})

    @pytest.mark.parametrize("run", ["", "ahdrnet--panoramas--s0"])
    def test_a_network_is_counted_and_timed(self, params, run, restored_threads):
        found = probe.measure(self.job(params, run=run))
        expected = sum(p.numel() for p in methods["ahdrnet"].build("smoke").parameters())
        assert (found.parameters, found.frozen, len(found.seconds)) == (expected, 0, 2)
        assert found.memory >= found.rest > 10**7 and min(found.seconds) > 0

    def test_a_network_with_a_codebook_has_frozen_parts(self, params, restored_threads):
        found = probe.measure(self.job(params, method="olc"))
        assert found.frozen > 0

    def test_the_whole_way_is_timed(self, params, monkeypatch, restored_threads):
        sizes = []
        monkeypatch.setattr(probe, "predictor", lambda *_: lambda scene: sizes.append(scene.codes.shape[1:3]))
        probe.measure(self.job(params, height=200, width=100))
        assert sizes == [(128, 100), *[(200, 100)] * 3], "a small picture first, then one that isn't counted"

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
    (fresh.folder / "methods" / "failing.py").write_text(FAILING)
    monkeypatch.chdir(fresh.folder)
    monkeypatch.setattr(inference, "ROOT", fresh.folder)
    content = fresh.params.model_dump(mode="json")
    killed, loud, picky = (
        inference.ask(probe.Job(content, name, "none", "", 16, 24, 1, "cpu"), minutes=10)
        for name in ("killed", "loud", "picky")
    )
    assert "probably for lack of memory" in killed["reason"]
    assert len(loud["seconds"]) == 1 and loud["memory"] > 5e7
    assert picky == {"reason": "takes no such size."}


def test_a_method_is_given_up_after_its_minutes(params):
    job = probe.Job(params.model_dump(mode="json"), "reference-only", "none", "", 8, 8, 1, "cpu")
    assert inference.ask(job, 1e-4) == {"reason": "given up after 0.0001 minutes"}


def test_without_a_verb_trainings_are_printed(main_in, site, capsys):
    for words in (("time",), ("time", "trainings")):
        assert main_in(site, *words) == 0
        assert capsys.readouterr().out.startswith("training ")
    assert main_in(site, "time", "methods", "--size", "large") == 2
    assert "such as 1000x1500" in capsys.readouterr().err
