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


@pytest.fixture
def refused(monkeypatch, capsys):
    """Type `launch` with options that can't be; return what is said."""
    monkeypatch.setattr(head, "launch", lambda _: pytest.fail("it was launched"))

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["bench", "--params", "profiles/study/params.yaml", "launch", *words])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 2
        return capsys.readouterr().err

    return run


def test_tables_and_seeds_choose_and_rank_what_runs(asked_for, monkeypatch):
    study = ("bench", "--params", "profiles/study/params.yaml", "launch", "--jobs", "1")

    def launched(*words):
        found = []
        monkeypatch.setattr(head, "launch", found.append)
        monkeypatch.setattr(sys, "argv", [*study, *words])
        with pytest.raises(SystemExit):
            main()
        return found.pop()

    assert asked_for().stages == () and not asked_for().partial
    two = launched("--tables", "2,3", "--seeds", "1", "--partial")
    assert two.partial and "evaluate@olc-64--panoramas--s0--panoramas" in two.stages
    assert not any("--s1" in name or "dis-brighter" in name for name in two.stages)
    whole = launched("--tables", "2,3,1")
    assert whole.ranks and whole.stages == (), "with all of a profile its report is the whole one"
    assert launched("--tables", "2,3,1", "--seeds", "3").stages == ()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--tables", "2,4"), "--tables 2,4: expected numbers of the paper's tables, each once, such as 2,3,1."),
        (("--tables", "2,2"), "each once"),
        (("--tables", "2", "train"), "name either stages, or --tables and --seeds."),
        (("--partial", "--push"), "--partial takes results from the cache that jobs share"),
        (("--per-gpu", "many"), "--per-gpu many: expected how many jobs share a GPU, such as 2, or auto."),
        (("--per-gpu", "0"), "expected how many jobs"),
        (("--per-gpu", "2", "--jobs", "3"), "leave out --jobs, --gpus-per-job and --on slurm"),
        (("--per-gpu", "auto", "--on", "slurm"), "leave out --jobs"),
    ],
)
def test_options_that_cannot_be_are_refused(refused, words, said):
    assert said in refused(*words)
