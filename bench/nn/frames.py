"""Stored frames to what networks take: linearisation, on the device that the frames are on."""

import numpy as np
import torch
from torch import Tensor

from bench.core.scene import GAMMA, Scene

FULL = {torch.uint8: 255.0, torch.uint16: 65535.0}


def to_network(frames: Tensor, times: Tensor) -> Tensor:
    """Frames as networks take them: (B, N, 6, H, W) float32, channels [ldr, ldr^2.2 / t], short to long.

    frames : (B, N, H, W, 3) uint8 or uint16, RGB, as stored: the full range of the dtype is 1.
    times  : (B, N) floating, relative exposure times, the shortest is 1.
    """
    ldr = frames.to(torch.float32).movedim(-1, 2) / FULL[frames.dtype]
    linear = ldr**GAMMA / times.to(ldr.dtype)[:, :, None, None, None]
    return torch.cat([ldr, linear], 2)


def scene_input(scene: Scene) -> Tensor:
    """Return a whole scene as network input: (1, N, 6, H, W) float32, on the CPU."""
    return to_network(torch.from_numpy(np.array(scene.frames))[None], torch.from_numpy(scene.times)[None])
