"""Kalantari 2017: 74 training and 15 test brackets of people moving, the field's main dataset.

N. K. Kalantari, R. Ramamoorthi, "Deep High Dynamic Range Imaging of Dynamic Scenes", ACM Trans. Graph. 36 (4), 2017.
"""

from pathlib import Path

from bench.core.dataset import Listing, dataset
from bench.core.scene import Scene
from bench.data.layouts.brackets import OFFICIAL, OXFORD, read_scene
from bench.data.layouts.places import Layout, SplitFolders, find

LAYOUTS: dict[str, Layout] = {
    "official": {"train": [SplitFolders(("Training",))], "test": [SplitFolders(("Test/EXTRA", "Test/PAPER"))]},
    "flattened-test": {"train": [SplitFolders(("Training",))], "test": [SplitFolders(("Test",))]},
    "oxford": {"train": [SplitFolders(("train",))], "test": [SplitFolders(("test",))]},
}
NAMES = {"official": OFFICIAL, "flattened-test": OFFICIAL, "oxford": OXFORD}


@dataset(
    "kalantari",
    title="Deep High Dynamic Range Imaging of Dynamic Scenes (SIGGRAPH 2017)",
    licence="none stated: research use, don't redistribute",
    cites="kalantari2017",
    splits={"train": "train", "test": "test"},
    sources=(
        {
            "name": "SIGGRAPH17_HDR_Trainingset.zip",
            "url": "https://cseweb.ucsd.edu/~viscomp/projects/SIG17HDR/PaperData/SIGGRAPH17_HDR_Trainingset.zip",
            "bytes": 2102116177,
            "sha256": None,
        },
        {
            "name": "SIGGRAPH17_HDR_Testset.zip",
            "url": "https://cseweb.ucsd.edu/~viscomp/projects/SIG17HDR/PaperData/SIGGRAPH17_HDR_Testset.zip",
            "bytes": 602667980,
            "sha256": None,
        },
    ),
    fetch="download",
    page="https://cseweb.ucsd.edu/~viscomp/projects/SIG17HDR/",
    steps=(
        "Open the page and download the training set and the test set (two zip archives, 2.7 GB).",
        "Or take kalantari_dataset.zip (about 8 GB) from https://www.robots.ox.ac.uk/~szwu/storage/18_hdr/ ; its other "
        "layout is read too.",
    ),
    layouts=("official", "flattened-test", "oxford"),
    expected={"train": 74, "test": 15},
)
class Kalantari:
    """Training/001..074, Test/EXTRA/001..010, Test/PAPER/<five names>; 1500x1000, 16 bits; each a capture."""

    def __init__(self, layout: str | None = None) -> None:
        """Expect one of the card's layouts, or whichever is there."""
        self.layouts = LAYOUTS if layout is None else {layout: LAYOUTS[layout]}

    def find(self, root: Path, split: str) -> Listing:
        """List the scene folders of "train" or "test"."""
        return find(root, split, self.layouts, "kalantari")

    def read(self, folder: Path, split: str) -> Scene:
        """Read one scene; the names of its files tell which layout it is in."""
        oxford = "oxford" in self.layouts and (folder / OXFORD.exposures).exists()
        return read_scene(folder, "kalantari", NAMES["oxford" if oxford else "official"])
