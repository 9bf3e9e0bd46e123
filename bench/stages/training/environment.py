"""Device, threads, number format, and the versions of libraries that change results."""

import platform
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from bench.core.params import Params
from bench.nn.memory import fastest_order

Network = TypeVar("Network", bound=nn.Module)


def start(params: Params) -> torch.device:
    """Fix the number of CPU threads and switch TF32 off, for fp32 means fp32; return the device to compute on."""
    torch.set_num_threads(params.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def to_device(network: Network, device: torch.device) -> Network:
    """Move a network to the device, its weights in the memory order that convolutions are fastest in."""
    return network.to(device, memory_format=fastest_order(device))  # type: ignore[call-overload, no-any-return]


def device_name(device: torch.device) -> str:
    """Name the device that a number came from: "cpu", or the GPU's product name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def numerics(params: Params, device: torch.device) -> dict[str, str]:
    """Return how a training computes, for its card: the CPU trains in fp32, and fp32 never means TF32."""
    precision = params.precision if device.type == "cuda" else "fp32"
    return {"precision": precision, "tf32": "on" if precision == "tf32" else "off", "adam": "fused"}


def libraries() -> dict[str, str]:
    """Return the versions that change results."""
    import cv2

    versions = {"torch": torch.__version__, "numpy": np.__version__, "opencv": cv2.__version__}
    return {"python": platform.python_version(), **versions}
