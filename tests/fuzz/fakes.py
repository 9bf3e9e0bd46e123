"""Readers that misbehave in one way each, to see whether the attack notices; a program like `attack.py`."""

import ctypes
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[2])

from bench.core.errors import BenchError, UsageError  # noqa: E402
from tests.fuzz import attack  # noqa: E402
from tests.fuzz.attack import BLOW_UP, FOREIGN, HANG, READ, SENTENCE, TRACEBACK  # noqa: E402

MEGABYTE = 1 << 20


def fails(error: BaseException) -> Any:
    raise error


def grow() -> None:
    held = []
    while True:
        held.append(b"x" * MEGABYTE)


def wait() -> None:
    while True:
        time.sleep(1)


@dataclass(frozen=True)
class Fake:
    """Two cases: the first misbehaves, the second is read."""

    name: str
    first: Callable[[], object]
    expected: str
    prints: bool = False
    cases: int | None = 2

    def begin(self, place: Path) -> None:
        (place / "file").write_text(self.name, encoding="utf-8")

    def act(self, number: int, seed: int, place: Path) -> Iterable[str]:
        said = None if number else self.first()
        return said if isinstance(said, list) else ()

    def keep(self, number: int, place: Path, folder: Path) -> str:
        return f"again {self.name}"

    def on(self, content: bytes) -> attack.Attack:
        return self


FAKES = {
    fake.name: fake
    for fake in (
        Fake("reads", lambda: None, READ),
        Fake("refuses", lambda: fails(UsageError("x.exr: damaged. Copy it again.")), SENTENCE),
        Fake("returns-a-sentence", lambda: ["bad: x.exr: damaged."], SENTENCE),
        Fake("prints-its-own", lambda: print("x.exr: 4x4"), READ, prints=True),
        Fake("notes", lambda: print("note: x.exr is large", file=sys.stderr), READ),
        Fake("exit-code-1", lambda: fails(BenchError("x.exr: damaged.")), TRACEBACK),
        Fake("stumbles", lambda: fails(ValueError("not enough values to unpack")), TRACEBACK),
        Fake("leaves", lambda: sys.exit(2), TRACEBACK),
        Fake("is-interrupted", lambda: fails(KeyboardInterrupt()), TRACEBACK),
        Fake("crashes", lambda: os.kill(os.getpid(), signal.SIGSEGV), TRACEBACK),
        Fake("ends", lambda: os._exit(0), TRACEBACK),
        Fake("prints", lambda: print("loading"), FOREIGN),
        Fake("warns", lambda: warnings.warn("corrupt EXIF data", UserWarning, stacklevel=1), FOREIGN),
        Fake("libpng", lambda: os.write(2, b"libpng error: bad CRC\n"), FOREIGN),
        Fake("buffered-in-C", lambda: ctypes.CDLL(None).puts(b"TIFF warning"), FOREIGN, prints=True),
        Fake("two-lines", lambda: fails(UsageError("x\nerror: forged")), FOREIGN),
        Fake("colours", lambda: ["x\x1b[31m.exr: damaged"], FOREIGN),
        Fake("prints-colours", lambda: print("\x1b[31mred"), FOREIGN, prints=True),
        Fake("floods", lambda: ["x" * 5000], FOREIGN),
        Fake("says-nothing", lambda: fails(UsageError("")), FOREIGN),
        Fake("waits", wait, HANG),
        Fake("grows", grow, BLOW_UP),
        Fake("peaks", lambda: len(b"x" * (200 * MEGABYTE)), BLOW_UP),
    )
}

if __name__ == "__main__":
    sys.exit(attack.main(FAKES))
