"""Prepare: read a dataset's files through its checks and write one container for each scene."""

import json
from pathlib import Path

from bench.core.errors import UsageError
from bench.core.params import Params
from bench.core.progress import track
from bench.core.registry import datasets
from bench.io.container import write_scene
from bench.stages import layout
from bench.stages.fetch import NOTE


def run(params: Params, dataset: str) -> None:
    """Write work/<profile>/scenes/<dataset>/<split>/<scene>/ for every split of the dataset."""
    card = datasets[dataset]
    source = _source(layout.need(layout.raw(params, dataset), f"fetch {dataset}"))
    for split in card.splits:
        folder, count = layout.scenes(params, dataset, split), 0
        for scene in track(card.scenes(source, split), 0, f"prepare {dataset}/{split}"):
            write_scene(folder / scene.id, scene)
            count += 1
        if count == 0:
            raise UsageError(f"{source} holds no scene of {dataset}/{split}; is it the unpacked dataset?")
        print(f"{dataset}/{split}: {count} scenes")


def _source(raw: Path) -> Path:
    note = raw / NOTE
    return Path(json.loads(note.read_text(encoding="utf-8"))["folder"]) if note.exists() else raw
