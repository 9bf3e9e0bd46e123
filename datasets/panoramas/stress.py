"""The stress test: views of the test panoramas, each taken many times, with one thing made harder at a time."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench.core.dataset import LAYOUT, Listing, dataset
from bench.core.scene import Scene
from bench.core.simulation import Simulation
from bench.core.stress import BETWEEN
from bench.data.layouts.brackets import read_scene
from bench.data.layouts.places import Layout, SplitFolders, find
from bench.data.stress import FOLDER, simulate_stress

FOLDERS: Layout = {"test": [SplitFolders((FOLDER,))]}


@dataset(
    "stress",
    title="Test views of the CC0 panoramas, one difficulty turned at a time",
    licence="CC0-1.0",
    cites="zaal-hdrihaven",
    splits={"test": "test"},
    fetch="simulate",
)
class Stress:
    """Brackets that `bench.data.stress` made: `forest-01--speed-3` is a view with its objects at their third speed."""

    def find(self, root: Path, split: str) -> Listing:
        """List the scene folders."""
        return find(root, split, {LAYOUT: FOLDERS}, "stress")

    def read(self, folder: Path, split: str) -> Scene:
        """Read one scene; metadata "capture" is the panorama that it shows."""
        return replace(
            read_scene(folder, "stress"), metadata={"capture": folder.name.partition(BETWEEN)[0].rpartition("-")[0]}
        )

    def simulate(self, settings: Simulation, panoramas: Path, out: Path, report: Callable[[str], None]) -> None:
        """Make the files that `find` lists, from the panoramas in the folder that is named."""
        simulate_stress(settings, panoramas, out, report)
