"""What a kill left behind: jobs that still run are ended, lest anything is done twice."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from bench.core.errors import UsageError
from bench.launch.lock import Held, Holder, hold
from bench.launch.worker import GRACE


def end_slurm_jobs(identifiers: Iterable[str]) -> None:
    """Cancel jobs of Slurm by their numbers, which it doesn't use twice; those that have ended don't mind."""
    if identifiers and shutil.which("scancel"):
        subprocess.run(["scancel", *identifiers], capture_output=True, check=False)


def end_workers(locks: Iterable[Path]) -> list[Holder]:
    """End workers that still hold one of the locks, and return which they were.

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
                _signal(holder.process, signal.SIGTERM)
            time.sleep(0.5)
        if local and _holder(path) == holder:
            _signal(holder.process, signal.SIGKILL)
        elif _holder(path) == holder:
            raise UsageError(f"a worker of an earlier launch is still at work: {holder}. End it, then launch again.")
    return ended


def _signal(group: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def _holder(path: Path) -> Holder | None:
    try:
        with hold(path):
            return None
    except Held as held:
        return held.holder
