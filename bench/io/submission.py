"""Results that others made: which file belongs to which scene, and its pixels as linear radiance."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import UsageError
from bench.core.scene import Radiance
from bench.io.radiance import read_exr, read_rgbe


def _read_npy(path: Path) -> Radiance:
    try:
        with path.open("rb") as file:  # NumPy leaves a damaged archive open
            array = np.load(file, allow_pickle=False)
    except Exception as error:  # the reader raises half a dozen kinds for damaged files
        reason = " ".join(str(error).split())
        raise UsageError(f"{path} isn't a readable .npy file of numbers: {reason}.") from error
    if not isinstance(array, np.ndarray):
        raise UsageError(f"{path} is an archive of arrays; expected one array, saved with numpy.save.")
    return _floats(path, array)


def _read_tiff(path: Path) -> Radiance:
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            page: Any = file.pages[0]
            dtype, planar = np.dtype(page.dtype), page.axes == "SYX"
            if dtype.kind != "f":
                raise UsageError(f"{path} holds {dtype}, which is probably gamma-encoded; expected linear float32.")
            pixels = np.moveaxis(page.asarray(), 0, -1) if planar else page.asarray()
    except Exception as error:  # the reader raises a dozen kinds for damaged files
        if isinstance(error, UsageError):
            raise
        raise UsageError(
            f"{path} can't be read as a TIFF ({error}); write it uncompressed or with Deflate, or copy it again."
        ) from error
    return _floats(path, pixels[..., :3] if pixels.ndim == 3 and pixels.shape[-1] == 4 else pixels)


def _floats(path: Path, array: NDArray[Any]) -> Radiance:
    if array.ndim != 3 or array.shape[-1] != 3 or array.dtype.kind != "f" or array.size == 0:
        raise UsageError(f"{path} holds {array.dtype} of shape {array.shape}; expected floats of shape (H, W, 3).")
    with np.errstate(over="ignore"):  # what float32 can't hold becomes infinite, and is then reported as such
        return np.ascontiguousarray(array, dtype=np.float32)


READERS: Mapping[str, Callable[[Path], Radiance]] = {
    ".exr": read_exr, ".hdr": read_rgbe, ".npy": _read_npy, ".tif": _read_tiff, ".tiff": _read_tiff,
}  # fmt: skip
"""Readers by suffix; of several files of one name, the kind named first here is taken."""

ENCODED = (".png", ".jpg", ".jpeg", ".bmp")
"""Kinds of picture that can't hold linear radiance; they are named instead of being passed over."""

UNREAD = (".mat", ".pfm", ".h5", ".npz", ".pt")
"""Kinds that could hold radiance but aren't read; one of a scene's name is named instead of being passed over."""


def read_radiance(path: Path) -> Radiance:
    """Read a radiance file of any kind in `READERS`: (H, W, 3) float32, values as stored, NaN and inf included.

    An alpha channel is dropped. UsageError if the file is missing, damaged, of another kind, of integers (which are
    probably gamma-encoded) or not of three channels.
    """
    if path.suffix.lower() not in READERS:
        raise UsageError(f"{path} is no kind of radiance file; expected {', '.join(READERS)}.")
    return READERS[path.suffix.lower()](path)


@dataclass(frozen=True)
class FolderMatch:
    """Files of a folder, assigned to scenes.

    files   : scene -> its file, in the order of the scenes.
    missing : scenes without a file.
    extra   : files of a picture kind that belong to no scene, and a scene's files of kinds that aren't read.
    spare   : file -> the one of the same scene that is taken instead.
    """

    files: Mapping[str, Path]
    missing: tuple[str, ...]
    extra: tuple[Path, ...]
    spare: Mapping[Path, Path]


def match(folder: Path, scenes: Iterable[str], known: Collection[str] = ()) -> FolderMatch:
    """Match the files of a folder with scenes, by name without suffix; no file is opened.

    Upper and lower case may differ where no other scene has that name; of several files of a scene the one of exactly
    its name is taken, then the one whose kind `READERS` names first. Hidden files, files of other kinds and files of
    the scenes in `known`, which nobody asks for, are passed over. UsageError if there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{str(folder)!r} is no folder; expected one that holds <scene>.exr, .hdr, .npy or .tif.")
    wanted = list(scenes)
    order = {suffix: rank for rank, suffix in enumerate([*READERS, *ENCODED, *UNREAD])}
    there = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in order and path.name[0] != "."]
    found: dict[str, list[Path]] = {scene: [] for scene in wanted}
    extra = []
    for path in sorted(there, key=lambda path: (path.stem not in found, order[path.suffix.lower()])):
        scene = _scene(path.stem, [*wanted, *known])
        if scene in found and path.suffix.lower() in READERS:
            found[scene].append(path)
        elif scene in found or (scene is None and path.suffix.lower() not in UNREAD):
            extra.append(path)
    return FolderMatch(
        files={scene: paths[0] for scene, paths in found.items() if paths},
        missing=tuple(scene for scene, paths in found.items() if not paths),
        extra=tuple(extra),
        spare={path: paths[0] for paths in found.values() for path in paths[1:]},
    )


def _scene(stem: str, names: list[str]) -> str | None:
    alike = [name for name in names if name.lower() == stem.lower()]
    return stem if stem in names else alike[0] if len(alike) == 1 else None


def names(folder: Path) -> list[str]:
    """List the scenes that a folder of radiance files holds, in alphabetical order; UsageError if there are none."""
    if not folder.is_dir():
        raise UsageError(f"{str(folder)!r} is no folder; expected one of radiance files ({', '.join(READERS)}).")
    stems = {path.stem for path in folder.iterdir() if path.suffix.lower() in READERS and path.name[0] != "."}
    if not stems:
        raise UsageError(f"{folder} holds no radiance file ({', '.join(READERS)}); expected the truth there.")
    return sorted(stems)
