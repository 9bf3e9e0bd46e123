"""What several tests share."""

import copy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]

SMALL = yaml.safe_load(
    """
    profile: small
    root: .
    params_file: params.yaml
    datasets: {panoramas: {code: datasets/panoramas}}
    patches: {size: 32, stride: 32}
    perceptual: {backbone: none}
    stage1: {steps: 2}
    stage2: {steps: 2}
    codebooks: {olc-64: {segments: olc, codes: 64, trainset: panoramas, seed: 0}}
    variants:
      ahdrnet: {method: ahdrnet, preset: smoke}
      proposed: {method: olc, preset: smoke}
      triangle-merge: {method: triangle-merge, preset: published}
    plain_runs:
      ahdrnet--panoramas--s0: {variant: ahdrnet, trainset: panoramas, seed: 0, code: methods/ahdrnet.py}
    vq_runs:
      proposed--panoramas--s0:
        {variant: proposed, trainset: panoramas, seed: 0, code: methods/olc, codebook: olc-64}
    classic_evaluations:
      triangle-merge--panoramas: {run: triangle-merge, dataset: panoramas, code: methods/triangle_merge.py}
    plain_evaluations:
      ahdrnet--panoramas--s0--panoramas: {run: ahdrnet--panoramas--s0, dataset: panoramas, code: methods/ahdrnet.py}
    vq_evaluations: {}
    tables: {table1: {Proposed: proposed}, table2: {}, table3: {}}
    """
)


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
def bench() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `python -m bench` in a process of its own."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "bench", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)

    return run
