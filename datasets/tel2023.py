"""Tel 2023: 108 training and 36 test brackets with people, in Kalantari's layout; published with SCTNet.

S. Tel et al., "Alignment-free HDR Deghosting with Semantics Consistent Transformer", ICCV 2023.
"""

from pathlib import Path

from bench.core.dataset import Listing, dataset
from bench.core.scene import Scene
from bench.data.layouts.brackets import read_scene
from bench.data.layouts.places import KALANTARI_LIKE, find


@dataset(
    "tel2023",
    title="Alignment-free HDR Deghosting with Semantics Consistent Transformer (ICCV 2023)",
    licence="none stated: research use, don't redistribute",
    cites="tel2023",
    splits={"train": "train", "test": "test"},
    sources=(
        {
            "name": "tel2023.zip",
            "url": "",
            "drive": "1CtvUxgFRkS56do_Hea2QC7ztzglGfrlB",
            "bytes": None,
            "sha256": None,
        },
    ),
    fetch="download",
    page="https://drive.google.com/drive/folders/1CtvUxgFRkS56do_Hea2QC7ztzglGfrlB",
    steps=(
        "Open the page, download the folder (Drive makes one or more zip archives of it) and unpack them into one "
        "folder, which then holds a training and a test folder.",
    ),
    layouts=("kalantari-like",),
    expected={"train": 108, "test": 36},
)
class Tel2023:
    """Training and test folders of scenes with three TIFFs, exposure.txt and HDRImg.hdr."""

    def find(self, root: Path, split: str) -> Listing:
        """List the scene folders of "train" or "test"."""
        return find(root, split, {"kalantari-like": KALANTARI_LIKE}, "tel2023")

    def read(self, folder: Path, split: str) -> Scene:
        """Read one scene; each is a capture of its own."""
        return read_scene(folder, "tel2023")
