import pytest

from bench.core.errors import UsageError
from bench.repository.lock import stages

LOCK = "schema: '2.0'\nstages:\n  train:\n    cmd: python train.py\n    deps:\n    - path: train.py\n      md5: abc\n"


def test_entries_are_as_dvc_wrote_them():
    found = stages(LOCK.encode(), "dvc.lock")
    assert found == {"train": {"cmd": "python train.py", "deps": [{"path": "train.py", "md5": "abc"}]}}


@pytest.mark.parametrize("length", [0, 1, 8, len("schema: '2.0'\n"), LOCK.index("  train"), LOCK.index("\n    cmd")])
def test_what_a_kill_cut_short_is_refused_with_advice(length):
    with pytest.raises(UsageError, match=r"^dvc\.lock isn't a whole lock file .* Restore it with git, or delete it"):
        stages(LOCK[:length].encode(), "dvc.lock")


@pytest.mark.parametrize("text", ["[]", "stages: 3", "stages: {a: 1}", "\udcff"])
def test_other_files_are_refused(text):
    with pytest.raises(UsageError, match="isn't a whole lock file"):
        stages(text.encode(errors="surrogateescape"), "dvc.lock")
