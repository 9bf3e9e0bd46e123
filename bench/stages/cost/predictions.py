"""Seconds and memory that each method needs for a picture on this machine; never part of a result."""

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from bench.core.errors import UsageError, unknown_name
from bench.core.fingerprint import fingerprint
from bench.core.params import Params
from bench.core.progress import track
from bench.core.registry import ROOT, code_of, methods
from bench.io.files import write_bytes_atomic, write_json_atomic, write_text_atomic
from bench.io.tables import read_scores
from bench.report.cost import predictions as views
from bench.report.cost.predictions import PredictionTiming
from bench.report.results.results import collect
from bench.report.table.writers import to_csv, to_markdown
from bench.stages.cost.probe import Candidate, registration_of
from bench.stages.training import environment

PROFILE = "profile"
"""Stands for the presets that the profile's variants name."""


class Timings(NamedTuple):
    """The rows that were asked for, the file that keeps them with all earlier ones, and the figures drawn beside it."""

    rows: list[PredictionTiming]
    file: Path
    figures: list[Path]


def run(
    params: Params,
    names: Sequence[str] = (),
    preset: str = PROFILE,
    *,
    sizes: Sequence[tuple[int, int]] = ((256, 256),),
    repeat: int = 5,
    device: str = "",
    minutes: float = 30.0,
    force: bool = False,
) -> Timings:
    """Measure one after another, each in a process of its own; write rows, table and figures.

    Rows that are kept from earlier calls are measured again only if their code or settings changed, or they failed.

    names   : variants of the profile where `preset` is "profile", else methods; () for floors and Table 1, or all.
    preset  : "profile" for those that the variants name; else one that is looked for in every method.
    sizes   : heights and widths in pixels.
    repeat  : how many predictions to time; the median counts.
    device  : "cpu" or "cuda"; "" for a GPU where there is one.
    minutes : after which a method is given up.
    force   : measure again what is there.
    """
    where, chosen, found = _device(device), candidates(params, names, preset), []
    title = device_title(where)
    # Outside the pipeline's outputs, which no machine's speed may change.
    file = Path("runs") / params.profile / "time" / f"{slug(title)}.json"
    kept = load(file)
    for height, width in sorted(set(sizes), key=lambda size: (size[0] * size[1], size)):
        for candidate in track(chosen, len(chosen), f"time {height}x{width}"):
            machine = (title, where.type, params.threads)
            blank = PredictionTiming(*candidate[:4], height, width, *machine, repeat, stamp(params, candidate))
            row = (None if force else _reused(blank, kept)) or _measured(params, candidate, blank, minutes)
            found.append(row)
            kept[_key(row)] = row
            write_json_atomic(file, [row._asdict() for row in kept.values()])
    return Timings(found, file, _write(params, list(kept.values()), file))


def read_sizes(words: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Read sizes such as 1000x1500, height first; UsageError otherwise."""
    for word in words:
        found = re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})", word)
        if found is None:
            raise UsageError(f"--size {word}: expected height and width in pixels, such as 1000x1500.")
        yield int(found[1]), int(found[2])


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


def candidates(params: Params, names: Sequence[str], preset: str) -> list[Candidate]:
    """Return what is to be measured, as `run` describes it; UsageError for an unknown name."""
    if preset == PROFILE:
        known = {name: _variant(params, name) for name in params.variants}
        wanted = dict.fromkeys([*params.tables.floors, *params.rows(1).values()])
        default = [name for name in wanted if name in known]
        noun = f"variant (variants in {params.params_file})"
    else:
        known = {name: _registered(name, preset) for name in methods}
        default, noun = list(known), "method"
        if not any(preset in methods[name].presets for name in methods):
            raise unknown_name("preset", preset, {p for card in methods.values() for p in card.presets})
    for name in names:
        if name not in known:
            raise unknown_name(noun, name, known)
    return [known[name] for name in names or default]


def _registered(name: str, preset: str) -> Candidate:
    card = methods[name]
    own = preset if card.trains or preset in card.presets else next(iter(card.presets), "none")
    return Candidate(name, card.label, name, own)


def _variant(params: Params, name: str) -> Candidate:
    variant = params.variants[name]
    labels = {own: label for label, own in params.rows(1).items()}
    run = next((key for key, run in params.runs.items() if run.variant == name), "")
    label = labels.get(name) or (methods[variant.method].label if not methods[variant.method].trains else name)
    return Candidate(name, label, variant.method, variant.preset, run, variant.options)


def stamp(params: Params, candidate: Candidate) -> str:
    """Hash what decides how long a prediction takes, size and threads apart."""
    run = params.runs.get(candidate.run)
    name = run.codebook if run and run.codebook else ""
    codebook = params.codebook_runs.get(name)
    settings = {
        "network": [candidate.method, candidate.preset, candidate.options, params.head, params.tile],
        "book": [codebook.codes, codebook.segments, params.stage1_of(name).network] if codebook else None,
        "registration": registration_of(params, candidate),
        "torch": torch.__version__,
    }
    return fingerprint("timing", code_of(methods[candidate.method].module), settings=settings)


def outdated(params: Params, row: PredictionTiming) -> bool:
    """Tell whether a row was measured of another network, or with other code, than its name means now."""
    meant = [_variant(params, row.name)] if row.name in params.variants else []
    meant += [_registered(row.name, row.preset)] if row.name in methods else []
    return all(stamp(params, candidate) != row.stamp for candidate in meant)


def load(file: Path) -> dict[str, PredictionTiming]:
    """Return the kept rows of a device, none if the file isn't there or is damaged: they can be measured again."""
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        timings = [PredictionTiming(**{**row, "seconds": tuple(row["seconds"])}) for row in rows]
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError, RecursionError):
        print(f"note: {file} is damaged; everything is measured again.", file=sys.stderr)
        return {}
    return {_key(row): row for row in timings}


def _key(row: PredictionTiming) -> str:
    return f"{row.name} {row.preset} {row.size} {row.threads}"


def _reused(blank: PredictionTiming, kept: Mapping[str, PredictionTiming]) -> PredictionTiming | None:
    """Return a kept row of the same network, whatever it is called; None if there is none that can stand."""
    for row in kept.values():
        same = (row.stamp, row.size, row.threads) == (blank.stamp, blank.size, blank.threads)
        if same and not row.reason and row.repeat >= blank.repeat:
            return row._replace(name=blank.name, label=blank.label)
    return None


def _measured(params: Params, candidate: Candidate, blank: PredictionTiming, minutes: float) -> PredictionTiming:
    card = methods[candidate.method]
    if card.trains and candidate.preset not in card.presets:
        return blank._replace(reason=f"has no preset called {candidate.preset}")
    answer = ask(params, candidate, blank.height, blank.width, blank.repeat, blank.kind, minutes)
    return blank._replace(**{**answer, "seconds": tuple(answer.get("seconds", ()))})


def ask(
    params: Params, candidate: Candidate, height: int, width: int, repeat: int, device: str, minutes: float
) -> dict[str, Any]:
    """Let a process of its own measure; return what `probe.measure` found, or {"reason": why there is nothing}."""
    job = {"height": height, "width": width, "repeat": repeat, "device": device}
    text = json.dumps({"params": params.model_dump(mode="json"), "candidate": candidate, **job})
    threads = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(threads, str(params.threads))}
    if device == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    try:
        process = subprocess.run(
            [sys.executable, "-m", "bench.stages.cost.probe"], input=text, env=environment, capture_output=True,
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


def _write(params: Params, rows: Collection[PredictionTiming], file: Path) -> list[Path]:
    """Write table (CSV, Markdown) and figures (PNG, SVG, PDF) beside the kept rows `file`; return the figures.

    There is a figure for each data set on which two variants or more were scored and timed.
    """
    table = views.table(params, rows, [row for row in rows if outdated(params, row)])
    write_text_atomic(file.with_suffix(".csv"), to_csv(table))
    write_text_atomic(file.with_suffix(".md"), to_markdown(table))
    scores = params.reports / "scores.csv"
    results = collect(read_scores([scores])) if scores.exists() else {}
    figures = []
    for dataset in dict.fromkeys(evaluation.dataset for evaluation in params.evaluations.values()):
        for kind, content in (views.timed(params, rows, results, dataset) or {}).items():
            path = file.with_name(f"{file.stem}-pareto-{dataset}.{kind}")
            write_bytes_atomic(path, content)
            figures.append(path)
    return figures
