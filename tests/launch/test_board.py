from bench.launch import board as boards
from bench.launch.board import Board, Card, State


def make(**states):
    cards = {name: Card(State(state)) for name, state in states.items()}
    return Board("first", "abc", "local", cards, jobs=["12"], clones="/c")


def test_a_board_survives_on_disk(tmp_path):
    board = make(train="done", report="blocked")
    board.set("report", State.FAILED, "exit code 1: oh")
    board.save(tmp_path / "launch" / "state.json")
    again = boards.load(tmp_path / "launch" / "state.json")
    assert (again.cards, again.jobs, again.identifier, again.clones) == (board.cards, ["12"], "first", "/c")
    assert board.changed == ["report"]
    assert again.changed == []


def test_without_a_file_there_is_no_board(tmp_path):
    assert boards.load(tmp_path / "state.json") is None


def test_what_is_finished_at_the_same_commit_is_kept():
    before = make(fetch="restored", train="done", evaluate="failed", gone="done")
    cards = boards.resume(before, "abc", ["fetch", "train", "evaluate", "new"])
    assert {name: str(card.state) for name, card in cards.items()} == {
        "fetch": "restored",
        "train": "restored",
        "evaluate": "waiting",
        "new": "waiting",
    }
    assert cards["train"].note == "by launch first"


def test_what_the_head_has_is_work_again_once_it_is_out_of_date():
    before = make(train="done", fetch="restored", evaluate="failed")
    before.cards["train"].seconds = 12.5
    before.settle()
    cards = boards.resume(before, "abc", ["fetch", "train", "evaluate"])
    assert {str(card.state) for card in cards.values()} == {"waiting"}
    assert cards["train"].seconds == 12.5
    assert before.cards["evaluate"].state == State.FAILED


def test_at_another_commit_only_durations_are_kept():
    before = make(train="done")
    before.cards["train"].seconds = 12.5
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
    assert (board.cards["train"].seconds, board.cards["restored"].seconds) == (7.0, 0.0)
