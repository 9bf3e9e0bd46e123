"""Your own brackets: a folder for each scene, with frames, their exposures and, where there is one, a truth."""

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.core.dataset import LAYOUT, Listing, dataset
from bench.core.errors import UsageError
from bench.core.places import is_counted, place
from bench.core.reading import shown
from bench.core.scene import Scene
from bench.data.exposures import of_frames
from bench.data.layouts.brackets import check_floating, inside
from bench.data.layouts.places import natural
from bench.data.user_bracket import find_truth, list_frames, may_be_frame, read_bracket
from bench.io.camera import need_reader
from bench.io.submission import read_radiance

LONGEST = 200
"""Bytes of a scene's name: what is made from it gets it with an ending, of 255 that file systems take."""

TRAIN, TEST, NO_TRUTH = "train", "test", "no-truth"


@dataset(
    "folder",
    title="Your own brackets, a folder for each scene",
    licence="yours",
    cites="nobody",
    splits={"train": "train", "test": "test", "no-truth": "no-truth"},
    fetch="manual",
    steps=(
        "Make a folder for each scene with its frames: JPEG, PNG or TIFF, or linear EXR or HDR in [0, 1].",
        "Exposures come from EXIF, or from exposure_times.txt (seconds) or exposure.txt (EVs), a line for each frame.",
        "Where you have the truth, on the scale of the shortest frame, add it as truth.exr or truth.hdr.",
        "To train on some, put those scenes into a folder train, of other places than the rest: kitchen-1 and "
        "kitchen-2 show one place.",
    ),
)
class FolderBrackets:
    """<scene>/<frames>, any number from two on and in any order; scenes with a truth are the test split.

    Scenes below a folder `train` are the training split; a folder `test` may hold the others.
    """

    def find(self, root: Path, split: str) -> Listing:
        """List the scene folders of a split; of the three, two may be empty.

        UsageError where there is none at all, and where a place (`bench.core.places`) is trained and tested on.
        """
        train = _folders(root / TRAIN) if _holds_scenes(root / TRAIN) else []
        rest = [path for path in _folders(root) if path.name != TRAIN or not train]
        rest = [scene for path in rest for scene in (_folders(path) if _is_holder(path) else [path])]
        for scene in (*train, *rest):
            _need_writable(scene)
        if not train and not rest:
            raise UsageError(
                f"folder: no scenes under {shown(root)}; expected a folder for each, with its frames; those to train "
                f"on below {TRAIN}."
            )
        _refuse_shared([path.name for path in train], [path.name for path in rest])
        chosen = (
            train if split == TRAIN else [path for path in rest if (find_truth(path) is not None) == (split == TEST)]
        )
        return Listing(LAYOUT, sorted(chosen, key=lambda path: natural(path.name)))

    def read(self, folder: Path, split: str) -> Scene:
        """Read one scene, rows as stored; the checks' record tells how far its frames are from gamma 2.2."""
        what = f'scene "{shown(folder.name)}" of folder'
        try:
            scene = _read(folder, what)
        except UsageError as error:
            said = str(error)
            raise UsageError(said if said.startswith(what) else f"{what}: {said}") from error
        if split == TRAIN and scene.radiance is None:
            raise UsageError(
                f"{what}: no truth (truth.exr or truth.hdr) to train on; add it, or move the scene out of {TRAIN}."
            )
        return scene


def _read(folder: Path, what: str) -> Scene:
    paths = [inside(path, what) for path in list_frames(folder)]
    if odd := [path.name for path in paths if not _writable(path.name)]:
        raise UsageError(f"a frame is called {shown(repr(odd[0]))}, which can't be written into a record; rename it.")
    for frame in paths:
        need_reader(frame)  # before its exposure is looked for
    scene = read_bracket(folder.name, paths, of_frames(paths).values)
    if (path := find_truth(folder)) is None:
        return scene
    told: list[str] = []
    truth = read_radiance(inside(path, what), told)
    check_floating(truth, scene.frames[0], what)
    notes = [*scene.metadata.get("notes", ()), *(f"{path.name}: {said}" for said in told)]
    metadata = {**scene.metadata} | ({"notes": notes} if notes else {})
    return replace(scene, radiance=np.minimum(truth, np.float32(1)), metadata=metadata)


def _folders(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir() and path.name[0] != "."]
    except OSError as error:
        raise UsageError(
            f"folder: {shown(folder)} can't be read ({error.strerror}); name a folder of scenes."
        ) from error


def _need_writable(scene: Path) -> None:
    """Refuse names that can't stand in tables and in the names of predictions."""
    if not _writable(scene.name) or len(os.fsencode(scene.name)) > LONGEST:
        raise UsageError(
            f"folder: a scene is called {shown(repr(scene.name))}; expected a name of at most {LONGEST} bytes without "
            "line ends, control characters and bytes that aren't UTF-8. Rename its folder."
        )


def _writable(name: str) -> bool:
    """Tell whether a name has no control characters, line ends or bytes that aren't UTF-8."""
    return not {unicodedata.category(character) for character in name} & {"Cc", "Cs", "Zl", "Zp"}


def _holds_scenes(folder: Path) -> bool:
    """Tell folders of scenes from a scene: they hold folders and no frames; Thumbs.db is a stray file."""
    return (
        folder.is_dir()
        and bool(_folders(folder))
        and not any(path.is_file() and may_be_frame(path) for path in folder.iterdir())
    )


def _is_holder(folder: Path) -> bool:
    return folder.name in (TEST, NO_TRUTH) and _holds_scenes(folder)


def _refuse_shared(train: Sequence[str], rest: Sequence[str]) -> None:
    """Refuse places that are trained and tested on, unless all names would be one place: scene-1, scene-2.

    A name that a camera gave, IMG_0042, stands for itself alone.
    """
    places = {name: name if is_counted(name) else place(name) for name in (*train, *rest)}
    if len(set(places.values())) < 2:
        return
    for name in rest:
        if twin := next((other for other in train if places[other] == places[name]), None):
            raise UsageError(
                f"folder: {TRAIN}/{shown(twin)} and {shown(name)} are views of one place by their names "
                f"({shown(places[name])}); a test on a place that was trained on means nothing. Move one of them to "
                "the other's split or, if they show different places, rename it."
            )
