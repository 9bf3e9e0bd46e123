"""`launch`: run the stages that are out of date on several workers."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from bench.cli.settings import ROOT, Settings, quietly, workplace
from bench.cli.stages import check_names
from bench.core.errors import UsageError

if TYPE_CHECKING:
    from bench.core.params import Params

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

SLURM_JOBS = 16
"""Jobs at once on Slurm without --jobs; each has a clone of its own."""


class Executor(StrEnum):
    """A pool for jobs."""

    LOCAL = "local"
    SLURM = "slurm"


Stages = Annotated[list[str] | None, typer.Argument(help="Stages or groups of dvc.yaml; default: all.")]
On = Annotated[Executor, typer.Option(help="This machine, or Slurm.")]
Jobs = Annotated[
    int | None,
    typer.Option(min=1, help="Jobs at once; default: one per GPU, else cores // threads; 16 on Slurm."),
]
GpusPerJob = Annotated[
    int | None, typer.Option(min=1, help="GPUs per job; with several, torchrun trains on all of them.")
]
PerGpu = Annotated[
    str | None,
    typer.Option(metavar="N|auto", help="Jobs that share each GPU; auto: as many as its memory holds, at most 4."),
]
InTables = Annotated[
    str | None, typer.Option("--tables", help="Only what stands in these of the paper's tables, in this order: 2,3,1.")
]
Seeds = Annotated[int | None, typer.Option(min=1, help="Only so many seeds of each variant, the first ones.")]
Partial = Annotated[
    bool, typer.Option("--partial", help="After each evaluation, a report of what is there, in work/PROFILE/report.")
]
Retries = Annotated[int, typer.Option(min=0, help="Further attempts after a lost job, a lock or a time limit.")]
Time = Annotated[int | None, typer.Option(min=1, help="Time limit of a job in minutes; its next attempt resumes.")]
Memory = Annotated[float | None, typer.Option(min=0.1, help="Memory of a job in GB (Slurm).")]
Partition = Annotated[str | None, typer.Option(help="Slurm's partition.")]
Pull = Annotated[bool, typer.Option("--pull", help="Fetch what the cache lacks from DVC's remote.")]
Push = Annotated[
    bool, typer.Option("--push", help="Without a shared cache: pass results through DVC's default remote.")
]
Clones = Annotated[
    Path | None, typer.Option(help="Folder of the workers' clones, such as a node's own disk; default: in runs/.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the jobs, and stop.")]


@app.command("launch")
def launch(
    context: typer.Context,
    stages: Stages = None,
    on: On = Executor.LOCAL,
    jobs: Jobs = None,
    gpus_per_job: GpusPerJob = None,
    per_gpu: PerGpu = None,
    tables: InTables = None,
    seeds: Seeds = None,
    partial: Partial = False,
    retries: Retries = 2,
    time: Time = None,
    memory: Memory = None,
    partition: Partition = None,
    pull: Pull = False,
    push: Push = False,
    clones: Clones = None,
    dry_run: DryRun = False,
) -> None:
    """Run the stages that are out of date on several workers.

    Each job is a `dvc repro` in a clone at the same commit, with the same cache; a training, its evaluation and its
    inspection are one job. At the end `dvc repro` in this checkout restores their results and runs summarize and
    report. A failure stops only the stages that depend on it; the same command resumes. Ctrl-C cancels the jobs.
    With --tables and --seeds come first seeds before second ones, then the first data set before others, then the
    tables in their order; what they leave out isn't run, so that the report is a partial one.

    Example: python -m bench --params profiles/lab/params.yaml launch --on slurm --jobs 8 --gpus-per-job 1 --time 240
    """
    settings = cast(Settings, context.obj)
    clones = Path.cwd() / clones if clones else None  # before the working folder becomes the project's
    with workplace():
        params, file = settings.load(), _pipeline(settings.params_file)
        check_names(params, settings.params_file)
        from bench.launch import head, plan, pool
        from bench.stages import plan as written

        if dry_run:
            written.need_fresh(params)
        elif written.write(params):
            print(f"{written.path(params)} is written anew")

        if partial and (pull or push):
            raise UsageError("--partial takes results from the cache that jobs share; leave out --pull and --push.")
        ranks, stages = _selection(params, tables, seeds, stages)
        processes = gpus_per_job or 1
        sharing = _sharing(per_gpu, on, gpus_per_job, jobs)
        places = _slots(on, gpus_per_job, jobs, params.threads, sharing)
        needs = pool.Needs(params.threads * processes, gpus_per_job or 0, time, memory, partition)
        base = plan.LaunchOptions(ROOT, file, params.profile, tuple(stages), on.value, places, ranks=ranks)
        if sharing == 0 and (shared := [place for place in dict.fromkeys(places) if place is not None]):
            from bench.launch.memory import takes

            base = replace(base, takes=takes(params), room=pool.memory(shared))
        options = replace(
            base, processes=processes, needs=needs, retries=retries, pull=pull, push=push, clones=clones,
            partial=partial,
        )  # fmt: skip
        if dry_run:
            print("\n".join(plan.plan(options).lines()))
        else:
            quietly(settings, lambda: head.launch(options))


def _selection(
    params: "Params", tables: str | None, seeds: int | None, stages: list[str] | None
) -> tuple[dict[str, int], list[str]]:
    """Return stage -> rank, and the stages to run: none named where everything of the profile is wanted."""
    if tables is None and seeds is None:
        return {}, stages or []
    if stages:
        raise UsageError("name either stages, or --tables and --seeds.")
    words = tables.split(",") if tables else []
    if any(word not in ("1", "2", "3") for word in words) or len(set(words)) < len(words):
        raise UsageError(f"--tables {tables}: expected numbers of the paper's tables, each once, such as 2,3,1.")
    from bench.launch.selection import ranked

    chosen = params if seeds is None else params.first_seeds(seeds)
    ranks = ranked(chosen, [int(word) for word in words])
    whole = all(f"evaluate@{key}" in ranks for key in params.evaluations)
    return ranks, [] if whole else list(ranks)


def _sharing(per_gpu: str | None, on: Executor, gpus_per_job: int | None, jobs: int | None) -> int | None:
    """Return how many jobs share a GPU, 0 for as many as its memory holds, None for what `jobs` says."""
    if per_gpu is None:
        return None
    if gpus_per_job or jobs or on is Executor.SLURM:
        raise UsageError("--per-gpu shares this machine's GPUs; leave out --jobs, --gpus-per-job and --on slurm.")
    if per_gpu != "auto" and not (per_gpu.isdecimal() and 0 < int(per_gpu) <= 64):
        raise UsageError(f"--per-gpu {per_gpu}: expected how many jobs share a GPU, such as 2, or auto.")
    return 0 if per_gpu == "auto" else int(per_gpu)


def _slots(
    on: Executor, gpus_per_job: int | None, jobs: int | None, threads: int, per_gpu: int | None
) -> tuple[str | None, ...]:
    """Return CUDA_VISIBLE_DEVICES of each slot; Slurm assigns GPUs itself."""
    from bench.launch.pool import devices, slots

    if on is Executor.SLURM:
        return (None,) * (jobs or SLURM_JOBS)
    return tuple(slots(devices(), gpus_per_job, jobs, threads, per_gpu))


def _pipeline(params_file: Path) -> str:
    """Return the pipeline beside a parameter file, relative to the root."""
    file = params_file.with_name("dvc.yaml")
    if file.is_absolute() or not (ROOT / file).exists():
        raise UsageError(
            f"there is no dvc.yaml beside {params_file}; expected a file such as profiles/smoke/params.yaml."
        )
    return str(file)
