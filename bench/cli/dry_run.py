"""The inputs and outputs of a stage, as dvc.yaml names them."""

from pathlib import Path

from bench.core.errors import UsageError


def listing(params_file: Path, verb: str, name: str | None) -> list[str]:
    """List command, inputs and outputs of the stage of the pipeline beside `params_file` that runs `verb NAME`.

    DVC resolves the variables; the stage is the one whose command ends with these words.
    """
    from dvc.repo.index import Index
    from dvc.stage import PipelineStage

    from bench.repository.project import opened

    words = [verb] if name is None else [verb, name]
    pipeline = params_file.parent / "dvc.yaml"
    if not pipeline.exists():
        raise UsageError(f"{pipeline} isn't there: no pipeline lies beside {params_file}; nothing to run.")
    with opened(Path.cwd(), f"read {pipeline}") as repo:
        # Not the index of all pipelines, which takes seconds.
        stages = list(Index.from_file(repo, str(pipeline)).stages)
    for stage in stages:
        if isinstance(stage, PipelineStage) and stage.cmd.split()[-len(words) :] == words:
            reads = [f"read   {path}" for path in sorted(str(dep.def_path) for dep in stage.deps)]
            writes = [f"write  {path}" for path in sorted(str(out.def_path) for out in stage.outs)]
            return [f"run    {stage.cmd}", *reads, *writes]
    raise UsageError(f"{pipeline} has no stage for '{' '.join(words)}'; nothing to run.")
