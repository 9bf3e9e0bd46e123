"""Your own brackets: a folder for each scene, with frames, their exposures and, where there is one, a truth."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.core.dataset import LAYOUT, Listing, dataset
from bench.core.errors import UsageError
from bench.core.scene import Scene
from bench.data.exposures import of_frames
from bench.data.layouts.brackets import check_floating, inside
from bench.data.layouts.places import natural
from bench.data.user_bracket import TRUTHS, list_frames, read_bracket
from bench.io.camera import need_reader
from bench.io.submission import read_radiance


@dataset(
    "folder",
    title="Your own brackets, a folder for each scene",
    licence="yours",
    cites="nobody",
    splits={"test": "test", "no-truth": "no-truth"},
    fetch="manual",
    steps=(
        "Make a folder for each scene with its frames: JPEG, PNG or TIFF, or linear EXR or HDR in [0, 1].",
        "Exposures come from EXIF, or from exposure_times.txt (seconds) or exposure.txt (EVs), a line for each frame.",
        "Where you have the truth, on the scale of the shortest frame, add it as truth.exr or truth.hdr.",
    ),
)
class FolderBrackets:
    """<scene>/<frames>, any number from two on and in any order; scenes with a truth are the test split."""

    def find(self, root: Path, split: str) -> Listing:
        """List the scene folders with a truth ("test") or without; one of the two may be empty."""
        try:
            folders = [path for path in Path(root).iterdir() if path.is_dir() and path.name[0] != "."]
            chosen = [path for path in folders if (_truth(path) is not None) == (split == "test")]
        except OSError as error:
            raise UsageError(
                f"folder: {error.filename} can't be read ({error.strerror}); name a folder of scenes."
            ) from error
        if not folders:
            raise UsageError(f"folder: no scenes under {root}; expected a folder for each, with its frames.")
        return Listing(LAYOUT, sorted(chosen, key=lambda path: natural(path.name)))

    def read(self, folder: Path, split: str) -> Scene:
        """Read one scene, rows as stored; the checks' record tells how far its frames are from gamma 2.2."""
        what = f'scene "{folder.name}" of folder'
        paths = [inside(path, what) for path in list_frames(folder, TRUTHS)]
        for frame in paths:
            need_reader(frame)  # before its exposure is looked for
        exposures, _ = of_frames(paths)
        scene = read_bracket(folder.name, paths, exposures)
        if (path := _truth(folder)) is None:
            return scene
        told: list[str] = []
        truth = read_radiance(inside(path, what), told)
        check_floating(truth, scene.frames[0], what)
        notes = [*scene.metadata.get("notes", ()), *(f"{path.name}: {said}" for said in told)]
        metadata = {**scene.metadata} | ({"notes": notes} if notes else {})
        return replace(scene, radiance=np.minimum(truth, np.float32(1)), metadata=metadata)


def _truth(folder: Path) -> Path | None:
    return next((folder / name for name in TRUTHS if (folder / name).exists()), None)
