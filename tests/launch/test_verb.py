"""The verb as a user types it."""

import sys

import pytest

from bench.__main__ import main
from bench.launch import head


@pytest.fixture
def asked_for(monkeypatch, tmp_path):
    """Type `launch` with some options in a folder that isn't the project's; return what would be launched."""
    found = []
    monkeypatch.setattr(head, "launch", found.append)

    def run(*words):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["bench", "launch", "--jobs", "1", *words])
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code
        return found.pop()

    return run


def test_the_folder_of_clones_is_seen_from_where_the_user_stands(asked_for, tmp_path):
    assert asked_for("--clones", "mine").clones == tmp_path / "mine"
    assert asked_for("--clones", "/local/disk").clones.as_posix() == "/local/disk"
    assert asked_for().clones is None
