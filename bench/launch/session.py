"""A launch from its plan to the head's last `dvc repro`."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.core.errors import BenchError, UsageError
from bench.launch import board as boards
from bench.launch import recovery
from bench.launch.board import BAD, FINISHED, Board
from bench.launch.checkout import snapshot
from bench.launch.clone import lock_of, name_of
from bench.launch.display import Display, duration
from bench.launch.grouping import Job
from bench.launch.head import reproduce
from bench.launch.lock import Held, hold
from bench.launch.order import Order, Source
from bench.launch.plan import Options, Plan, plan
from bench.launch.pool import open_pool
from bench.launch.scheduler import Policy, Scheduler
from bench.launch.takeover import recorded_as, take_over
from bench.launch.worker import file_name
from bench.repository.lock import cut_short


def launch(options: Options) -> None:
    """Run what is out of date, then let the head restore it; BenchError that lists the stages that failed."""
    lock = options.root / "runs" / "launch.lock"
    try:
        with hold(lock), _terminable():
            _launch(options)
    except Held as held:
        raise UsageError(
            f"another launch is running on this checkout: {held.holder or 'just starting'}. Wait for it, or end it "
            "with Ctrl-C or kill; this one has changed nothing."
        ) from held


def _launch(options: Options) -> None:
    before = boards.load(options.folder / "state.json")
    _recover(options, before)
    lock = (options.root / options.file).with_name("dvc.lock")
    for path in cut_short(options.root, lock):
        path.unlink()
        print(f"removed {path.relative_to(options.root)}, which a kill had cut short: DVC goes on without it")
    todo = plan(options)
    state = snapshot(options.root, todo.edits)
    identifier = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.getpid()}"
    folder = options.folder / identifier
    folder.mkdir(parents=True)
    mine = [name for name in todo.reasons if name not in todo.at_head]
    cards = dict(boards.resume(before, state, mine))
    board = Board(identifier, state, options.executor, cards, clones=str(_clones(options)))
    start = time.monotonic()
    if mine:
        _work(todo, board, folder)
    _conclude(todo, board, folder, time.monotonic() - start)


def _recover(options: Options, before: Board | None) -> None:
    """End what a killed launch left at work: jobs of Slurm that it recorded, and whoever is in one of the clones."""
    if before and before.executor == "slurm":
        recovery.end_slurm_jobs(before.jobs)
    folders = {_clones(options), *([Path(before.clones)] if before and before.clones else [])}
    mine = lock_of(Path(name_of(options.root, options.profile, "*"))).name
    for holder in recovery.end_workers(sorted(path for folder in folders for path in folder.glob(mine))):
        print(f"ended {holder}, a worker of an earlier launch whose head was gone")


def _clones(options: Options) -> Path:
    return options.clones or options.folder / "clones"


def _work(todo: Plan, board: Board, folder: Path) -> None:
    options = todo.options
    display = Display(board, len(options.slots))
    source = _source(todo, board.commit, folder)
    scheduler = Scheduler(
        pipeline=todo.pipeline,
        jobs=todo.jobs,
        board=board,
        pool=open_pool(options.executor, folder / "submitit", options.needs),
        policy=Policy(len(options.slots), options.retries, options.backoff, options.poll),
        order=lambda job, left, slot, attempt: _order(todo, source, folder, job, left, slot, attempt),
        show=display.show,
        save=lambda: board.save(options.folder / "state.json"),
    )
    print(todo.lines()[0] + f"; logs: {(folder / 'logs').relative_to(options.root)}")
    scheduler.run()


def _source(todo: Plan, state: str, folder: Path) -> Source:
    """Describe the clones; the lock file is copied, so that all workers start from the same one."""
    options, lock = todo.options, Path(todo.options.file).with_name("dvc.lock")
    if (options.root / lock).exists():
        shutil.copyfile(options.root / lock, folder / "dvc.lock")
    cache = _clones(options) / "cache" if options.push else Path(todo.pipeline.cache)
    return Source(
        options.root, state, options.file, folder / "dvc.lock", cache, dict(todo.pipeline.remotes), todo.links
    )


def _order(todo: Plan, source: Source, folder: Path, job: Job, left: list[str], slot: int, attempt: int) -> Order:
    options = todo.options
    needed = {*left, *todo.pipeline.ancestors(left)}
    return Order(
        job=job.name,
        stages={name: todo.pipeline.stages[name].address for name in left},
        source=source,
        clone=_clones(options) / name_of(options.root, options.profile, slot),
        events=folder / "events" / f"{file_name(job.name)}.{attempt}.jsonl",
        logs=folder / "logs",
        recorded=frozenset(recorded_as(todo.pipeline.stages[name].address) for name in needed),
        gpus=options.slots[slot],
        processes=options.processes,
        pull=options.pull or options.push,
        push=options.push,
    )


def _conclude(todo: Plan, board: Board, folder: Path, seconds: float) -> None:
    """Let the head restore what is finished; without failures that is the whole pipeline."""
    options, stages = todo.options, todo.pipeline.stages
    bad, finished = board.having(BAD), board.having(FINISHED)
    targets = [stages[name].address for name in finished] if bad else todo.targets
    if targets:
        if not (options.pull or options.push):
            take_over(options.root, options.file, {name: stages[name].address for name in finished}, folder / "events")
        result = reproduce(options.root, targets, options.pull or options.push, folder / "logs" / "head.log")
        ran = ", ".join(result.ran) or "none"
        print(f"workers: {duration(seconds)}; head: {len(result.restored)} stages restored or up to date, run: {ran}")
        again = sorted({stages[name].address for name in finished} & set(result.ran))
        if again:
            print(f"note: the cache lacked what workers had made of {', '.join(again)}; the head ran them again")
    if finished:
        board.settle()
        board.save(options.folder / "state.json")
    if bad:
        lines = []
        for name in bad:
            lines.append(f"  {name}: {board.cards[name].state}, {board.cards[name].note}")
            log = folder / "logs" / f"{file_name(name)}.log"
            if log.exists():
                lines.append(f"    log: {log.relative_to(options.root)}")
        raise BenchError("\n".join([f"{len(bad)} stages aren't done; launch again to go on:", *lines]))


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP, as a closed terminal sends, do what Ctrl-C does; not one that is ignored, as by nohup."""
    numbers = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) != signal.SIG_IGN]

    def interrupt(number: int, frame: object) -> None:
        for each in numbers:  # kernel and shell both send SIGHUP: the second mustn't disturb the end of the jobs
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
