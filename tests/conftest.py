"""What several tests share."""

import copy
import gc
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from bench.core import progress
from bench.core.scene import GAMMA, Scene

ROOT = Path(__file__).resolve().parents[1]

SMALL = yaml.safe_load(
    """
    profile: small
    datasets: {panoramas: {}}
    patches: {size: 32, stride: 32}
    perceptual: {backbone: none}
    stage1: {steps: 2}
    stage2: {steps: 2}
    codebooks: {olc-64: {segments: olc, codes: 64}}
    train: {panoramas: [0]}
    variants:
      ahdrnet: {method: ahdrnet, preset: smoke, evaluate: [panoramas]}
      proposed: {method: olc, preset: smoke, codebook: olc-64}
      triangle-merge: {method: triangle-merge, evaluate: [panoramas]}
    tables: {"1": {rows: [{Proposed: proposed}]}}
    """
)


MEANWHILE = 8
"""Files that the other process takes while the first one makes the workshop."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that have few tests, and with only one that needs the workshop.

    A process takes a file at a time. Files of few tests hold the long ones, and a long one at the end would leave the
    other process idle; so would a second file that waits for the workshop while the first one makes it.
    """
    tests = Counter(item.path for item in items)
    order = sorted(tests, key=lambda path: (tests[path], path))
    need = {item.path for item in items if "workshop" in getattr(item, "fixturenames", ())}
    waiting, others = [path for path in order if path in need], [path for path in order if path not in need]
    order = [*waiting[:1], *others[:MEANWHILE], *waiting[1:], *others[MEANWHILE:]]
    turns = {path: turn for turn, path in enumerate(order)}
    items.sort(key=lambda item: turns[item.path])


gc.disable()  # until all is collected: hardly any of it is garbage


def pytest_collection_finish() -> None:
    """Leave what lives to the end of the run, libraries and eight thousand tests, out of every search for garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    gc.enable()


@pytest.fixture(autouse=True)
def progress_as_at_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """What --quiet of a command run in this process has switched off, no later test shall miss."""
    monkeypatch.setattr(progress, "quiet", False)


@pytest.fixture
def signals_as_at_a_terminal() -> Iterator[None]:
    """What nohup and a shell's `&` make processes ignore, and some tests send."""
    before = [(one, signal.signal(one, signal.default_int_handler)) for one in (signal.SIGINT, signal.SIGHUP)]
    yield
    for one, handler in before:
        signal.signal(one, handler)


@pytest.fixture
def small_params() -> dict[str, Any]:
    """The content of a valid parameter file, free to be changed."""
    return copy.deepcopy(SMALL)


@pytest.fixture
def write_params(tmp_path: Path) -> Callable[[Any], Path]:
    """Write content to a parameter file and return its path."""

    def write(content: Any) -> Path:
        path = tmp_path / "params.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
        return path

    return write


@pytest.fixture
def bench(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line in this process: what `python -m bench` says, and the code it ends with."""
    from bench.__main__ import main

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(sys, "argv", ["bench", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        return subprocess.CompletedProcess(arguments, end.value.code or 0, *capsys.readouterr())  # type: ignore[arg-type]

    return run


@pytest.fixture(scope="session")
def tiny_scene() -> Scene:
    """A bracket of 40x56 pixels, times 1, 4, 16: smooth light with a bright spot that the long frame shows elsewhere.

    The truth reaches 1; the reference saturates where it exceeds 1/4, the long frame where it exceeds 1/16.
    """
    rows, columns = np.mgrid[:40, :56]
    base = np.stack([0.03 + 0.1 * (1 + np.sin(rows / 5 + c) * np.cos(columns / 7 - c)) for c in range(3)], -1)

    def light(centre: int) -> Any:
        spot = np.exp(-((rows - 20) ** 2 + (columns - centre) ** 2) / 40)
        return np.minimum(base + spot[..., None], 1).astype(np.float32)

    times = np.array([1.0, 4.0, 16.0])
    moments = [light(20), light(24), light(30)]
    ldr = [np.clip(moment * time, 0, 1) ** (1 / GAMMA) for moment, time in zip(moments, times, strict=True)]
    frames = np.round(np.stack(ldr) * 65535).astype(np.uint16)
    return Scene("tiny", frames, times, 1, moments[1])
