"""Training patches: cut on the fly from prepared scenes, a function of the seed and the sample's number alone."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import UsageError
from bench.core.scene import GAMMA, Array, Scene
from bench.core.seeding import generator


class Patch(NamedTuple):
    """frames (N, 6, S, S) float32, channels [LDR RGB, linear RGB], short to long; truth (3, S, S) float32 linear."""

    frames: NDArray[np.float32]
    truth: NDArray[np.float32]


def grid(height: int, width: int, size: int, stride: int) -> list[tuple[int, int]]:
    """Return the top left corners of all patches of `size` at multiples of `stride` that lie inside the image."""
    rows, columns = range(0, height - size + 1, stride), range(0, width - size + 1, stride)
    return [(top, left) for top in rows for left in columns]


def dihedral(image: Array, symmetry: int) -> Array:
    """Apply one of the eight symmetries of the square to the last two axes: rotation by 90 degrees, then a flip."""
    turned = np.rot90(image, symmetry % 4, axes=(-2, -1))
    return turned[..., ::-1] if symmetry >= 4 else turned


def to_network(scene: Scene, window: tuple[slice, slice] = (slice(None), slice(None))) -> NDArray[np.float32]:
    """Return a window of the scene's frames as network input: (N, 6, H, W) float32, [ldr, ldr^2.2 / t]."""
    codes = scene.codes[(slice(None), *window)]
    ldr = np.moveaxis(codes, -1, 1).astype(np.float32) / np.float32(np.iinfo(codes.dtype).max)
    linear = ldr**GAMMA / scene.times.astype(np.float32)[:, None, None, None]
    return np.concatenate([ldr, linear], axis=1, dtype=np.float32)


class PatchStream:
    """An endless, shuffled sequence of patches; sample n is the same whatever was drawn before it."""

    def __init__(self, scenes: Sequence[Scene], *, size: int, stride: int, augment: bool, seed: int) -> None:
        """Cut patches of `size` on a grid of `stride` from scenes with truth; too small scenes raise UsageError."""
        self.scenes, self.size, self.augment, self.seed = scenes, size, augment, seed
        self.places = [
            (index, *corner)
            for index, scene in enumerate(scenes)
            for corner in grid(scene.codes.shape[1], scene.codes.shape[2], size, stride)
        ]
        if not self.places:
            raise UsageError(f"no {size}x{size} patch fits into any of the {len(scenes)} training scenes.")
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))

    def __len__(self) -> int:
        """Count the patches of one epoch, without symmetries."""
        return len(self.places)

    def __getitem__(self, number: int) -> Patch:
        """Return sample `number` (0, 1, ...): epoch number // len(self), every patch once an epoch."""
        epoch, position = divmod(number, len(self.places))
        index, top, left = self.places[self._permutation(epoch)[position]]
        scene, window = self.scenes[index], (slice(top, top + self.size), slice(left, left + self.size))
        if scene.radiance is None:
            raise UsageError(f"scene {scene.id!r} has no truth and can't be trained on.")
        frames, truth = to_network(scene, window), np.moveaxis(scene.radiance[window], -1, 0)
        if self.augment:
            symmetry = int(generator(self.seed, "symmetry", number).integers(8))
            frames, truth = dihedral(frames, symmetry), dihedral(truth, symmetry)
        return Patch(np.ascontiguousarray(frames), np.ascontiguousarray(truth, dtype=np.float32))

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        """Order of the patches in one epoch; the latest is kept, since samples are asked for in turn."""
        if self._order[0] != epoch:
            self._order = epoch, generator(self.seed, "epoch", epoch).permutation(len(self.places))
        return self._order[1]
