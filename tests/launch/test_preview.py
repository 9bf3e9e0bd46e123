"""Partial reports while a launch goes on: when they are drawn, and that none of them stops anything."""

import pytest

from bench.launch.board import Board, StageStatus, State
from bench.launch.graph import DvcStage, Pipeline
from bench.launch.preview import Preview, forget

BENCH = """
import pathlib, sys
count = pathlib.Path("drawn")
number = int(count.read_text()) + 1 if count.exists() else 1
count.write_text(str(number))
print(*sys.argv[1:])
sys.exit("no such thing") if pathlib.Path("broken").exists() else print("page:", number)
"""


@pytest.fixture
def preview(tmp_path):
    """A preview of a project whose `python -m bench` counts its reports; what it takes over is `asked`."""
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "__init__.py").touch()
    (tmp_path / "bench" / "__main__.py").write_text(BENCH)
    names = ("train@a", "evaluate@a", "train@b", "evaluate@b")
    board = Board("id", "commit", "local", {name: StageStatus() for name in names})
    made = Preview(
        tmp_path, tmp_path / "params.yaml", board, lambda names: made.asked.append([*names]), tmp_path / "log"
    )
    made.asked = []
    return made


def end(preview, *names, job="7"):
    for name in names:
        preview.board.stages[name].job = job
        preview.board.set(name, State.DONE)


def look(preview):
    """Let it look, wait for what it draws, and return how many reports there were in all."""
    preview.look()
    if preview.thread:
        preview.thread.join()
    count = preview.root / "drawn"
    return int(count.read_text()) if count.exists() else 0


def test_a_report_follows_each_job_that_has_evaluated_once_it_has_ended(preview, capsys):
    end(preview, "train@a")
    assert look(preview) == 0
    preview.board.jobs = ["7"]
    end(preview, "evaluate@a")
    assert look(preview) == 0, "a job leaves what it recorded at its end"
    preview.board.jobs = ["8"]
    assert look(preview) == 1
    assert preview.asked == [["train@a", "evaluate@a"]]
    assert look(preview) == 1
    preview.board.jobs = []
    end(preview, "evaluate@b", job="8")
    assert look(preview) == 2
    assert preview.asked[1:] == [["evaluate@b"]]
    preview.finish()
    assert look(preview) == 2
    assert capsys.readouterr().out.splitlines() == ["partial report: page: 1", "partial report: page: 2"]
    assert preview.log.read_text().splitlines()[0] == f"--params {preview.params} report --partial"


def test_at_the_end_there_is_one_even_if_nothing_was_left_to_evaluate(preview):
    preview.finish()
    assert look(preview) == 1


@pytest.mark.parametrize("what", ["report", "disk"])
def test_one_that_fails_is_told_and_stops_nothing(preview, what, capsys):
    def full(names):
        raise OSError("disk full")

    (preview.root / "broken").touch()
    preview.take = full if what == "disk" else preview.take
    end(preview, "evaluate@a")
    look(preview)
    said = {"disk": "OSError: disk full", "report": "no such thing"}[what]
    assert capsys.readouterr().out == f"partial report: failed ({said}); log: {preview.log}\n"


def test_one_that_failed_is_drawn_again_at_the_end(preview, capsys):
    end(preview, "evaluate@a")
    assert look(preview) == 1
    (preview.root / "broken").touch()
    end(preview, "evaluate@b")
    assert look(preview) == look(preview) == 2, "what failed isn't tried without end"
    (preview.root / "broken").unlink()
    preview.finish()
    assert look(preview) == 3
    assert capsys.readouterr().out.splitlines()[-1] == "partial report: page: 3"


def test_what_ends_while_one_begins_comes_into_the_next(preview):
    """The list of what is finished grew between two looks at it: the second stage was shown, and never taken over."""
    having, late = preview.board.having, [("evaluate@a",), ("evaluate@a", "evaluate@b")]

    def growing(states):
        end(preview, *(late.pop(0) if late else ()))
        return having(states)

    preview.board.having = growing
    preview._draw()
    assert preview.asked == [["evaluate@a"]] and late
    preview.finish()
    assert preview.asked[1:] == [["evaluate@b"]]


def test_old_scores_are_no_part_of_it_and_trainings_stay(tmp_path):
    """Of all stages that are out of date: those that the launch leaves out, too."""
    outs = {
        "evaluate@a": ("predictions/a", "scores/a.csv", "scores/gone.csv"), "train@a": ("weights/a",),
        "evaluate@b": ("scores/b.csv",), "evaluate@done": ("scores/done.csv",),
    }  # fmt: skip
    why = {"evaluate@a": "changed code", "train@a": "changed code", "evaluate@done": "changed code"}
    stages = {name: DvcStage(name, name, frozenset(), why.get(name, ""), True, (), made) for name, made in outs.items()}
    for name in ("predictions/a/1.exr", "scores/a.csv", "scores/b.csv", "scores/done.csv", "weights/a"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    forget(tmp_path, Pipeline("dvc.yaml", stages, (), "cache", {}, None), ["evaluate@done"])
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"scores/b.csv", "scores/done.csv", "weights/a"}
