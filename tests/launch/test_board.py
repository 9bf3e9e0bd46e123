import io
import re

import pytest

from bench.core import progress
from bench.launch import board as boards
from bench.launch.board import Board, LaunchDisplay, State, duration, remaining, table
from bench.launch.board import StageStatus as Stage


def make(**states):
    stages = {name: Stage(State(state)) for name, state in states.items()}
    return Board("first", "abc", "local", stages, jobs=["12"], clones="/c")


def test_a_board_survives_on_disk(tmp_path):
    board = make(train="done", report="blocked")
    board.set("report", State.FAILED, "exit code 1: oh")
    board.save(tmp_path / "launch" / "state.json")
    again = boards.load(tmp_path / "launch" / "state.json")
    assert (again.stages, again.jobs, again.identifier, again.clones) == (board.stages, ["12"], "first", "/c")
    assert board.changed == ["report"]
    assert again.changed == []


def test_without_a_file_there_is_no_board(tmp_path):
    assert boards.load(tmp_path / "state.json") is None


def test_what_is_finished_at_the_same_commit_is_kept():
    before = make(fetch="restored", train="done", evaluate="failed", gone="done")
    stages = boards.resume(before, "abc", ["fetch", "train", "evaluate", "new"])
    assert {name: str(card.state) for name, card in stages.items()} == {
        "fetch": "restored",
        "train": "restored",
        "evaluate": "waiting",
        "new": "waiting",
    }
    assert stages["train"].note == "by launch first"


def test_what_the_head_has_is_work_again_once_it_is_out_of_date():
    before = make(train="done", fetch="restored", evaluate="failed")
    before.stages["train"].seconds = 12.5
    before.settle()
    stages = boards.resume(before, "abc", ["fetch", "train", "evaluate"])
    assert {str(card.state) for card in stages.values()} == {"waiting"}
    assert stages["train"].seconds == 12.5
    assert before.stages["evaluate"].state == State.FAILED


def test_at_another_commit_only_durations_are_kept():
    before = make(train="done")
    before.stages["train"].seconds = 12.5
    (card,) = boards.resume(before, "def", ["train"]).values()
    assert (card.state, card.seconds, card.note) == (State.WAITING, 12.5, "")


def test_the_duration_of_a_stage_is_that_of_its_command(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("bench.launch.board.time.time", lambda: clock[0])
    board = make(train="queued", restored="queued")
    board.set("train", State.RUNNING)
    clock[0] = 107.0
    board.set("train", State.DONE)
    board.set("restored", State.RESTORED)
    assert (board.stages["train"].seconds, board.stages["restored"].seconds) == (7.0, 0.0)


NOW = 1000.0


@pytest.fixture(autouse=True)
def now(monkeypatch):
    monkeypatch.setattr("bench.launch.board.time.time", lambda: NOW)


def board_of(**stages):
    return Board("id", "abc", "local", {name.replace("__", "@"): card for name, card in stages.items()})


def test_time_left_comes_from_stages_of_the_same_group():
    done = Stage(State.DONE, seconds=100.0)
    board = board_of(
        train__a=done,
        train__b=Stage(State.RUNNING, started=NOW - 40),
        train__c=Stage(),
        train__d=Stage(),
    )
    assert remaining(board, jobs=1) == 60 + 100 + 100
    assert remaining(board, jobs=2) == 130
    assert remaining(board, jobs=9) == 100


def test_time_left_is_unknown_while_a_group_is():
    board = board_of(train__a=Stage(State.DONE, seconds=5.0), evaluate__a=Stage())
    assert remaining(board, jobs=1) is None
    assert "time left: not known yet" in table(board, 1, 10)[0]


def test_blocked_and_failed_stages_take_no_time():
    assert remaining(board_of(train__a=Stage(State.FAILED), train__b=Stage(State.BLOCKED)), jobs=1) == 0


@pytest.mark.parametrize(("seconds", "text"), [(5, "0:05"), (754, "12:34"), (5025, "1:23:45")])
def test_durations(seconds, text):
    assert duration(seconds) == text


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 60 columns whose number of rows a test may choose."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    return Terminal()


@pytest.mark.parametrize("rows", [3, 5, 40])
def test_the_table_fits_and_shows_first_where_something_happens(terminal, monkeypatch, rows):
    monkeypatch.setenv("LINES", str(rows + 1))
    stages = {f"train__{k}": Stage(note="x" * 100) for k in range(20)}
    stages["last"] = Stage(State.RUNNING, job="77", started=NOW - 65)
    board = board_of(**stages)
    with LaunchDisplay(board, 2, terminal) as display:
        display.show()
        drawn = terminal.getvalue()
    lines = re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", drawn).strip().splitlines()
    assert len(lines) <= rows
    assert max(map(len, lines)) <= 60
    assert lines[0].startswith("20 waiting, 1 running")
    assert "running" in lines[1]
    assert "1:05  last  job 77" in lines[1]
    assert ("more" in lines[-1]) == (rows < 22)


def test_a_terminal_gets_a_table_that_is_drawn_over_and_its_cursor_back(terminal):
    board = board_of(a=Stage(), b=Stage())
    with LaunchDisplay(board, 1, terminal) as display:
        board.set("a", State.RUNNING)
        display.show()
        board.set("a", State.DONE)
        display.show()
    hide, show, erase_line, up = "\x1b[?25l", "\x1b[?25h", "\x1b[2K", "\x1b[1A"
    said = terminal.getvalue()
    first, second = said.split((erase_line + up) * 2 + erase_line)
    assert hide in first and "1 waiting, 1 running" in first
    assert "1 waiting, 1 done" in second and second.rstrip().endswith(show)


@pytest.mark.parametrize("dumb", [False, True])
def test_elsewhere_each_change_is_a_line(monkeypatch, dumb):
    monkeypatch.setenv("TERM", "dumb")
    stream, board = Terminal() if dumb else io.StringIO(), board_of(a=Stage(), b=Stage())
    display = LaunchDisplay(board, 1, stream)
    display.show()
    board.set("a", State.FAILED, "exit code 3: oh")
    board.set("b", State.READY)
    display.show()
    assert stream.getvalue() == "[0/2] a: failed (exit code 3: oh)\n"


def test_quiet_is_quiet(monkeypatch):
    monkeypatch.setattr(progress, "quiet", True)
    stream, board = io.StringIO(), board_of(a=Stage())
    board.set("a", State.RUNNING)
    LaunchDisplay(board, 1, stream).show()
    assert stream.getvalue() == ""
