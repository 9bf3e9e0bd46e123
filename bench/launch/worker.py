"""One job at a worker: `dvc repro` of its stages in a clone, reported to the head as it happens.

This module runs on other machines, in a process of its own that submitit starts.
"""

import json
import os
import shlex
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType

from bench.core.errors import UsageError
from bench.io.files import replacing
from bench.launch.clone import lock_of, refresh
from bench.launch.job import Event, EventKind, Held, JobSpec, hold, report
from bench.launch.repro import Message, environment, follow, parse
from bench.repository.lock import stages

GRACE = 25
"""Seconds in which a stage can save its state once it is asked to end; then it is killed."""

TRANSIENT_CODES = frozenset({75, 137, 143, -signal.SIGKILL, -signal.SIGTERM})
"""Exit codes of a stage that another attempt may cure: time is up (75), killed or ended from outside."""

ENTRIES = ".lock.json"
"""Ending of the file beside a job's events with the entries of dvc.lock that the job made."""


def work(spec: JobSpec) -> None:
    """Do the job; all that happens is written to its file of events."""
    # A process group of its own, so that all that the job starts can be ended together. Slurm has made one already.
    if os.getpgrp() != os.getpid():
        with suppress(PermissionError):
            os.setpgid(0, 0)
    report(spec.events, Event("started", note=socket.gethostname(), process=os.getpid()))
    ending = Ending()
    ending.listen()
    try:
        with hold(lock_of(spec.clone)):
            refresh(spec.clone, spec.source, spec.recorded)
            repro = JobRepro(spec, ending)
            code, note, transient = repro.run()
            write_entries((spec.clone / spec.source.file).with_name("dvc.lock"), repro.made, spec.events)
            if spec.push:
                problem = _push(spec)
                code, note, transient = (code, note, transient) if problem is None else (1, problem, True)
    except Held as error:
        code, note, transient = 1, str(error), True
    except Exception as error:  # the head must learn of any failure
        code, note, transient = 1, f"{type(error).__name__}: {error}", False
    if ending.signal is not None:
        note, transient = f"asked to end by {ending.signal.name}", True
    report(spec.events, Event("ended", code=code, note=note, transient=transient))


class Ending:
    """Waits for the signal to end, and passes it on to all processes of the job."""

    def __init__(self) -> None:
        """Begin without a signal."""
        self.signal: signal.Signals | None = None

    def listen(self) -> None:
        """Install the handlers: SIGTERM ends jobs, and submitit has SIGUSR2 sent shortly before their time is up."""
        for number in (signal.SIGTERM, signal.SIGUSR2):
            signal.signal(number, self._end)
        signal.signal(signal.SIGALRM, lambda number, frame: os.killpg(os.getpgrp(), signal.SIGKILL))

    def _end(self, number: int, _: FrameType | None) -> None:
        if self.signal is None:
            self.signal = signal.Signals(number)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the next line reaches this process, too
            os.killpg(os.getpgrp(), signal.SIGTERM)
            signal.alarm(GRACE)


class JobRepro:
    """The job's `dvc repro`: turns its output into events for the head and a log for each stage.

    made : stages (name -> address) that were made or restored.
    """

    def __init__(self, spec: JobSpec, ending: Ending) -> None:
        """Prepare to run `spec`; `ending` knows of a signal to end."""
        self.spec, self.ending = spec, ending
        self.names = {address: name for name, address in spec.stages.items()}
        self.current = ""
        self.began: list[str] = []
        self.settled: set[str] = set()
        self.made: dict[str, str] = {}
        self.note, self.busy, self.named = "", False, False

    def run(self) -> tuple[int, str, bool]:
        """Run it; return its exit code, what went wrong, and whether another attempt may succeed."""
        log = self.spec.logs / f"{file_name(self.spec.job)}.job.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as self.log:
            environ = environment(os.environ, self.spec.gpus, self.spec.processes)
            code = follow(self._command(), self.spec.clone, environ, self._hear)
        if code == 0 or self.named:
            # DVC names all that failed at its end. A stage that made what dvc.lock holds already isn't recorded anew.
            for name in self.began:
                self._settle("done", name)
        return code, "" if code == 0 else self.note, self.busy

    def _command(self) -> list[str]:
        pull = ["--pull"] if self.spec.pull else []
        return [sys.executable, "-m", "dvc", "repro", "--keep-going", *pull, *self.spec.stages.values()]

    def _hear(self, line: str) -> None:
        message = parse(line)
        if message is not None:
            self._take(message, line)
        elif line.strip():
            self.note = line.strip()
        self.log.write(line)
        self.log.flush()
        if self.current:
            with (self.spec.logs / f"{file_name(self.current)}.log").open("a", encoding="utf-8") as file:
                file.write(line)

    def _take(self, message: Message, line: str) -> None:
        if message.kind in ("running", "restored"):
            self.current = self.names.get(message.stages[0], "")
            if message.kind == "running":
                self.began.append(self.current)
                self._report("running", self.current)
            else:
                self._settle("restored", self.current)
        elif message.kind == "recorded":
            self._settle("done", self.current)
        elif message.kind == "exited":
            transient = self.ending.signal is not None or message.code in TRANSIENT_CODES
            self._settle("failed", self.current, message.code, self.note, transient)
        elif message.kind == "busy":
            self.busy, self.note = True, line.strip()
        else:
            self.named = True
            for address in message.stages:
                self._settle("failed", self.names.get(address, ""), 1, self.note, self.busy)

    def _settle(self, kind: EventKind, name: str, code: int = 0, note: str = "", transient: bool = False) -> None:
        if name and name not in self.settled:
            self.settled.add(name)
            if kind != "failed":
                self.made[name] = self.spec.stages[name]
            self._report(kind, name, code, note, transient)

    def _report(self, kind: EventKind, name: str, code: int = 0, note: str = "", transient: bool = False) -> None:
        if name:  # stages of other jobs are upstream of this one; DVC names them, too
            report(self.spec.events, Event(kind, name, code=code, note=note, transient=transient))


def file_name(stage: str) -> str:
    """Return the name of a stage's log without its ending."""
    return stage.replace("/", "_").replace(":", "_")


def entry_name(address: str) -> str:
    """Return a stage's name in its dvc.lock: `train@a` of `profiles/smoke/dvc.yaml:train@a`."""
    return address.rpartition(":")[2]


def write_entries(lock: Path, addresses: Mapping[str, str], events: Path) -> None:
    """Write beside a job's events what a clone's dvc.lock holds of stages (name -> address)."""
    if not lock.exists():
        return
    with suppress(UsageError):  # a damaged one doesn't fail the job: the head restores from the cache
        entries = stages(lock.read_bytes(), str(lock))
        found = {name: entries[key] for name, address in addresses.items() if (key := entry_name(address)) in entries}
        with replacing(events.with_name(events.name + ENTRIES)) as part:
            part.write_text(json.dumps(found), encoding="utf-8")  # in the order that DVC gives the keys


def _push(spec: JobSpec) -> str | None:
    """Send what the clone's cache holds to the default remote; return what went wrong, None if nothing did."""
    said: list[str] = []
    command = [sys.executable, "-m", "dvc", "push", "--quiet", "--run-cache", *spec.stages.values()]
    code = follow(command, spec.clone, environment(os.environ, spec.gpus, spec.processes), said.append)
    words = " ".join(line.strip() for line in said[-3:])
    return None if code == 0 else f"{shlex.join(command[2:5])} ended with {code}: {words}"
