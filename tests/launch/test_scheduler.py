import dataclasses
import itertools

import pytest

from bench.launch.board import Board, State
from bench.launch.board import StageStatus as Stage
from bench.launch.job import CloneSource, Event, JobSpec, report
from bench.launch.plan import Job, LaunchOptions
from bench.launch.pool import Gone
from bench.launch.scheduler import Scheduler, longest_chains
from tests.launch.tiny import pipeline_of

DIAMOND = {"top": [], "left": ["top"], "right": ["top"], "bottom": ["left", "right"], "tail": ["bottom"]}


class FakePool:
    """Does an order at once as the script says: for each job a list of what happens at its attempts."""

    def __init__(self, script):
        self.script, self.orders, self.gone, self.cancelled, self.most = script, [], {}, [], 0

    def submit(self, order):
        identifier = str(len(self.orders))
        self.orders.append(order)
        attempts = self.script.get(order.job, ["done"])
        what = attempts[min(self.attempts(order.job), len(attempts)) - 1]
        report(order.events, Event("started"))
        if what == "silent":
            self.gone[identifier] = Gone("Slurm says NODE_FAIL")
        elif what == "cancelled":
            report(order.events, Event("ended", code=1, note="asked to end by SIGTERM", transient=True))
            self.gone[identifier] = Gone("cancelled", again=False, cancelled=True)
        elif what != "hangs":
            self._tell(order, what)
            self.gone[identifier] = Gone("its process ended")
        return identifier

    def _tell(self, order, what):
        for name in order.stages:
            report(order.events, Event("running", name))
            if what in ("broken", "paused"):
                report(order.events, Event("failed", name, code=3, note="oh no", transient=what == "paused"))
                break
            report(order.events, Event(what, name))
        report(order.events, Event("ended", code=int(what in ("broken", "paused"))))

    def attempts(self, job):
        return [order.job for order in self.orders].count(job)

    def ended(self, identifiers):
        return {name: self.gone[name] for name in identifiers if name in self.gone}

    def cancel(self, identifiers):
        self.cancelled = [*identifiers]


@pytest.fixture
def schedule(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.launch.scheduler.PATIENCE", 0.0)

    def make(script=None, edges=DIAMOND, jobs=None, slots=2, show=lambda: None, **stages):
        pipeline = pipeline_of(edges)
        board = Board("id", "commit", "local", {name: stages.get(name, Stage()) for name in edges})
        pool = FakePool(script or {})
        source = CloneSource(tmp_path, "commit", "dvc.yaml", tmp_path, tmp_path)

        def order(job, left, slot, attempt):
            events = tmp_path / f"{job.name}.{attempt}"
            return JobSpec(job.name, {name: name for name in left}, source, tmp_path / str(slot), events, tmp_path)

        each = [Job(name, (name,)) for name in edges]
        options = LaunchOptions(tmp_path, "dvc.yaml", "tiny", slots=(None,) * slots, retries=2, backoff=0.0, poll=0.0)
        return Scheduler(pipeline, jobs or each, board, pool, options, order, show, lambda: None)

    return make


def states(scheduler):
    return {name: str(card.state) for name, card in scheduler.board.stages.items()}


def test_everything_runs_after_what_it_reads(schedule):
    scheduler = schedule()
    scheduler.run()
    order = [order.job for order in scheduler.pool.orders]
    assert order[0] == "top"
    assert {*order[1:3]} == {"left", "right"}
    assert order[3:] == ["bottom", "tail"]
    assert {*states(scheduler).values()} == {"done"}


def test_a_job_waits_for_all_that_its_stages_read_from_others(schedule):
    edges = {"data": [], "codes": ["data"], "train": ["data"], "score": ["train", "codes"], "after": ["score"]}
    jobs = [Job("train", ("train", "score")), *(Job(name, (name,)) for name in ("after", "codes", "data"))]
    scheduler = schedule(edges=edges, jobs=jobs, slots=4)
    scheduler.run()
    assert [order.job for order in scheduler.pool.orders] == ["data", "codes", "train", "after"]


def test_a_job_is_recorded_before_the_next_one_is_submitted(schedule):
    def note_and_submit(order):
        happened.append(order.job)
        return submit(order)

    scheduler = schedule(edges={"one": [], "two": []})
    happened, submit = [], scheduler.pool.submit
    scheduler.pool.submit = note_and_submit
    scheduler.save = lambda: happened.append([*scheduler.board.jobs])
    scheduler.run()
    assert happened[:4] == ["one", ["0"], "two", ["0", "1"]]


def test_two_jobs_never_share_a_slot(schedule):
    edges = {f"stage{k}": [] for k in range(7)}
    seen = []
    scheduler = schedule(edges=edges, slots=3, show=lambda: seen.append([a.slot for a in scheduler.active.values()]))
    scheduler.run()
    assert max(map(len, seen)) == 3
    assert all(len(slots) == len(set(slots)) for slots in seen)


def test_a_failure_stops_only_its_descendants(schedule):
    scheduler = schedule({"left": ["broken"]})
    scheduler.run()
    assert states(scheduler) == {
        "top": "done",
        "left": "failed",
        "right": "done",
        "bottom": "blocked",
        "tail": "blocked",
    }
    assert scheduler.board.stages["left"].note == "exit code 3: oh no"
    assert scheduler.board.stages["tail"].note == "needs bottom"
    assert scheduler.pool.attempts("left") == 1


def test_within_a_job_what_follows_a_failed_stage_is_blocked(schedule):
    jobs = [Job("top", ("top", "left", "right", "bottom", "tail"))]
    scheduler = schedule({"top": ["broken"]}, jobs=jobs)
    scheduler.run()
    assert [*states(scheduler).values()] == ["failed", "blocked", "blocked", "blocked", "blocked"]


@pytest.mark.parametrize("what", ["paused", "silent"])
def test_what_may_be_gone_next_time_is_tried_again(schedule, what):
    scheduler = schedule({"left": [what, what, "done"]})
    scheduler.run()
    assert {*states(scheduler).values()} == {"done"}
    assert scheduler.pool.attempts("left") == 3


@pytest.mark.parametrize(
    ("what", "note"), [("paused", "exit code 3: oh no"), ("silent", "the job was lost: Slurm says NODE_FAIL")]
)
def test_but_not_for_ever(schedule, what, note):
    scheduler = schedule({"left": [what]})
    scheduler.run()
    assert scheduler.pool.attempts("left") == 3
    assert (states(scheduler)["left"], states(scheduler)["tail"]) == ("failed", "blocked")
    assert scheduler.board.stages["left"].note == note


def test_the_time_between_attempts_doubles(schedule, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("bench.launch.scheduler.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("bench.launch.scheduler.time.sleep", lambda _: clock.__setitem__(0, clock[0] + 1))
    started = []
    scheduler = schedule({"top": ["paused"]}, edges={"top": []})
    scheduler.options = dataclasses.replace(scheduler.options, backoff=10.0)
    submit = scheduler.pool.submit
    scheduler.pool.submit = lambda order: started.append(clock[0]) or submit(order)
    scheduler.run()
    assert [later - before for before, later in itertools.pairwise(started)] == [11, 21]


def test_a_job_that_somebody_cancels_is_not_tried_again(schedule):
    scheduler = schedule({"left": ["cancelled"]})
    scheduler.run()
    assert scheduler.pool.attempts("left") == 1
    assert (states(scheduler)["left"], states(scheduler)["bottom"]) == ("cancelled", "blocked")


def test_what_is_finished_is_not_done_again(schedule):
    scheduler = schedule(top=Stage(State.RESTORED), left=Stage(State.RESTORED))
    scheduler.run()
    assert [order.job for order in scheduler.pool.orders] == ["right", "bottom", "tail"]


def test_an_interrupt_cancels_the_jobs_and_is_passed_on(schedule):
    def show():
        if states(scheduler)["right"] == "done":
            raise KeyboardInterrupt
        shown.append(1)
        assert len(shown) < 1000

    shown = []
    scheduler = schedule({"left": ["hangs"]}, show=show)
    with pytest.raises(KeyboardInterrupt):
        scheduler.run()
    hanging = next(str(number) for number, order in enumerate(scheduler.pool.orders) if order.job == "left")
    assert scheduler.pool.cancelled == [hanging]
    assert scheduler.board.jobs == []
    assert [*states(scheduler).values()] == ["done", "cancelled", "done", "cancelled", "cancelled"]


def test_the_longest_chain_comes_first(schedule):
    edges = {"short": [], "long": [], "after": ["long"]}
    scheduler = schedule(
        edges=edges,
        slots=1,
        short=Stage(seconds=100),
        long=Stage(seconds=80),
        after=Stage(seconds=30),
    )
    assert longest_chains(scheduler.pipeline, scheduler.board) == {"short": 100, "long": 110, "after": 30}
    scheduler.run()
    assert [order.job for order in scheduler.pool.orders] == ["long", "short", "after"]


def starts(scheduler):
    """Run it, and return the jobs in the order in which they were started."""
    scheduler.run()
    return [order.job for order in scheduler.pool.orders]


def test_what_is_ranked_first_starts_first_with_all_that_it_needs(schedule):
    edges = {"data": [], "long": ["data"], "longer": ["long"], "book": ["data"], "wanted": ["book"], "other": ["data"]}
    scheduler = schedule(edges=edges, slots=1)
    assert starts(scheduler)[:2] == ["data", "long"], "without ranks, the longest chain"
    scheduler = schedule(edges=edges, slots=1)
    scheduler.options = dataclasses.replace(scheduler.options, ranks={"wanted": 0, "other": 1})
    scheduler.__post_init__()
    assert starts(scheduler) == ["data", "book", "wanted", "other", "long", "longer"]


def on_cards(scheduler, places, takes, room):
    """Let slots be on GPUs; return what ran together on each, round by round, as the scheduler shows it."""
    scheduler.options = dataclasses.replace(scheduler.options, slots=tuple(places), takes=takes, room=room)
    seen = []

    def show():
        for place in set(places):
            at_work = {a.job.name for a in scheduler.active.values() if places[a.slot] == place}
            seen.append((place, at_work))

    scheduler.show = show
    return seen


def test_jobs_share_a_card_as_far_as_its_memory_goes(schedule):
    takes = {"a": 6.0, "b": 5.0, "c": 5.0, "huge": 99.0}
    edges = {name: [] for name in (*takes, "light")}
    scheduler = schedule(edges=edges, slots=3)
    seen = on_cards(scheduler, "000", takes, {"0": 10.0})
    scheduler.run()
    assert {*states(scheduler).values()} == {"done"}, "what is larger than the card runs alone"
    assert all(sum(takes.get(name, 0.0) for name in names) <= 10 or "huge" in names for _, names in seen)
    assert any({"b", "c"} <= names for _, names in seen)
    assert all(names <= {"huge", "light"} for _, names in seen if "huge" in names)


def test_on_a_card_of_unknown_memory_jobs_that_take_some_are_alone(schedule):
    """Such as a part of a GPU, of which the driver tells nothing."""
    scheduler = schedule(edges={name: [] for name in "abcd"}, slots=4)
    seen = on_cards(scheduler, ("0", "0", "MIG-x", "MIG-x"), dict.fromkeys("abcd", 3.0), {"0": 10.0})
    scheduler.run()
    assert max(len(names) for place, names in seen if place == "MIG-x") == 1
    assert max(len(names) for place, names in seen if place == "0") == 2


def test_small_jobs_do_not_keep_a_large_one_waiting(schedule):
    takes = {"first": 5.0, "large": 9.0, "small": 1.0}
    scheduler = schedule(edges={name: [] for name in (*takes, "light")}, slots=4)
    seen = on_cards(scheduler, "0000", takes, {"0": 10.0})
    assert starts(scheduler) == ["first", "light", "large", "small"]
    assert ("0", {"first", "light"}) in seen


def test_cards_fill_evenly(schedule):
    scheduler = schedule(edges={name: [] for name in "abcd"}, slots=4)
    seen = on_cards(scheduler, "0101", dict.fromkeys("abcd", 3.0), {"0": 10.0, "1": 10.0})
    scheduler.run()
    assert seen[:2] == [("0", {"a", "c"}), ("1", {"b", "d"})] or seen[:2] == [("1", {"b", "d"}), ("0", {"a", "c"})]


class Crowded(FakePool):
    """A job fails for want of memory while another is on its card."""

    def __init__(self, scheduler):
        super().__init__({})
        self.scheduler = scheduler

    def _tell(self, order, what):
        mine = int(order.clone.name)
        others = [a for a in self.scheduler.active.values() if a.slot != mine]
        for name in order.stages:
            report(order.events, Event("running", name))
            if name == "b" and others:
                report(order.events, Event("failed", name, code=1, note="torch.OutOfMemoryError: CUDA out of memory."))
                report(order.events, Event("ended", code=1))
                return
            report(order.events, Event("done", name))
        report(order.events, Event("ended"))


def test_without_memory_beside_others_a_job_gets_a_card_to_itself(schedule):
    scheduler = schedule(edges={"a": [], "b": [], "c": []}, slots=2)
    on_cards(scheduler, "00", {}, {})
    scheduler.pool = Crowded(scheduler)
    scheduler.run()
    assert {*states(scheduler).values()} == {"done"}
    assert scheduler.pool.attempts("b") == 2
    alone = schedule({"b": ["broken"]}, edges={"b": []}, slots=2)
    on_cards(alone, "00", {}, {})
    alone.run()
    assert alone.pool.attempts("b") == 1, "on its own it isn't tried again"
