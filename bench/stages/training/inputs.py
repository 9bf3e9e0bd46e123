"""Scenes and patches of a training: read, registered where a network wants it, refused where no network takes them."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from bench.color.registration import registered
from bench.core import layout
from bench.core.errors import UsageError
from bench.core.fingerprint import fingerprint
from bench.core.params import Params
from bench.core.progress import track
from bench.core.scene import Scene
from bench.io.container import list_scenes, read_scene, write_scene
from bench.io.lock import alone
from bench.stages.training.environment import libraries

FRAMES = 3
"""Frames that the networks take, short to long."""


def read_split(params: Params, dataset: str, split: str) -> list[Scene]:
    """Return the prepared scenes of a split, frames memory-mapped."""
    folder = layout.need(params, layout.scenes(params, dataset, split), f"prepare {dataset}")
    return [read_scene(path) for path in list_scenes(folder)]


def read_aligned(params: Params, dataset: str, split: str, registration: str) -> list[Scene]:
    """Return the prepared scenes of a split with their frames registered, memory-mapped.

    registration : a key of `bench.color.registration.REGISTRATIONS`; "none" leaves scenes as they are.

    Scenes are registered once for all variants that want it alike, and kept in runs/, under a hash of the data and of
    all code that decides the result; scenes that are missing or damaged there are made again, by one process at a
    time: other processes of this training, or other trainings, wait and find them.
    """
    scenes = read_split(params, dataset, split)
    if registration == "none":
        return scenes
    need_bracket("a network", scenes)
    origin = {"registration": registration, "data": data_digest(params, dataset, split), **libraries()}
    decided = fingerprint("alignment", settings=origin)
    folder = Path("runs") / params.profile / f"aligned-{registration}--{dataset}" / decided
    names = [path.name for path in list_scenes(layout.scenes(params, dataset, split))]
    pairs, said = zip(scenes, names, strict=True), f"align {dataset}"
    with alone(folder / ".lock", f"Scenes of {dataset} are being aligned by another process; waiting for it to end."):
        return [_kept(folder / name, scene, registration) for scene, name in track(pairs, len(scenes), said)]


def _kept(folder: Path, scene: Scene, registration: str) -> Scene:
    """Read an aligned scene from `folder`, made first where there is none."""
    try:
        return read_scene(folder)
    except UsageError:
        write_scene(folder, registered(scene, registration))
        return read_scene(folder)


def need_bracket(label: str, scenes: Iterable[Scene]) -> None:
    """Raise UsageError unless every scene is what networks take: `FRAMES` frames, the middle one the reference."""
    for scene in scenes:
        if len(scene.frames) != FRAMES or scene.reference != FRAMES // 2:
            raise UsageError(
                f"scene {scene.id!r} holds {len(scene.frames)} frames, the reference is number {scene.reference + 1}; "
                f"{label} takes {FRAMES}, of which number {FRAMES // 2 + 1} is the reference. Leave {FRAMES} frames in "
                "each scene of the dataset and prepare it again."
            )


def data_digest(params: Params, dataset: str, split: str) -> str:
    """Hash the records (with the arrays' sha256) of all scenes of a split."""
    total = hashlib.sha256()
    for path in list_scenes(layout.scenes(params, dataset, split)):
        total.update((path / "scene.json").read_bytes())
    return total.hexdigest()
