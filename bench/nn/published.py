"""Filling a network with weights under their authors' names."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bench.core.errors import UsageError


def fill(
    network: nn.Module,
    state: Mapping[str, Any],
    names: Mapping[str, str],
    title: str,
    *,
    ignored: str = "",
    edits: Mapping[str, Callable[[Tensor], Tensor]] | None = None,
) -> None:
    """Copy `state`, arrays or tensors under the authors' names (with or without `module.`), into the network.

    names   : our names of parameters and buffers to theirs; entries of ours that aren't named stay as they are.
    title   : whose weights these should be, for the UsageError on missing, left over or misshapen ones.
    ignored : expression that matches their names of entries that may be there or not, and aren't used.
    edits   : what turns one of theirs into ours, by our name, such as another order of channels.
    """
    given = {name.removeprefix("module."): value for name, value in state.items()}
    missing = sorted(set(names.values()) - set(given))
    extra = sorted(set(given) - set(names.values()))
    extra = [name for name in extra if not (ignored and re.fullmatch(ignored, name))]
    if missing or extra:
        raise UsageError(f"not {title}'s published weights: missing {missing[:5]}, left over {extra[:5]}.")
    wanted, filled = network.state_dict(), {}
    for ours, theirs in names.items():
        value, shape = torch.as_tensor(given[theirs]), wanted[ours].shape
        if value.shape != shape:
            sizes = f"{theirs} ({ours} here) is {list(value.shape)}, expected {list(shape)}"
            raise UsageError(f"not {title}'s published weights for this size: {sizes}.")
        filled[ours] = edits[ours](value) if edits and ours in edits else value
    network.load_state_dict({**wanted, **filled})


def halves_exchanged(frames: int = 1) -> Callable[[Tensor], Tensor]:
    """Return the edit that exchanges the LDR and linear half of the first `frames` frames in a convolution's inputs.

    weight : (C_out, 6 * frames + others, k, k); each frame has six channels, others stay.
    """

    def exchange(weight: Tensor) -> Tensor:
        pairs, others = weight[:, : 6 * frames], weight[:, 6 * frames :]
        return torch.cat([pairs.reshape(len(weight), frames, 2, 3, *weight.shape[2:]).flip(2).flatten(1, 3), others], 1)

    return exchange


def channels_reversed() -> dict[str, Callable[[Tensor], Tensor]]:
    """Return the edits of networks whose frames hold the linear half first, and blue before red, in and out.

    That is our six channels in reverse order: of the inputs of `entries`, and of the outputs of `head.last`.
    """
    edits: dict[str, Callable[[Tensor], Tensor]] = {
        f"entries.{index}.weight": lambda weight: weight.flip(1) for index in range(3)
    }
    return edits | {f"head.last.{kind}": lambda value: value.flip(0) for kind in ("weight", "bias")}
