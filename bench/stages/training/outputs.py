"""Results of a training: the checkpoint to resume from, then weights with their card, and the learning curve."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as to_bytes
from torch import nn

from bench.core import layout
from bench.core.fingerprint import fingerprint
from bench.core.params import Params
from bench.io.files import write_bytes_atomic, write_json_atomic, write_text_atomic
from bench.stages.training.environment import device_name, libraries, numerics
from bench.train.checkpoint import Checkpoint
from bench.train.loop import RunOptions

Peak = Callable[[str, str], float | None]
"""Device name and precision ("fp32", "bf16") to operations a second at best, where known."""


def unknown(device: str, precision: str) -> float | None:
    """Know no device's peak."""
    return None


def checkpoint(params: Params, name: str, card: Mapping[str, Any], code: str) -> Checkpoint:
    """Return where a training resumes from: a folder under the hash of all that decides its result.

    These are its card, the number of threads, the libraries' versions and the code that runs it.
    """
    decides = {**card, "threads": params.threads, "libraries": libraries()}
    return Checkpoint(Path("runs") / params.profile / name / fingerprint("training", code, settings=decides))


def run_options(
    params: Params, verb: str, name: str, *, deadline: float | None, device: torch.device, peak: Peak, patches: int
) -> RunOptions:
    """Return what the training `verb` `name`, such as train and a run, is told that changes no result.

    deadline : reading of `time.monotonic` after which it pauses; None: never.
    patches  : of an epoch.
    """
    return RunOptions(
        deadline=deadline,
        again=layout.command(params, f"{verb} {name}"),
        origin={"verb": verb, "name": name, "patches": patches, "params": params.model_dump(mode="json")},
        peak=peak(device_name(device), numerics(params, device)["precision"]),
    )


def write_weights(path: Path, network: nn.Module, card: Mapping[str, Any]) -> None:
    """Write weights (safetensors) and their card (JSON), each atomically."""
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    write_bytes_atomic(path, to_bytes(state))
    write_json_atomic(path.with_suffix(".json"), {**card, "libraries": libraries()})


def write_curve(path: Path, curve: Iterable[Mapping[str, float]]) -> None:
    """Write a learning curve as CSV: a row for each logged step, a column for each loss term."""
    rows = list(curve)
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [",".join(names)]
    lines += [",".join(f"{row[name]:.7g}" if name in row else "" for name in names) for row in rows]
    write_text_atomic(path, "\n".join(lines) + "\n")


def file_digest(path: Path) -> str:
    """Return the sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def as_json(section: Any) -> dict[str, Any]:
    """Return a parameter section as JSON values."""
    values: dict[str, Any] = json.loads(section.model_dump_json())
    return values
