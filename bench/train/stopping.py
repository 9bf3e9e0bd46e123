"""When a training ends before its last step: its time is up, or the machine is wanted back."""

import signal
import threading
import time
from types import FrameType, TracebackType


class Stop:
    """Hears SIGTERM (as Slurm sends before it takes a machine back) and watches the clock, within a `with` block."""

    def __init__(self, deadline: float | None) -> None:
        """`deadline` is a reading of `time.monotonic`, or None."""
        self.deadline, self.terminated = deadline, False

    def __enter__(self) -> "Stop":
        # Python lets the main thread alone set handlers; elsewhere SIGTERM ends the process, as it would anyway.
        self.main = threading.current_thread() is threading.main_thread()
        if self.main:
            self.before = signal.signal(signal.SIGTERM, self._hear)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.main:
            signal.signal(signal.SIGTERM, self.before)

    def due(self) -> bool:
        """Whether to save and end after the step at hand."""
        return self.terminated or (self.deadline is not None and time.monotonic() >= self.deadline)

    def reason(self) -> str:
        """Say why, for a sentence."""
        return "its time is up" if not self.terminated else "it was asked to end (SIGTERM)"

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.terminated = True


def ignore_sigterm(worker: int) -> None:
    """Let a process that cuts patches outlive SIGTERM sent to all: it ends with the training that it works for."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
