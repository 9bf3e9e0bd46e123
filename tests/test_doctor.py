"""`doctor`: what it finds of this machine, checkout and profile."""

import re
import types
from dataclasses import replace

import pytest

from bench.cli import doctor
from bench.cli.settings import Settings
from bench.core.registry import datasets
from bench.stages import plan
from bench.stages.cost.estimate import Bounds


def test_a_sound_profile_has_no_failures(write_params, small_params):
    findings = list(doctor.profile(Settings(write_params(small_params), quiet=False)))
    assert [finding.subject for finding in findings] == ["parameters", "plan", "threads", "data"]
    assert all(finding.state != "fail" for finding in findings), findings


def test_a_plan_that_is_not_the_parameters_is_found(write_params, small_params):
    file = write_params(small_params)
    (file.parent / "dvc.yaml").touch()
    settings = Settings(file, quiet=False)
    assert doctor.planned(settings.load()).state == "fail"
    plan.write(settings.load())
    assert doctor.planned(settings.load()).state == "ok"
    edited = plan.path(settings.load())
    edited.write_text(edited.read_text().replace("steps: 2", "steps: 3"))
    assert doctor.planned(settings.load()).state == "fail"


def test_a_protocol_that_cannot_be_used_is_found(write_params, small_params):
    findings = list(doctor.profile(Settings(write_params(small_params | {"protocol": "whole-flaot"}), quiet=False)))
    (failed,) = (finding for finding in findings if finding.state == "fail")
    assert failed.subject == "protocol" and "Did you mean 'whole-float'" in failed.detail


def test_a_missing_folder_is_named(write_params, small_params):
    small_params["datasets"]["panoramas"]["on_disk"] = "/nowhere/kalantari"
    findings = list(doctor.profile(Settings(write_params(small_params), quiet=False)))
    assert findings[-1].state == "fail"
    assert "/nowhere/kalantari: not found" in findings[-1].detail


@pytest.mark.parametrize(
    ("page", "said"), [("", "by hand: name"), ("https://a.org", r"by hand \(https://a.org\): name")]
)
def test_a_dataset_that_is_placed_by_hand_is_named_with_its_page(write_params, small_params, monkeypatch, page, said):
    monkeypatch.setitem(datasets._cards, "tursun", replace(datasets["tursun"], fetch="manual", page=page))
    small_params["datasets"]["tursun"] = {}
    *_, finding = doctor.profile(Settings(write_params(small_params), quiet=False))
    assert finding.state == "fail" and re.search(said, finding.detail)


def test_a_bad_parameter_file_is_a_finding(tmp_path):
    (finding,) = doctor.profile(Settings(tmp_path / "none.yaml", quiet=False))
    assert finding.state == "fail"


def test_other_versions_than_the_locked_ones_are_named(tmp_path):
    lock = tmp_path / "requirements.lock"
    lock.write_text("# comment\ntyper==0.0.1\nnot-installed-here==1.0\n")
    finding = doctor.libraries(lock)
    assert finding.state == "note"
    assert "typer" in finding.detail
    assert "not-installed-here" not in finding.detail


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xa0numpy==1", "not UTF-8 text"),
        (b"numpy", "'numpy' is no line such as numpy==2.4.6"),
        (b"a==b==c", "is no line such as"),
        (b"\x1b[31mnumpy", r"'\x1b[31mnumpy' is no line"),
    ],
)
def test_a_damaged_list_of_versions_is_a_finding(tmp_path, content, said):
    (tmp_path / "requirements.lock").write_bytes(content)
    finding = doctor.libraries(tmp_path / "requirements.lock")
    assert finding.state == "fail" and said in finding.detail


def test_what_a_kill_cut_short_is_named_with_the_cure(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "PATIENCE", 0)
    lock = tmp_path / "dvc.lock"
    assert doctor.locks(lock).state == "ok"
    lock.write_text("schema: '2.0'\nstages:\n  report:\n")
    finding = doctor.locks(lock)
    assert finding.state == "fail"
    assert finding.detail.endswith(f"rm {lock}")


def test_a_lock_that_is_being_written_is_left_alone(tmp_path, monkeypatch):
    lock = tmp_path / "dvc.lock"
    lock.write_text("")
    monkeypatch.setattr(doctor.time, "sleep", lambda _: lock.write_text("schema: '2.0'\nstages: {}\n"))
    assert doctor.locks(lock).state == "ok"


def published(write_params, small_params, **changes):
    return Settings(write_params({**small_params, "preset": "published", **changes}), quiet=False)


def test_where_vgg_16_comes_from_is_told(write_params, small_params, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def told(**perceptual):
        settings = published(write_params, small_params, perceptual={"backbone": "vgg16", **perceptual})
        return doctor.vgg(settings.load())

    (tmp_path / "here.pth").touch()
    assert told(weights="here.pth") == ("ok", "VGG-16", "here.pth")
    assert told(weights="gone.pth") == ("fail", "VGG-16", "gone.pth: not found")
    state, _, detail = told(url="http://a.b/c.pth")
    assert state == "note" and "downloaded from http://a.b/c.pth; without a network, name the file" in detail
    (tmp_path / "downloads" / "backbone").mkdir(parents=True)
    (tmp_path / "downloads" / "backbone" / "c.pth").touch()
    assert told(url="http://a.b/c.pth") == ("ok", "VGG-16", "downloads/backbone/c.pth is here")


@pytest.mark.parametrize(("memory", "state"), [(24e9, "ok"), (16e9, "fail")])
def test_the_largest_step_must_fit_the_gpu(write_params, small_params, monkeypatch, memory, state):
    card = types.SimpleNamespace(name="A card", total_memory=memory)
    sizes = {"train@small": 3e9, "train@large": 20e9, "evaluate@large": 30e9}
    monkeypatch.setattr("bench.launch.memory.takes", lambda _: sizes)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda _: card)
    (finding,) = doctor.gpus(published(write_params, small_params).load())
    assert finding.state == state
    assert finding.detail.startswith(
        f"A card, {memory / 1e9:.1f} GB: the largest step, train@large, takes about 20.0 GB"
    )
    assert ("accumulate: 2" in finding.detail) == (state == "fail")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    (finding,) = doctor.gpus(published(write_params, small_params).load())
    assert (finding.state, finding.detail) == (
        "note",
        "none here, and the largest step, train@large, takes about 20.0 GB",
    )


def test_what_was_never_counted_is_told_with_the_command(write_params, small_params):
    settings = published(write_params, small_params, patches={"size": 24, "stride": 24})
    (disk, cost) = doctor.costs(settings)
    assert (disk.subject, cost.subject, cost.state) == ("disk", "cost", "note")
    assert "of its steps aren't counted" in cost.detail and cost.detail.endswith(
        f"{settings.params_file} cost estimate"
    )


def test_hours_are_those_of_first_seeds_and_of_all(write_params, small_params, monkeypatch):
    class Overview:
        def __init__(self, params):
            self.runs = len(params.runs)

        def hours(self, card, way):
            assert way == "bf16"
            return Bounds(2.0 * self.runs, 3.0 * self.runs)

    monkeypatch.setattr("bench.stages.cost.estimate.overview", Overview)
    one = published(write_params, {**small_params, "precision": "bf16"}).load()
    once = len(one.runs)
    assert f"H100 {2 * once} to {3 * once} h, A100" in doctor.hours(one).detail
    assert "all seeds" not in doctor.hours(one).detail
    two = one.model_copy(update={"train": dict.fromkeys(one.train, (0, 1))})
    assert f"with all seeds: H100 {4 * once} to {6 * once} h" in doctor.hours(two).detail


def test_it_runs(bench, write_params, small_params):
    answer = bench("--params", str(write_params(small_params)), "doctor")
    subjects = [line.split()[1] for line in answer.stdout.splitlines()]
    assert {"python", "libraries", "torch", "disk", "parameters", "threads", "data"} <= set(subjects)
    assert answer.returncode == ("fail" in answer.stdout)
