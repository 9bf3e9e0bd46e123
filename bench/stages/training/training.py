"""What both training stages share: device, data, perceptual backbone, written results."""

import hashlib
import json
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import nn

from bench.core.errors import UsageError
from bench.core.fingerprint import fingerprint
from bench.core.method import MethodCard
from bench.core.params import Params
from bench.core.patching import Patches
from bench.core.progress import track
from bench.core.scene import Scene
from bench.core.seeding import derive
from bench.io.container import list_scenes, read_scene, write_scene
from bench.io.files import write_bytes_atomic, write_json_atomic, write_text_atomic
from bench.io.lock import alone
from bench.nn.memory import fastest_order
from bench.nn.vgg import VggFeatures
from bench.stages import layout
from bench.train.checkpoint import Checkpoint
from bench.train.loop import Call
from bench.train.patches import PatchStream

Network = TypeVar("Network", bound=nn.Module)

FRAMES = 3
"""Frames that the networks take, short to long."""


def start(params: Params) -> torch.device:
    """Fix the number of CPU threads and the TF32 policy (off: fp32 means fp32); return the device to train on."""
    torch.set_num_threads(params.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def place(network: Network, device: torch.device) -> Network:
    """Move a network to the device, its weights in the memory order that convolutions are fastest in."""
    return network.to(device, memory_format=fastest_order(device))  # type: ignore[call-overload, no-any-return]


Peak = Callable[[str, str], float | None]
"""Device name and precision ("fp32", "bf16") to operations a second at best, where known."""


def unknown(device: str, precision: str) -> float | None:
    """Know no device's peak."""
    return None


@dataclass(frozen=True)
class Limits:
    """What the command line asks of a training that changes no result.

    minutes : after how long it pauses; None: never.
    peak    : what devices can do.
    """

    minutes: float | None
    peak: Peak
    begin: float = field(default_factory=time.monotonic)

    def call(self, params: Params, verb: str, name: str, device: torch.device, patches: int) -> Call:
        """Return what the training loop needs for `verb` `name`, such as train and a run; an epoch has `patches`."""
        return Call(
            deadline=None if self.minutes is None else self.begin + 60 * self.minutes,
            again=layout.command(params, f"{verb} {name}"),
            origin={"verb": verb, "name": name, "patches": patches, "params": params.model_dump(mode="json")},
            peak=self.peak(device_name(device), numerics(params, device)["precision"]),
        )


def numerics(params: Params, device: torch.device) -> dict[str, str]:
    """How a training computes, for its card: the CPU trains in fp32, and fp32 never means TF32."""
    cuda = device.type == "cuda"
    return {"precision": params.precision if cuda else "fp32", "tf32": "off", "adam": "fused"}


def read_split(params: Params, dataset: str, split: str) -> list[Scene]:
    """Return the prepared scenes of a split, frames memory-mapped."""
    folder = layout.need(params, layout.scenes(params, dataset, split), f"prepare {dataset}")
    return [read_scene(path) for path in list_scenes(folder)]


def read_aligned(params: Params, dataset: str, split: str, card: MethodCard) -> list[Scene]:
    """Return the prepared scenes of a split as the method's networks take them, memory-mapped.

    Where these want registered frames, scenes are registered once and kept in runs/, under a hash of the data and of
    all code that decides the result; scenes that are missing or damaged there are made again, by one process at a
    time: other processes of this training, or other trainings, wait and find them.
    """
    scenes = read_split(params, dataset, split)
    if not card.aligns:
        return scenes
    need_bracket(card.label, scenes)
    origin = {"data": data_digest(params, dataset, split), **libraries()}
    folder = (
        Path("runs")
        / params.profile
        / f"aligned-{card.name}--{dataset}"
        / fingerprint("alignment", f"{card.module.replace('.', '/')}.py", settings=origin)
    )
    names = [path.name for path in list_scenes(layout.scenes(params, dataset, split))]
    pairs = zip(scenes, names, strict=True)
    with alone(folder / ".lock", f"Scenes of {dataset} are being aligned by another process; waiting for it to end."):
        return [_kept(folder / name, scene, card) for scene, name in track(pairs, len(scenes), f"align {dataset}")]


def _kept(folder: Path, scene: Scene, card: MethodCard) -> Scene:
    """Read an aligned scene from `folder`, made first where there is none."""
    try:
        return read_scene(folder)
    except UsageError:
        write_scene(folder, card.align(scene))
        return read_scene(folder)


def need_bracket(label: str, scenes: Iterable[Scene]) -> None:
    """Raise UsageError unless every scene is what networks take: `FRAMES` frames, the middle one the reference."""
    for scene in scenes:
        if len(scene.codes) != FRAMES or scene.reference != FRAMES // 2:
            raise UsageError(
                f"scene {scene.id!r} holds {len(scene.codes)} frames, the reference is number {scene.reference + 1}; "
                f"{label} takes {FRAMES}, of which number {FRAMES // 2 + 1} is the reference. Leave {FRAMES} frames in "
                "each scene of the dataset and prepare it again."
            )


def stream(patches: Patches, scenes: Sequence[Scene], seed: int, stage: str) -> PatchStream:
    """Return the patches of a training: equal for all variants of one seed and stage that cut them alike."""
    need_bracket("a network", scenes)
    return PatchStream(
        scenes, size=patches.size, stride=patches.stride, augment=patches.augment, seed=derive(seed, stage, "patches")
    )


def file_digest(path: Path) -> str:
    """sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def data_digest(params: Params, dataset: str, split: str) -> str:
    """Hash the records (with the arrays' sha256) of all scenes of a split."""
    total = hashlib.sha256()
    for path in list_scenes(layout.scenes(params, dataset, split)):
        total.update((path / "scene.json").read_bytes())
    return total.hexdigest()


def backbone(params: Params, weight: float, seed: int, device: torch.device) -> VggFeatures | None:
    """Return the perceptual backbone, or None where it has no weight or is switched off."""
    if params.perceptual.backbone == "none" or weight == 0:
        return None
    if params.perceptual.backbone == "random-vgg16":
        return VggFeatures(None, seed=seed).to(device)
    file = layout.need(params, layout.backbone(params) / layout.VGG, "backbone")
    try:
        state, card = load_file(file), json.loads(file.with_name("card.json").read_text(encoding="utf-8"))
        return VggFeatures(state, source=str(card["sha256"])).to(device)
    except (OSError, ValueError, KeyError, SafetensorError, UsageError) as error:
        again = layout.remake(params, "backbone")
        raise UsageError(f"{file} is damaged ({error}). Delete its folder, then make it with: {again}") from error


def checkpoint(params: Params, name: str, card: Mapping[str, Any], code: str) -> Checkpoint:
    """Return where a training resumes from: a folder under the hash of all that decides its result.

    These are its card, the number of threads, the libraries' versions and the code that runs it.
    """
    decides = {**card, "threads": params.threads, "libraries": libraries()}
    return Checkpoint(Path("runs") / params.profile / name / fingerprint("training", code, settings=decides))


def write_weights(path: Path, network: nn.Module, card: Mapping[str, Any]) -> None:
    """Write weights (safetensors) and their card (JSON), each atomically."""
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    write_bytes_atomic(path, to_bytes(state))
    write_json_atomic(path.with_suffix(".json"), {**card, "libraries": libraries()})


def write_curve(path: Path, curve: Iterable[Mapping[str, float]]) -> None:
    """Write a learning curve as CSV: a row for each logged step, a column for each loss term."""
    rows = list(curve)
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [",".join(names)]
    lines += [",".join(f"{row[name]:.7g}" if name in row else "" for name in names) for row in rows]
    write_text_atomic(path, "\n".join(lines) + "\n")


def libraries() -> dict[str, str]:
    """Versions that change results."""
    import cv2

    versions = {"torch": torch.__version__, "numpy": np.__version__, "opencv": cv2.__version__}
    return {"python": platform.python_version(), **versions}


def device_name(device: torch.device) -> str:
    """Name the device that a number came from: "cpu", or the GPU's product name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def as_json(section: Any) -> dict[str, Any]:
    """Return a parameter section as JSON values."""
    values: dict[str, Any] = json.loads(section.model_dump_json())
    return values
