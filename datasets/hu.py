"""Hu 2020: a hundred synthetic brackets with realistic sensor noise, 85 to train on and 15 to test.

J. Hu et al., "Sensor-realistic Synthetic Data Engine for Multi-frame High Dynamic Range Photography", CVPRW 2020.
"""

from pathlib import Path

from bench.core.dataset import Listing, dataset
from bench.core.errors import UsageError
from bench.core.scene import Scene
from bench.data.layouts.brackets import HU, read_scene
from bench.data.layouts.places import Layout, SplitFolders, find

TRAIN, TEST = (1, 85), (86, 100)
"""Numbers of the scenes: a convention of later papers."""

FOLDERS = ("SynHDR_Dataset2", "")

LAYOUTS: dict[str, Layout] = {
    "dataset2": {
        "train": [SplitFolders((folder,), TRAIN) for folder in FOLDERS],
        "test": [SplitFolders((folder,), TEST) for folder in FOLDERS],
    }
}

DATASET1 = "SynHDR_Dataset1"


@dataset(
    "hu",
    title="Sensor-realistic Synthetic Data Engine, SynHDR_Dataset2 (CVPRW 2020)",
    licence="CC BY-NC 4.0",
    cites="hu2020",
    splits={"train": "train", "test": "test"},
    sources=(
        {
            "name": "SynHDR_Dataset2.zip",
            "url": "",
            "drive": "1Sr2Jth4DT8K7dwviGsMhfDuc1d53XX0Z",
            "bytes": None,
            "sha256": None,
        },
    ),
    fetch="download",
    page="https://github.com/nadir-zeeshan/sensor-realistic-synthetic-data",
    steps=(
        "Open the page, follow its link to Google Drive (folder 1Sr2Jth4DT8K7dwviGsMhfDuc1d53XX0Z), and download the "
        "folder; Drive makes one or more zip archives of it.",
        "Unpack them into one folder, which then holds CVPR2020_NTIRE_Workshop/SynHDR_Dataset2/001 to 100.",
    ),
    layouts=("dataset2",),
    expected={"train": 85, "test": 15},
)
class Hu:
    """SynHDR_Dataset2/001..100, three 16-bit frames, EVs 0 2 4, linear truth; 001-085 train, 086-100 test."""

    def find(self, root: Path, split: str) -> Listing:
        """List the scene folders of "train" or "test"; Dataset1 alone is refused."""
        found = find(root, split, LAYOUTS, "hu")
        if DATASET1 in found.folders[0].parts:
            raise UsageError(
                f"hu, split {split}: {found.folders[0].parent} is {DATASET1}, which is another thing: two exposures, "
                "8-bit RGBA and a fused 8-bit picture instead of radiance. Get SynHDR_Dataset2, with three exposures."
            )
        return found

    def read(self, folder: Path, split: str) -> Scene:
        """Read one scene."""
        return read_scene(folder, "hu", HU)
