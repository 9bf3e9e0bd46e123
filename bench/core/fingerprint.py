"""Which code decides what: the one list of it, and hashes over it.

Checkpoints, kept predictions, scores and scenes are found again under such a hash, so that other code makes them anew.
DVC's dependencies are the same statement for whole stages; `make deps` computes them from the imports, and a test holds
this list against the imports, too.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from bench.core.registry import ROOT

DECIDES: Mapping[str, tuple[str, ...]] = {
    "scene": ("bench/core", "bench/color", "bench/io", "bench/data", "bench/stages/data/prepare.py", "datasets"),
    "alignment": ("bench/core/scene.py", "bench/color"),
    "training": ("bench/core", "bench/color", "bench/io", "bench/nn", "bench/train", "bench/stages/training"),
    "prediction": ("bench/core", "bench/color", "bench/nn"),
    "score": ("bench/metrics", "bench/color", "bench/core/scene.py"),
    "cost": (
        "bench/color/exposure.py", "bench/color/merging.py", "bench/color/transfer.py", "bench/nn",
        "bench/stages/cost/counting.py", "bench/train/learner.py",
    ),
    "timing": (
        "bench/color", "bench/nn", "bench/data/pattern.py", "bench/stages/scoring/predict.py",
        "bench/stages/cost/probe.py",
    ),
}  # fmt: skip
"""Result -> files and folders whose code decides it, besides the method's own."""

DATA = "protocols"
"""Folder below bench/metrics whose files are settings, which callers hash one by one, and no code."""


def fingerprint(result: str, *own: str, settings: Mapping[str, Any] | None = None) -> str:
    """Return 16 hexadecimal digits over the code that decides `result`, a key of `DECIDES`, and over settings.

    own      : more files and folders, relative to the root, such as a method's.
    settings : JSON values; others count by their text.
    """
    total = hashlib.sha256(json.dumps(settings or {}, sort_keys=True, default=str).encode())
    for name in sorted({*DECIDES[result], *own}):
        total.update(_code(name).encode())
    return total.hexdigest()[:16]


@cache
def _code(name: str) -> str:
    total = hashlib.sha256()
    for path in _sources(ROOT / name):
        total.update(f"{path.relative_to(ROOT)}\n{path.stat().st_size}\n".encode() + path.read_bytes())
    return total.hexdigest()


def _sources(path: Path) -> Iterator[Path]:
    # Not Python alone: templates of cards, tables of coefficients and panoramas decide results, too.
    found = [path] if path.is_file() else sorted(path.rglob("*"))
    return (file for file in found if file.is_file() and not {"__pycache__", DATA} & set(file.parts))
