"""What `dvc.lock` says of a profile's stages: the hashes of what they read and wrote, and their parameters."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.params import Params
from bench.repository.lock import as_today, stages


@dataclass(frozen=True)
class Lock:
    """A profile's `dvc.lock`; without one, `stages` is empty.

    stages : stage -> cmd, deps, params and outs, as DVC wrote them.
    """

    file: Path
    stages: Mapping[str, Mapping[str, Any]]

    @property
    def exists(self) -> bool:
        """Tell whether any stage is recorded."""
        return bool(self.stages)

    def outputs(self, stage: str) -> dict[str, dict[str, Any]]:
        """Return path -> md5, size and number of files of what a stage wrote; {} for a stage that isn't recorded."""
        return self._hashes(stage, "outs")

    def inputs(self, stage: str) -> dict[str, dict[str, Any]]:
        """Return path -> md5, size and number of files of what a stage read."""
        return self._hashes(stage, "deps")

    def parameters(self, stage: str) -> dict[str, Any]:
        """Return dotted key -> value of the parameters that a stage ran with."""
        files = self.stages.get(stage, {}).get("params", {})
        return {key: value for values in files.values() for key, value in values.items()}

    def _hashes(self, stage: str, part: str) -> dict[str, dict[str, Any]]:
        entries = self.stages.get(stage, {}).get(part, [])
        return {str(e["path"]): {k: e[k] for k in ("md5", "size", "nfiles") if k in e} for e in entries}


def read(params: Params) -> Lock:
    """Read the lock file beside a profile's parameter file; a damaged one raises UsageError."""
    file = Path(params.params_file).with_name("dvc.lock")
    if not file.exists():
        return Lock(file, {})
    return Lock(file, {as_today(name): entry for name, entry in stages(file.read_bytes(), str(file)).items()})
