"""Rehearse: the paper profile's pipeline on synthetic archives that a server on this machine hands out."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch

from bench.core.errors import BenchError, UsageError
from bench.core.params import Params
from bench.core.registry import ROOT
from bench.data.clothes import SETS, dress, pack
from bench.io.atomic import replacing
from bench.nn.vgg import POSITIONS, VggFeatures

PANORAMAS = Path("datasets") / "panoramas"


def run(params: Params, only_serve: bool = False) -> None:
    """Make the archives (once), serve them at the address of the parameters, and run `dvc repro` on the profile.

    only_serve : keep serving until interrupted, instead of running the pipeline.
    UsageError if the profile isn't a rehearsal or its port is taken; BenchError if the pipeline fails.
    """
    address = urlsplit(params.perceptual.url)
    if address.hostname != "127.0.0.1" or address.port is None:
        raise UsageError(
            f"{params.params_file} is no rehearsal: perceptual.url is {params.perceptual.url}, expected an address on "
            "127.0.0.1 with a port. Try: --params profiles/rehearsal/params.yaml"
        )
    archives = Path("runs") / params.profile / "archives"
    make(archives, address.path.rpartition("/")[2])
    with served(archives, address.port):
        if only_serve:
            print(f"serving {archives} at http://127.0.0.1:{address.port}; stop with Ctrl-C", flush=True)
            threading.Event().wait()
        pipeline = Path(params.params_file).with_name("dvc.yaml")
        answer = subprocess.run([sys.executable, "-m", "dvc", "repro", str(pipeline)], cwd=ROOT, check=False)
    if answer.returncode:
        raise BenchError(f"the pipeline {pipeline} ended with exit code {answer.returncode}; see its output above.")


def make(folder: Path, weights: str) -> None:
    """Write the official archives of all sets, and VGG-16 weights of the right shapes; those that are there stay."""
    for name, clothes in SETS.items():
        if all((folder / archive).exists() for archive in clothes.archives):
            continue
        print(f"{name}: synthetic views in its layout", flush=True)
        dress(name, PANORAMAS, folder / name)
        for archive, part in clothes.archives.items():
            pack(folder / name / part, folder / archive)
    if not (folder / weights).exists():
        with replacing(folder / weights) as part_file, part_file.open("wb") as file:
            torch.save(_random_vgg(), file)


def _random_vgg() -> dict[str, torch.Tensor]:
    """Random VGG-16 parameters under torchvision's names, as far as the perceptual losses use them."""
    layers = [layer for layer in VggFeatures(None, seed=0).modules() if isinstance(layer, torch.nn.Conv2d)]
    return {
        f"features.{position}.{kind}": getattr(layer, kind).detach()
        for layer, position in zip(layers, POSITIONS, strict=True)
        for kind in ("weight", "bias")
    }


@contextmanager
def served(folder: Path, port: int) -> Iterator[None]:
    """Serve a folder on 127.0.0.1 while the context lasts; UsageError if the port is taken."""
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), partial(_Quiet, directory=str(folder)))
    except OSError as error:
        raise UsageError(f"port {port} of this machine is taken ({error.strerror}); end what uses it.") from error
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the download tells its progress."""
