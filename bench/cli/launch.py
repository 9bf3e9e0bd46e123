"""`launch`: the stages that are out of date, on several workers at once."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, cast

import typer

from bench.cli.settings import ROOT, Settings, quietly, workplace
from bench.cli.stages import check_names
from bench.core.errors import UsageError

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

SLURM_JOBS = 16
"""Jobs in Slurm's queue at once where --jobs doesn't say; each has a clone of its own."""


class Executor(StrEnum):
    """Where jobs run."""

    LOCAL = "local"
    SLURM = "slurm"


@app.command("launch")
def launch(
    context: typer.Context,
    stages: Annotated[list[str] | None, typer.Argument(help="Stages or groups of dvc.yaml; default: all.")] = None,
    on: Annotated[Executor, typer.Option(help="This machine, or Slurm.")] = Executor.LOCAL,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Jobs at once; default: one a GPU, else cores // threads; 16 on Slurm."),
    ] = None,
    gpus_per_job: Annotated[
        int | None, typer.Option(min=1, help="GPUs of each job; with several, torchrun trains on all of them.")
    ] = None,
    retries: Annotated[int, typer.Option(min=0, help="New attempts after a lost job, a lock or a time limit.")] = 2,
    time: Annotated[int | None, typer.Option(min=1, help="Time limit of a job in minutes; the next goes on.")] = None,
    memory: Annotated[float | None, typer.Option(min=0.1, help="Memory of a job in GB (Slurm).")] = None,
    partition: Annotated[str | None, typer.Option(help="Slurm's partition.")] = None,
    pull: Annotated[bool, typer.Option("--pull", help="Fetch what the cache lacks from DVC's remote.")] = False,
    push: Annotated[
        bool, typer.Option("--push", help="Without a shared cache: results travel through DVC's default remote.")
    ] = False,
    clones: Annotated[
        Path | None, typer.Option(help="Folder of the workers' clones, such as a node's own disk; default: in runs/.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the jobs, and stop.")] = False,
) -> None:
    """Run the stages that are out of date on several workers.

    Each job is `dvc repro` in a clone at the same commit, with the same cache; a training and what follows from it
    are one job. At the end `dvc repro` here restores all that and runs what only it can: summarize and report. What
    fails stops only what depends on it; the same command goes on. Ctrl-C cancels the jobs.

    Example: python -m bench --params profiles/lab/params.yaml launch --on slurm --jobs 8 --gpus-per-job 1 --time 240
    """
    settings = cast(Settings, context.obj)
    with workplace():
        params = settings.load()
        check_names(params, settings.params_file)
        from bench.launch.gpus import devices, slots
        from bench.launch.plan import Options, plan
        from bench.launch.pool import Needs
        from bench.launch.session import launch as start

        if on is Executor.LOCAL:
            places = slots(devices(), gpus_per_job, jobs, params.threads)
        else:
            places = [None] * (jobs or SLURM_JOBS)
        processes = gpus_per_job or 1
        options = Options(
            root=ROOT,
            file=_pipeline(settings.params_file),
            profile=params.profile,
            stages=tuple(stages or ()),
            executor=on.value,
            slots=tuple(places),
            processes=processes,
            needs=Needs(params.threads * processes, gpus_per_job or 0, time, memory, partition),
            retries=retries,
            pull=pull,
            push=push,
            clones=clones,
        )
        if dry_run:
            typer.echo("\n".join(plan(options).lines()))
        else:
            quietly(settings, lambda: start(options))


def _pipeline(params_file: Path) -> str:
    """Return the pipeline beside a parameter file, relative to the root."""
    file = params_file.with_name("dvc.yaml")
    if file.is_absolute() or not (ROOT / file).exists():
        raise UsageError(
            f"there is no dvc.yaml beside {params_file}; expected a file such as profiles/smoke/params.yaml."
        )
    return str(file)
