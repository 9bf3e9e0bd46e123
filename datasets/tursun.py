"""Tursun 2016: sixteen brackets of nine frames with people, water and wind, and no ground truth.

O. T. Tursun, A. O. Akyuz, A. Erdem, E. Erdem, "An Objective Deghosting Quality Metric for HDR Images",
Computer Graphics Forum 35 (2), 2016.
"""

from pathlib import Path

from bench.core.dataset import Listing, dataset
from bench.core.scene import Scene
from bench.data.layouts.places import Layout, SplitFolders, find
from bench.data.layouts.tursun import read_scene

LAYOUTS: dict[str, Layout] = {"numbered-frames": {"no-truth": [SplitFolders(("dataset",)), SplitFolders(("",))]}}


@dataset(
    "tursun",
    title="An Objective Deghosting Quality Metric for HDR Images (Eurographics 2016)",
    licence="none stated: research use, don't redistribute",
    cites="tursun2016",
    splits={"no-truth": "no-truth"},
    sources=(
        {
            "name": "dataset.zip",
            "url": "https://user.ceng.metu.edu.tr/~akyuz/files/eg2016/files/dataset.zip",
            "bytes": None,
            "sha256": None,
        },
    ),
    fetch="download",
    page="https://user.ceng.metu.edu.tr/~akyuz/files/eg2016/index.html",
    steps=("Open the page and download dataset.zip.",),
    layouts=("numbered-frames",),
    expected={"no-truth": 16},
)
class Tursun:
    """<scene>/1.tiff..9.tiff with N.txt, 1 EV apart, 1024x682; frames 5, 7 and 9 are taken, 7 is the reference."""

    def find(self, root: Path, split: str) -> Listing:
        """List the scene folders of the one split."""
        return find(root, split, LAYOUTS, "tursun")

    def read(self, folder: Path, split: str) -> Scene:
        """Read one scene; the metadata names the frames that were taken."""
        return read_scene(folder, "tursun")
