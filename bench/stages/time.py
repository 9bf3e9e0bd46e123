"""Time: how long trainings took on this machine; never part of a result."""

import json
from pathlib import Path

from bench.core.errors import UsageError
from bench.core.params import Params


def run(params: Params) -> None:
    """Print steps, seconds and steps per second of the last call of every training that has run here."""
    root = Path("runs") / params.profile
    files = sorted(root.glob("*/*/timing.json"), key=lambda path: (path.parts[-3], path.stat().st_mtime))
    if not files:
        raise UsageError(
            f"no training of profile {params.profile!r} has run on this machine ({root} holds no timings)."
        )
    latest = {path.parts[-3]: json.loads(path.read_text(encoding="utf-8")) for path in files}
    width = max(map(len, latest))
    print(f"{'training':<{width}}  {'steps':>8}  {'seconds':>9}  {'steps/s':>8}")
    for name, timing in latest.items():
        rate = timing["steps"] / max(timing["seconds"], 1e-9)
        print(f"{name:<{width}}  {timing['steps']:>8}  {timing['seconds']:>9.1f}  {rate:>8.2f}")
    print(f"{'all':<{width}}  {'':>8}  {sum(timing['seconds'] for timing in latest.values()):>9.1f}")
