"""The prepared scene: one folder of plain arrays that are mapped into memory when read.

- `<scene>/ldr.npy`: (N, H, W, 3) uint8 or uint16, RGB, as stored by the dataset
- `<scene>/radiance.npy`: (H, W, 3) float32, the truth; absent without one
- `<scene>/uncovered.npy`: (H, W) bool, what other frames don't show of the reference; absent where nobody knows
- `<scene>/scene.json`: id, times, reference, metadata, units and the sha256 of each array's bytes
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import UsageError
from bench.core.reading import read_json, shown
from bench.core.scene import Array, Scene
from bench.io.arrays import read_array
from bench.io.files import replacing

LDR, RADIANCE, UNCOVERED, CARD = "ldr.npy", "radiance.npy", "uncovered.npy", "scene.json"
UNITS = {
    LDR: "code, gamma 2.2, full range of the dtype is 1",
    RADIANCE: "relative, 1 saturates the short exposure",
    UNCOVERED: "true where another frame doesn't show what the reference shows",
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
        "pixel_unit": {Path(name).stem: UNITS[name] for name in arrays},
        "sha256": {name: _sha256(array) for name, array in arrays.items()},
    }
    text = json.dumps(card, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{shown(folder)}: this scene's name, or what is told of it, isn't UTF-8 text; rename its folder."
        ) from error
    if _holds(folder, text, {CARD, *arrays}):
        return
    with replacing(folder) as part:
        part.mkdir()
        for name, array in arrays.items():
            np.save(part / name, array, allow_pickle=False)
        (part / CARD).write_text(text, encoding="utf-8")


def _holds(folder: Path, card: str, names: set[str]) -> bool:
    path = folder / CARD
    if not path.is_file() or path.stat().st_size != len(card.encode()) or path.read_bytes() != card.encode():
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
        sums = _checked(card)
        arrays = {name: read_array(folder / name) for name in sums}
        radiance, uncovered = arrays.get(RADIANCE), arrays.get(UNCOVERED)
        if radiance is not None and radiance.dtype != np.float32:
            raise UsageError(f"{RADIANCE} holds {radiance.dtype}, expected float32")
        times = np.asarray(card["times"], np.float64)
        scene = Scene(card["id"], arrays[LDR], times, card["reference"], radiance, card["metadata"], uncovered)
    except (UsageError, KeyError, ValueError, TypeError, OverflowError) as error:
        # A scene's own complaint names what is wrong with it; the rest is a card of another shape.
        raise _incomplete(folder, error) from error
    if radiance is not None and radiance.shape != scene.frames.shape[1:]:
        raise UsageError(f"{shown(folder)}: frames and truth differ in size; run the prepare stage again.")
    if verify and any(_sha256(array) != sums[name] for name, array in arrays.items()):
        raise UsageError(
            f"{shown(folder)}: arrays differ from their sha256 in {CARD}; delete it and run prepare again."
        )
    return scene


def _checked(card: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return array -> sha256 of a card whose values are of the kinds that a scene has; ValueError otherwise."""
    sums, times, reference = card["sha256"], card["times"], card["reference"]
    if not isinstance(sums, dict) or LDR not in sums or not set(sums) <= set(UNITS):
        raise ValueError(f"sha256 in {CARD} is no mapping of {', '.join(UNITS)}")
    if not isinstance(times, list) or not all(type(time) in (int, float) for time in times) or not times:
        raise ValueError(f"times in {CARD} are no list of numbers")
    if not np.isfinite(np.asarray(times, np.float64)).all():
        raise ValueError(f"times in {CARD} aren't finite")
    if type(reference) is not int or not 0 <= reference < len(times):
        raise ValueError(f"reference in {CARD} is no index of its times")
    if not isinstance(card["id"], str) or not isinstance(card["metadata"], dict):
        raise ValueError(f"id or metadata in {CARD} are of another kind")
    return sums


def _incomplete(folder: Path, error: Exception) -> UsageError:
    said = f"no {error.args[0]!r} in {CARD}" if isinstance(error, KeyError) else str(error)
    return UsageError(f"{shown(folder)}: not a complete prepared scene ({shown(said)}); run prepare again.")


def read_card(folder: Path) -> dict[str, Any]:
    """Return everything that a prepared scene's `scene.json` holds; UsageError if it can't be read or is no object."""
    try:
        return read_json(Path(folder) / CARD)
    except UsageError as error:
        raise _incomplete(Path(folder), error) from error


def list_scenes(folder: Path) -> list[Path]:
    """List the prepared scenes right under `folder`, sorted by name; UsageError if there are none."""
    scenes = sorted(path.parent for path in Path(folder).glob(f"*/{CARD}") if path.parent.name[0] != ".")
    if not scenes:
        raise UsageError(
            f"{shown(folder)}: no prepared scenes; expected folders with {CARD}. Run the prepare stage first."
        )
    return scenes
