import os
from pathlib import Path

import pytest
import yaml

from bench.core.errors import UsageError
from bench.repository.lock import IN_USE, cut_short, stages

ROOT = Path(__file__).resolve().parents[2]

LOCK = """\
schema: '2.0'
stages:
  prepare@a:
    cmd: python -m bench prepare a
    deps:
    - path: bench/data
      hash: md5
      md5: 0a1b.dir
      size: 12
      nfiles: 3
    params:
      profiles/smoke/params.yaml:
        patches: {}
        seed: 0
      seeds.yaml: {}
    outs:
    - path: work/scenes
      hash: md5
      md5: 2c3d.dir
      size: 1234
      nfiles: 20
  train:
    cmd: python -m bench --params profiles/smoke/params.yaml train
      --run a
    deps:
    - path: work/scenes
      hash: md5
      md5: 2c3d.dir
      size: 1234
      nfiles: 20
    - path: train.py
      hash: md5
      md5: 4e5f
      size: 17
    outs:
    - path: work/weights
      hash: md5
      md5: 6a7b
      size: 55
"""
"""As DVC writes it, its second command folded; each stage has one output."""

WHOLE = yaml.safe_load(LOCK)["stages"]
BETWEEN = LOCK.index("  train:")
"""Where the first stage ends."""


def test_entries_are_as_dvc_wrote_them():
    found = stages(LOCK.encode(), "dvc.lock")
    assert found == WHOLE
    assert [*found] == ["prepare@a", "train"]
    assert found["train"]["cmd"] == "python -m bench --params profiles/smoke/params.yaml train --run a"


@pytest.mark.parametrize("length", range(len(LOCK)))
def test_what_a_kill_cut_short_is_refused_with_advice_and_found(tmp_path, length):
    """But for a cut between two stages, which nobody can see."""
    lock = tmp_path / "dvc.lock"
    lock.write_text(LOCK[:length])
    if length == BETWEEN:
        assert stages(lock.read_bytes(), "dvc.lock") == {"prepare@a": WHOLE["prepare@a"]}
        assert cut_short(tmp_path, lock) == []
        return
    with pytest.raises(UsageError, match=r"^dvc\.lock isn't a whole lock file .* Restore it with git, or delete it"):
        stages(lock.read_bytes(), "dvc.lock")
    assert cut_short(tmp_path, lock) == [lock]


def test_whole_files_are_fine_and_so_is_none(tmp_path):
    lock, in_use = tmp_path / "dvc.lock", tmp_path / IN_USE
    assert cut_short(tmp_path, lock) == []
    lock.write_text(LOCK)
    in_use.parent.mkdir(parents=True)
    in_use.write_text('{"read": {}, "write": {}}')
    assert cut_short(tmp_path, lock) == []


@pytest.mark.parametrize("text", ["", '{"read": {"a'])
def test_a_list_of_files_in_use_that_a_kill_cut_short_is_found(tmp_path, text):
    in_use = tmp_path / IN_USE
    in_use.parent.mkdir(parents=True)
    in_use.write_text(text)
    assert cut_short(tmp_path, tmp_path / "dvc.lock") == [in_use]


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "stages: 3",
        "stages: [a]",
        "stages: {a: 1}",
        "stages: {a: {outs: [{path: x}]}}",
        "stages: {a: {cmd: x, deps: 3, outs: []}}",
        "stages: {a: {cmd: x, deps: [x], outs: []}}",
        "stages: {a: {cmd: x, params: [params.yaml], outs: []}}",
        "stages: {a: {cmd: x, params: {params.yaml: null}, outs: []}}",
        "stages: {a: {cmd: x, outs: [{md5: x}]}}",
        "stages: {a: {cmd: x, outs: [{path: x}]}}",
        "\udcff",
    ],
)
def test_other_files_are_refused(text):
    with pytest.raises(UsageError, match="isn't a whole lock file"):
        stages(f"{text}\n".encode(errors="surrogateescape"), "dvc.lock")


def test_files_of_older_versions_and_of_clouds_are_read():
    text = "stages: {a: {cmd: [x, y], deps: [{path: b, md5: c}], outs: [{path: d, etag: e}]}}\n"
    assert stages(text.encode(), "dvc.lock")["a"]["outs"] == [{"path": "d", "etag": "e"}]
    assert stages(b"stages: {}\n", "dvc.lock") == {}


@pytest.mark.parametrize("path", [*ROOT.glob("profiles/*/dvc.lock"), ROOT / "dvc.lock"], ids=str)
def test_the_tracked_lock_files_are_whole(path):
    planned = yaml.safe_load(path.with_name("plan.yaml").read_text(encoding="utf-8"))["plan"]["evaluations"]
    assert len(stages(path.read_bytes(), str(path))) > len(planned)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("size: 12\n", f"size: {'9' * 5000}\n"),
        ("seed: 0", "seed: !!int x"),
        ("seed: 0", "seed: 2026-13-45"),
        ("patches: {}", f"patches: {'[' * 20_000}"),
        ("patches: {}", "patches: &a [*a]"),
        ("patches: {}", "seed: 1"),
        ("path: bench/data", "path: 3"),
        ("path: bench/data", "path: {a: b}"),
        ("hash: md5", "hash: [md5]"),
        ("2c3d.dir", "\xff"),
        ("train:", "[1, 2]:"),
    ],
    ids=range(11),
)
def test_what_dvc_never_writes_is_a_sentence(before, after):
    damaged = LOCK.replace(before, after, 1).encode("latin-1")
    with pytest.raises(UsageError, match="isn't a whole lock file of DVC") as caught:
        stages(damaged, "dvc.lock")
    assert "\n" not in str(caught.value)


def test_a_lock_file_that_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "dvc.lock")
    assert cut_short(tmp_path, tmp_path / "dvc.lock") == [tmp_path / "dvc.lock"]
