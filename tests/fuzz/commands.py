"""The command line, given named pipes and endless devices in the place of files: each must be refused at once."""

import contextlib
import io
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import UsageError
from tests.fuzz import seeds
from tests.fuzz.attack import Attack

Thing = Callable[[Path], None]

THINGS: Mapping[str, Thing] = {
    "pipe": os.mkfifo,
    "zero": lambda path: path.symlink_to("/dev/zero"),
}
"""What is no file, by name: one waits for ever, one never ends."""

MERGE = ("merge", "short.png", "middle.png", "long.png", "-o", "out.exr", "--exposures", "1/320,1/80,1/20")

LINES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "params": ("x.yaml", ("--params", "x.yaml", "list", "variants")),
    "included": ("base.yaml", ("--params", "over.yaml", "list", "variants")),
    "plan": ("plan.yaml", ("plan", "--check")),
    "score-folder": ("x", ("score", "x", "--dataset", "mine", "--truth", "truth")),
    **{
        f"score{suffix}": (f"results/a{suffix}", ("score", "results", "--dataset", "mine", "--truth", "truth"))
        for suffix in (".exr", ".hdr", ".npy", ".tif")
    },
    "score-truth": ("truth/a.exr", ("score", "truth", "--dataset", "mine", "--truth", "truth")),
    **{
        f"merge{suffix}": (f"x{suffix}", ("merge", f"x{suffix}", *MERGE[2:], "--method", "triangle-merge"))
        for suffix in (".png", ".tif", ".exr")
    },
    "merge-exif": ("x.jpg", ("merge", "x.jpg", *MERGE[2:6], "--exposures", "exif", "--method", "triangle-merge")),
    "merge-times": ("exposure_times.txt", (*MERGE[:-2], "--method", "triangle-merge")),
    "merge-weights": ("x.safetensors", (*MERGE, "--method", "ahdrnet", "--weights", "x.safetensors")),
    "merge-card": ("sound.json", (*MERGE, "--method", "ahdrnet", "--weights", "sound.safetensors")),
    **{
        f"import{suffix}": (
            f"x{suffix}",
            ("import-weights", "ahdrnet", f"x{suffix}", "--preset", "smoke", "--name", "x"),
        )
        for suffix in (".safetensors", ".pth", ".npz")
    },
    "import-tensorflow": ("x.ckpt", ("import-weights", "kalantari2017", "x.ckpt", "--preset", "smoke", "--name", "x")),
    "compare": ("x.csv", ("compare", "scores.csv", "x.csv")),
    "compare-lock": ("other/dvc.lock", ("compare", "scores.csv", "other")),
    "bands": ("x.csv", ("bands", "x.csv")),
    "fetch-root": ("x", ("fetch", "folder", "--root", "x")),
    "replay": ("x.pt", ("replay", "{here}/x.pt")),
}
"""Name -> the file that is none, and a command that would read it."""

PASSED_OVER = ("compare-lock", "merge-times")
"""Where what is no file counts as none, and the command does without it."""

CASES = [(name, thing) for name in LINES for thing in THINGS]


@dataclass(frozen=True)
class Commands:
    """One command line a case, run in the worker; it has to end with an error, and with nothing but our sentences."""

    name: str = "command-line"
    prints: bool = False
    cases: int = len(CASES)

    def begin(self, place: Path) -> None:
        """Put sound files."""
        from PIL import Image

        for name, time in (("short", 1.0), ("middle", 4.0), ("long", 16.0)):
            Image.fromarray(seeds.small(time)).save(place / f"{name}.png")
        for folder in ("truth", "results", "other"):
            (place / folder).mkdir()
        downloads = (
            f"downloads: {{folder: {place}/downloads}}\n"  # nothing is written into the checkout, whatever passes
        )
        (place / "params.yaml").write_bytes(seeds.params()[0] + downloads.encode())
        (place / "over.yaml").write_bytes(seeds.params()[1])
        (place / "truth/a.npy").write_bytes(seeds.npy()[0])
        for name in ("scores.csv", "other/scores.csv"):
            (place / name).write_bytes(seeds.scores()[0])
        (place / "sound.safetensors").write_bytes(seeds.safetensors()[0])

    def act(self, number: int, seed: int, place: Path) -> Iterable[str]:
        """Run one command beside a thing that is no file."""
        from bench.__main__ import main

        line, thing = CASES[number]
        file, words = LINES[line]
        folder = place / str(number)
        shutil.copytree(place, folder, ignore=shutil.ignore_patterns("[0-9]*"))
        os.chdir(folder)
        THINGS[thing](folder / file)
        given = ("--quiet", *(words if "--params" in words else ("--params", "params.yaml", *words)))
        printed, said = io.StringIO(), io.StringIO()
        sys.argv = ["bench", *(word.replace("{here}", str(folder)) for word in given)]
        try:
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(said):
                main()
        except SystemExit as end:
            if end.code in (1, 2) or line in PASSED_OVER:
                return said.getvalue().removesuffix("\n").split("\n") if end.code else ()
        finally:
            os.chdir(place)
            shutil.rmtree(folder)
        raise AssertionError("the command ended as if all were well")

    def keep(self, number: int, place: Path, folder: Path) -> str:
        """Return the command that does the case again."""
        return f"python tests/fuzz/attack.py --only {self.name} --number {number}  # {' with a '.join(CASES[number])}"

    def on(self, content: bytes) -> Attack:
        """Refuse: these cases read no file."""
        raise UsageError(f"{self.name} reads no file; name a case with --number.")
