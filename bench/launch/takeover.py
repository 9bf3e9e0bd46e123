"""What workers recorded, taken over by the head at once.

DVC rewrites its whole lock file for each stage that it restores, which takes longer the more stages there are. So each
job leaves the entries of its stages beside its events. The head writes them all at one go and lets `dvc checkout` bring
the outputs; its `dvc repro` then finds every stage as it should be. Whatever is missing here, `dvc repro` restores.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.core.errors import UsageError
from bench.io.files import replacing
from bench.repository.lock import stages

ENDING = ".lock.json"


def recorded_as(address: str) -> str:
    """Return a stage's name in its lock file: `train@a` of `profiles/smoke/dvc.yaml:train@a`."""
    return address.rpartition(":")[2]


def leave(lock: Path, addresses: Mapping[str, str], events: Path) -> None:
    """Write beside a job's events what a clone's lock file holds of stages (name -> address)."""
    if not lock.exists():
        return
    with suppress(UsageError):  # a damaged one is no failure of the job: the head restores from the cache
        entries = stages(lock.read_bytes(), str(lock))
        found = {name: entries[key] for name, address in addresses.items() if (key := recorded_as(address)) in entries}
        with replacing(events.with_name(events.name + ENDING)) as part:
            part.write_text(json.dumps(found), encoding="utf-8")  # in the order that DVC gives the keys


def take_over(root: Path, file: str, addresses: Mapping[str, str], events: Path) -> None:
    """Record stages (name -> address) that jobs have finished, and check their outputs out of the shared cache.

    Entries are those in the folder of events; a failure leaves everything to `dvc repro`.
    """
    entries = _left(events, addresses)
    if not entries:
        return
    from dvc.utils.serialize import modify_yaml

    lock = (root / file).with_name("dvc.lock")
    with replacing(lock) as part:  # DVC empties a file before it writes it, and a kill may come between
        if lock.exists():
            shutil.copyfile(lock, part)
        with modify_yaml(str(part)) as content:
            content.setdefault("schema", "2.0")
            content.setdefault("stages", {}).update(
                {recorded_as(addresses[name]): entry for name, entry in entries.items()}
            )
    command = [sys.executable, "-m", "dvc", "checkout", "--quiet", "--force", *(addresses[name] for name in entries)]
    subprocess.run(command, cwd=root, capture_output=True, check=False)


def _left(events: Path, wanted: Collection[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in sorted(events.glob(f"*{ENDING}"), key=lambda path: path.stat().st_mtime):
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # of a worker that was killed
            continue
        found |= {name: entry for name, entry in entries.items() if name in wanted}
    return found
