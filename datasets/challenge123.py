"""Challenge123: 96 training and 27 test brackets with large motion, in Kalantari's layout; published with SAFNet.

L. Kong et al., "SAFNet: Selective Alignment Fusion Network for Efficient HDR Imaging", ECCV 2024.
"""

from pathlib import Path

from bench.core.dataset import Listing, dataset
from bench.core.scene import Scene
from bench.data.layouts.brackets import read_scene
from bench.data.layouts.places import KALANTARI_LIKE, find


@dataset(
    "challenge123",
    title="Challenge123, of SAFNet (ECCV 2024)",
    licence="academic use only",
    cites="kong2024",
    splits={"train": "train", "test": "test"},
    sources=({"name": "Challenge123.zip", "url": "", "bytes": None, "sha256": None},),
    fetch="manual",
    page="https://huggingface.co/datasets/ltkong218/Challenge123",
    steps=(
        "Open the page, accept its terms, download the zip archive (11.5 GB) and unpack it into one folder, which then "
        "holds a training and a test folder.",
    ),
    layouts=("kalantari-like",),
    expected={"train": 96, "test": 27},
)
class Challenge123:
    """Training and test folders of scenes with three TIFFs, exposure.txt and HDRImg.hdr."""

    def __init__(self, layout: str | None = None) -> None:
        """There is one layout."""

    def find(self, root: Path, split: str) -> Listing:
        """List the scene folders of "train" or "test"."""
        return find(root, split, {"kalantari-like": KALANTARI_LIKE}, "challenge123")

    def read(self, folder: Path, split: str) -> Scene:
        """Read one scene; each is a capture of its own."""
        return read_scene(folder, "challenge123")
