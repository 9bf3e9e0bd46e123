"""Where each stage's files lie, relative to the project's root."""

from pathlib import Path

from bench.core.errors import UsageError
from bench.core.params import Params


def raw(params: Params, dataset: str) -> Path:
    """Downloaded or simulated files of a dataset, or the note that says where on this disk they lie."""
    return params.work / "raw" / dataset


def scenes(params: Params, dataset: str, split: str = "") -> Path:
    """Prepared scenes of a dataset, one folder each below its split."""
    return params.work / "scenes" / dataset / split


def codebook(params: Params, name: str) -> Path:
    """Weights of a codebook; its card (.json) and learning curve (.csv) lie beside it."""
    return params.work / "codebooks" / f"{name}.safetensors"


def weights(params: Params, run: str) -> Path:
    """Weights of an HDR network; its card (.json) lies beside it."""
    return params.work / "weights" / f"{run}.safetensors"


def curve(params: Params, run: str) -> Path:
    """Learning curve of an HDR network."""
    return params.work / "curves" / f"{run}.csv"


def predictions(params: Params, run: str, dataset: str) -> Path:
    """Predicted radiance, one EXR a scene, by split."""
    return params.work / "predictions" / run / dataset


def scores(params: Params, cell: str) -> Path:
    """Score rows of one evaluation, `<run>--<dataset>`."""
    return params.work / "scores" / f"{cell}.csv"


def inspection(params: Params, name: str) -> Path:
    """What inspection found of a codebook, or of a network (`network-<run>`)."""
    return params.work / "inspect" / f"{name}.json"


def need(path: Path, command: str) -> Path:
    """Return `path` if it exists; else raise UsageError with the command that makes it."""
    if not path.exists():
        raise UsageError(f"{path} doesn't exist yet. Make it with: python -m bench {command}, or run: dvc repro")
    return path
