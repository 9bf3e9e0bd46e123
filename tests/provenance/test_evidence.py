import pytest

from bench.core.errors import UsageError
from bench.provenance import chain
from bench.provenance.evidence import Evidence

from ..report.conftest import parameters


@pytest.mark.parametrize("text", ["stages: [", "schema: '2.0'\n", "- a\n"])
def test_a_damaged_lock_is_told(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.lock").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="isn't a whole lock file of DVC"):
        _ = Evidence(parameters()).lock


def test_a_profile_reads_the_lock_beside_its_parameters(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "profiles" / "tiny"
    folder.mkdir(parents=True)
    (folder / "dvc.lock").write_text("stages:\n  report: {cmd: x, outs: [{path: a, md5: b}]}\n", encoding="utf-8")
    found = Evidence(parameters(params_file="profiles/tiny/params.yaml")).lock
    assert found.stages and found.outputs("report") == {"a": {"md5": "b"}}
    assert found.outputs("train") == {} and found.parameters("report") == {}
    assert not Evidence(parameters()).lock.stages


def test_a_folder_that_is_no_checkout_has_no_commit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    found = chain.commits([tmp_path / "a"])
    assert found["files"] == {} and "no git checkout" in found["problem"]


def test_a_machine_without_git_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "git isn't installed" in chain.commits([tmp_path / "a"])["problem"]
