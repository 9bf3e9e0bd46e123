"""Scores that were computed before, each under a hash of everything that decides it."""

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from bench.core.fingerprint import fingerprint
from bench.core.registry import metrics
from bench.core.scene import Array
from bench.io.files import write_text_atomic
from bench.metrics.protocol import LIBRARIES, Protocol

Scores = dict[str, float]
"""Metric -> value."""


def pixels_digest(image: Array) -> str:
    """sha256 of an image's shape and float32 values."""
    pixels = np.ascontiguousarray(image, dtype=np.float32)
    return hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()


def key(prediction: str, truth: str, protocol: Protocol, masked: bool, device: str) -> str:
    """Name the scores of a prediction: sha256 over all that they depend on.

    prediction : hash of its pixels.
    truth      : hash of the scene's record, which holds its arrays' sha256, or of the truth's pixels.
    masked     : whether scores inside masks are among them.
    device     : "cpu" or "cuda"; they round differently.
    """
    needed = {library for metric in protocol.metrics for library in metrics[metric].needs}
    versions = (*map(version, LIBRARIES), *(f"{library} {_installed(library)}" for library in sorted(needed)))
    parts = (prediction, truth, protocol.model_dump_json(), masked, device, fingerprint("score"), *versions)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _installed(library: str) -> str:
    """Version of an optional library; "absent" without it, "" if it is installed under another name."""
    if find_spec(library) is None:
        return "absent"
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def read(folder: Path, name: str) -> Scores | None:
    """Return the scores kept under `name`, None if there are none or their file is damaged."""
    try:
        content = json.loads(_path(folder, name).read_text(encoding="utf-8"))
        scores = {str(metric): float(value) for metric, value in content["scores"].items()}
        return scores if content["sha256"] == _seal(name, content["scores"]) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def write(folder: Path, name: str, scores: Scores) -> None:
    """Keep scores under `name`, whole or not at all. A full disk raises UsageError."""
    texts = {metric: repr(float(value)) for metric, value in scores.items()}  # JSON has no infinity and no NaN
    content = {"scores": texts, "sha256": _seal(name, texts)}
    write_text_atomic(_path(folder, name), json.dumps(content, indent=1) + "\n")


def _path(folder: Path, name: str) -> Path:
    return folder / name[:2] / f"{name}.json"


def _seal(name: str, texts: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps([name, texts]).encode()).hexdigest()
