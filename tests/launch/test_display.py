import io

import pytest

from bench.core import progress
from bench.launch.board import Board, Card, State
from bench.launch.display import Display, duration, remaining, render

NOW = 1000.0


@pytest.fixture(autouse=True)
def now(monkeypatch):
    monkeypatch.setattr("bench.launch.display.time.time", lambda: NOW)


def make(**cards):
    return Board("id", "abc", "local", {name.replace("__", "@"): card for name, card in cards.items()})


def test_time_left_comes_from_stages_of_the_same_group():
    done = Card(State.DONE, seconds=100.0)
    board = make(train__a=done, train__b=Card(State.RUNNING, started=NOW - 40), train__c=Card(), train__d=Card())
    assert remaining(board, jobs=1) == 60 + 100 + 100
    assert remaining(board, jobs=2) == 130
    assert remaining(board, jobs=9) == 100


def test_time_left_is_unknown_while_a_group_is():
    board = make(train__a=Card(State.DONE, seconds=5.0), evaluate__a=Card())
    assert remaining(board, jobs=1) is None
    assert "time left: not known yet" in render(board, 1, 10, 80)[0]


def test_blocked_and_failed_stages_take_no_time():
    assert remaining(make(train__a=Card(State.FAILED), train__b=Card(State.BLOCKED)), jobs=1) == 0


@pytest.mark.parametrize(("seconds", "text"), [(5, "0:05"), (754, "12:34"), (5025, "1:23:45")])
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize("rows", [3, 5, 40])
def test_the_table_fits_and_shows_first_where_something_happens(rows):
    cards = {f"train__{k}": Card(note="x" * 100) for k in range(20)}
    cards["last"] = Card(State.RUNNING, job="77", started=NOW - 65)
    lines = render(make(**cards), 2, rows, 60)
    assert len(lines) <= rows
    assert max(map(len, lines)) <= 60
    assert lines[0].startswith("20 waiting, 1 running")
    assert "running" in lines[1]
    assert "1:05  last  job 77" in lines[1]
    assert ("more" in lines[-1]) == (rows < 22)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_table_that_is_drawn_over():
    stream, board = Terminal(), make(a=Card(), b=Card())
    display = Display(board, 1, stream)
    board.set("a", State.RUNNING)
    display.show()
    board.set("a", State.DONE)
    display.show()
    first, second = stream.getvalue().split("\x1b[3F\x1b[J")
    assert "1 waiting, 1 running" in first
    assert "1 waiting, 1 done" in second


def test_elsewhere_each_change_is_a_line():
    stream, board = io.StringIO(), make(a=Card(), b=Card())
    display = Display(board, 1, stream)
    display.show()
    board.set("a", State.FAILED, "exit code 3: oh")
    board.set("b", State.READY)
    display.show()
    assert stream.getvalue() == "[0/2] a: failed (exit code 3: oh)\n"


def test_quiet_is_quiet(monkeypatch):
    monkeypatch.setattr(progress, "quiet", True)
    stream, board = io.StringIO(), make(a=Card())
    board.set("a", State.RUNNING)
    Display(board, 1, stream).show()
    assert stream.getvalue() == ""
