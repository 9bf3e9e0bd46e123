"""`doctor`: whether this machine, this checkout and this profile are fit to run."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, cast

import typer

from bench.cli.settings import ROOT, Settings, find_profile, workplace
from bench.core.errors import UsageError
from bench.core.reading import is_folder, lines, read_text, shown

if TYPE_CHECKING:
    from bench.core.params import Params

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

DISK_GB = 5
"""Below this the demo's scenes, weights and the cache may not fit; larger profiles say what they want."""


PATIENCE = 4.0
"""Seconds after which a file that is still cut short isn't being written."""


class Finding(NamedTuple):
    """One line of the doctor's report."""

    state: Literal["ok", "note", "fail"]
    subject: str
    detail: str


@app.command("doctor")
def doctor(
    context: typer.Context,
    stale: Annotated[bool, typer.Option("--stale", help="Also ask DVC which stages are out of date.")] = False,
    profile: Annotated[str | None, typer.Option(help="A profile by name; default: that of --params.")] = None,
) -> None:
    """Check this machine, checkout and profile, before hours are spent on it.

    Looks at Python, libraries, torch, threads, disk, parameters, data, licences, VGG-16, the memory of GPUs against the
    largest training step, hours, and the cache.
    Exits with 1 if something must be mended.

    Example: python -m bench doctor --profile day
    """
    settings = cast(Settings, context.obj)
    with workplace():
        if profile is not None:
            settings = Settings(find_profile(profile), settings.quiet)
        findings = []
        for finding in examine(settings, stale):
            print(f"{finding.state:<5} {finding.subject:<11} {finding.detail}")
            findings.append(finding)
    if any(finding.state == "fail" for finding in findings):
        raise typer.Exit(1)


def examine(settings: Settings, stale: bool) -> Iterator[Finding]:
    """Yield the findings, cheap ones first."""
    version = sys.version.split()[0]
    yield Finding("ok" if sys.version_info >= (3, 11) else "fail", "python", f"{version} at {sys.executable}")
    yield libraries(ROOT / "requirements.lock")
    yield torch_build()
    yield from profile(settings)
    yield from costs(settings)
    yield cache()
    yield locks(settings.params_file.parent / "dvc.lock")
    if stale:
        yield stages(settings.params_file.parent / "dvc.yaml")


def libraries(lock: Path) -> Finding:
    """Compare installed versions with the lock file; other versions are allowed, numbers may then differ."""
    from importlib.metadata import distributions

    try:
        wanted_lines = [line for _, line in lines(read_text(lock))]
    except UsageError as error:
        return Finding("fail", "libraries", str(error))
    unread = [line for line in wanted_lines if not re.fullmatch(r"[^=\s]+==[^=\s]+", line)]
    if unread:
        said = f"{lock.name}: {shown(repr(unread[0]))} is no line such as numpy==2.4.6; restore the file from git"
        return Finding("fail", "libraries", said)
    installed = {d.name.lower().replace("_", "-"): d.version.split("+")[0] for d in distributions()}
    differing = []
    for name, wanted in (line.split("==") for line in wanted_lines):
        found = installed.get(name.lower().replace("_", "-"))
        if found is not None and found != wanted:
            differing.append(f"{name} {found} (locked: {wanted})")
    if not differing:
        return Finding("ok", "libraries", f"as in {lock.name}, where installed")
    return Finding("note", "libraries", f"differ from {lock.name}: {', '.join(differing)}; numbers may differ")


def torch_build() -> Finding:
    """Tell which torch there is and what it computes on."""
    try:
        import torch
    except ImportError as error:
        return Finding("fail", "torch", f"can't be imported: {error}; run: make setup")
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return Finding("ok", "torch", f"{torch.__version__}, {', '.join(gpus) or 'no GPU: trains on the CPU'}")


def profile(settings: Settings) -> Iterator[Finding]:
    """Check the parameter file, its threads, and that each of its datasets is there or can be made."""
    from bench.core.parallel import cores
    from bench.core.registry import datasets, protocols

    try:
        params = settings.load()
    except UsageError as error:
        yield Finding("fail", "parameters", str(error))
        return
    yield Finding("ok", "parameters", f"{settings.params_file}: profile {params.profile!r}")
    yield planned(params)
    try:
        protocols[params.protocol]
    except UsageError as error:
        yield Finding("fail", "protocol", str(error))
    there = cores()
    state: Literal["ok", "note"] = "ok" if params.threads <= there else "note"
    yield Finding(state, "threads", f"{params.threads} wanted, {there} cores")
    for name in params.datasets:
        if name not in datasets:
            yield Finding("fail", "data", f"{name}: no such dataset in datasets/")
        else:
            yield source(params, name)


def disk(wanted: float) -> Finding:
    """Compare the free space with what is wanted, in GB."""
    free = shutil.disk_usage(ROOT).free / 1e9
    return Finding("ok" if free >= wanted else "fail", "disk", f"{free:.1f} GB free, {wanted:.0f} GB wanted")


def costs(settings: Settings) -> Iterator[Finding]:
    """Tell whether VGG-16, disk and GPUs suffice for trainings of published networks, and what hours they take."""
    try:
        params = settings.load()
    except UsageError:  # `profile` has said why
        params = None
    if params is not None and params.runs and params.perceptual.backbone == "vgg16":
        yield vgg(params)
    if params is None or not params.runs or params.preset != "published":
        yield disk(DISK_GB)
        return
    from bench.core import layout
    from bench.stages.cost import counts
    from bench.stages.cost.disk import disk as space
    from bench.stages.cost.estimate import overview

    lacking, _ = counts.stale([params])
    if lacking:
        yield disk(DISK_GB)
        command = layout.command(params, "cost estimate")
        yield Finding("note", "cost", f"{len(lacking)} of its steps aren't counted; this does it in minutes: {command}")
        return
    yield disk(max(space(params, overview(params))["all"] / 1e9, DISK_GB))
    yield from gpus(params)
    yield hours(params)


def vgg(params: "Params") -> Finding:
    """Tell where the perceptual losses' VGG-16 comes from."""
    from bench.stages.data.backbone import kept

    settings = params.perceptual
    named = settings.weights
    if named is not None:
        found = Path(named).is_file()
        return Finding("ok" if found else "fail", "VGG-16", f"{shown(named)}{'' if found else ': not found'}")
    if (file := kept(params)).exists():
        return Finding("ok", "VGG-16", f"{file} is here")
    return Finding(
        "note", "VGG-16", f"is downloaded from {settings.url}; without a network, name the file as perceptual.weights, "
        "or set perceptual.backbone to random-vgg16"
    )  # fmt: skip


def gpus(params: "Params") -> Iterator[Finding]:
    """Compare the memory of each GPU with the largest training step."""
    import torch

    from bench.launch.memory import takes

    trained = {name: size for name, size in takes(params).items() if not name.startswith("evaluate@")}
    name, needed = max(trained.items(), key=lambda item: item[1])
    said = f"the largest step, {name}, takes about {needed / 1e9:.1f} GB"
    if not torch.cuda.is_available():
        yield Finding("note", "GPU", f"none here, and {said}")
    for index in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(index)
        fits = needed <= card.total_memory
        advice = "" if fits else f"; give its variant stage2: {{accumulate: 2}} in {params.params_file}"
        yield Finding("ok" if fits else "fail", "GPU", f"{card.name}, {card.total_memory / 1e9:.1f} GB: {said}{advice}")


def hours(params: "Params") -> Finding:
    """Tell the hours of the trainings and evaluations on one GPU, of first seeds and of all."""
    from bench.stages.cost.estimate import CARDS, overview
    from bench.stages.cost.gpus import GPUS

    way = "fp32" if params.precision == "fp32" else "bf16"

    def told(part: "Params") -> str:
        found = overview(part)
        bounds = {card: found.hours(card, way) for card in CARDS}
        return ", ".join(f"{GPUS[card].short} {one.lower:.0f} to {one.upper:.0f} h" for card, one in bounds.items())

    first = params.first_seeds(1)
    seeds = "" if len(first.runs) == len(params.runs) else f"; with all seeds: {told(params)}"
    return Finding("ok", "hours", f"on one GPU in {way}, from least to most: {told(first)}{seeds}")


def planned(params: "Params") -> Finding:
    """Tell whether plan.yaml, which DVC reads, is what the parameters give."""
    from bench.stages.plan import need_fresh, path

    if not path(params).with_name("dvc.yaml").exists():
        return Finding("note", "plan", "no pipeline lies beside the parameter file")
    try:
        need_fresh(params)
    except UsageError as error:
        return Finding("fail", "plan", str(error))
    return Finding("ok", "plan", f"{path(params)} agrees with the parameters")


def source(params: "Params", name: str) -> Finding:
    """Tell how the pipeline comes by a dataset, and what is missing for it."""
    from bench.core.registry import datasets
    from bench.stages.data.fetch import accepted, named_place

    card = datasets[name]
    if (place := named_place(params, name)) is not None:
        return in_place(params, name, place.expanduser())
    if card.fetch == "simulate":
        return Finding("ok", "data", f"{name} is simulated by the pipeline")
    if card.fetch == "manual":
        page = f" ({card.page})" if card.page else ""
        return Finding("fail", "data", f"{name} is placed by hand{page}: name its folder as datasets.{name}.on_disk")
    if not accepted(params, name):
        say = f"set datasets.{name}.accept_licence once you have read it"
        return Finding(
            "fail", "data", f"{name} would be downloaded; its licence ({card.licence}) isn't accepted: {say}"
        )
    return Finding("ok", "data", f"{name} is downloaded by the pipeline")


def in_place(params: "Params", name: str, place: Path) -> Finding:
    """Tell how many scenes lie in the folder that a dataset is read from."""
    from bench.core.registry import datasets
    from bench.stages.data.fetch import scenes_in

    if not is_folder(place):
        return Finding("fail", "data", f"{name} at {shown(place)}: not found")
    if datasets[name].fetch == "simulate":
        return Finding("ok", "data", f"{name} at {place}")
    try:
        found = scenes_in(params, name, place)
    except UsageError as error:
        return Finding("fail", "data", " ".join(str(error).split()))
    lacking = [said for split, count in found.items() if (said := datasets[name].incomplete(split, count))]
    counts = ", ".join(f"{count} {split}" for split, count in found.items() if count)
    return Finding("note" if lacking else "ok", "data", " ".join([f"{name} at {place}: {counts}.", *lacking]))


def cache() -> Finding:
    """Tell how DVC links files from its cache into the work tree."""
    from bench.repository.project import opened

    try:
        with opened(ROOT) as repo:
            types = repo.cache.local.cache_types
    except UsageError as error:
        return Finding("fail", "dvc cache", str(error))
    return Finding("ok", "dvc cache", f"link types in order of preference: {', '.join(types)}")


def locks(lock: Path) -> Finding:
    """Look for files of DVC that a kill has left cut short; it refuses to run with them."""
    from bench.repository.lock import cut_short

    damaged = cut_short(ROOT, lock)
    if damaged:
        time.sleep(PATIENCE)  # a DVC at work empties them for a moment, too
        damaged = [path for path in cut_short(ROOT, lock) if path in damaged]
    if not damaged:
        return Finding("ok", "dvc locks", "whole, where there are any")
    names = " ".join(str(path) for path in damaged)
    return Finding("fail", "dvc locks", f"cut short; if no dvc is at work here, it goes on without them: rm {names}")


def stages(pipeline: Path) -> Finding:
    """Ask DVC which stages are out of date."""
    command = [sys.executable, "-m", "dvc", "status", str(pipeline)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        told = [line.strip() for line in answer.stderr.splitlines() if line.strip()]
        errors = [line.removeprefix("ERROR: ") for line in told if line.startswith("ERROR: ")] or told
        return Finding("fail", "stages", f"dvc status failed: {errors[-1] if errors else 'it says nothing'}")
    names = [line.rstrip(":") for line in answer.stdout.splitlines() if line.endswith(":") and line[0] not in " \t"]
    if not names:
        return Finding("ok", "stages", "up to date")
    return Finding("note", "stages", f"{len(names)} out of date: {', '.join(names)}; run: dvc repro {pipeline}")
