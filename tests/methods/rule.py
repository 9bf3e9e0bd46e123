"""Weights and inputs of the golden cases: noise seeded by the names. See golden/README.md for where they come from.

Everything here is in the authors' convention (`public_*`) until `frames` turns it into ours.
"""

import csv
import json
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

GOLDEN = Path(__file__).parent / "golden"

CONSTANT = {"norm_weight": 1.0, "prelu": 0.25, "running_var": 1.0, "scalar": 0.5}
SPREAD = {"running_var": 0.1, "sn_u": 1.0}


class Case(NamedTuple):
    """A golden case: its arrays, the gains on its weights, and the size of its input."""

    arrays: dict[str, np.ndarray]
    gain: dict[str, float]
    size: tuple[int, int]
    stages: dict[str, dict[str, Any]]


def keys(network):
    """Facts about a public network, its entries under "state_dict"."""
    return json.loads((GOLDEN / "keys" / f"{network}.json").read_text(encoding="utf-8"))


def counts(network):
    """Row of counts.csv: parameters, never_used_parameters, macs_256x256, ... as integers."""
    with (GOLDEN / "counts.csv").open(encoding="utf-8", newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["network"] == network)
    return {name: int(value) for name, value in row.items() if value.isdigit()}


def case(name):
    """A golden case by name, such as "adnet_64x64_stress"."""
    record = json.loads((GOLDEN / "stages" / f"{name}.json").read_text(encoding="utf-8"))
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        stored = dict(arrays)
    given = record["input"]
    return Case(stored, record["gain"], (given["height"], given["width"]), record["stages"])


def weight(entry):
    """One entry's value under the rule: float32 in the stored (for TensorFlow networks: TensorFlow's) shape."""
    kind, shape = entry["kind"], entry["shape"]
    noise = np.random.default_rng(zlib.crc32(entry["key"].encode())).standard_normal(shape)
    if kind == "dense":
        value = noise / np.sqrt(entry.get("fan", np.prod(shape[1:])))
    else:
        drawn = np.abs(noise) if kind == "running_var" else noise
        value = CONSTANT.get(kind, 0.0) + SPREAD.get(kind, 0.02) * drawn
    return np.asarray(value, dtype=np.float32)


def as_built(entry, window=8):
    """An entry that the public constructor makes: position index, mask of a nominal size, or a counter."""
    name, shape = entry["key"].rsplit(".", 1)[-1], entry["shape"]
    if name == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    row, column = (grid.reshape(-1) for grid in np.indices((window, window)))
    if name == "relative_position_index":
        down, right = row[:, None] - row + window - 1, column[:, None] - column + window - 1
        return (down * (2 * window - 1) + right).astype(np.int64)
    edge, shift = window * round(shape[0] ** 0.5), window // 2
    band = np.zeros(edge, int)
    band[edge - window : edge - shift], band[edge - shift :] = 1, 2
    regions = 3 * band[:, None] + band
    parts = regions.reshape(edge // window, window, edge // window, window).swapaxes(1, 2).reshape(-1, window**2)
    return np.where(parts[:, None] == parts[:, :, None], 0, -100).astype(np.float32)


def amplified(key, value, gain):
    """The value times the factor of every text that its name contains."""
    factor = np.prod([factor for text, factor in gain.items() if text in key])
    return np.asarray(value * np.float32(factor))


def public_state(network, gain=None):
    """State under the authors' names, as CPU tensors; every drawn array is checked by its crc32.

    gain : factors on the entries whose name contains a text, those of `case(...).gain`; None: of the base case.
    """
    known, state = keys(network), {}
    base = known["gain_in_base_case"]
    for entry in known["state_dict"]:
        key = entry["key"]
        if entry["kind"] != "as_built":
            value = weight(entry)
            assert zlib.crc32(amplified(key, value, base).astype("<f4").tobytes()) == entry["crc32"], key
            state[key] = torch.from_numpy(amplified(key, value, base if gain is None else gain))
        else:
            state[key] = torch.from_numpy(as_built(entry))
    return state


def drawn(network, state):
    """What of a public state the network's constructor doesn't make: no masks, position indices and counters."""
    return {entry["key"]: state[entry["key"]] for entry in keys(network)["state_dict"] if entry["kind"] != "as_built"}


def public_frame(index, height=64, width=64):
    """Frame 0 (short), 1 or 2 (long) of the input: (1, 6, H, W) float32 noise in [0, 1), the authors' channel order."""
    seed = zlib.crc32(f"input:{height}x{width}:frame{index}".encode())
    return np.random.default_rng(seed).random((1, 6, height, width)).astype(np.float32)


def frames(height=64, width=64, *, linear_first=False, bgr=False, mu=0.0, dtype=torch.float64):
    """The input in our convention: (1, 3, 6, H, W), channels [LDR RGB, linear RGB], short to long.

    linear_first : the authors' first half is the linear one.
    bgr          : their colours are blue, green, red.
    mu           : their second half is mu-law encoded; it is decoded for us.
    """
    theirs = np.stack([public_frame(index, height, width) for index in range(3)], 1)
    theirs = torch.from_numpy(theirs).to(dtype).unflatten(2, (2, 3))
    if mu:
        theirs[:, :, 1] = ((1 + mu) ** theirs[:, :, 1] - 1) / mu
    if linear_first:
        theirs = theirs.flip(2)
    if bgr:
        theirs = theirs.flip(3)
    return theirs.flatten(2, 3).contiguous()


def colours(array, *, bgr=False):
    """Turn an image of the authors', (B, 3, H, W), into RGB."""
    return np.ascontiguousarray(array[:, ::-1]) if bgr else array


def run(network, inputs, layer=None):
    """Output of `network` in evaluation mode and that of its module `layer` (None where none is named), as arrays."""
    caught = []
    handle = layer.register_forward_hook(lambda _, given, out: caught.append(out)) if layer is not None else None
    with torch.no_grad():
        out = network.eval()(inputs)
    if handle is not None:
        handle.remove()
    return out.numpy(), caught[-1].numpy() if caught else None


def multiply_adds(network, edge=64):
    """Multiply-adds of convolutions and matrix products for one bracket of 256x256; computes nothing.

    They are counted on one of edge x edge and grow with the area, but for what no size changes (attention over
    channels; spectral norms, HDR-GAN's 0.12 %): a pass that computes nothing takes as long as it has operations, and
    windows make more of them the larger the image.
    """
    with torch.device("meta"):
        inputs = torch.empty(1, 3, 6, edge, edge)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.float().to("meta")(inputs)
    return counter.get_total_flops() // 2 * (256 // edge) ** 2
