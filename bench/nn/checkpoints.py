"""Reading the files that others keep weights in; nothing in them is ever executed."""

import pickle
import pickletools
import re
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from bench.core.errors import UsageError

WRAPPERS = ("state_dict", "model", "model_state_dict", "params_ema", "params", "net", "network", "generator")
"""Keys under which training codes keep the weights beside optimisers and counters, in the order they are tried."""

TENSORFLOW = re.compile(r".*\.index|checkpoint|.*\.ckpt(-\d+)?(\.meta)?|.*\.data-\d+-of-\d+")
"""Names of TensorFlow's own checkpoint files."""

SLOTS = re.compile(r"(.*/)?(Adam|Adam_\d+|Momentum|beta\d_power(_\d+)?|global_step|save_counter|step)|discriminator/.*")
"""TensorFlow entries that are no part of a network that predicts."""

ATTRIBUTE = "/.ATTRIBUTES/VARIABLE_VALUE"

UNPICKLE = (
    "python -c \"import torch; s = torch.load('{name}', weights_only=False, map_location='cpu'); "
    "s = s.get('state_dict', s) if isinstance(s, dict) else s.state_dict(); torch.save(dict(s), 'plain.pth')\""
)
EXPORT = (
    "python -c \"import numpy, tensorflow as tf; r = tf.train.load_checkpoint('FOLDER'); "
    "numpy.savez('weights.npz', **{n: r.get_tensor(n) for n in r.get_variable_to_shape_map()})\""
)


def read(path: Path) -> dict[str, Tensor]:
    """Return the weights in a file by their authors' names.

    Takes .safetensors, .npz and what torch.save writes, wrappers (`WRAPPERS`) and the prefix `module.` taken off.
    A file of another kind, or one that holds pickled classes, raises UsageError with what to do about it.
    """
    if path.suffix == ".safetensors":
        return plain(_safetensors(path))
    if path.suffix == ".npz":
        return plain({name: value for name, value in _arrays(path).items() if not SLOTS.fullmatch(_cut(name))})
    if TENSORFLOW.fullmatch(path.name) and not _pickled(path):
        raise UsageError(
            f"{path.name} is a TensorFlow checkpoint. Where TensorFlow is installed, export it with: {EXPORT} "
            "and import weights.npz."
        )
    return plain(_torch(path))


def plain(content: Any) -> dict[str, Tensor]:
    """Return the entries of a checkpoint's mapping: out of its wrapper, without `module.` and TensorFlow's decoration.

    What is neither a tensor nor an array is left out; UsageError if nothing remains.
    """
    if not isinstance(content, Mapping):
        raise UsageError(f"the file holds a {type(content).__name__}, expected a mapping of names to tensors.")
    for wrapper in WRAPPERS:
        inner = content.get(wrapper)
        if isinstance(inner, Mapping) and any(isinstance(value, Tensor | np.ndarray) for value in inner.values()):
            content = inner
            break
    found = {
        _cut(str(name)): torch.as_tensor(value)
        for name, value in content.items()
        if isinstance(value, Tensor | np.ndarray)
    }
    if not found:
        raise UsageError(f"the file holds no tensors, but {', '.join(map(str, list(content)[:5])) or 'nothing'}.")
    return found


def _cut(name: str) -> str:
    name = name.removesuffix(ATTRIBUTE).removesuffix(":0")
    return name.removeprefix("module.").removeprefix("myModel/")


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UsageError(f"{path.name} can't be read as safetensors ({error}).") from error


def _arrays(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as content:
            return {name: content[name] for name in content.files if content[name].dtype.kind in "fiub"}
    except (OSError, ValueError, BadZipFile) as error:
        raise UsageError(f"{path.name} can't be read as npz of plain arrays ({error}).") from error


def _pickled(path: Path) -> bool:
    """Tell a file of torch.save (a zip, or an old plain pickle) from TensorFlow's by its first bytes."""
    with path.open("rb") as file:
        return file.read(2) in (b"PK", b"\x80\x02")


def _torch(path: Path) -> Any:
    _check_start(path)
    try:
        with warnings.catch_warnings():  # of other pickle protocols: what can't be read is refused anyway
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # an unpickler raises whatever a damaged file makes it stumble over
        raise _refusal(path, error) from error


def _check_start(path: Path) -> None:
    """Refuse what torch.save can't have written, by its first bytes, and a zip that has lost its end."""
    with path.open("rb") as file:
        start = file.read(40)
    if not start:
        raise UsageError(f"{path.name} is empty; the download may have failed.")
    if not start.startswith((b"PK", b"\x80")):
        raise UsageError(
            f"{path.name} is no PyTorch checkpoint: it starts with {start!r}; the download may have failed."
        )
    if start.startswith(b"PK") and not is_zipfile(path):
        raise UsageError(
            f"{path.name} is cut short: the directory at the end of its zip is missing; download it again."
        )


def _refusal(path: Path, error: Exception) -> UsageError:
    """Return what to say of a file that torch refuses: how to convert a sound one, else that it is damaged."""
    if not (isinstance(error, pickle.UnpicklingError) or "TorchScript" in str(error)) or not _sound(path):
        return UsageError(
            f"{path.name} can't be read as a PyTorch checkpoint: it is damaged, cut short or of another kind; "
            "download it again."
        )
    found = re.search(r"GLOBAL (\S+)", str(error))
    named = f" (it names {found[1]})" if found else ""
    return UsageError(
        f"{path.name} isn't a file of plain tensors{named}. One with pickled classes "
        f"could run any code and is never opened here. If you trust it, convert it apart from this project, with: "
        f"{UNPICKLE.format(name=path.name)} and import plain.pth."
    )


def _sound(path: Path) -> bool:
    """Tell whether a file's first pickle, in a zip data.pkl, can be read to its end; nothing in it is executed."""
    try:
        if not is_zipfile(path):
            with path.open("rb") as file:
                return any(operation.name == "STOP" for operation, _, _ in pickletools.genops(file))
        with ZipFile(path) as archive:
            (name,) = (name for name in archive.namelist() if re.fullmatch(r"[^/]+/data\.pkl", name))
            return any(operation.name == "STOP" for operation, _, _ in pickletools.genops(archive.read(name)))
    except (BadZipFile, ValueError, OSError, struct.error):
        return False
