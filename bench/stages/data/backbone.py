"""Backbone: the VGG-16 that perceptual losses compare features of."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as to_bytes

from bench.core import layout
from bench.core.errors import BenchError, DiskFull, UsageError
from bench.core.params import Params
from bench.data.download import Checksums, RemoteFile, download
from bench.io.files import write_bytes_atomic, write_json_atomic
from bench.nn.vgg import used_layers

WITHOUT = (
    "Name a copy of the file as `perceptual: {weights: FILE}`, or train without it: `perceptual: {backbone: none}`, or "
    "random-vgg16, in the parameter file."
)
"""What is left to whoever can't have the file."""


def run(params: Params) -> None:
    """Write work/<profile>/backbone/card.json, and vgg16.safetensors where a training uses ImageNet weights."""
    folder = layout.backbone(params)
    backbone = (
        params.perceptual.backbone if params.runs or params.codebook_runs else "none"
    )  # nothing is downloaded idly
    card: dict[str, Any] = {"backbone": backbone}
    if backbone == "vgg16":
        try:
            source = _source(params)
        except DiskFull:
            raise
        except BenchError as error:
            raise type(error)(f"{error}\n{WITHOUT}") from error
        write_bytes_atomic(folder / layout.VGG, to_bytes(_layers(source)))
        card |= {"file": source.name, "sha256": hashlib.sha256(source.read_bytes()).hexdigest()}
    write_json_atomic(folder / "card.json", card)


def kept(params: Params) -> Path:
    """Return where the downloaded file lies, once it does."""
    return Path(params.downloads.folder) / "backbone" / params.perceptual.url.rpartition("/")[2]


def _source(params: Params) -> Path:
    if params.perceptual.weights is None:
        file, checksums = kept(params), Checksums(Path(params.downloads.checksums), "backbone")
        wanted = RemoteFile(file.name, (params.perceptual.url,), None, params.perceptual.sha256 or None)
        return download(wanted, file.parent, checksums, unpacked=False, examine=_layers)
    path = Path(params.perceptual.weights)
    if not path.is_file():
        raise UsageError(
            f"VGG-16 weights {str(path)!r} not found. Expected torchvision's vgg16-397923af.pth; correct "
            "perceptual.weights, or remove it to download the file."
        )
    return path


def _layers(path: Path) -> dict[str, torch.Tensor]:
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # the unpickler raises whatever the damage leads to
        raise UsageError(f"{path} can't be read as PyTorch weights; expected torchvision's VGG-16.") from error
    if not isinstance(state, Mapping):
        raise UsageError(f"{path} holds a {type(state).__name__}, not named weights; expected torchvision's VGG-16.")
    try:
        return used_layers(state)
    except UsageError as error:
        raise UsageError(f"{path}: {error} Expected torchvision's VGG-16.") from error
