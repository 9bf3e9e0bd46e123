"""Results that others made: which file belongs to which scene, and its pixels as linear radiance."""

import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.core.errors import UsageError
from bench.core.reading import shown
from bench.core.scene import Array, Radiance
from bench.io.arrays import read_array
from bench.io.decoding import need_room
from bench.io.primaries import NEAR, is_bt709, profile_name, to_bt709
from bench.io.radiance import read_converted, tell_alpha
from bench.io.tiff import chromaticities, profile, read_tiff, stated_gamma


def _read_npy(path: Path, told: list[str]) -> Radiance:
    array = read_array(path)
    need_room(path, array.size, 4)
    return _floats(path, array)


def _read_tiff(path: Path, told: list[str]) -> Radiance:
    pixels = read_tiff(path, "f", "linear float32 (integers are probably gamma-encoded)")
    if not is_bt709(name := profile_name(profile(path))):
        told.append(f"it has the colour profile {name}; it isn't applied, its values are taken for linear BT.709.")
    if (gamma := stated_gamma(path)) and abs(gamma - 1) > NEAR:
        told.append(
            f"its tag TransferFunction says that values are encoded (gamma {gamma:.3g}); it isn't applied, they are "
            "taken for linear."
        )
    radiance = _floats(path, pixels[..., :3])
    if pixels.shape[-1] == 4:
        tell_alpha(pixels[..., 3], told)
    stated = chromaticities(path)
    return radiance if stated is None else to_bt709(path, radiance, stated, told)


def _floats(path: Path, array: Array) -> Radiance:
    if array.ndim != 3 or array.shape[-1] != 3 or array.dtype.kind != "f" or array.size == 0:
        raise UsageError(
            f"{shown(path)} holds {array.dtype} of shape {array.shape}; expected floats of shape (H, W, 3)."
        )
    with np.errstate(all="ignore"):  # what float32 can't hold becomes infinite; it and NaN are then reported as such
        return np.array(array, np.float32, order="C")  # a copy: arrays are mapped from their file


READERS: Mapping[str, Callable[[Path, list[str]], Radiance]] = {
    ".exr": read_converted, ".hdr": read_converted, ".npy": _read_npy, ".tif": _read_tiff, ".tiff": _read_tiff,
}  # fmt: skip
"""Readers by suffix; of several files of one name, the kind named first here is taken."""

ENCODED = (".png", ".jpg", ".jpeg", ".bmp")
"""Kinds of picture that can't hold linear radiance; they are named instead of being passed over."""

UNREAD = (".mat", ".pfm", ".h5", ".npz", ".pt")
"""Kinds that could hold radiance but aren't read; one of a scene's name is named instead of being passed over."""


def read_radiance(path: Path, told: list[str] | None = None) -> Radiance:
    """Read a radiance file of any kind in `READERS`: (H, W, 3) float32 linear BT.709, NaN and inf included.

    told : gets a sentence, without the file's name, for whatever isn't taken as stored: other primaries, a profile.

    Values are as stored, but for other primaries than BT.709, which all but .npy can state: these are converted. An
    alpha channel is dropped, and told where it isn't 1 everywhere. UsageError if the file is missing, no regular file,
    damaged, of another kind, of integers (which are probably gamma-encoded), too large or not of three channels.
    """
    if path.suffix.lower() not in READERS:
        raise UsageError(f"{shown(path)} is no kind of radiance file; expected {', '.join(READERS)}.")
    return READERS[path.suffix.lower()](path, [] if told is None else told)


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

    Upper and lower case, and how accents are composed, may differ where no other scene has that name; of several files
    of a scene the one of exactly its name is taken, then the one whose kind `READERS` names first. Hidden files, files
    of other kinds and files of the scenes in `known`, which nobody asks for, are passed over. UsageError if there is no
    such folder.
    """
    listed = _listed(folder, "expected one that holds <scene>.exr, .hdr, .npy or .tif")
    wanted = list(scenes)
    order = {suffix: rank for rank, suffix in enumerate([*READERS, *ENCODED, *UNREAD])}
    there = [path for path in sorted(listed) if path.suffix.lower() in order and path.name[0] != "."]
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
    alike = [name for name in names if _folded(name) == _folded(stem)]
    return stem if stem in names else alike[0] if len(alike) == 1 else None


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).lower()


def _listed(folder: Path, expected: str) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        none = isinstance(error, FileNotFoundError | NotADirectoryError)
        kind = "is no folder" if none else f"can't be read ({error.strerror})"
        raise UsageError(f"{shown(repr(str(folder)))} {kind}; {expected}.") from error


def names(folder: Path) -> list[str]:
    """List the scenes that a folder of radiance files holds, in alphabetical order; UsageError if there are none."""
    listed = _listed(folder, f"expected one of radiance files ({', '.join(READERS)})")
    stems = {path.stem for path in listed if path.suffix.lower() in READERS and path.name[0] != "."}
    if not stems:
        raise UsageError(f"{shown(folder)} holds no radiance file ({', '.join(READERS)}); expected the truth there.")
    return sorted(stems)
