"""The prepared scene: one folder of plain arrays that are mapped into memory when read.

- `<scene>/ldr.npy`: (N, H, W, 3) uint8 or uint16, RGB, as stored by the dataset
- `<scene>/radiance.npy`: (H, W, 3) float32, the truth; absent without one
- `<scene>/scene.json`: id, times, reference, metadata, units and the sha256 of each array's bytes
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import UsageError
from bench.core.scene import Array, Scene
from bench.io.files import replacing

LDR, RADIANCE, CARD = "ldr.npy", "radiance.npy", "scene.json"
UNITS = {"ldr": "code, gamma 2.2, full range of the dtype is 1", "radiance": "relative, 1 saturates the short exposure"}


def write_scene(folder: Path, scene: Scene) -> None:
    """Write one scene to `folder`, whole or not at all; a folder that already holds it is left untouched.

    Equal scenes give equal bytes. BenchError if it can't be written.
    """
    folder = Path(folder)
    arrays = {LDR: scene.frames} | ({} if scene.radiance is None else {RADIANCE: scene.radiance.astype(np.float32)})
    card = _card(scene, {name: np.ascontiguousarray(array) for name, array in arrays.items()})
    if _holds(folder, card, arrays):
        return
    with replacing(folder) as part:
        part.mkdir()
        for name, array in arrays.items():
            np.save(part / name, np.ascontiguousarray(array), allow_pickle=False)
        (part / CARD).write_text(card, encoding="utf-8")


def read_scene(folder: Path, verify: bool = False) -> Scene:
    """Read one prepared scene; its arrays are read-only and mapped into memory, pixels are read when used.

    verify : also compare the arrays with their sha256 (reads everything).
    UsageError if the folder isn't a prepared scene, or is incomplete or altered.
    """
    folder = Path(folder)
    try:
        card = _read_json(folder / CARD)
        arrays = {name: _map(folder / name) for name in card["sha256"]}
        radiance = arrays.get(RADIANCE)
        times = np.asarray(card["times"], np.float64)
        scene = Scene(card["id"], arrays[LDR], times, card["reference"], radiance, card["metadata"])
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
        return _read_json(Path(folder) / CARD)
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder}: not a complete prepared scene ({error}); run prepare again.") from error


def list_scenes(folder: Path) -> list[Path]:
    """List the prepared scenes right under `folder`, sorted by name; UsageError if there are none."""
    scenes = sorted(path.parent for path in Path(folder).glob(f"*/{CARD}") if path.parent.name[0] != ".")
    if not scenes:
        raise UsageError(f"{folder}: no prepared scenes; expected folders with {CARD}. Run the prepare stage first.")
    return scenes


def _read_json(path: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return card


def _card(scene: Scene, arrays: dict[str, Array]) -> str:
    card = {
        "id": scene.id,
        "times": scene.times.tolist(),
        "reference": scene.reference,
        "metadata": dict(scene.metadata),
        "pixel_unit": {Path(name).stem: UNITS[Path(name).stem] for name in arrays},
        "sha256": {name: _sha256(array) for name, array in arrays.items()},
    }
    return json.dumps(card, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _holds(folder: Path, card: str, arrays: dict[str, Array]) -> bool:
    path = folder / CARD
    if not path.is_file() or path.read_text(encoding="utf-8", errors="replace") != card:
        return False
    try:
        read_scene(folder, verify=True)
    except UsageError:
        return False
    return {p.name for p in folder.iterdir()} == {CARD, *arrays}


def _map(path: Path) -> NDArray[Any]:
    array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _sha256(array: Array) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
