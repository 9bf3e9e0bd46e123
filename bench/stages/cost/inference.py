"""Inference: seconds and memory that each method needs for a picture on this machine; never part of a result."""

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from bench.core.errors import UsageError
from bench.core.params import Params
from bench.core.progress import track
from bench.core.registry import ROOT, methods
from bench.io.files import write_json_atomic
from bench.report.cost.speed import Speed
from bench.stages.cost import speed_report
from bench.stages.cost.probe import Job
from bench.stages.cost.subjects import PROFILE, Subject, outdated, stamp, subjects
from bench.stages.training import environment


@dataclass(frozen=True)
class Request:
    """What to measure.

    names   : variants of the profile where `preset` is "profile", else methods; () for those of Table 1, or all.
    preset  : "profile" for those that the variants name; else one that is looked for in every method.
    sizes   : heights and widths in pixels.
    repeat  : how many predictions to time; the median counts.
    device  : "cpu" or "cuda"; "" for a GPU where there is one.
    minutes : after which a method is given up.
    force   : measure again what is there.
    """

    names: tuple[str, ...] = ()
    preset: str = PROFILE
    sizes: tuple[tuple[int, int], ...] = ((256, 256),)
    repeat: int = 5
    device: str = ""
    minutes: float = 30.0
    force: bool = False


class Outcome(NamedTuple):
    """The rows that were asked for, the file that keeps them with all earlier ones, and the figures drawn beside it."""

    speeds: list[Speed]
    file: Path
    figures: list[Path]


def run(params: Params, request: Request) -> Outcome:
    """Measure one after another, each in a process of its own; write rows, table and figures.

    Rows that are kept from earlier calls are measured again only if their code or settings changed, or they failed.
    """
    device, chosen, found = _device(request.device), subjects(params, request.names, request.preset), []
    file = folder(params) / f"{slug(device_title(device))}.json"
    kept = load(file)
    for size in sorted(set(request.sizes), key=lambda size: (size[0] * size[1], size)):
        for subject in track(chosen, len(chosen), f"time {size[0]}x{size[1]}"):
            speed = _reused(params, request, subject, size, kept) or _measured(params, request, subject, size, device)
            found.append(speed)
            kept[_key(speed)] = speed
            write_json_atomic(file, [speed._asdict() for speed in kept.values()])
    every = list(kept.values())
    old = [speed for speed in every if outdated(params, speed)]
    return Outcome(found, file, speed_report.write(params, every, old, file))


def folder(params: Params) -> Path:
    """Where timings lie: outside the pipeline's outputs, which no machine's speed may change."""
    return Path("runs") / params.profile / "time"


def load(file: Path) -> dict[str, Speed]:
    """Return the kept rows of a device, none if the file isn't there or is damaged: they can be measured again."""
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        speeds = [Speed(**{**row, "seconds": tuple(row["seconds"])}) for row in rows]
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError):
        print(f"note: {file} is damaged; everything is measured again.", file=sys.stderr)
        return {}
    return {_key(speed): speed for speed in speeds}


def _device(name: str) -> torch.device:
    if name not in ("", "cpu", "cuda"):
        raise UsageError(f"--device {name}: expected cpu or cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: this machine has no CUDA GPU that PyTorch can use.")
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))


def device_title(device: torch.device) -> str:
    """Return the product name of a GPU, or of the processor as far as the system tells it."""
    if device.type == "cuda":
        return environment.device_name(device)
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8") if info.exists() else ""
    named = re.search(r"^model name\s*:\s*(\S.*)$", text, re.M)
    return " ".join((named[1] if named else platform.processor() or platform.machine() or "cpu").split())


def slug(title: str) -> str:
    """Return a name for files."""
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm)\)", " ", title.lower())).strip("-")


def _key(speed: Speed) -> str:
    return f"{speed.name} {speed.preset} {speed.height}x{speed.width} {speed.threads}"


def _reused(
    params: Params, request: Request, subject: Subject, size: tuple[int, int], kept: Mapping[str, Speed]
) -> Speed | None:
    """Return a kept row of the same network, whatever it is called; None if there is none that can stand."""
    own, wanted = stamp(params, subject), (*size, params.threads)
    for speed in () if request.force else kept.values():
        same = speed.stamp == own and (speed.height, speed.width, speed.threads) == wanted
        if same and not speed.reason and speed.repeat >= request.repeat:
            return speed._replace(name=subject.name, label=subject.label)
    return None


def _measured(params: Params, request: Request, subject: Subject, size: tuple[int, int], device: torch.device) -> Speed:
    job = Job(
        params.model_dump(mode="json"), subject.method, subject.preset, subject.run, *size, request.repeat, device.type,
        subject.options,
    )  # fmt: skip
    blank = Speed(
        subject.name, subject.label, subject.method, subject.preset, *size, device_title(device), device.type,
        params.threads, request.repeat, stamp(params, subject),
    )  # fmt: skip
    card = methods[subject.method]
    if card.trains and subject.preset not in card.presets:
        return blank._replace(reason=f"has no preset called {subject.preset}")
    answer = ask(job, request.minutes)
    return blank._replace(**{**answer, "seconds": tuple(answer.get("seconds", ()))})


def ask(job: Job, minutes: float) -> dict[str, Any]:
    """Let a process of its own do the job; return what it found, or {"reason": why there is nothing}."""
    threads = str(job.params["threads"])
    environment = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), threads)}
    if job.device == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    try:
        process = subprocess.run(
            [sys.executable, "-m", "bench.stages.cost.probe"], input=job.text(), env=environment, capture_output=True,
            text=True, timeout=60 * minutes, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"reason": f"given up after {minutes:g} minutes"}
    if process.returncode == 0 and process.stdout:
        answer: dict[str, Any] = json.loads(process.stdout)
        return answer
    if process.returncode == -9:
        return {"reason": "its process was killed, probably for lack of memory"}
    said = process.stderr.strip().splitlines()
    return {"reason": f"its process ended with {process.returncode}: {said[-1][:200] if said else 'it said nothing'}"}


def read_sizes(words: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Read sizes such as 1000x1500, height first; UsageError otherwise."""
    for word in words:
        found = re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})", word)
        if found is None:
            raise UsageError(f"--size {word}: expected height and width in pixels, such as 1000x1500.")
        yield int(found[1]), int(found[2])
