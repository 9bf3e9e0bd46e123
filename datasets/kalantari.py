"""Kalantari 2017: 74 training and 15 test brackets of people moving, the field's main dataset.

N. K. Kalantari, R. Ramamoorthi, "Deep High Dynamic Range Imaging of Dynamic Scenes", ACM Trans. Graph. 36 (4), 2017.
"""

from dataclasses import replace
from pathlib import Path

from bench.core.dataset import LAYOUT, Listing, dataset
from bench.core.scene import Scene
from bench.data.kalantari_layout import find_scenes, read_scene


@dataset(
    "kalantari",
    title="Deep High Dynamic Range Imaging of Dynamic Scenes (SIGGRAPH 2017)",
    licence="none stated: research use, don't redistribute",
    cites="kalantari2017",
    splits={"train": "train", "test": "test"},
    sources=(
        {
            "url": "https://cseweb.ucsd.edu/~viscomp/projects/SIG17HDR/PaperData/SIGGRAPH17_HDR_Trainingset.zip",
            "bytes": 2102116177,
            "sha256": "recorded at first download",
        },
        {
            "url": "https://cseweb.ucsd.edu/~viscomp/projects/SIG17HDR/PaperData/SIGGRAPH17_HDR_Testset.zip",
            "bytes": 602667980,
            "sha256": "recorded at first download",
        },
    ),
    fetch="manual",
)
class Kalantari:
    """Official layout: Training/001..074, Test/EXTRA/001..010, Test/PAPER/<five names>; 1500x1000, 16 bits."""

    def __init__(self, layout: str | None = None) -> None:
        """There is one layout."""

    def find(self, root: Path, split: str) -> Listing:
        """List the scene folders of "train" or "test"."""
        return Listing(LAYOUT, find_scenes(root, split, "kalantari"))

    def read(self, folder: Path, split: str) -> Scene:
        """Read one scene; each is a capture of its own."""
        return replace(read_scene(folder, dataset="kalantari"), metadata={"capture": folder.name})
