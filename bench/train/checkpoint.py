"""Checkpoints for resuming: outside DVC's outputs, under a hash of everything that decides the result."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bench.core.errors import UsageError
from bench.io.files import replacing, write_json_atomic


@dataclass(frozen=True)
class Checkpoint:
    """The resumable state of one run in `folder`, a name that holds the hash of its parameters."""

    folder: Path
    name: str = "last.pt"

    @property
    def path(self) -> Path:
        """File of the last complete state."""
        return self.folder / self.name

    def save(self, state: Mapping[str, Any]) -> None:
        """Write atomically: a kill at any moment leaves the previous state or the new one.

        A full disk raises UsageError, and the previous state stays.
        """
        with replacing(self.path) as part, part.open("wb") as file:
            torch.save(dict(state), file)
            file.flush()
            os.fsync(file.fileno())

    def load(self) -> dict[str, Any] | None:
        """Return the last state, or None if there is none; a damaged file raises UsageError."""
        if not self.path.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(self.path, weights_only=True, map_location="cpu")
        except Exception as error:  # PyTorch's own text advises to read the file unsafely
            reason = type(error).__name__
            raise UsageError(f"checkpoint {self.path} is damaged ({reason}); delete it to start afresh.") from error
        return state

    def note_time(self, timing: Mapping[str, Any]) -> None:
        """Write how long the last call took; timings stay here, because no result may depend on a machine's speed."""
        write_json_atomic(self.folder / "timing.json", dict(timing))

    def remove(self) -> None:
        """Forget the state of a finished run, so that a later one starts from its own parameters and code."""
        for path in (self.path, *self.folder.glob(f".{self.path.name}.*")):
            path.unlink(missing_ok=True)
