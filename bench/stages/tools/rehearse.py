"""Rehearse a profile on real data: its whole pipeline on synthetic archives that a server on this machine hands out.

As somebody with one machine would run it: Tables 2 and 3 first, killed in the middle and launched again, then the rest.
"""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import torch

from bench.core import layout
from bench.core.errors import BenchError, UsageError
from bench.core.params import Params
from bench.core.registry import ROOT
from bench.data.synthetic import SETS, pack, write_set
from bench.io.files import replacing
from bench.nn.vgg import POSITIONS, VggFeatures
from bench.stages.tools.archive_server import HOST, served

PANORAMAS = Path("datasets") / "panoramas"

GRACE = 60.0
"""Seconds that an interrupted pipeline has to end by itself: a stage writes its checkpoint, DVC gives up its locks."""

LIMITED = ("--tables", "2,3", "--seeds", "1", "--partial")
"""The launch that is killed and launched again."""


def run(params: Params, only_serve: bool = False) -> None:
    """Make the archives (once), serve them at the address of the parameters, and rehearse the profile on them.

    only_serve : keep serving until interrupted, instead of running the pipeline.
    UsageError if the profile isn't a rehearsal or its port is taken; BenchError if a launch fails, or does again what
    was done.
    """
    address = urlsplit(params.perceptual.url)
    if address.hostname != HOST or address.port is None:
        raise UsageError(
            f"{params.params_file} is no rehearsal: perceptual.url is {params.perceptual.url}, expected an address on "
            f"{HOST} with a port. Try: --params profiles/rehearsal/params.yaml"
        )
    archives = Path("runs") / params.profile / "archives"
    make(archives, address.path.rpartition("/")[2])
    with served(archives, address.port):
        if only_serve:
            print(f"serving {archives} at http://{HOST}:{address.port}; stop with Ctrl-C", flush=True)
            threading.Event().wait()
        with _own_lock(params):
            rehearse(params)


def rehearse(params: Params) -> None:
    """Launch Tables 2 and 3 of first seeds, kill it after the first partial report, launch it again, then all else.

    BenchError if a launch fails, leaves no partial report, or runs a stage that was done; the last one may run nothing.
    """
    page, before = layout.partial(params) / "index.html", _done(params)
    shutil.rmtree(page.parent, ignore_errors=True)
    _tell("Tables 2 and 3, first seeds; killed after the first partial report")
    killed = _killed([*_launch(params), *LIMITED], page)
    _tell("the same again: it goes on" if killed else "nothing was left to be killed in; the same again")
    _need(_launch(params, *LIMITED))
    if not page.exists():
        raise BenchError(f"{page} isn't there: no partial report was drawn.")
    _tell("the rest: Table 1, other data sets, second seeds")
    _need(_launch(params))
    _tell("once more: nothing may run")
    made = _done(params)
    _need(_launch(params))
    twice = sorted({name for name in _done(params) if _done(params).count(name) - before.count(name) > 1})
    if twice or len(_done(params)) > len(made):
        raise BenchError(f"stages ran again though they were done: {', '.join(twice) or 'in the last launch'}.")
    _tell(f"rehearsed: {len(made) - len(before)} stages ran once each, none again")


def _launch(params: Params, *options: str) -> list[str]:
    return [sys.executable, "-m", "bench", "--params", params.params_file, "launch", *options]


def _tell(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def _need(command: Sequence[str]) -> None:
    if code := supervise(command):
        raise BenchError(f"{' '.join(command[2:])} ended with exit code {code}; see its output above.")


def _killed(command: Sequence[str], page: Path) -> bool:
    """Run a command and kill it as soon as the page is there; tell whether it was still running."""
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            while process.poll() is None and not page.exists():
                time.sleep(0.2)
        finally:
            process.kill()
    return process.returncode < 0


def _done(params: Params) -> list[str]:
    """Return the stages whose commands jobs of this profile's launches have run to their ends, one entry for each."""
    found = []
    for file in sorted(Path("runs", params.profile, "launch").glob("*/events/*.jsonl")):
        events = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        found += [event["stage"] for event in events if event["kind"] == "done"]
    return found


@contextmanager
def _own_lock(params: Params) -> Iterator[None]:
    """Keep the profile's dvc.lock in runs/ but for the time of the rehearsal: it is large, and nobody's to commit.

    DVC refuses one that git ignores.
    """
    lock = Path(params.params_file).with_name("dvc.lock")
    kept = Path("runs", params.profile, lock.name)
    if kept.exists() and not lock.exists():
        kept.rename(lock)
    try:
        yield
    finally:
        if lock.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            lock.replace(kept)


def supervise(command: Sequence[str], grace: float = GRACE) -> int:
    """Run a command in the project's root and return its exit code.

    On Ctrl-C, which the terminal sends to the command as well, it is given `grace` seconds to end before it is told to;
    then KeyboardInterrupt goes on. `subprocess.run` would kill it after a quarter of a second.
    """
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        return process.wait()
    except KeyboardInterrupt:
        try:
            process.wait(grace)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.terminate()
            process.wait()
        raise


def make(folder: Path, weights: str) -> None:
    """Write the official archives of all sets, and VGG-16 weights of the right shapes; those that are there stay."""
    for name, synthetic in SETS.items():
        if all((folder / archive).exists() for archive in synthetic.archives):
            continue
        print(f"{name}: synthetic views in its layout", flush=True)
        write_set(name, PANORAMAS, folder / name)
        for archive, part in synthetic.archives.items():
            pack(folder / name / part, folder / archive)
    if not (folder / weights).exists():
        with replacing(folder / weights) as part_file, part_file.open("wb") as file:
            torch.save(_random_vgg(), file)


def _random_vgg() -> dict[str, torch.Tensor]:
    """Return random VGG-16 parameters under torchvision's names, as far as the perceptual losses use them."""
    layers = [layer for layer in VggFeatures(None, seed=0).modules() if isinstance(layer, torch.nn.Conv2d)]
    return {
        f"features.{position}.{kind}": getattr(layer, kind).detach()
        for layer, position in zip(layers, POSITIONS, strict=True)
        for kind in ("weight", "bias")
    }
