"""`launch`: run the stages that are out of date on several workers."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, cast

import typer

from bench.cli.settings import ROOT, Settings, quietly, workplace
from bench.cli.stages import check_names
from bench.core.errors import UsageError

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

        processes = gpus_per_job or 1
        places = _slots(on, gpus_per_job, jobs, params.threads)
        needs = pool.Needs(params.threads * processes, gpus_per_job or 0, time, memory, partition)
        base = plan.LaunchOptions(ROOT, file, params.profile, tuple(stages or ()), on.value, places)
        options = replace(base, processes=processes, needs=needs, retries=retries, pull=pull, push=push, clones=clones)
        if dry_run:
            print("\n".join(plan.plan(options).lines()))
        else:
            quietly(settings, lambda: head.launch(options))


def _slots(on: Executor, gpus_per_job: int | None, jobs: int | None, threads: int) -> tuple[str | None, ...]:
    """Return CUDA_VISIBLE_DEVICES of each slot; Slurm assigns GPUs itself."""
    from bench.launch.pool import devices, slots

    if on is Executor.SLURM:
        return (None,) * (jobs or SLURM_JOBS)
    return tuple(slots(devices(), gpus_per_job, jobs, threads))


def _pipeline(params_file: Path) -> str:
    """Return the pipeline beside a parameter file, relative to the root."""
    file = params_file.with_name("dvc.yaml")
    if file.is_absolute() or not (ROOT / file).exists():
        raise UsageError(
            f"there is no dvc.yaml beside {params_file}; expected a file such as profiles/smoke/params.yaml."
        )
    return str(file)
