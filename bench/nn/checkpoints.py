"""Reading the files that others keep weights in; nothing in them is ever executed."""

import io
import math
import pickle
import pickletools
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple
from zipfile import BadZipFile, ZipFile, ZipInfo, is_zipfile

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from bench.core.errors import UsageError
from bench.core.reading import NAME, need_regular, shown

LARGEST = 2 << 30
"""Bytes of a weight file. The largest that a method here has, NHDRRNet's with Adam's slots, has a fifth of it."""

RATIO, SLACK = 4, 16 << 20
"""An archive's content may be so many times as large as the file, and so many bytes larger: weights hardly shrink."""

PICKLE, OPERATIONS = 4 << 20, 1_000_000
"""Bytes and operations of a pickle that says which tensors a file holds; those of 1,000 tensors take a hundredth."""

WRAPPERS = ("state_dict", "model", "model_state_dict", "params_ema", "params", "net", "network", "generator")
"""Keys under which training codes keep the weights beside optimisers and counters, in the order they are tried."""

PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "generator.", "netG.")
"""What wrappers of networks put before all names; others are tried where half of the names begin alike."""

DEPTH = 3
"""How deep weights are searched for, and how many prefixes are taken off."""

TENSORFLOW = re.compile(r".*\.index|checkpoint|.*\.ckpt(-\d+)?(\.meta)?|.*\.data-\d+-of-\d+")
"""Names of TensorFlow's own checkpoint files."""

SLOTS = re.compile(r"(.*/)?(Adam|Adam_\d+|Momentum|beta\d_power(_\d+)?|global_step|save_counter|step)|discriminator/.*")
"""TensorFlow entries that are no part of a network that predicts."""

OPTIMISER = frozenset(
    (
        "step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq", "exp_avg_var", "exp_inf", "mu_product", "momentum_buffer",
        "square_avg", "grad_avg", "acc_delta", "sum", "prev", "step_size", "eta", "mu", "ax", "slow_buffer",
        "exp_avg_sq_row", "exp_avg_sq_col", "state1", "state2",
    )
)  # fmt: skip
"""Names under which PyTorch's and other usual optimisers keep what they remember of each parameter."""

ATTRIBUTE = "/.ATTRIBUTES/VARIABLE_VALUE"

UNPICKLE = (
    "python -c \"import torch; s = torch.load('{name}', weights_only=False, map_location='cpu'); "
    "s = s.get('state_dict', s) if isinstance(s, dict) else s.state_dict(); torch.save(dict(s), 'plain.pth')\""
)
EXPORT = (
    "python -c \"import numpy, tensorflow as tf; r = tf.train.load_checkpoint('FOLDER'); "
    "numpy.savez('weights.npz', **{n: r.get_tensor(n) for n in r.get_variable_to_shape_map()})\""
)


class Reading(NamedTuple):
    """One way to understand a file: its weights by name, and what was left away, "" for nothing."""

    state: dict[str, Tensor]
    how: str


def readings(path: Path) -> Iterator[Reading]:
    """Yield the ways to understand a file of weights, the likeliest first: in which wrapper, without which prefix.

    Takes what safetensors, numpy.savez and torch.save write, whatever the file is called. All readings have `module.`
    and TensorFlow's decoration taken off; what is neither a tensor nor an array is left out, and so is the state of
    optimisers. UsageError for a file of another kind, one that is damaged, one that would
    take far more memory than the file has bytes, and for pickled classes, with what to do about it.
    """
    return _readings(_content(path))


def _readings(content: Any) -> Iterator[Reading]:
    if not isinstance(content, Mapping):
        raise UsageError(f"the file holds a {type(content).__name__}, expected a mapping of names to tensors.")
    if not content:
        raise UsageError("the file holds an empty mapping; expected one of names to tensors.")
    found = list(_mappings(content, "", set(), DEPTH))
    if not found:
        held = ", ".join(map(shown, list(content)[:5]))
        raise UsageError(f"the file holds no tensors by name, but {held}.")
    whole = [(_entries(mapping), f"inside {where}" if where else "") for where, mapping in found]
    for state, how in whole:
        yield Reading(state, how)
        for prefix in _prefixes(state, DEPTH):
            inner = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
            others = f", {len(state) - len(inner)} other entries left out" if len(inner) < len(state) else ""
            yield Reading(inner, f"{how}{' and ' if how else ''}without the prefix {shown(repr(prefix))}{others}")


def _mappings(content: Mapping[Any, Any], where: str, seen: set[int], depth: int) -> Iterator[tuple[str, Any]]:
    """Yield the mappings that hold tensors, with their place: known wrappers, then what they stand in, then others.

    Optimisers number the parameters: only names are followed. What holds nothing but their slots isn't yielded either.
    """
    seen.add(id(content))  # a pickle may hold one mapping in thousands of places
    named = {key: value for key, value in content.items() if isinstance(key, str) and key not in OPTIMISER}
    inner = {key: value for key, value in named.items() if isinstance(value, Mapping) and id(value) not in seen}
    known = [key for key in WRAPPERS if key in inner]
    for keys in (known, [key for key in inner if key not in known]):
        for key in keys if depth else ():
            place = f"{where}{'.' if where else ''}{shown(key)}"
            yield from _mappings(inner[key], place, seen, depth - 1) if id(inner[key]) not in seen else ()
        if keys is known and any(isinstance(value, Tensor | np.ndarray) for value in named.values()):
            yield where, content


def _prefixes(state: Mapping[str, Tensor], depth: int) -> Iterator[str]:
    """Yield prefixes of some names, those in `PREFIXES` or of at least half, and behind each its own ones."""
    first = Counter(f"{name.partition('.')[0]}." for name in state if "." in name)
    common = [prefix for prefix, count in first.items() if 2 * count >= len(state)]
    for prefix in dict.fromkeys([*(known for known in PREFIXES if known in first), *common]):
        yield prefix
        inner = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        if depth > 1:
            yield from (prefix + further for further in _prefixes(inner, depth - 1))


def _entries(content: Mapping[Any, Any]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, value in content.items():
        if not isinstance(value, Tensor | np.ndarray):
            continue
        cut = _cut(str(name))
        if cut in found:
            raise UsageError(
                f"the file holds {shown(repr(cut))} twice, also as {shown(repr(str(name)))}; nobody knows which is "
                "meant. Leave one of them in it."
            )
        try:
            found[cut] = torch.as_tensor(value)
        except (TypeError, ValueError) as error:
            raise UsageError(f"the file's entry {shown(name)} can't become a tensor ({error}).") from error
    return found


def _cut(name: str) -> str:
    name = name.removesuffix(ATTRIBUTE).removesuffix(":0")
    return name.removeprefix("module.").removeprefix("myModel/")


def load(path: Path) -> dict[str, Tensor]:
    """Return the tensors in a safetensors file of this project; UsageError for what isn't one, and for NaN in it."""
    state = _safetensors(need_regular(path, LARGEST))
    for name, value in state.items():
        need_finite(f"{shown(path)}: {name}", value)
    return state


def fit(network: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Load weights under our own names, strictly; UsageError for values of another type, which torch would convert.

    Names and shapes that differ raise torch's RuntimeError.
    """
    wanted = network.state_dict()
    for name, value in state.items():
        need_plain(f"{shown(path)}: {name}", value, wanted.get(name, value))
    network.load_state_dict(state)


def need_plain(name: str, value: Tensor, like: Tensor) -> None:
    """Raise UsageError unless a tensor is dense and of a type that can become that of `like`, whatever its shape."""
    if value.is_nested or value.layout != torch.strided or value.is_quantized or value.is_meta:
        kind = "has no values (a meta tensor)" if value.is_meta else "is sparse, nested or quantised"
        raise UsageError(
            f"{shown(name)} {kind}; expected a plain tensor. Save it with its values, after to_dense() or dequantize()."
        )
    if value.dtype not in (FLOATING if like.is_floating_point() else INTEGERS):
        wanted = "floating-point numbers of 16 to 64 bits" if like.is_floating_point() else "integers"
        raise UsageError(f"{shown(name)} holds values of type {value.dtype}, expected {wanted}.")


def need_finite(name: str, value: Tensor) -> None:
    """Raise UsageError for NaN, and for what is infinite or would be in float32."""
    if value.is_floating_point() and not bool(torch.isfinite(value.float()).all()):
        raise UsageError(f"{shown(name)} holds NaN or infinite values: the file is damaged, or its training failed.")


FLOATING = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)


def _content(path: Path) -> Any:
    """Return what a file holds, read by what its first bytes say it is."""
    size = need_regular(path, LARGEST).stat().st_size
    try:
        with path.open("rb") as file:
            start = file.read(40)
    except OSError as error:
        raise UsageError(f"{shown(path.name)} can't be read ({error.strerror}).") from error
    zipped, pickled = start.startswith(b"PK"), start.startswith(b"\x80")
    stated = start[8:9] == b"{" and 8 + int.from_bytes(start[:8], "little") <= size
    if stated or (path.suffix == ".safetensors" and not (zipped or pickled)):
        return _safetensors(path)
    if TENSORFLOW.fullmatch(path.name) and not (zipped or start.startswith(b"\x80\x02")):
        raise UsageError(
            f"{shown(path.name)} is a TensorFlow checkpoint. Where TensorFlow is installed, export it with: {EXPORT} "
            "and import weights.npz."
        )
    _check_start(path, start)
    if zipped and _holds_arrays(path):
        return {name: value for name, value in _arrays(path).items() if not SLOTS.fullmatch(_cut(name))}
    return _torch(path)


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except Exception as error:  # of damaged headers: types that torch lacks raise KeyError, for example
        said = shown(" ".join(str(error).split()))
        raise UsageError(f"{shown(path)} is damaged or no safetensors file ({said}).") from error


def _holds_arrays(path: Path) -> bool:
    try:
        with ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # whatever a damaged zip makes it stumble over; torch's reader says so again
        return path.suffix == ".npz"
    return not any(name.endswith("data.pkl") for name in names) and (
        path.suffix == ".npz" or any(name.endswith(".npy") for name in names)
    )


def _arrays(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Return the numeric arrays of an npz, each judged by its header before it is read."""
    try:
        with ZipFile(path) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
            _need_room(path, sum(member.file_size for member in members))
            arrays = {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}
    except UsageError:
        raise
    except Exception as error:  # a decompressor raises whatever a damaged file makes it stumble over
        said = shown(" ".join(str(error).split())[:200] or type(error).__name__)
        raise UsageError(f"{shown(path.name)} can't be read as npz of plain arrays ({said}).") from error
    return {name: value for name, value in arrays.items() if value.dtype.kind in "fiubc"}


def _array(archive: ZipFile, member: ZipInfo) -> np.ndarray[Any, Any]:
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, by_columns, dtype = reader(file)
        if dtype.hasobject:
            raise ValueError(f"{member.filename} holds pickled objects")
        size = math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or size > member.file_size:
            raise ValueError(f"{member.filename} is said to hold {size:,} bytes and has {member.file_size:,}")
        content = file.read()
    found = np.frombuffer(content[:size], dtype).reshape(shape, order="F" if by_columns else "C")
    if dtype.kind == "f" and dtype.itemsize > 8:  # a long double, which torch lacks
        return found.astype(np.float64)
    return found.astype(dtype.newbyteorder("="))


def _need_room(path: Path, size: int) -> None:
    """Refuse an archive whose content would be far larger than the file."""
    if size > RATIO * path.stat().st_size + SLACK:
        raise UsageError(
            f"{shown(path.name)} would unpack to {size:,} bytes, more than {RATIO} times its size; weights don't. If "
            "it is sound, save it again without compression."
        )


def _torch(path: Path) -> Any:
    _weigh(path)
    try:
        with warnings.catch_warnings():  # of other pickle protocols: what can't be read is refused anyway
            warnings.simplefilter("ignore")
            with path.open("rb") as file:  # given a path, torch goes by its suffix
                return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # an unpickler raises whatever a damaged file makes it stumble over
        raise _refusal(path, error) from error


def _weigh(path: Path) -> None:
    """Refuse what torch.save can't have written and would take far more memory than the file has bytes.

    Whatever else is wrong is left to torch.
    """
    room = RATIO * path.stat().st_size + SLACK
    try:
        if not is_zipfile(path):
            with path.open("rb") as file:
                start = io.BytesIO(file.read(PICKLE))
            for _ in range(5):  # magic number, protocol, system, the object, keys of storages, which follow
                _scan(path, start, room)
            return
        with ZipFile(path) as archive:
            members = archive.infolist()
            _need_room(path, sum(member.file_size for member in members))
            for member in members:
                if member.filename.endswith(".pkl"):
                    if member.file_size > PICKLE:
                        raise _too_long(path)
                    _scan(path, io.BytesIO(archive.read(member)), room)
    except UsageError:
        raise
    except Exception:  # a damaged file: torch says no as well
        return


def _scan(path: Path, pickled: IO[bytes], room: int) -> None:
    last = 0
    for count, (operation, argument, _) in enumerate(pickletools.genops(pickled)):
        if count > OPERATIONS:
            raise _too_long(path)
        if isinstance(argument, int) and operation.name.startswith(("BININT", "LONG1", "LONG4", "INT")):
            last = argument
        if operation.name == "BINPERSID" and last > room:  # a storage; the number of its elements was named last
            raise UsageError(f"{shown(path.name)} names a tensor of {last:,} elements, more than the file can hold.")
        if operation.name == "GLOBAL" and str(argument) in GROWING:
            raise UsageError(
                f"{shown(path.name)} isn't a file of plain tensors: it makes a {str(argument).split()[1]} of any size."
            )


GROWING = ("builtins bytearray", "__builtin__ bytearray", "torch Tensor")
"""What torch lets a pickle make with a length alone, filled with zeros, or with what happens to be in memory."""


def _too_long(path: Path) -> UsageError:
    return UsageError(
        f"{shown(path.name)} holds far more than tensors: its pickle is too long. Save the tensors alone."
    )


def _check_start(path: Path, start: bytes) -> None:
    """Refuse what torch.save can't have written, by its first bytes, and a zip that has lost its end."""
    if not start:
        raise UsageError(f"{shown(path.name)} is empty; the download may have failed.")
    for magic, kind, what in OTHERS:
        if start.startswith(magic):
            raise UsageError(f"{shown(path.name)} is {kind}. {what}")
    if not start.startswith((b"PK", b"\x80")):
        raise UsageError(
            f"{shown(path.name)} is no PyTorch checkpoint: it starts with {start!r}; the download may have failed."
        )
    try:
        cut = start.startswith(b"PK") and not is_zipfile(path)
    except BadZipFile:  # of a directory that claims to lie on another disk
        cut = True
    if cut:
        raise UsageError(
            f"{shown(path.name)} is cut short: the directory at the end of its zip is missing; download it again."
        )


OTHERS = (
    (b"\x93NUMPY", "a single array of NumPy", "Save all of a network's by name, with numpy.savez, as .npz."),
    (b"\x89HDF", "an HDF5 file, such as Keras writes", "Save the weights by name, with numpy.savez, as .npz."),
)
"""First bytes of what others keep weights in, what it is, and what to do."""


def _refusal(path: Path, error: Exception) -> UsageError:
    """Return what to say of a file that torch refuses: how to convert a sound one, else that it is damaged."""
    if not (isinstance(error, pickle.UnpicklingError) or "TorchScript" in str(error)) or not _sound(path):
        return UsageError(
            f"{shown(path.name)} can't be read as a PyTorch checkpoint: it is damaged, cut short or of another kind; "
            "download it again."
        )
    found = re.search(r"GLOBAL (\S+)", str(error))
    named = f" (it names {shown(found[1])})" if found else ""
    return UsageError(
        f"{shown(path.name)} isn't a file of plain tensors{named}. One with pickled classes "
        f"could run any code and is never opened here. If you trust it, convert it apart from this project, with: "
        f"{UNPICKLE.format(name=path.name if NAME.fullmatch(path.name) else 'FILE')} and import plain.pth."
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
    except Exception:  # zipfile and pickletools have many ways to stumble: other versions, lengths of gigabytes
        return False
