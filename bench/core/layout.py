"""Where each stage's files lie, relative to the project's root."""

from pathlib import Path

from bench.core.errors import UsageError
from bench.core.params import Params
from bench.core.runs import Evaluation

DEFAULT = Path("params.yaml")
"""The parameter file where none is named."""

VGG = "vgg16.safetensors"
"""Layers of torchvision's VGG-16 that perceptual losses use, in the folder `backbone`."""


def planned(params: Params) -> Path:
    """What says that plan.yaml agreed with the parameters when the pipeline began."""
    return params.work / "plan.txt"


def raw(params: Params, dataset: str) -> Path:
    """Downloaded or simulated files of a dataset, or the note that says where on this disk they lie."""
    return params.work / "raw" / dataset


def backbone(params: Params) -> Path:
    """Folder of the perceptual losses' network: `card.json`, and `vgg16.safetensors` where one is used."""
    return params.work / "backbone"


def scenes(params: Params, dataset: str, split: str = "") -> Path:
    """Prepared scenes of a dataset, one folder each below its split."""
    return params.work / "scenes" / dataset / split


def codebook(params: Params, name: str) -> Path:
    """Weights of a codebook; its card (.json) and learning curve (.csv) lie beside it."""
    return params.work / "codebooks" / f"{name}.safetensors"


def weights(params: Params, run: str) -> Path:
    """Weights of an HDR network; its card (.json) lies beside it."""
    return params.work / "weights" / f"{run}.safetensors"


def foreign(name: str) -> Path:
    """Others' weights, converted; their card (.json) lies beside them. Neither git nor DVC keeps them."""
    return Path("weights") / f"{name}.safetensors"


def foreign_card(params: Params, evaluation: Evaluation) -> Path:
    """The card of others' weights as they were when they were evaluated; it lies with the predictions."""
    return predictions(params, evaluation.run, evaluation.dataset) / "weights.json"


def sizes(params: Params) -> Path:
    """Parameters and multiply-adds of Table 1's networks."""
    return params.work / "sizes.json"


def curve(params: Params, run: str) -> Path:
    """Learning curve of an HDR network."""
    return params.work / "curves" / f"{run}.csv"


def prepared(params: Params, dataset: str) -> Path:
    """How each scene of a dataset was read: layout, source files with sha256, checks, fingerprint (JSON)."""
    return params.work / "prepared" / f"{dataset}.json"


def predictions(params: Params, run: str, dataset: str) -> Path:
    """Predicted radiance, one EXR a scene, by split."""
    return params.work / "predictions" / run / dataset


def scores(params: Params, cell: str) -> Path:
    """Score rows of one evaluation, `<run>--<dataset>`."""
    return params.work / "scores" / f"{cell}.csv"


def sensitivity(params: Params, cell: str) -> Path:
    """Score rows of one evaluation under every protocol that the parameter file compares."""
    return params.work / "sensitivity" / f"{cell}.csv"


def partial(params: Params) -> Path:
    """Folder of a report that lacks parts; those in reports/ stay whole."""
    return params.work / "report"


def submissions() -> Path:
    """Score rows of other people's results, one CSV a submission; git tracks them."""
    return Path("reports") / "submissions"


def inspection(params: Params, name: str) -> Path:
    """What inspection found of a codebook, or of a network (`network-<run>`)."""
    return params.work / "inspect" / f"{name}.json"


def need(params: Params, path: Path, verb: str) -> Path:
    """Return `path` if it exists; else raise UsageError with the command that makes it, such as `verb` "train x"."""
    if not path.exists():
        raise UsageError(f"{path} doesn't exist yet. Make it with: {remake(params, verb)}")
    return path


def remake(params: Params, verb: str) -> str:
    """Return the commands that make the result of `verb` in this profile, for error messages."""
    stage, *names = verb.split()
    if stage in ("fetch", "prepare") and names and names[0] not in params.datasets:
        return command(params, verb)  # the pipeline knows the datasets that the profile uses
    return f"{command(params, verb)}, or run: {pipeline(params)}"


def pipeline(params: Params) -> str:
    """Return the command line that runs every stage of this profile that is out of date."""
    file = Path(params.params_file)
    return "dvc repro" if file == DEFAULT else f"dvc repro {file.with_name('dvc.yaml')}"


def command(params: Params, words: str) -> str:
    """Return the command line that does `words` in this profile."""
    profile = "" if Path(params.params_file) == DEFAULT else f"--params {params.params_file} "
    return f"python -m bench {profile}{words}"
