"""Simulated brackets from the CC0 panoramas in this folder: what the benchmark runs on without any download."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench.core.dataset import dataset
from bench.core.scene import Scene
from bench.data.kalantari_layout import find_scenes, read_scene


@dataset(
    "panoramas",
    title="Simulated brackets from eight CC0 panoramas",
    licence="CC0-1.0",
    cites="zaal-hdrihaven",
    splits={"train": "train", "test": "test", "no-truth": "no-truth"},
    fetch="simulate",
)
class Panoramas:
    """Brackets that `bench.data.simulate` made: views of real places, moving objects, a noisy sensor, exact truth."""

    def scenes(self, root: Path, split: str) -> Iterator[Scene]:
        """Yield the scenes of "train", "test" or "no-truth"; metadata "capture" is the panorama they show."""
        for folder in find_scenes(root, split, "panoramas"):
            scene = read_scene(folder, split != "no-truth", "panoramas")
            yield replace(scene, metadata={"capture": folder.name.rpartition("-")[0]})
