"""Pairs of images for the speed of metrics."""

import numpy as np


def smooth(height, width):
    """A pair of smooth images with a ghost and 2 % noise, float32 in [0, 1]."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width] / 40
    truth = np.stack([0.5 + 0.45 * np.sin(rows + c) * np.cos(columns - c) for c in range(3)], -1) ** 3
    test = np.clip(truth * (1 + 0.02 * rng.standard_normal(truth.shape)), 0, 1)
    test[height // 4 : height // 2, : width // 3] = truth[: height // 2 - height // 4, 9 : 9 + width // 3]
    return test.astype(np.float32), truth.astype(np.float32)
