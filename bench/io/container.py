"""The prepared scene: one folder of plain arrays that are mapped into memory when read.

- `<scene>/ldr.npy`: (N, H, W, 3) uint8 or uint16, RGB, as stored by the dataset
- `<scene>/radiance.npy`: (H, W, 3) float32, the truth; absent without one
- `<scene>/uncovered.npy`: (H, W) bool, what other frames don't show of the reference; absent where nobody knows
- `<scene>/scene.json`: id, times, reference, metadata, units and the sha256 of each array's bytes
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import UsageError
from bench.core.scene import Array, Scene
from bench.io.files import replacing

LDR, RADIANCE, UNCOVERED, CARD = "ldr.npy", "radiance.npy", "uncovered.npy", "scene.json"
UNITS = {
    "ldr": "code, gamma 2.2, full range of the dtype is 1",
    "radiance": "relative, 1 saturates the short exposure",
    "uncovered": "true where another frame doesn't show what the reference shows",
}


def write_scene(folder: Path, scene: Scene) -> None:
    """Write one scene to `folder`, whole or not at all; a folder that already holds it is left untouched.

    Equal scenes give equal bytes. BenchError if it can't be written.
    """
    folder = Path(folder)
    arrays: dict[str, Array] = {LDR: np.ascontiguousarray(scene.frames)}
    if scene.radiance is not None:
        arrays[RADIANCE] = np.ascontiguousarray(scene.radiance, np.float32)
    if scene.uncovered is not None:
        arrays[UNCOVERED] = np.ascontiguousarray(scene.uncovered)
    card = {
        "id": scene.id,
        "times": scene.times.tolist(),
        "reference": scene.reference,
        "metadata": dict(scene.metadata),
        "pixel_unit": {Path(name).stem: UNITS[Path(name).stem] for name in arrays},
        "sha256": {name: _sha256(array) for name, array in arrays.items()},
    }
    text = json.dumps(card, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    if _holds(folder, text, {CARD, *arrays}):
        return
    with replacing(folder) as part:
        part.mkdir()
        for name, array in arrays.items():
            np.save(part / name, array, allow_pickle=False)
        (part / CARD).write_text(text, encoding="utf-8")


def _holds(folder: Path, card: str, names: set[str]) -> bool:
    path = folder / CARD
    if not path.is_file() or path.read_text(encoding="utf-8", errors="replace") != card:
        return False
    try:
        read_scene(folder, verify=True)
    except UsageError:
        return False
    return {path.name for path in folder.iterdir()} == names


def _sha256(array: Array) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def read_scene(folder: Path, verify: bool = False) -> Scene:
    """Read one prepared scene; its arrays are read-only and mapped into memory, pixels are read when used.

    verify : also compare the arrays with their sha256 (reads everything).
    UsageError if the folder isn't a prepared scene, or is incomplete or altered.
    """
    folder, card = Path(folder), read_card(folder)
    try:
        arrays = {name: np.load(folder / name, mmap_mode="r", allow_pickle=False) for name in card["sha256"]}
        radiance = arrays.get(RADIANCE)
        times = np.asarray(card["times"], np.float64)
        uncovered = arrays.get(UNCOVERED)
        scene = Scene(card["id"], arrays[LDR], times, card["reference"], radiance, card["metadata"], uncovered)
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise UsageError(f"{folder}: not a complete prepared scene ({error}); run prepare again.") from error
    if radiance is not None and radiance.shape != scene.frames.shape[1:]:
        raise UsageError(f"{folder}: frames and truth differ in size; run the prepare stage again.")
    if verify and any(_sha256(array) != card["sha256"][name] for name, array in arrays.items()):
        raise UsageError(f"{folder}: arrays differ from their sha256 in {CARD}; delete it and run prepare again.")
    return scene


def read_card(folder: Path) -> dict[str, Any]:
    """Return everything that a prepared scene's `scene.json` holds; UsageError if it can't be read."""
    try:
        card: dict[str, Any] = json.loads((Path(folder) / CARD).read_text(encoding="utf-8"))
        return card
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder}: not a complete prepared scene ({error}); run prepare again.") from error


def list_scenes(folder: Path) -> list[Path]:
    """List the prepared scenes right under `folder`, sorted by name; UsageError if there are none."""
    scenes = sorted(path.parent for path in Path(folder).glob(f"*/{CARD}") if path.parent.name[0] != ".")
    if not scenes:
        raise UsageError(f"{folder}: no prepared scenes; expected folders with {CARD}. Run the prepare stage first.")
    return scenes
