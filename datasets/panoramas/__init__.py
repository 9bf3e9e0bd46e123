"""Simulated brackets from the CC0 panoramas in this folder: what the benchmark runs on without any download."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench.core.dataset import LAYOUT, Listing, dataset
from bench.core.scene import Scene
from bench.core.simulation import Simulation
from bench.data.layouts.brackets import read_scene
from bench.data.layouts.places import Layout, SplitFolders, find
from bench.data.simulate import simulate

PLACES: Layout = {
    "train": [SplitFolders(("Training",))],
    "validation": [SplitFolders(("Validation",))],
    "test": [SplitFolders(("Test/EXTRA",))],
    "no-truth": [SplitFolders(("NoTruth",))],
}


@dataset(
    "panoramas",
    title="Simulated brackets from 29 CC0 panoramas",
    licence="CC0-1.0",
    cites="zaal-hdrihaven",
    splits={"train": "train", "validation": "validation", "test": "test", "no-truth": "no-truth"},
    fetch="simulate",
)
class Panoramas:
    """Brackets that `bench.data.simulate` made: views of real places by a hand-held camera, with exact truth."""

    def find(self, root: Path, split: str) -> Listing:
        """List the scene folders of "train", "validation", "test" or "no-truth"."""
        return find(root, split, {LAYOUT: PLACES}, "panoramas")

    def read(self, folder: Path, split: str) -> Scene:
        """Read one scene; metadata "capture" is the panorama that it shows."""
        scene = read_scene(folder, "panoramas", truth=split != "no-truth")
        return replace(scene, metadata={"capture": folder.name.rpartition("-")[0]})

    def simulate(self, settings: Simulation, panoramas: Path, out: Path, report: Callable[[str], None]) -> None:
        """Make the files that `find` lists, from the panoramas in the folder that is named."""
        simulate(settings, panoramas, out, report)
