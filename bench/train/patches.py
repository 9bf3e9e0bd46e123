"""Training patches: cut on the fly from prepared scenes, a function of the seed and the sample's number alone."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import UsageError
from bench.core.patching import SYMMETRIES, Augmentation, Patches
from bench.core.scene import Array, Scene
from bench.core.seeding import derive, generator


class Patch(NamedTuple):
    """A sample as it is stored; what is done to it arithmetically is done on the training device.

    frames : (N, S, S, 3) uint16, RGB, gamma-encoded, short to long, 65535 is 1; a batch (B, N, S, S, 3).
    times  : (N,) float32, relative exposure times, the shortest is 1; a batch (B, N).
    truth  : (S, S, 3) float32, linear relative radiance in [0, 1]; a batch (B, S, S, 3).
    """

    frames: NDArray[np.uint16]
    times: NDArray[np.float32]
    truth: NDArray[np.float32]


def grid(height: int, width: int, size: int, stride: int) -> list[tuple[int, int]]:
    """Return the top left corners of all patches of `size` at multiples of `stride` that lie inside the image."""
    rows, columns = range(0, height - size + 1, stride), range(0, width - size + 1, stride)
    return [(top, left) for top in rows for left in columns]


def dihedral(image: Array, symmetry: int) -> Array:
    """Apply one of the eight symmetries of the square to the last two axes: rotation by 90 degrees, then a flip."""
    turned = np.rot90(image, symmetry % 4, axes=(-2, -1))
    return turned[..., ::-1] if symmetry >= 4 else turned


def shares(batch: int, first: int, steps: int, *, rank: int = 0, world: int = 1) -> list[int]:
    """Numbers of the samples that process `rank` of `world` draws from step `first` to the last, in order.

    Together the processes draw what one would: each takes its share of every batch. UsageError if `world` doesn't
    divide the batch.
    """
    if batch % world:
        raise UsageError(f"a batch of {batch} can't be shared by {world} processes; make it a multiple of {world}.")
    share = batch // world
    begins = (step * batch + rank * share for step in range(first, steps))
    return [begin + offset for begin in begins for offset in range(share)]


def stream(patches: Patches, scenes: Sequence[Scene], seed: int, stage: str) -> "PatchStream":
    """Return the patches of a training: equal for all variants of one seed and stage that cut them alike."""
    return PatchStream(
        scenes,
        size=patches.size,
        stride=patches.stride,
        per_scene=patches.per_scene,
        augment=patches.augment,
        seed=derive(seed, stage, "patches"),
    )


class PatchStream:
    """An endless, shuffled sequence of patches; sample n is the same whatever was drawn before it."""

    def __init__(
        self, scenes: Sequence[Scene], *, size: int, stride: int, augment: Augmentation, seed: int, per_scene: int = 0
    ) -> None:
        """Cut patches of `size` from scenes with truth; where none fits into any scene, UsageError is raised.

        They lie on a grid of `stride`, or `per_scene` of each scene and epoch lie anywhere in it.
        """
        self.scenes, self.size, self.per_scene, self.seed = scenes, size, per_scene, seed
        self.symmetries = SYMMETRIES[augment]
        self.places = [
            (index, *corner)
            for index, scene in enumerate(scenes)
            for corner in self._corners(scene.frames.shape[1], scene.frames.shape[2], stride)
        ]
        if not self.places:
            raise UsageError(f"no {size}x{size} patch fits into any of the {len(scenes)} training scenes.")
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))

    def __len__(self) -> int:
        """Count the patches of one epoch, without symmetries."""
        return len(self.places)

    def __getitem__(self, number: int) -> Patch:
        """Return sample `number` (0, 1, ...): epoch number // len(self), every patch once an epoch."""
        return Patch(*(part[0] for part in self.__getitems__([number])))

    def __getitems__(self, numbers: Sequence[int]) -> Patch:
        """Return a batch, cut straight into its arrays; all its scenes must have as many frames."""
        count, size = len(self._scene(numbers[0]).frames), self.size
        batch = Patch(
            np.empty((len(numbers), count, size, size, 3), np.uint16),
            np.empty((len(numbers), count), np.float32),
            np.empty((len(numbers), size, size, 3), np.float32),
        )
        for place, number in enumerate(numbers):
            self.cut(number, Patch(batch.frames[place], batch.times[place], batch.truth[place]))
        return batch

    def cut(self, number: int, out: Patch) -> None:
        """Write sample `number` to the arrays of `out`."""
        scene = self._scene(number)
        top, left = self._anywhere(scene, number) if self.per_scene else self._place(number)[1:]
        window = slice(top, top + self.size), slice(left, left + self.size)
        if scene.radiance is None:
            raise UsageError(f"scene {scene.id!r} has no truth and can't be trained on.")
        if len(scene.frames) != len(out.frames):
            raise UsageError(
                f"scene {scene.id!r} has {len(scene.frames)} frames, another of its batch {len(out.frames)}; "
                "a training set needs brackets of one length."
            )
        symmetry = self._symmetry(number)
        _pixels(out.frames)[...] = dihedral(_pixels(_sixteen_bits(scene.frames[:, *window])), symmetry)
        _pixels(out.truth)[...] = dihedral(_pixels(scene.radiance[window]), symmetry)
        out.times[...] = scene.times

    def _corners(self, height: int, width: int, stride: int) -> list[tuple[int, int]]:
        """Top left corners of an image's patches; of those that lie anywhere only their number counts."""
        if self.per_scene:
            return grid(height, width, self.size, max(height, width)) * self.per_scene
        return grid(height, width, self.size, stride)

    def _anywhere(self, scene: Scene, number: int) -> tuple[int, int]:
        drawn = generator(self.seed, "corner", number)
        top, left = (int(drawn.integers(side - self.size + 1)) for side in scene.frames.shape[1:3])
        return top, left

    def _symmetry(self, number: int) -> int:
        if len(self.symmetries) == 1:
            return self.symmetries[0]
        return self.symmetries[int(generator(self.seed, "symmetry", number).integers(len(self.symmetries)))]

    def _place(self, number: int) -> tuple[int, int, int]:
        epoch, position = divmod(number, len(self.places))
        return self.places[int(self._permutation(epoch)[position])]

    def _scene(self, number: int) -> Scene:
        return self.scenes[self._place(number)[0]]

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        """Order of the patches in one epoch; the latest is kept, since samples are asked for in turn."""
        if self._order[0] != epoch:
            self._order = epoch, generator(self.seed, "epoch", epoch).permutation(len(self.places))
        return self._order[1]


def _sixteen_bits(stored: Array) -> Array:
    # 257 * 255 = 65535: the same shares of the full range, to the last bit.
    return stored if stored.dtype == np.uint16 else stored.astype(np.uint16) * np.uint16(257)


def _pixels(image: Array) -> Array:
    # A pixel's three channels as one item: turning a patch then moves whole pixels, several times as fast.
    return image.view(f"V{3 * image.itemsize}")[..., 0]
