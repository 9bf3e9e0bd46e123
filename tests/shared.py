"""Folders that all processes of a test run read, made by the first that needs them, and reports with few pixels."""

import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from filelock import FileLock
from PIL import Image

from bench.metrics import why
from bench.report.figures import style

COARSE = 55
"""Pixels of an inch of a figure; a report has 220."""


def shared(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that `make` has filled; another process that asks meanwhile waits. To be read, not changed."""
    own = factory.getbasetemp()
    # Each process of pytest-xdist has a folder of its own in that of the run.
    root = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    folder, done = root / f"shared-{name}", root / f"shared-{name}.done"
    with FileLock(root / f"shared-{name}.lock"):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a process that failed
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


def coarse(patch: pytest.MonkeyPatch) -> None:
    """Draw a sixteenth of a figure's pixels: to choose their palette and to pack them is most of the time of a plot."""
    patch.setattr(style, "DPI", COARSE)
    few_settings(patch)


def few_settings(patch: pytest.MonkeyPatch) -> None:
    """Compare the base with one step alone in the report's section on HDR-VDP-2: the others take seconds a report."""
    base, step = _fewest()
    patch.setattr(why, "published", lambda: [base])
    patch.setattr(why, "steps", lambda: [step])


@cache  # to read all published settings takes 0.1 s, and reports some fifty times
def _fewest() -> tuple[why.ViewingSetting, why.ViewingSetting]:
    return why.published()[0], why.steps()[0]


def undrawn(patch: pytest.MonkeyPatch) -> None:
    """Leave a report's figures empty: drawing is most of its time, and few tests look at pictures."""
    patch.setattr(style, "_pixels", lambda figure: Image.new("RGB", (8, 8)))
    few_settings(patch)
