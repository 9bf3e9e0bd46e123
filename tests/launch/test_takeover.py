import shutil

import pytest
import yaml

from bench.launch.takeover import ENDING, leave, take_over

ADDRESSES = {"fetch": "dvc.yaml:fetch", "train@a": "dvc.yaml:train@a", "join": "dvc.yaml:join"}


def lock_of(project):
    return yaml.safe_load((project.root / "dvc.lock").read_text())


def test_entries_are_left_and_taken_over_with_their_outputs(project, tmp_path):
    assert project.repro()[0] == 0
    whole, events = lock_of(project), tmp_path / "events"
    events.mkdir()
    leave(project.root / "dvc.lock", ADDRESSES, events / "one.1.jsonl")
    (project.root / "dvc.lock").unlink()
    shutil.rmtree(project.root / "work")
    take_over(project.root, "dvc.yaml", ADDRESSES, events)
    assert lock_of(project)["stages"] == {name: whole["stages"][name] for name in ADDRESSES}
    assert list(lock_of(project)["stages"]["train@a"]) == ["cmd", "deps", "params", "outs"]
    found = {str(path.relative_to(project.root / "work/tiny")) for path in project.root.rglob("work/tiny/**/*")}
    assert found == {"raw", "weights", "weights/a", "join"}
    code, said = project.repro()
    assert code == 0
    assert lock_of(project) == whole
    assert said.count("didn't change, skipping") >= len(ADDRESSES)


def test_only_what_is_wanted_and_whole_is_taken(project, tmp_path):
    assert project.repro()[0] == 0
    events = tmp_path / "events"
    events.mkdir()
    leave(project.root / "dvc.lock", ADDRESSES, events / "one.1.jsonl")
    (events / f"two.1.jsonl{ENDING}").write_text('{"fetch": ')
    (project.root / "dvc.lock").unlink()
    take_over(project.root, "dvc.yaml", {"join": "dvc.yaml:join"}, events)
    assert list(lock_of(project)["stages"]) == ["join"]


def test_an_interrupt_leaves_the_lock_file_as_it_was(project, tmp_path, monkeypatch):
    assert project.repro()[0] == 0
    leave(project.root / "dvc.lock", ADDRESSES, tmp_path / "one.1.jsonl")
    before = (project.root / "dvc.lock").read_text()

    def interrupted(data, stream):
        stream.write(before[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr("dvc.utils.serialize._yaml._dump", interrupted)
    with pytest.raises(KeyboardInterrupt):
        take_over(project.root, "dvc.yaml", ADDRESSES, tmp_path)
    assert (project.root / "dvc.lock").read_text() == before
    assert list(project.root.glob(".dvc.lock*")) == []


def test_what_is_taken_over_is_written_as_dvc_writes_it(project, tmp_path):
    assert project.repro()[0] == 0
    leave(project.root / "dvc.lock", ADDRESSES, tmp_path / "one.1.jsonl")
    before = (project.root / "dvc.lock").read_text()
    take_over(project.root, "dvc.yaml", ADDRESSES, tmp_path)
    assert (project.root / "dvc.lock").read_text() == before


def test_without_entries_nothing_is_written(project, tmp_path):
    leave(project.root / "dvc.lock", ADDRESSES, tmp_path / "one.1.jsonl")
    take_over(project.root, "dvc.yaml", ADDRESSES, tmp_path)
    assert list(tmp_path.glob(f"*{ENDING}")) == []
    assert not (project.root / "dvc.lock").exists()


def test_a_damaged_lock_is_left_to_the_head(tmp_path):
    (tmp_path / "dvc.lock").write_text("stages: {fetch: {cmd: a, outs: [{pa")
    leave(tmp_path / "dvc.lock", ADDRESSES, tmp_path / "one.1.jsonl")
    assert list(tmp_path.glob(f"*{ENDING}")) == []
