"""A workshop: a copy of the project in a temporary folder, with a tiny profile whose pipeline has run once.

The copy makes the command line work there and not in the checkout, since commands run where their code lies.
"""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from bench.core import layout
from bench.core.params import Params, load
from bench.core.registry import methods
from bench.core.simulation import Simulation
from bench.io.radiance import read_exr
from bench.io.tables import read_scores
from bench.stages import plan
from tests import forked
from tests.shared import COARSE, coarse, shared
from tests.stage_modules import stage_module
from tests.stages.copies import Copy

ROOT = Path(__file__).resolve().parents[2]


CODE = ("bench", "methods")
PROJECT = ("datasets", "reports/literature", "reports/printed", "dvc.yaml", "requirements.lock")


class Workshop(NamedTuple):
    """A folder with a project in it, its parameters, and the names that tests ask for."""

    folder: Path
    params: Params
    codebook: str
    plain: str
    vq: str

    @property
    def stages(self) -> list[tuple[str, ...]]:
        """Verb and name of every stage, in the order of the pipeline."""
        p = self.params
        cells = [("evaluate", cell) for cell in p.evaluations]
        inspections = [("inspect", self.codebook), ("inspect", f"network-{self.vq}")]
        trainings = [("codebook", self.codebook), ("train", self.plain), ("train", self.vq)]
        data = [("fetch", "panoramas"), ("backbone",), ("prepare", "panoramas")]
        return [*data, *trainings, *cells, *inspections, ("sizes",), ("summarize",), ("report",)]

    def run(self, verb: str, *names: str, **options: Any) -> None:
        """Run one stage in this process; the current folder must be this one."""
        importlib.import_module(stage_module(verb)).run(self.params, *names, **options)

    def change(self, **sections: Any) -> "Workshop":
        """Write changed sections to the parameter file: mappings are merged, other values replaced."""
        path = self.folder / "params.yaml"
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        for name, value in sections.items():
            content[name] = {**content[name], **value} if isinstance(value, dict) else value
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return self._replace(params=loaded(self.folder))


def tiny() -> tuple[dict[str, Any], str, str, str]:
    """Reduce the smoke profile to a codebook, a run without one and a run on it; name these three."""
    content = yaml.safe_load((ROOT / "profiles/smoke/params.yaml").read_text(encoding="utf-8"))
    tables, proposed = content["tables"], "olc-32"
    tables |= {"1": {"rows": {"AHDRNet": "ahdrnet", "Proposed": proposed}}, "crops": ["reference-only", proposed]}
    content |= {"profile": "tiny", "threads": 1, "train": {"panoramas": [0]}}
    # Views of the smoke profile's other places are the 26th and 27th that are drawn.
    content["simulate"] |= {"validation": ["thatch_chapel", "chinese_garden"], "test": ["courtyard", "interior"]}
    content["codebooks"] = {proposed: content["codebooks"][proposed]}
    for name, variant in content["variants"].items():
        variant.pop("train", None)
        if name not in ("ahdrnet", proposed, *tables["floors"]):  # named in tables, but neither trained nor evaluated
            variant |= {"evaluate": []}
            variant.pop("codebook", None)
            if variant["method"] not in UNTRAINED:
                variant |= {"train": {}}
    return content, *(f"{name}--panoramas--s0" for name in (proposed, "ahdrnet", proposed))


UNTRAINED = {name for name, card in methods.items() if not card.trains}


def found(folder: Path, code: Path) -> Workshop:
    """Copy the project to `folder`, with links to the `code`, and write the tiny profile's parameters."""
    content, *names = tiny()
    made = Simulation.model_validate(content["simulate"])
    used = {f"{name}.exr" for name in (*made.train, *made.validation, *made.test, "interior")}
    spare = {path.name for path in (ROOT / "datasets").rglob("*.exr")} - used
    for name in PROJECT:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            # Panoramas that nothing here is made from would be most of what each test copies.
            shutil.copytree(ROOT / name, folder / name, ignore=lambda _, names: spare.intersection(names))
        else:
            shutil.copy2(ROOT / name, folder / name)
    for name in CODE:
        (folder / name).symlink_to(code / name)
    (folder / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return Workshop(folder, loaded(folder), *names)


def with_code(place: Workshop) -> Workshop:
    """Give a workshop code of its own instead of links: a process starts where its code lies, and files may be added.

    The others share one copy: to make 700 files and delete them again was most of what a test took.
    """
    for name in CODE:
        link = place.folder / name
        if link.is_symlink():
            there = link.readlink()
            link.unlink()
            shutil.copytree(there, link)
    return place


def loaded(folder: Path) -> Params:
    """Read the parameters as a command that runs in `folder` would, and write their plan."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        params = load(Path("params.yaml"))
        plan.write(params)
    return params


@pytest.fixture(autouse=True)
def cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep to the CPU, where results are the same to the bit."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture(scope="session")
def code(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The code that workshops link to; no test may change it."""

    def copy(folder: Path) -> None:
        for name in CODE:
            shutil.copytree(ROOT / name, folder / name)

    def content(folder: Path) -> dict[Path, bytes]:
        files = (path for name in CODE for path in (folder / name).rglob("*") if path.is_file())
        return {path.relative_to(folder): path.read_bytes() for path in files if path.suffix != ".pyc"}

    folder = shared(tmp_path_factory, "code", copy)
    before = content(folder)
    yield folder
    assert content(folder) == before, "a test has changed the code that all share: it needs `with_code`"


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory, code: Path) -> Workshop:
    """A workshop whose stages have all run in one process; to be read, not changed."""
    folder = shared(tmp_path_factory, "workshop", lambda folder: run_all(folder, code))
    return Workshop(folder, loaded(folder), *tiny()[1:])


def run_all(folder: Path, code: Path) -> None:
    """Make a workshop and run all its stages in this process."""
    made = found(folder, code)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(torch.cuda, "is_available", lambda: False)
        coarse(patch)
        for words in made.stages:
            made.run(*words)


@pytest.fixture
def fresh(tmp_path: Path, code: Path) -> Workshop:
    """A workshop in which no stage has run."""
    return found(tmp_path / "fresh", code)


@pytest.fixture(scope="session")
def spare(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """The copy of the finished workshop that each test of this process gets in turn, as `site`."""
    return Copy(workshop.folder, tmp_path_factory.mktemp("spare") / "site")


@pytest.fixture
def site(workshop: Workshop, spare: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    """A copy of the finished workshop, free to be damaged; the current folder."""
    home = spare.folder
    spare.move(tmp_path / "site")
    monkeypatch.chdir(spare.folder)
    yield workshop._replace(folder=spare.folder)
    spare.restore()
    spare.move(home)


Answer = subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Variables for a process that works in a copy: no GPU, one thread, this Python's `python` first."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "PATH": path, **forked.SEED}


@pytest.fixture
def command(environment: dict[str, str]) -> Callable[..., Answer]:
    """Run `python -m bench` in a workshop, in a process of its own."""

    def run(place: Workshop, *words: str) -> Answer:
        return forked.run(["-m", "bench", *words], with_code(place).folder, environment)

    return run


TOGETHER = f"""
import json, sys
from bench.__main__ import main
from bench.metrics import why
from bench.report.figures import style
style.DPI = {COARSE}
base, step = why.published()[0], why.steps()[0]  # as `few_settings` does
why.published, why.steps = lambda: [base], lambda: [step]
for words in json.loads(sys.argv[1]):
    sys.argv = ["bench", "--quiet", *words]
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
"""


@pytest.fixture(scope="session")
def together(environment: dict[str, str]) -> Callable[[Workshop, Sequence[Sequence[str]]], None]:
    """Run commands in a workshop one after the other, all in one process of their own.

    Figures are coarse and settings of HDR-VDP-2 few, as in `workshop`.
    """

    def run(place: Workshop, commands: Sequence[Sequence[str]]) -> None:
        answer = forked.run(["-c", TOGETHER, json.dumps(commands)], with_code(place).folder, environment)
        assert answer.returncode == 0, answer.stderr

    return run


@pytest.fixture
def main_in(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run the command line in this process, as if the project lay in a workshop; return its exit code."""
    from bench import __main__
    from bench.cli import settings

    monkeypatch.chdir(Path.cwd())  # a command goes to its project's root: the next test starts where this one did

    def run(place: Workshop, *words: str) -> int:
        monkeypatch.setattr(settings, "ROOT", place.folder)
        monkeypatch.setattr(sys, "argv", ["bench", *words])
        with pytest.raises(SystemExit) as end:
            __main__.main()
        return int(end.value.code or 0)

    return run


@pytest.fixture
def ours(site: Workshop) -> tuple[Path, pd.DataFrame]:
    """Predictions of one run, and the score rows of its evaluation."""
    cell, entry = next((key, e) for key, e in site.params.evaluations.items() if e.variant == "ahdrnet")
    folder = layout.predictions(site.params, entry.run, entry.dataset) / "test"
    return folder, read_scores([layout.scores(site.params, cell)])


@pytest.fixture
def score(site: Workshop, main_in: Callable[..., int]) -> Callable[..., int]:
    """Score a folder through the command line; return its exit code."""

    def run(folder: Path | str, *options: str) -> int:
        return main_in(site, "score", str(folder), "--dataset", "panoramas", *options)

    return run


@pytest.fixture
def rewritten(ours: tuple[Path, pd.DataFrame], tmp_path: Path) -> Callable[..., Path]:
    """Write predictions to a folder of another kind of file."""

    def write(suffix: str, writer: Callable[[Path, Any], object], source: Path | None = None) -> Path:
        folder = tmp_path / "theirs"
        folder.mkdir()
        for path in sorted((source or ours[0]).iterdir()):
            writer(folder / f"{path.stem}{suffix}", read_exr(path))
        return folder

    return write


@pytest.fixture
def textured() -> Callable[..., Any]:
    """Make pictures (H, W, 3) float32 with detail, from 0.001 to 1."""

    def make(seed: int, rows: int = 48, columns: int = 64) -> Any:
        rng = np.random.default_rng(seed)
        coarse = rng.normal(size=(-(-rows // 8), -(-columns // 8), 3)).repeat(8, axis=0).repeat(8, axis=1)
        exponent = coarse[:rows, :columns] - 1.5 + 0.1 * rng.normal(size=(rows, columns, 3))
        return (10.0 ** np.clip(exponent, -3, 0)).astype(np.float32)

    return make


@pytest.fixture
def refused(
    main_in: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Run a command that must end with exit code 2 and nothing but progress and its sentence on stderr; return that."""

    def run(place: Workshop, *words: str) -> str:
        monkeypatch.chdir(place.folder)
        capsys.readouterr()
        code, said = main_in(place, *words), capsys.readouterr().err
        assert code == 2, said
        assert "Traceback" not in said
        noise, mark, sentence = said.partition("error: ")
        assert mark
        assert all(re.fullmatch(r"[\w /-]+: \d+/\d+, [\d.]+/s, \d+ s left", line) for line in noise.splitlines())
        assert len(sentence.splitlines()) <= 2
        return sentence

    return run
