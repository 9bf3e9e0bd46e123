"""Partial reports while a launch goes on: what its jobs have finished is taken over, and drawn in the background."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path
from threading import Thread

from bench.launch.board import FINISHED, Board
from bench.launch.graph import Pipeline

EVALUATED = "evaluate@"
"""How the names of stages begin whose results make a new report."""


class Preview:
    """Draws a partial report when something was evaluated, one at a time, in a thread: jobs don't wait for it.

    A report that fails stops nothing; a line says so, and where its log is.
    """

    def __init__(
        self, root: Path, params: Path, board: Board, take: Callable[[Iterable[str]], None], log: Path
    ) -> None:
        """Draw the report of the parameter file `params`; `take` brings finished stages here, by their names."""
        self.root, self.params, self.board, self.take, self.log = root, params, board, take, log
        self.shown: set[str] = set()
        self.taken: set[str] = set()
        self.drawn = False
        self.thread: Thread | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def look(self) -> None:
        """Begin a report if something was evaluated since the last one, and none is being drawn."""
        if not (self.thread and self.thread.is_alive()) and self._new():
            self.thread = Thread(target=self._draw, daemon=True)
            self.thread.start()

    def finish(self) -> None:
        """Wait for the report that is being drawn, and draw a last one if there is more to show or that one failed."""
        if self.thread:
            self.thread.join()
        if self._new() or not self.drawn:
            self._draw()

    def stop(self) -> None:
        """End the report that is being drawn."""
        if self.process:
            with suppress(ProcessLookupError):
                self.process.terminate()
        if self.thread:
            self.thread.join()

    def _finished(self) -> list[str]:
        """Return the finished stages of jobs that have ended: only then do they leave what they recorded."""
        return [name for name in self.board.having(FINISHED) if self.board.stages[name].job not in self.board.jobs]

    def _new(self) -> set[str]:
        return {name for name in self._finished() if name.startswith(EVALUATED)} - self.shown

    def _draw(self) -> None:
        finished = self._finished()  # once: of what ends meanwhile nothing is taken over yet
        new = [name for name in finished if name not in self.taken]
        self.shown.update(name for name in finished if name.startswith(EVALUATED))
        self.log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "bench", "--params", str(self.params), "report", "--partial"]
        try:
            self.take(new)
            self.taken.update(new)
            with self.log.open("wb") as log:
                self.process = subprocess.Popen(command, cwd=self.root, stdout=log, stderr=subprocess.STDOUT)
                code = self.process.wait()
            said = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["it said nothing"]
        except Exception as error:  # whatever it is, trainings go on
            code, said = 1, [f"{type(error).__name__}: {error}"]
        self.drawn = code == 0
        print(f"partial report: {said[-1] if code == 0 else f'failed ({said[-1]}); log: {self.log}'}", flush=True)


def forget(root: Path, pipeline: Pipeline, finished: Collection[str]) -> None:
    """Remove predictions and scores that are out of date: a partial report would show them as measured.

    finished : stages that earlier launches have done; what they made is only to be taken over.

    So it is with stages that this launch leaves out. DVC's cache keeps what is removed. Of trainings nothing is: what
    was trained by hand may lie nowhere else.
    """
    for name in pipeline.out_of_date({*pipeline.stages}).keys() - finished:
        for out in pipeline.stages[name].outs if name.startswith(EVALUATED) else ():
            path = root / out
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
