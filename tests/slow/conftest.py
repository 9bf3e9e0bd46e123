"""A project in a temporary folder: the real dvc.yaml and code under the smallest profile that has every stage."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from bench.core.params import Params
from bench.repository.lock import cut_short

ROOT = Path(__file__).resolve().parents[2]
PROJECT = (
    "bench", "methods", "datasets", "reports/literature", "reports/printed", "reports/submissions", "dvc.yaml",
    "requirements.lock", ".dvc/config", ".dvcignore", ".gitignore",
)  # fmt: skip
KEPT = ("triangle-merge", "ahdrnet", "olc-16")
"""Variants of the smoke profile that are trained and evaluated: one without training, two networks, one on a codebook.

No stage evaluates others' weights, which aren't here.
"""


class Project(NamedTuple):
    """A folder with the project in it, and the variables that its processes get."""

    folder: Path
    environment: dict[str, str]

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command in a session of its own, so that it can be killed with all that it started."""
        return subprocess.Popen(
            words, cwd=self.folder, env=self.environment, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def repro(self) -> str:
        """Run `dvc repro` to its end, which must be a good one; return what it printed.

        A kill may leave two of DVC's files cut short. DVC refuses them then, and the cure is what docs/scale.md says.
        """
        code, said = self.ended()
        if code and self.mended():
            code, said = self.ended()
        assert code == 0, said
        return said

    def mended(self) -> bool:
        """Delete what of DVC's own files is cut short; tell whether anything was."""
        damaged = cut_short(self.folder, self.folder / "dvc.lock")
        for path in damaged:
            path.unlink()
        return bool(damaged)

    def ended(self) -> tuple[int, str]:
        """Run `dvc repro` to its end; return its exit code and what it printed."""
        process = self.start("dvc", "repro")
        said, _ = process.communicate(timeout=1800)
        return process.returncode, said

    def files(self, *places: str) -> dict[str, bytes]:
        """Contents of all files below some folders, by their path in the project."""
        found = [path for place in places for path in (self.folder / place).rglob("*") if path.is_file()]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in found}


def smallest() -> dict[str, Any]:
    """Reduce the smoke profile to one entry of each kind, on one thread, under a protocol without HDR-VDP-2."""
    content: dict[str, Any] = yaml.safe_load((ROOT / "profiles/smoke/params.yaml").read_text(encoding="utf-8"))
    for name, variant in content["variants"].items():
        if name not in KEPT:
            variant |= {"train": {}, "evaluate": []}
    content["tables"] |= {"1": {"rows": {"AHDRNet": "ahdrnet", "Proposed": "olc-16"}}}
    content |= {"profile": "slow", "threads": 1, "protocol": "hdr-transformer", "sensitivity": []}
    params = Params.model_validate(content)
    trained = ["ahdrnet--panoramas--s0", "olc-16--panoramas--s0"]
    assert (list(params.runs), list(params.codebook_runs)) == (trained, trained[1:])
    assert list(params.evaluations) == [f"{name}--panoramas" for name in (KEPT[0], *trained)]
    return content


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Project]:
    """Make a project in which no stage has run."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    variables = {**os.environ, "PATH": path, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    variables = {name: value for name, value in variables.items() if name != "PYTHONPATH"}

    def make(name: str) -> Project:
        folder = tmp_path_factory.mktemp(name)
        for part in PROJECT:
            (folder / part).parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
            copy(ROOT / part, folder / part)
        (folder / "params.yaml").write_text(yaml.safe_dump(smallest(), sort_keys=False), encoding="utf-8")
        subprocess.run([sys.executable, "-m", "bench", "plan"], cwd=folder, env=variables, check=True)
        subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
        return Project(folder, variables)

    return make
