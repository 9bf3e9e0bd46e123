"""`doctor`: what it finds of this machine, checkout and profile."""

import re
from dataclasses import replace

import pytest

from bench.cli import doctor
from bench.cli.settings import Settings
from bench.core.registry import datasets
from bench.stages import plan


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


def test_it_runs(bench, write_params, small_params):
    answer = bench("--params", str(write_params(small_params)), "doctor")
    subjects = [line.split()[1] for line in answer.stdout.splitlines()]
    assert {"python", "libraries", "torch", "disk", "parameters", "threads", "data"} <= set(subjects)
    assert answer.returncode == ("fail" in answer.stdout)
