"""What a stage would read and write, as dvc.yaml says."""

from pathlib import Path

from bench.core.errors import UsageError


def plan(params_file: Path, verb: str, name: str | None) -> list[str]:
    """List command, inputs and outputs of the stage of the pipeline beside `params_file` that runs `verb NAME`.

    Stages are called `<verb>`, `<verb>_<kind>@<name>` or `<verb>@<name>`; the variables in them are resolved by DVC.
    """
    from dvc.repo import Repo
    from dvc.stage import PipelineStage

    pipeline = params_file.parent / "dvc.yaml"
    for stage in Repo().index.stages:
        if not isinstance(stage, PipelineStage) or Path(stage.path_in_repo) != pipeline:
            continue
        group, _, key = stage.name.partition("@")
        if group.split("_")[0] == verb and key == (name or ""):
            reads = [f"read   {path}" for path in sorted(str(dep.def_path) for dep in stage.deps)]
            writes = [f"write  {path}" for path in sorted(str(out.def_path) for out in stage.outs)]
            return [f"run    {stage.cmd}", *reads, *writes]
    raise UsageError(f"{pipeline} has no stage for '{' '.join(filter(None, [verb, name]))}'; nothing to plan.")
