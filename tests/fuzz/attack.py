"""Mutants for every reader, each read in a process that may take 10 seconds and 1 GB, and say one sentence of ours.

`make fuzz` runs this as a program: it prints a table of readers and outcomes, and keeps each mutant that failed below
work/mutants with the command that reads it again. `test_fuzz.py` runs it with few mutants, always the same.
"""

import argparse
import contextlib
import ctypes
import faulthandler
import gc
import io
import json
import multiprocessing
import os
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy starts threads, which a fork would lose
ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[0] = str(ROOT)
    sys.modules["tests.fuzz.attack"] = sys.modules["__main__"]  # the readers import it by this name

from bench.core import progress  # noqa: E402
from bench.core.errors import BenchError  # noqa: E402
from bench.core.reading import shown  # noqa: E402

KEPT = Path("work/mutants")
"""Folder of the mutants that failed, below the root; git ignores it."""

READ, SENTENCE, TRACEBACK, FOREIGN, HANG, BLOW_UP = "read", "sentence", "traceback", "foreign", "hang", "blow-up"
OUTCOMES = (READ, SENTENCE, TRACEBACK, FOREIGN, HANG, BLOW_UP)
"""How a case may end; the first two are right."""

LONGEST = 3000
"""Characters of a sentence; one that repeats a whole file is none."""


@dataclass(frozen=True)
class Limits:
    """What a case may take: seconds, and bytes of memory beyond what its process had before."""

    seconds: float = 10.0
    growth: int = 1 << 30


@dataclass(frozen=True)
class Result:
    """How one case ended.

    said   : the sentence, or what went wrong in one line.
    detail : the traceback, the foreign lines, or where it hung.
    """

    attack: str
    number: int
    outcome: str
    said: str = ""
    detail: str = ""
    seconds: float = 0.0
    growth: int = 0

    @property
    def failed(self) -> bool:
        """True for all but what is read, and what is refused with a sentence."""
        return self.outcome not in (READ, SENTENCE)


class Attack(Protocol):
    """Numbered cases against one reader.

    name   : small letters and hyphens.
    prints : whether the reader prints lines of its own by Python's print; all else that is printed is foreign.
    cases  : how many cases there are, all of which are done; None for any number.
    """

    name: str
    prints: bool
    cases: int | None

    def begin(self, place: Path) -> None:
        """Put what all cases need into an empty folder, which is the current one from then on."""

    def act(self, number: int, seed: int, place: Path) -> Iterable[str]:
        """Do one case; return what was said besides exceptions, a sentence each."""

    def keep(self, number: int, place: Path, folder: Path) -> str:
        """Copy what a case has just read into another folder, and return the command that does the case again."""

    def on(self, content: bytes) -> "Attack":
        """Return the attack whose case 0 is this file."""


# The worker: it does cases, and tells how they ended.


def _work(
    attack: Attack, numbers: Sequence[int], seed: int, limits: Limits, kept: Path | None, answers: int, folder: Path
) -> None:
    """Do cases one after another and write a line of JSON for each to `answers`, the first when all is ready."""
    with contextlib.suppress(OSError):  # if memory runs out, let it be this process
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    told = os.open(folder / "told", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    for descriptor, target in ((os.open(os.devnull, os.O_RDONLY), 0), (told, 1), (told, 2)):
        os.dup2(descriptor, target)
    sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))  # noqa: SIM115
    hung = (folder / "hung").open("w", encoding="utf-8")
    place = folder / "place"
    place.mkdir()
    os.chdir(place)
    progress.quiet = True
    attack.begin(place)
    base = _memory(os.getpid(), "VmRSS")
    os.write(answers, f"{base}\n".encode())
    for number in numbers:
        os.ftruncate(told, 0)
        with contextlib.suppress(OSError):  # begin the peak anew
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        faulthandler.dump_traceback_later(0.9 * limits.seconds, file=hung)
        start = time.monotonic()
        result = _done(attack, number, seed, place, told)
        taken = time.monotonic() - start
        faulthandler.cancel_dump_traceback_later()
        growth = max(0, _memory(os.getpid(), "VmHWM") - base)
        if growth > limits.growth:
            result = replace(result, outcome=BLOW_UP, said=f"{growth >> 20} MB")
        result = replace(result, seconds=round(taken, 3), growth=growth)
        if result.failed and kept:
            _keep(attack, result, place, kept)
        os.write(answers, (json.dumps(asdict(result)) + "\n").encode())


def _done(attack: Attack, number: int, seed: int, place: Path, told: int) -> Result:
    """Do one case and judge how it ended."""
    result, ours = Result(attack.name, number, READ), io.StringIO()
    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.simplefilter("always")
        for hidden in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", hidden)  # as for whoever types a command
        try:
            with contextlib.redirect_stdout(ours) if attack.prints else contextlib.nullcontext():
                said = list(attack.act(number, seed, place))
        except BenchError as error:
            said = [str(error)]
            if error.exit_code != 2:
                return replace(result, outcome=TRACEBACK, said=f"exit code {error.exit_code}: {error}")
        except BaseException as error:
            whole = "".join(traceback.format_exception(error))
            return replace(result, outcome=TRACEBACK, said=_brief(error), detail=whole[-8000:])
    if said:
        result = replace(result, outcome=SENTENCE, said=said[0])
    if printed := _printed(told):
        first = next(iter(printed.split("\n")), "")
        return replace(result, outcome=FOREIGN, said=first[:200], detail=printed)
    for sentence in (*said, *filter(None, ours.getvalue().split("\n"))):
        if fault := _fault(sentence):
            return replace(result, outcome=FOREIGN, said=f"{fault}: {sentence[:200]!r}", detail=sentence[:8000])
    return result


def _brief(error: BaseException) -> str:
    """Kind and message of an exception, and the last line of our code that it passed, in one line."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if f"{ROOT}/bench/" in frame.filename]
    where = f"{Path(frames[-1].filename).relative_to(ROOT)}:{frames[-1].lineno}" if frames else "outside bench"
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]!a} ({where})"


def _printed(told: int) -> str:
    """What anyone has printed, libraries in C included, that isn't a note of ours."""
    sys.stdout.flush()
    sys.stderr.flush()
    ctypes.CDLL(None).fflush(None)
    lines = os.pread(told, 20_000, 0).decode("utf-8", "replace").removesuffix("\n").split("\n")
    foreign = [line for line in lines if not (line.startswith("note: ") and line.isprintable())]
    return "" if lines == [""] else "\n".join(foreign)


def _fault(sentence: str) -> str:
    """What keeps something said from being one sentence, "" for nothing."""
    if not sentence.strip():
        return "nothing is said"
    if not sentence.isprintable():
        return "several lines, or characters that can't be printed"
    return f"{len(sentence)} characters" if len(sentence) > LONGEST else ""


def _memory(process: int, field: str) -> int:
    """Bytes of memory that a process has (VmRSS) or had at most (VmHWM); 0 where the system doesn't tell."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) << 10
    return 0


def _keep(attack: Attack, result: Result, place: Path, kept: Path) -> None:
    """Keep the file of a case that failed, with what happened and the command that does it again."""
    folder = kept / attack.name / str(result.number)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    again = attack.keep(result.number, place, folder)
    said = f"{again}\n\n{result.outcome}: {result.said}\n\n{result.detail}\n"
    (folder / "failure.txt").write_text(said, encoding="utf-8", errors="backslashreplace")


# The watcher: it forks a worker, and another after each one that it had to end.


def watch(
    attack: Attack, numbers: Sequence[int], seed: int, limits: Limits, kept: Path | None = None
) -> Iterator[Result]:
    """Do the numbered cases of an attack and yield how each ended; files of what failed go to `kept`."""
    left = list(numbers)
    while left:
        with tempfile.TemporaryDirectory(prefix="fuzz-", ignore_cleanup_errors=True) as scratch:
            for result, by_worker in _served(attack, left, seed, limits, kept, Path(scratch)):
                if kept and not by_worker:
                    _keep(attack, result, Path(scratch) / "place", kept)
                yield result


def _served(
    attack: Attack, left: list[int], seed: int, limits: Limits, kept: Path | None, folder: Path
) -> Iterator[tuple[Result, bool]]:
    """Let one worker do the cases in `left`, which become fewer; return when one of them has cost its life.

    Yields results, and whether the worker could tell them itself.
    """
    answers, ours = os.pipe()
    process = os.fork()
    if not process:
        code = 1
        try:
            os.close(answers)
            _work(attack, left, seed, limits, kept, ours, folder)
            code = 0
        except BaseException:  # of the attack's own, not of what it attacks
            os.write(ours, (json.dumps(traceback.format_exc()) + "\n").encode())
        finally:
            os._exit(code)
    os.close(ours)
    try:
        lines = _lines(answers, 0.02)
        base = next((line for line in lines if line), b'"it ended"')
        if not base.isdigit():
            raise RuntimeError(f"{attack.name} can't begin: {json.loads(base)}")
        since = time.monotonic()
        for line in lines:
            if line:
                since = time.monotonic()
                del left[0]
                yield Result(**json.loads(line)), True
            elif left and (bad := _over(process, time.monotonic() - since, int(base), limits)):
                yield Result(attack.name, left.pop(0), *bad, detail=_where(folder)), False
                return
        if left:  # the pipe was closed: the process has ended
            status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            process = 0
            how = signal.Signals(-status).name if status < 0 else f"exit code {status}"
            yield Result(attack.name, left.pop(0), TRACEBACK, f"the process ended: {how}", _where(folder)), False
    finally:
        if process:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
        os.close(answers)


def _lines(pipe: int, patience: float) -> Iterator[bytes]:
    """Yield the lines that arrive until the pipe is closed, and an empty one whenever nothing came for a while."""
    rest = b""
    while True:
        if not select.select([pipe], [], [], patience)[0]:
            yield b""
            continue
        piece = os.read(pipe, 1 << 16)
        if not piece:
            return
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole


def _over(process: int, taken: float, base: int, limits: Limits) -> tuple[str, str] | None:
    """Say how a case that is still being done has gone too far, None if it hasn't."""
    growth = _memory(process, "VmRSS") - base
    if growth > limits.growth:
        return BLOW_UP, f"{growth >> 20} MB and growing"
    return (HANG, f"{taken:.1f} s and no end") if taken > limits.seconds else None


def _where(folder: Path) -> str:
    """What a worker printed, and where it stood after most of its time."""
    said = [(folder / name).read_text(encoding="utf-8", errors="replace")[-8000:] for name in ("told", "hung")]
    return "\n".join(filter(None, said))


# The program.


def table(results: Iterable[Result]) -> str:
    """Return reader x outcome as text, with the longest time and the largest growth of each reader."""
    rows: dict[str, list[Result]] = {}
    for result in results:
        rows.setdefault(result.attack, []).append(result)
    width = max(map(len, [*rows, "all"]))
    lines = [" " * width + "".join(f"{outcome:>11}" for outcome in OUTCOMES) + f"{'longest':>11}{'most':>11}"]
    for name, those in [*rows.items(), ("all", [result for results in rows.values() for result in results])]:
        counts = Counter(result.outcome for result in those)
        cells = "".join(f"{counts[outcome]:>11}" for outcome in OUTCOMES)
        longest, most = max(result.seconds for result in those), max(result.growth for result in those)
        lines.append(f"{name:<{width}}{cells}{longest:>9.2f} s{most / 1e6:>8.0f} MB")
    return "\n".join(lines)


def main(attacks: Mapping[str, Attack], words: Sequence[str] | None = None) -> int:
    """Attack every reader, print a table, and keep what failed; return 1 if anything did."""
    parser = argparse.ArgumentParser(description="Mutated files for every reader, and what became of them.")
    parser.add_argument("--count", type=int, default=1000, help="mutants for each reader")
    parser.add_argument("--seed", type=int, default=0, help="other mutants")
    parser.add_argument("--only", action="append", choices=[*attacks], help="attack this reader; once or more")
    parser.add_argument("--number", type=int, action="append", help="do this case; once or more")
    parser.add_argument("--file", type=Path, help="let the reader named by --only read this file, and no mutant")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="readers at once")
    parser.add_argument("--seconds", type=float, default=Limits.seconds, help="of the longest case")
    parser.add_argument("--megabytes", type=int, default=Limits.growth >> 20, help="of memory of the largest case")
    parser.add_argument("--json", type=Path, help="file for all results, a line each")
    parser.add_argument("--keep", type=Path, default=ROOT / KEPT, help="folder for the files of what failed")
    options = parser.parse_args(words)
    limits = Limits(options.seconds, options.megabytes << 20)
    chosen = {name: attacks[name] for name in options.only or attacks}
    if options.file:
        return _again(next(iter(chosen.values())), options.file, limits)
    print(f"{len(chosen)} readers, {options.count} mutants each, seed {options.seed}", flush=True)
    for name in chosen:
        shutil.rmtree(options.keep / name, ignore_errors=True)  # of an earlier call
    _attacked.update(chosen)
    gc.freeze()  # else each worker's first collection copies every page that it shares
    found: dict[str, list[Result]] = {}
    with multiprocessing.get_context("fork").Pool(options.jobs) as pool:
        for result in pool.imap_unordered(partial(_all, options, limits), chosen):
            found[result[0].attack] = result
            for bad in (one for one in result if one.failed):
                print(f"{bad.outcome}: {bad.attack} {bad.number}: {shown(bad.said)}", flush=True)
    results = [result for name in chosen for result in found[name]]
    if options.json:
        options.json.write_text("".join(json.dumps(asdict(result)) + "\n" for result in results), encoding="utf-8")
    print(table(results))
    failed = sum(result.failed for result in results)
    if failed:
        print(f"\n{failed} cases failed; their files and commands: {options.keep}/<reader>/<number>")
    return int(failed > 0)


_attacked: dict[str, Attack] = {}
"""What the processes of a pool know when they are forked: a reader can't be sent to them."""


def _all(options: argparse.Namespace, limits: Limits, name: str) -> list[Result]:
    attack = _attacked[name]
    numbers = options.number or range(attack.cases or options.count)
    return list(watch(attack, numbers, options.seed, limits, options.keep))


def _again(attack: Attack, file: Path, limits: Limits) -> int:
    """Read one file, and print all that is known of how that ended."""
    (result,) = watch(attack.on(file.read_bytes()), [0], 0, limits)
    print(f"{result.outcome}: {shown(result.said)}")
    print("\n".join(map(shown, result.detail.split("\n"))).strip())
    return int(result.failed)


if __name__ == "__main__":
    from tests.fuzz.attacks import ATTACKS
    from tests.fuzz.readers import ready

    ready()
    sys.exit(main(ATTACKS))
