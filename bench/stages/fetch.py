"""Fetch: bring a dataset's files to this disk, or find them there."""

from pathlib import Path

from bench.core import progress
from bench.core.errors import UsageError
from bench.core.params import Params
from bench.core.registry import ROOT, datasets
from bench.data.simulate import simulate
from bench.io.files import write_json_atomic
from bench.stages import layout

NOTE = "on_disk.json"


def run(params: Params, dataset: str) -> None:
    """Simulate brackets for `dataset`, or record the folder that `datasets.<name>.on_disk` names."""
    card, out = datasets[dataset], layout.raw(params, dataset)
    if card.fetch == "simulate":
        if params.simulate is None:
            raise UsageError(f"{params.params_file} has no section `simulate`, which {dataset} is made from.")
        simulate(params.simulate, ROOT / "datasets" / dataset, out, _say)
        return
    out.mkdir(parents=True, exist_ok=True)
    folder = _on_disk(params, dataset)
    write_json_atomic(out / NOTE, {"folder": str(folder)})


def _on_disk(params: Params, dataset: str) -> Path:
    card, use = datasets[dataset], params.datasets.get(dataset)
    if use is not None and use.on_disk is not None and (folder := Path(use.on_disk)).is_dir():
        return folder.resolve()
    urls = "\n".join(f"  {source['url']}" for source in card.sources)
    given = "is not set" if use is None or use.on_disk is None else f"is {use.on_disk!r}, which is no folder"
    raise UsageError(
        f"dataset {dataset!r} ({card.licence}) is not on this disk: datasets.{dataset}.on_disk {given}.\n"
        f"Download and unpack:\n{urls}\nthen name the folder that holds them in {params.params_file}."
    )


def _say(line: str) -> None:
    if not progress.quiet:
        print(line, flush=True)
