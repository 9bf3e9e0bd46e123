import pytest

from bench.launch.checkout import commit, edits, listed, loose_inputs, snapshot, untracked
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
    assert edits(root, ["reports/p"]) == []
    for name in ("dvc.lock", "profiles/p/dvc.lock", "reports/p/table.csv"):
        (root / name).write_text("new")
    (root / "code" / "untracked.py").write_text("")
    assert edits(root, ["reports/p"]) == []


@pytest.mark.parametrize("name", ["code/a.py", "reports/q/t.csv"])
@pytest.mark.parametrize("staged", [False, True])
def test_all_else_that_differs_is_named(root, name, staged):
    (root / name).write_text("new")
    if staged:
        git(root, "add", name)
    assert edits(root, ["reports/p"]) == [name]


def test_a_deleted_and_a_renamed_file_differ_too(root):
    (root / "code/a.py").unlink()
    git(root, "mv", "code/b.py", "code/c.py")
    assert edits(root, []) == ["code/a.py", "code/b.py", "code/c.py"]


def test_many_files_are_counted():
    assert listed(["a", "b"]) == "a, b"
    assert listed([*"abcdefgh"]) == "a, b, c, d, e and 3 more"


def test_inputs_outside_git_are_linked(root):
    (root / "weights").mkdir()
    (root / "weights/x.safetensors").write_text("")
    stray, links = loose_inputs(root, ["code", "code/a.py", "weights/x.safetensors", "not/there"])
    assert (stray, links) == ([], ["weights/x.safetensors"])


def test_files_that_git_does_not_know_inside_an_input_are_found(root):
    (root / "code/__pycache__").mkdir()
    (root / "code/__pycache__/a.pyc").write_text("")
    assert loose_inputs(root, ["code"]) == ([], [])
    (root / "code/new.py").write_text("")
    assert loose_inputs(root, ["code/a.py"]) == ([], [])
    assert loose_inputs(root, ["code"]) == (["code/new.py"], [])


def test_files_that_git_does_not_track_are_told_from_others(root):
    (root / "profiles/q").mkdir()
    (root / "profiles/q/dvc.yaml").symlink_to("../../code/a.py")
    assert untracked(root, ["profiles/q/dvc.yaml", "profiles/q/not.there", "code/a.py"]) == ["profiles/q/dvc.yaml"]
    assert untracked(root, ["not.there"]) == []


class TestSnapshot:
    """What jobs see of files that differ from the commit."""

    def test_nothing_differs(self, root):
        assert snapshot(root, []) == commit(root)

    def test_the_commit_holds_the_named_files_as_they_are(self, root):
        (root / "code/a.py").write_text("new")
        (root / "code/b.py").unlink()
        (root / "code/*.py").write_text("a name with a star")
        (root / "dvc.lock").write_text("not named")
        before = git(root, "status", "--porcelain"), commit(root)
        made = snapshot(root, ["code/a.py", "code/b.py", "code/*.py"])
        assert (git(root, "status", "--porcelain"), commit(root)) == before
        assert git(root, "diff", "--name-status", "--no-renames", "HEAD", made).split() == [
            "A", "code/*.py", "M", "code/a.py", "D", "code/b.py",
        ]  # fmt: skip
        assert git(root, "show", f"{made}:code/a.py") == "new"
        assert git(root, "show", f"{made}:dvc.lock") == "old"

    def test_the_same_files_give_the_same_commit(self, root):
        (root / "code/a.py").write_text("new")
        one = snapshot(root, ["code/a.py"])
        (root / "code/a.py").write_text("newer")
        two = snapshot(root, ["code/a.py"])
        (root / "code/a.py").write_text("new")
        assert snapshot(root, ["code/a.py"]) == one != two
