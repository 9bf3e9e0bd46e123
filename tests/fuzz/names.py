"""Names that forge lines, colour terminals, end at a shell, or are as long as a disk takes: of files and scenes."""

import os
import shutil
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from bench.core.errors import UsageError
from bench.io.radiance import write_exr
from tests.fuzz import readers, seeds
from tests.fuzz.attack import Attack

NAMES: Mapping[str, str] = {
    "colour": "a\x1b[31mb",
    "line": "a\nerror: b",
    "return": "a\rok",
    "mirrored": "a\u202eb",
    "separator": "a\u2028b",
    "no-text": "a\udcffb",  # the byte 255, which no UTF-8 has
    "power": "\u00b20",
    "script": "\u540d\u524d",
    "dash": "-x",
    "shell": "$(id);`id`|&",
    "formula": "=cmd|'calc'!A0",
    "blank": " ",
    "long": "x" * 250,
    "longer": "\u00e9" * 120,
}


def _score(place: Path, name: str) -> Iterable[str]:
    """Score a sound result, then a damaged one."""
    (place / "truth").mkdir()
    (place / "results").mkdir()
    write_exr(place / "short.exr", seeds.radiance())
    shutil.copy(place / "short.exr", place / f"truth/{name}.exr")
    shutil.copy(place / "short.exr", place / f"results/{name}.exr")
    said = readers.score(place)
    (place / f"results/{name}.exr").write_bytes(seeds.exr_lines()[0][:300])
    return [*said, *readers.score(place)]


def _miss(place: Path, name: str) -> Iterable[str]:
    """Score a folder that lacks one scene, and holds a file of no scene and one of a kind that isn't read."""
    for file in ("truth/a.npy", f"truth/{name}.npy", "results/a.npy"):
        (place / file).parent.mkdir(exist_ok=True)
        (place / file).write_bytes(seeds.npy()[0])
    (place / f"results/{name}.png").write_bytes(b"x")
    (place / f"results/{name}.mat").write_bytes(b"x")
    return readers.score(place)


def _merge(place: Path, name: str) -> Iterable[str]:
    """Merge a frame of this name."""
    for one, time in ((name, 1.0), ("middle", 4.0), ("longest", 16.0)):
        Image.fromarray(seeds.small(time)).save(place / "x.png")
        (place / "x.png").rename(place / f"{one}.png")
    readers.merge(place, (f"{name}.png", "middle.png", "longest.png"), "1/320,1/80,1/20")
    (place / f"{name}.png").write_bytes(seeds.png()[0][:300])
    readers.merge(place, (f"{name}.png", "middle.png", "longest.png"), "1/320,1/80,1/20")
    return ()


def _prepare(place: Path, name: str) -> Iterable[str]:
    """Prepare a scene of this name, then one whose truth is damaged."""
    readers.kalantari(place)
    folder = (place / readers.OFFICIAL).rename(place / name)
    said = readers.prepare(place, "kalantari", "official", "test", folder.name)
    (folder / "HDRImg.hdr").write_bytes(b"#?x")
    return [*said, *readers.prepare(place, "kalantari", "official", "test", folder.name)]


def _unpack(place: Path, name: str) -> Iterable[str]:
    """Unpack an archive with an entry of this name."""
    from bench.data import archive

    with zipfile.ZipFile(place / "a.zip", "w") as bundle:
        bundle.writestr(name.encode("utf-8", "replace").decode(), b"x")
    archive.unpack(place / "a.zip", place / "unpacked")
    return ()


USES: Mapping[str, Callable[[Path, str], Iterable[str]]] = {
    "score": _score,
    "miss": _miss,
    "merge": _merge,
    "prepare": _prepare,
    "unpack": _unpack,
}

CASES = [(use, name) for use in USES for name in NAMES]


@dataclass(frozen=True)
class Names:
    """One name and one use of it a case."""

    name: str = "names"
    prints: bool = True
    cases: int = len(CASES)

    def begin(self, place: Path) -> None:
        """Need nothing."""

    def act(self, number: int, seed: int, place: Path) -> Iterable[str]:
        """Use a name in a folder of its own."""
        use, name = CASES[number]
        folder = place / str(number)
        folder.mkdir()
        os.chdir(folder)
        try:
            return USES[use](folder, NAMES[name])
        finally:
            os.chdir(place)
            shutil.rmtree(folder)

    def keep(self, number: int, place: Path, folder: Path) -> str:
        """Return the command that does the case again."""
        return f"python tests/fuzz/attack.py --only {self.name} --number {number}  # {' '.join(CASES[number])}"

    def on(self, content: bytes) -> Attack:
        """Refuse: these cases read no file."""
        raise UsageError(f"{self.name} reads no file; name a case with --number.")
