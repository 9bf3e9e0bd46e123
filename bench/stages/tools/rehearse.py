"""Run the paper profile's pipeline on synthetic archives that a server on this machine hands out."""

import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import torch

from bench.core.errors import BenchError, UsageError
from bench.core.params import Params
from bench.core.registry import ROOT
from bench.data.synthetic import SETS, pack, write_set
from bench.io.files import replacing
from bench.nn.vgg import POSITIONS, VggFeatures
from bench.stages.tools.archive_server import HOST, served

PANORAMAS = Path("datasets") / "panoramas"

GRACE = 60.0
"""Seconds that an interrupted pipeline has to end by itself: a stage writes its checkpoint, DVC gives up its locks."""


def run(params: Params, only_serve: bool = False) -> None:
    """Make the archives (once), serve them at the address of the parameters, and run `dvc repro` on the profile.

    only_serve : keep serving until interrupted, instead of running the pipeline.
    UsageError if the profile isn't a rehearsal or its port is taken; BenchError if the pipeline fails.
    """
    address = urlsplit(params.perceptual.url)
    if address.hostname != HOST or address.port is None:
        raise UsageError(
            f"{params.params_file} is no rehearsal: perceptual.url is {params.perceptual.url}, expected an address on "
            f"{HOST} with a port. Try: --params profiles/rehearsal/params.yaml"
        )
    archives = Path("runs") / params.profile / "archives"
    make(archives, address.path.rpartition("/")[2])
    with served(archives, address.port):
        if only_serve:
            print(f"serving {archives} at http://{HOST}:{address.port}; stop with Ctrl-C", flush=True)
            threading.Event().wait()
        pipeline = Path(params.params_file).with_name("dvc.yaml")
        code = supervise([sys.executable, "-m", "dvc", "repro", str(pipeline)])
    if code:
        raise BenchError(f"the pipeline {pipeline} ended with exit code {code}; see its output above.")


def supervise(command: Sequence[str], grace: float = GRACE) -> int:
    """Run a command in the project's root and return its exit code.

    On Ctrl-C, which the terminal sends to the command as well, it is given `grace` seconds to end before it is told to;
    then KeyboardInterrupt goes on. `subprocess.run` would kill it after a quarter of a second.
    """
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        return process.wait()
    except KeyboardInterrupt:
        try:
            process.wait(grace)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.terminate()
            process.wait()
        raise


def make(folder: Path, weights: str) -> None:
    """Write the official archives of all sets, and VGG-16 weights of the right shapes; those that are there stay."""
    for name, synthetic in SETS.items():
        if all((folder / archive).exists() for archive in synthetic.archives):
            continue
        print(f"{name}: synthetic views in its layout", flush=True)
        write_set(name, PANORAMAS, folder / name)
        for archive, part in synthetic.archives.items():
            pack(folder / name / part, folder / archive)
    if not (folder / weights).exists():
        with replacing(folder / weights) as part_file, part_file.open("wb") as file:
            torch.save(_random_vgg(), file)


def _random_vgg() -> dict[str, torch.Tensor]:
    """Return random VGG-16 parameters under torchvision's names, as far as the perceptual losses use them."""
    layers = [layer for layer in VggFeatures(None, seed=0).modules() if isinstance(layer, torch.nn.Conv2d)]
    return {
        f"features.{position}.{kind}": getattr(layer, kind).detach()
        for layer, position in zip(layers, POSITIONS, strict=True)
        for kind in ("weight", "bias")
    }
