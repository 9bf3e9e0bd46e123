"""One job at a worker: `dvc repro` of its stages in a clone, told to the head as it happens.

This module runs on other machines, in a process of its own that submitit starts.
"""

import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TextIO

from bench.launch.clone import lock_of, refresh
from bench.launch.events import Event, What, Writer
from bench.launch.lock import Held, hold
from bench.launch.messages import Message, understand
from bench.launch.order import PROCESSES, Order
from bench.launch.takeover import leave

GRACE = 25
"""Seconds that a stage has to save its state once it is asked to end; then it is killed."""

TRANSIENT_CODES = frozenset({75, 137, 143, -signal.SIGKILL, -signal.SIGTERM})
"""Exit codes of a stage that may do better next time: time is up (75), killed or ended from outside."""


def work(order: Order) -> None:
    """Do the job; whatever happens is told in its file of events."""
    writer = Writer(order.events)
    _lead_group()
    writer.write(Event("started", note=socket.gethostname(), process=os.getpid()))
    ending = Ending()
    ending.hear()
    try:
        with hold(lock_of(order.clone)):
            refresh(order.clone, order.source, order.recorded)
            run = Run(order, writer, ending)
            code, note, transient = run.repro()
            leave((order.clone / order.source.file).with_name("dvc.lock"), run.made, order.events)
            if order.push:
                pushed = _push(order)
                code, note, transient = (code, note, transient) if pushed is None else (1, pushed, True)
    except Held as error:
        code, note, transient = 1, str(error), True
    except Exception as error:  # whatever it is, the head shall hear of it
        code, note, transient = 1, f"{type(error).__name__}: {error}", False
    if ending.signal is not None:
        note, transient = f"asked to end by {ending.signal.name}", True
    writer.write(Event("ended", code=code, note=note, transient=transient))


def environment(base: Mapping[str, str], gpus: str | None = None, processes: int = 1) -> dict[str, str]:
    """Return the environment of a `dvc repro`: this Python first, the slot's GPUs, and how many processes train."""
    result = {key: value for key, value in base.items() if not key.startswith("SUBMITIT_")}
    result["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), base.get("PATH", os.defpath)])
    if gpus is not None:
        result["CUDA_VISIBLE_DEVICES"] = gpus
    if processes > 1:
        result[PROCESSES] = str(processes)
    return result


def _lead_group() -> None:
    # A group of its own, so that all that the job starts can be ended together. Slurm has made one already.
    if os.getpgrp() != os.getpid():
        with suppress(PermissionError):
            os.setpgid(0, 0)


class Ending:
    """Hears that the job shall end, and passes it on to all processes of the job."""

    def __init__(self) -> None:
        """Begin with nothing heard."""
        self.signal: signal.Signals | None = None

    def hear(self) -> None:
        """Listen: SIGTERM ends jobs, and SIGUSR2 is what submitit has sent shortly before their time is up."""
        for number in (signal.SIGTERM, signal.SIGUSR2):
            signal.signal(number, self._end)
        signal.signal(signal.SIGALRM, self._kill)

    def _end(self, number: int, _: FrameType | None) -> None:
        if self.signal is None:
            self.signal = signal.Signals(number)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the next line reaches this process, too
            os.killpg(os.getpgrp(), signal.SIGTERM)
            signal.alarm(GRACE)

    def _kill(self, number: int, _: FrameType | None) -> None:
        os.killpg(os.getpgrp(), signal.SIGKILL)


class Run:
    """One `dvc repro`, followed line by line: events for the head, and a log for each stage."""

    def __init__(self, order: Order, writer: Writer, ending: Ending) -> None:
        """Take the order, where events go, and what hears that the job shall end."""
        self.order, self.writer, self.ending = order, writer, ending
        self.names = {address: name for name, address in order.stages.items()}
        self.current = ""
        self.began: list[str] = []
        self.settled: set[str] = set()
        self.made: dict[str, str] = {}
        self.note, self.busy, self.named = "", False, False

    def repro(self) -> tuple[int, str, bool]:
        """Run it; return its exit code, what went wrong, and whether that may be gone at the next attempt."""
        log = self.order.logs / f"{file_name(self.order.job)}.job.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as self.log:
            environ = environment(os.environ, self.order.gpus, self.order.processes)
            code = follow(self._command(), self.order.clone, environ, self._hear)
        if code == 0 or self.named:
            # DVC names all that failed at its end. A stage that made what the lock file holds already isn't recorded.
            for name in self.began:
                self._settle("done", name)
        return code, "" if code == 0 else self.note, self.busy

    def _command(self) -> list[str]:
        pull = ["--pull"] if self.order.pull else []
        return [sys.executable, "-m", "dvc", "repro", "--keep-going", *pull, *self.order.stages.values()]

    def _hear(self, line: str) -> None:
        message = understand(line)
        if message is not None:
            self._take(message, line)
        elif line.strip():
            self.note = line.strip()
        self.log.write(line)
        self.log.flush()
        if self.current:
            self._append(self.current, line)

    def _take(self, message: Message, line: str) -> None:
        if message.kind in ("running", "restored"):
            self.current = self.names.get(message.stages[0], "")
            if message.kind == "running":
                self.began.append(self.current)
                self._tell("running", self.current)
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

    def _settle(self, what: What, name: str, code: int = 0, note: str = "", transient: bool = False) -> None:
        if name and name not in self.settled:
            self.settled.add(name)
            if what != "failed":
                self.made[name] = self.order.stages[name]
            self._tell(what, name, code, note, transient)

    def _tell(self, what: What, name: str, code: int = 0, note: str = "", transient: bool = False) -> None:
        if name:
            self.writer.write(Event(what, name, code=code, note=note, transient=transient))

    def _append(self, name: str, line: str) -> None:
        with (self.order.logs / f"{file_name(name)}.log").open("a", encoding="utf-8") as file:
            file.write(line)


def follow(command: list[str], folder: Path, environ: Mapping[str, str], hear: Callable[[str], None]) -> int:
    """Run a command in a folder, pass each line of its output on, and return its exit code."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        output: TextIO = process.stdout  # type: ignore[assignment]
        try:
            for line in output:
                hear(line)
        except BaseException:  # an interrupt, or a full disk: without its reader the command mustn't go on
            process.terminate()
            process.wait()
            raise
    return process.returncode


def file_name(stage: str) -> str:
    """Return the name of a stage's log without its ending."""
    return stage.replace("/", "_").replace(":", "_")


def _push(order: Order) -> str | None:
    """Send what the clone's cache holds to the default remote; return what went wrong, if anything did."""
    said: list[str] = []
    command = [sys.executable, "-m", "dvc", "push", "--quiet", "--run-cache", *order.stages.values()]
    code = follow(command, order.clone, environment(os.environ, order.gpus, order.processes), said.append)
    words = " ".join(line.strip() for line in said[-3:])
    return None if code == 0 else f"{shlex.join(command[2:5])} ended with {code}: {words}"
