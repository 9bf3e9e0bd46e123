"""Prepare: read a dataset's files through its checks and write one container for each scene."""

import json
import shutil
from collections.abc import Collection
from pathlib import Path

from bench.core.errors import UsageError
from bench.core.params import Params
from bench.core.progress import track
from bench.core.registry import datasets
from bench.io.container import write_scene
from bench.stages import layout
from bench.stages.fetch import NOTE


def run(params: Params, dataset: str) -> None:
    """Write work/<profile>/scenes/<dataset>/<split>/<scene>/ for every split of the dataset.

    Scenes of an earlier call that the dataset no longer holds are removed, or a training would still read them.
    """
    card = datasets[dataset]
    source = _source(layout.need(params, layout.raw(params, dataset), f"fetch {dataset}"))
    for split in card.splits:
        folder, names = layout.scenes(params, dataset, split), set()
        for scene in track(
            card.scenes(source, split, params.datasets[dataset].layout), 0, f"prepare {dataset}/{split}"
        ):
            write_scene(folder / scene.id, scene)
            names.add(scene.id)
        if not names:
            raise UsageError(f"{source} holds no scene of {dataset}/{split}; is it the unpacked dataset?")
        _sweep(folder, names)
        print(f"{dataset}/{split}: {len(names)} scenes")


def _sweep(folder: Path, names: Collection[str]) -> None:
    for path in folder.iterdir():
        if path.name not in names:
            shutil.rmtree(path)


def _source(raw: Path) -> Path:
    note = raw / NOTE
    return Path(json.loads(note.read_text(encoding="utf-8"))["folder"]) if note.exists() else raw
