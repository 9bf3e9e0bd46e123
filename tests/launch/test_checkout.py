import pytest

from bench.core.errors import UsageError
from bench.launch.checkout import check_committed, loose_inputs
from tests.launch.tiny import git


@pytest.fixture
def root(tmp_path):
    for name in ("code/a.py", "code/b.py", "dvc.lock", "profiles/p/dvc.lock", "reports/p/table.csv", "reports/q/t.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("old")
    (tmp_path / ".gitignore").write_text("__pycache__/\nweights/\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "all")
    return tmp_path


def test_results_and_locks_may_differ_from_the_commit(root):
    check_committed(root, ["reports/p"])
    for name in ("dvc.lock", "profiles/p/dvc.lock", "reports/p/table.csv"):
        (root / name).write_text("new")
    (root / "code" / "untracked.py").write_text("")
    check_committed(root, ["reports/p"])


@pytest.mark.parametrize("name", ["code/a.py", "reports/q/t.csv"])
@pytest.mark.parametrize("staged", [False, True])
def test_nothing_else_may(root, name, staged):
    (root / name).write_text("new")
    if staged:
        git(root, "add", name)
    with pytest.raises(UsageError, match=f"^changed since the last commit, .*: {name}\\. Commit"):
        check_committed(root, ["reports/p"])


def test_a_deleted_file_differs_too(root):
    (root / "code/a.py").unlink()
    with pytest.raises(UsageError, match=r"code/a\.py"):
        check_committed(root, [])


def test_many_files_are_counted(root):
    for number in range(9):
        (root / f"code/{number}.py").write_text("")
    git(root, "add", "--all")
    with pytest.raises(UsageError, match=r"code/4\.py and 4 more\. Commit"):
        check_committed(root, [])


def test_inputs_outside_git_are_linked(root):
    (root / "weights").mkdir()
    (root / "weights/x.safetensors").write_text("")
    assert loose_inputs(root, ["code", "code/a.py", "weights/x.safetensors", "not/there"]) == ["weights/x.safetensors"]


def test_files_that_git_does_not_know_inside_an_input_are_refused(root):
    (root / "code/__pycache__").mkdir()
    (root / "code/__pycache__/a.pyc").write_text("")
    assert loose_inputs(root, ["code"]) == []
    (root / "code/new.py").write_text("")
    assert loose_inputs(root, ["code/a.py"]) == []
    with pytest.raises(UsageError, match=r"^inputs of stages that git doesn't track, .*: code/new\.py\."):
        loose_inputs(root, ["code"])
