"""Challenge123: 96 training and 27 test brackets with large motion, each of three moments; published with SAFNet.

L. Kong et al., "SAFNet: Selective Alignment Fusion Network for Efficient HDR Imaging", ECCV 2024.
"""

import re
from pathlib import Path

from bench.core.dataset import Listing, dataset
from bench.core.errors import Incomplete, UsageError
from bench.core.scene import Scene
from bench.data.layouts.brackets import FRAMES, read_files
from bench.data.layouts.places import KALANTARI_LIKE, find

MIDDLE = "_2"
MOMENT = re.compile(r"(.+)_[123]")
"""Ending of the folders of the middle moment, whose truth and exposures are the scene's."""

TRUTHS = ("hdr_img.hdr", "HDRImg.hdr")


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
    layouts=("three-moments",),
    expected={"train": 96, "test": 27},
)
class Challenge123:
    """Folders xxx_1, xxx_2 and xxx_3, three exposures of one moment each; a scene takes one frame of each moment.

    Frame N is xxx_N/ldr_img_N.tif; truth and exposures are those of xxx_2, as in the authors' README:
    https://github.com/ltkong218/SAFNet
    """

    def find(self, root: Path, split: str) -> Listing:
        """List the folders xxx_2 of "train" or "test", absent ones too; the other two moments lie beside them."""
        found = find(root, split, {"three-moments": KALANTARI_LIKE}, "challenge123")
        moments = ((folder, MOMENT.fullmatch(folder.name)) for folder in found.folders)
        middle = list(dict.fromkeys(folder.with_name(f"{of[1]}{MIDDLE}") for folder, of in moments if of))
        if not middle:
            raise UsageError(
                f"challenge123, split {split}: {found.folders[0].parent} has no folder of a middle moment; expected "
                "xxx_1, xxx_2 and xxx_3 for each scene."
            )
        return Listing(found.layout, middle, {folder: (_moment(folder, 1), _moment(folder, 3)) for folder in middle})

    def read(self, folder: Path, split: str) -> Scene:
        """Read scene xxx from its folder xxx_2 and the two beside it; each is a capture of its own."""
        name = folder.name.removesuffix(MIDDLE)
        what = f'scene "{name}" of challenge123'
        frames = [_moment(folder, number) / f"ldr_img_{number}.tif" for number in range(1, FRAMES + 1)]
        missing = [f"{path.parent.name}/{path.name}" for path in frames if not path.is_file()]
        if missing:
            raise Incomplete(f"{what}: no {', '.join(missing)}; the download may be incomplete.")
        truth = next((folder / known for known in TRUTHS if (folder / known).exists()), folder / TRUTHS[0])
        return read_files(name, what, frames, folder / "exposure.txt", truth)


def _moment(folder: Path, number: int) -> Path:
    return folder.with_name(f"{folder.name.removesuffix(MIDDLE)}_{number}")
