"""Score: anyone's results, from a folder of radiance files, under a named protocol."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.core.errors import UsageError, unknown_name
from bench.core.params import Params
from bench.core.registry import datasets, protocols
from bench.core.scene import Radiance
from bench.io.container import list_scenes, read_scene
from bench.io.radiance import read_exr, read_rgbe
from bench.io.tables import ScoreRow, write_scores
from bench.stages import layout


def _read_array(path: Path) -> Radiance:
    """Read (H, W, 3) floats from a .npy file."""
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UsageError(f"{path} isn't a readable .npy file of numbers: {error}.") from error
    if array.ndim != 3 or array.shape[-1] != 3 or array.dtype.kind != "f":
        raise UsageError(f"{path} holds {array.dtype} of shape {array.shape}; expected floats of shape (H, W, 3).")
    return np.asarray(array, dtype=np.float32)


READERS: dict[str, Callable[[Path], Radiance]] = {".exr": read_exr, ".hdr": read_rgbe, ".npy": _read_array}
"""What a submitted file may be, by suffix; the first that exists is taken."""


def run(params: Params, folder: Path, dataset: str, protocol: str, out: Path | None = None) -> None:
    """Score `<scene>.exr|.hdr|.npy` in `folder` against the prepared test scenes of `dataset`.

    Prints one line a scene and the mean; with `out`, writes score rows of variant `folder`'s name. A scene without a
    file, or a file that doesn't fit, raises UsageError before anything is written.
    """
    rule = protocols[protocol]
    split = next((name for name, role in datasets[dataset].splits.items() if role == "test"), None)
    if split is None:
        raise unknown_name(f"split of {dataset} with role", "test", datasets[dataset].splits.values())
    paths = list_scenes(layout.need(params, layout.scenes(params, dataset, split), f"prepare {dataset}"))
    files = _find(folder, [path.name for path in paths])
    blank = ScoreRow(params.profile, "submitted", folder.resolve().name, "", None, dataset, "", "", 0.0, rule.id)
    rows = []
    for path, file in zip(paths, files, strict=True):
        scores = rule.evaluate_scene(READERS[file.suffix.lower()](file), read_scene(path))
        rows += [blank._replace(scene=path.name, metric=name, value=value) for name, value in scores.items()]
    _print(rows, rule.metrics, rule.id)
    if out is not None:
        write_scores(out, rows)


def _find(folder: Path, scenes: list[str]) -> list[Path]:
    """Return one file for each scene, in their order."""
    if not folder.is_dir():
        raise UsageError(f"{str(folder)!r} is no folder; expected one that holds <scene>.exr, .hdr or .npy.")
    there = {path.stem: path for path in sorted(folder.iterdir(), reverse=True) if path.suffix.lower() in READERS}
    if missing := [scene for scene in scenes if scene not in there]:
        raise UsageError(
            f"{folder}: {len(missing)} of {len(scenes)} scenes have no file: {', '.join(missing[:5])}. "
            "Expected <scene>.exr, .hdr or .npy for each, linear RGB, 1 = the short exposure's largest radiance."
        )
    return [there[scene] for scene in scenes]


def _print(rows: list[ScoreRow], metrics: tuple[str, ...], protocol: str) -> None:
    values: dict[str, dict[str, float]] = {}
    for row in rows:
        values.setdefault(row.scene, {})[row.metric] = row.value
    width = max(len(scene) for scene in [*values, "mean"])
    print(f"protocol {protocol}\n{'scene':<{width}}  " + "  ".join(f"{name:>8}" for name in metrics))
    means = {name: float(np.mean([scores[name] for scores in values.values()])) for name in metrics}
    for scene, scores in {**values, "mean": means}.items():
        print(f"{scene:<{width}}  " + "  ".join(f"{scores[name]:8.4f}" for name in metrics))
