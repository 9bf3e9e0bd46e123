"""A launch from its plan to the head's last `dvc repro`."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError, UsageError
from bench.io.files import replacing
from bench.launch import board as boards
from bench.launch.board import BAD, FINISHED, Board, LaunchDisplay, duration
from bench.launch.clone import lock_of, name_of, snapshot
from bench.launch.job import CloneSource, Held, Holder, JobSpec, hold
from bench.launch.plan import Job, LaunchOptions, LaunchPlan, plan
from bench.launch.pool import open_pool
from bench.launch.preview import Preview, forget
from bench.launch.repro import reproduce
from bench.launch.scheduler import Scheduler
from bench.launch.worker import ENTRIES, GRACE, entry_name, file_name
from bench.repository.lock import cut_short


def launch(options: LaunchOptions) -> None:
    """Run what is out of date, then let the head restore it; BenchError that lists the stages that failed."""
    try:
        with hold(options.root / "runs" / "launch.lock"), _terminable():
            _launch(options)
    except Held as held:
        raise UsageError(
            f"another launch is running on this checkout: {held.holder or 'just starting'}. Wait for it, or end it "
            "with Ctrl-C or kill; this one has changed nothing."
        ) from held


def _launch(options: LaunchOptions) -> None:
    before = boards.load(options.folder / "state.json")
    _end_earlier_jobs(options, before)
    for path in cut_short(options.root, (options.root / options.file).with_name("dvc.lock")):
        path.unlink()
        print(f"removed {path.relative_to(options.root)}, which a kill had cut short: DVC goes on without it")
    todo = plan(options)
    commit = snapshot(options.root, todo.edits)
    identifier = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.getpid()}"
    folder = options.folder / identifier
    folder.mkdir(parents=True)
    names = [name for name in todo.reasons if name not in todo.at_head]
    stages = dict(boards.resume(before, commit, names))
    board = Board(identifier, commit, options.executor, stages, clones=str(_clones(options)))
    start = time.monotonic()
    preview = _preview(todo, board, folder) if options.partial else None
    if preview:
        forget(options.root, todo.pipeline, board.having(FINISHED))
    if names:
        _run_jobs(todo, board, folder, preview)
    if preview:
        preview.finish()
    _conclude(todo, board, folder, time.monotonic() - start)


def _clones(options: LaunchOptions) -> Path:
    return options.clones or options.folder / "clones"


def _preview(todo: LaunchPlan, board: Board, folder: Path) -> Preview:
    options, stages = todo.options, todo.pipeline.stages

    def take(names: Iterable[str]) -> None:
        # Of all launches: what one that was killed had finished lies in its own folder.
        events = sorted(options.folder.glob("*/events"))
        take_over(options.root, options.file, {name: stages[name].address for name in names}, *events)

    params = Path(options.file).with_name("params.yaml")
    return Preview(options.root, params, board, take, folder / "logs" / "report.log")


def _run_jobs(todo: LaunchPlan, board: Board, folder: Path, preview: Preview | None) -> None:
    options, lock = todo.options, Path(todo.options.file).with_name("dvc.lock")
    if (options.root / lock).exists():
        shutil.copyfile(options.root / lock, folder / "dvc.lock")  # all workers start from the same one
    source = CloneSource(
        root=options.root,
        commit=board.commit,
        file=options.file,
        lock=folder / "dvc.lock",
        cache=_clones(options) / "cache" if options.push else Path(todo.pipeline.cache),
        remotes=dict(todo.pipeline.remotes),
        links=todo.links,
    )

    def specify(job: Job, left: list[str], slot: int, attempt: int) -> JobSpec:
        stages = todo.pipeline.stages
        needed = {*left, *todo.pipeline.ancestors(left)}
        return JobSpec(
            job=job.name,
            stages={name: stages[name].address for name in left},
            source=source,
            clone=_clones(options) / name_of(options.root, options.profile, slot),
            events=folder / "events" / f"{file_name(job.name)}.{attempt}.jsonl",
            logs=folder / "logs",
            recorded=frozenset(entry_name(stages[name].address) for name in needed),
            gpus=options.slots[slot],
            processes=options.processes,
            pull=options.pull or options.push,
            push=options.push,
        )

    pool = open_pool(options.executor, folder / "submitit", options.needs)
    print(todo.lines()[0] + f"; logs: {(folder / 'logs').relative_to(options.root)}", flush=True)
    save = partial(board.save, options.folder / "state.json")
    with LaunchDisplay(board, len(options.slots)) as display:

        def show() -> None:
            display.show()
            if preview:
                preview.look()

        try:
            Scheduler(todo.pipeline, todo.jobs, board, pool, options, specify, show, save).run()
        except BaseException:
            if preview:
                preview.stop()
            raise


def _conclude(todo: LaunchPlan, board: Board, folder: Path, seconds: float) -> None:
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
            print(f"note: the cache lacked the workers' outputs of {', '.join(again)}; the head ran them again")
    page = Path("reports") / options.profile / "index.html"
    if options.partial and not bad and not options.stages and (options.root / page).exists():
        print(f"page of the whole: {page}")
    if finished:
        board.settle()
        board.save(options.folder / "state.json")
    if bad:
        lines = []
        for name in bad:
            lines.append(f"  {name}: {board.stages[name].state}, {board.stages[name].note}")
            log = folder / "logs" / f"{file_name(name)}.log"
            if log.exists():
                lines.append(f"    log: {log.relative_to(options.root)}")
        raise BenchError("\n".join([f"{len(bad)} stages aren't done; launch again to go on:", *lines]))


def take_over(root: Path, file: str, addresses: Mapping[str, str], *events: Path) -> None:
    """Record stages (name -> address) that jobs have finished, and check their outputs out of the shared cache.

    The entries are those that workers left in the folders of events, the latest of each stage. DVC rewrites its whole
    dvc.lock for each stage that it restores, which takes longer the more stages there are; so all are written at one
    go, and `dvc repro` then finds these stages up to date. It restores whatever is missing here, also if this fails.
    """
    entries: dict[str, Any] = {}
    left = [path for folder in events for path in folder.glob(f"*{ENTRIES}")]
    for path in sorted(left, key=lambda path: path.stat().st_mtime):
        with suppress(OSError, ValueError):  # of a worker that was killed
            found = json.loads(path.read_text(encoding="utf-8"))
            entries |= {name: entry for name, entry in found.items() if name in addresses}
    if not entries:
        return
    from dvc.utils.serialize import modify_yaml

    lock = (root / file).with_name("dvc.lock")
    with replacing(lock) as part:  # DVC empties a file before it writes it, and a kill may come between
        if lock.exists():
            shutil.copyfile(lock, part)
        with modify_yaml(str(part)) as content:
            content.setdefault("schema", "2.0")
            stages = content.setdefault("stages", {})
            stages.update({entry_name(addresses[name]): entry for name, entry in entries.items()})
    command = [sys.executable, "-m", "dvc", "checkout", "--quiet", "--force", *(addresses[name] for name in entries)]
    subprocess.run(command, cwd=root, capture_output=True, check=False)


def _end_earlier_jobs(options: LaunchOptions, before: Board | None) -> None:
    """End the jobs of a launch that was killed, so that nothing runs twice: those it recorded, and all in clones."""
    if before and before.executor == "slurm":
        end_slurm_jobs(before.jobs)
    folders = {_clones(options), *([Path(before.clones)] if before and before.clones else [])}
    pattern = lock_of(Path(name_of(options.root, options.profile, "*"))).name
    for holder in end_workers(sorted(path for folder in folders for path in folder.glob(pattern))):
        print(f"ended {holder}, a worker of an earlier launch whose head was gone")


def end_slurm_jobs(identifiers: Collection[str]) -> None:
    """Cancel jobs of Slurm by their numbers, which it doesn't reuse; those that have ended don't mind."""
    if identifiers and shutil.which("scancel"):
        subprocess.run(["scancel", *identifiers], capture_output=True, check=False)


def end_workers(locks: Iterable[Path]) -> list[Holder]:
    """End workers that still hold one of the lock files, and return them.

    They get SIGTERM, so that a training saves its state; UsageError for one on another machine that doesn't go away.
    """
    ended = []
    for path in locks:
        holder = _holder(path)
        if holder is None:
            continue
        ended.append(holder)
        local = holder.host == socket.gethostname()
        deadline = time.monotonic() + GRACE + 5
        while _holder(path) == holder and time.monotonic() < deadline:
            if local:
                with suppress(ProcessLookupError):
                    os.killpg(holder.process, signal.SIGTERM)
            time.sleep(0.5)
        if local and _holder(path) == holder:
            with suppress(ProcessLookupError):
                os.killpg(holder.process, signal.SIGKILL)
        elif _holder(path) == holder:
            raise UsageError(f"a worker of an earlier launch is still at work: {holder}. End it, then launch again.")
    return ended


def _holder(path: Path) -> Holder | None:
    try:
        with hold(path):
            return None
    except Held as held:
        return held.holder


@contextmanager
def _terminable() -> Iterator[None]:
    """Handle SIGTERM, and SIGHUP of a closed terminal, like Ctrl-C; not a signal that is ignored, as by nohup."""
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
