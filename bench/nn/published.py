"""Filling a network with weights under their authors' names, PyTorch's or TensorFlow 1's."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bench.core.errors import UsageError
from bench.core.reading import shown
from bench.nn.checkpoints import need_finite, need_plain

TRAINING = re.compile(
    r"(^|/)(Adam(_\d+)?|Momentum|RMSProp(_\d+)?|ExponentialMovingAverage|global_step|beta[12]_power(_\d+)?)$"
)
"""Variables that a saver file holds for the training alone: optimiser slots, averages and counters."""


class Misnamed(UsageError):
    """Names are missing or left over, `wrong` ones: another network's weights, or they stand in something else."""

    def __init__(self, message: str, wrong: int = 0) -> None:
        """Take the sentence and the number of names."""
        super().__init__(message)
        self.wrong = wrong


def fill(
    network: nn.Module,
    state: Mapping[str, Any],
    names: Mapping[str, str],
    title: str,
    *,
    ignored: str = "",
    edits: Mapping[str, Callable[[Tensor], Tensor]] | None = None,
    turned: Callable[[Tensor], Tensor] = torch.as_tensor,
) -> None:
    """Copy `state`, arrays or tensors under the authors' names (with or without `module.`), into the network.

    names   : our names of parameters and buffers to theirs; entries of ours that aren't named stay as they are.
    title   : whose weights these should be, for the UsageError on missing, left over or misshapen ones.
    ignored : expression that matches their names of entries that may be there or not, and aren't used.
    edits   : what turns one of theirs into ours, by our name, such as another order of channels.
    turned  : what turns each of theirs into a tensor of our shapes.

    UsageError too for values that no network has: NaN or infinity, integers where numbers are learnt, complex, sparse
    or quantised ones, and tensors without values. The network stays as it is then.
    """
    given: dict[str, Any] = {}
    for name, value in state.items():
        if (plain := name.removeprefix("module.")) in given:
            raise UsageError(f"{title}'s weights: {shown(repr(plain))} is there twice, with and without module.")
        given[plain] = value
    missing = sorted(set(names.values()) - set(given))
    extra = sorted(set(given) - set(names.values()))
    extra = [name for name in extra if not (ignored and re.fullmatch(ignored, name))]
    if missing or extra:
        left = shown([*extra[:5]])
        wrong = len(missing) + len(extra)
        raise Misnamed(f"not {title}'s published weights: missing {missing[:5]}, left over {left}.", wrong)
    wanted, filled = network.state_dict(), {}
    for ours, theirs in names.items():
        value, shape = torch.as_tensor(given[theirs]), wanted[ours].shape
        need_plain(f"{title}'s {theirs}", value, wanted[ours])
        value = turned(value)
        if value.shape != shape:
            sizes = f"{theirs} ({ours} here) is {list(value.shape)}, expected {list(shape)}"
            raise UsageError(f"not {title}'s published weights for this size: {sizes}.")
        need_finite(f"{title}'s {theirs}", value)
        filled[ours] = edits[ours](value) if edits and ours in edits else value
    network.load_state_dict({**wanted, **filled})


def fill_tensorflow(
    network: nn.Module, names: Mapping[str, str], state: Mapping[str, Any], *, label: str, ignored: str = r"(?!)"
) -> None:
    """Fill `network` with the variables of a TensorFlow 1 network, arrays or tensors in its shapes, strictly.

    names   : our parameter names to theirs; entries of ours that aren't named stay as they are.
    state   : their names, with or without ":0", to values; what only training needs is left out.
    label   : what the network is called in messages.
    ignored : regular expression for the start of names that belong to other networks.

    Names that are missing or left over, and shapes of another network, raise UsageError.
    """
    theirs = {name.removesuffix(":0"): value for name, value in state.items()}
    needed = {name: value for name, value in theirs.items() if not TRAINING.search(name)}
    fill(network, needed, names, label, ignored=f"(?:{ignored}).*", turned=variable)


def variable(value: Any) -> Tensor:
    """One variable as a parameter: a kernel (rows, columns, a, b) becomes (b, a, rows, columns), not flipped.

    Both layouts turn that way: convolutions (rows, columns, in, out) and transposed ones (rows, columns, out, in).
    What has one row, such as (1, out), becomes a vector; all else keeps its shape.
    """
    tensor = torch.as_tensor(value)
    if tensor.ndim == 4:
        return tensor.permute(3, 2, 0, 1).contiguous()
    return tensor[0] if tensor.ndim == 2 and len(tensor) == 1 else tensor


def renamed(name: str, patterns: Sequence[tuple[str, str]]) -> str:
    """Return the authors' name of an entry of ours, by replacing one regular expression after another."""
    for pattern, theirs in patterns:
        name = re.sub(pattern, theirs, name)
    return name


def halves_exchanged(frames: int = 1) -> Callable[[Tensor], Tensor]:
    """Return the edit that exchanges the LDR and linear half of the first `frames` frames in a convolution's inputs.

    weight : (C_out, 6 * frames + others, k, k); each frame has six channels, others stay.
    """

    def exchange(weight: Tensor) -> Tensor:
        pairs, others = weight[:, : 6 * frames], weight[:, 6 * frames :]
        return torch.cat([pairs.reshape(len(weight), frames, 2, 3, *weight.shape[2:]).flip(2).flatten(1, 3), others], 1)

    return exchange


def from_bgr(*entries: str) -> dict[str, Callable[[Tensor], Tensor]]:
    """Return the edits of networks whose frames have blue before red in both halves, in and out.

    entries : our names of the convolutions that take a frame of six channels.
    """

    def inputs(weight: Tensor) -> Tensor:
        return weight.view(len(weight), 2, 3, *weight.shape[2:]).flip(2).view(weight.shape)

    edits: dict[str, Callable[[Tensor], Tensor]] = {f"{entry}.weight": inputs for entry in entries}
    return edits | {f"head.last.{kind}": lambda value: value.flip(0) for kind in ("weight", "bias")}


def channels_reversed() -> dict[str, Callable[[Tensor], Tensor]]:
    """Return the edits of networks whose frames hold the linear half first, and blue before red, in and out.

    That is our six channels in reverse order: of the inputs of `entries`, and of the outputs of `head.last`.
    """
    edits: dict[str, Callable[[Tensor], Tensor]] = {
        f"entries.{index}.weight": lambda weight: weight.flip(1) for index in range(3)
    }
    return edits | {f"head.last.{kind}": lambda value: value.flip(0) for kind in ("weight", "bias")}
