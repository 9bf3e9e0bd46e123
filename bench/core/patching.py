"""Settings of the training patches."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from bench.core.errors import UsageError
from bench.core.section import Section, silent

Augmentation = bool | Literal["flips", "one-flip"]
"""Symmetries of the square that a patch is turned by at random: all, none, flips alone, or half the time one flip."""

SYMMETRIES: Mapping[Augmentation, tuple[int, ...]] = {
    True: tuple(range(8)),
    "flips": (0, 2, 4, 6),  # two flips are half a turn
    "one-flip": (0, 0, 4, 6),
    False: (0,),
}
"""What is drawn from, each entry alike: numbers of `bench.train.patches.dihedral`."""


class Patches(Section):
    """Training patches, cut on the fly on a grid, or anywhere."""

    size: int = Field(default=256, gt=0, multiple_of=8)
    stride: int = Field(default=64, gt=0)
    per_scene: int = Field(
        default=0, ge=0, description="patches of a scene in an epoch, cut anywhere in it; 0: those of the grid"
    )
    augment: Augmentation = silent(True, "flips and rotations, as in the training codes of the field")

    def need(self, least: int, label: str, why: str) -> None:
        """Raise UsageError if patches have fewer than `least` pixels a side; `why` names what can't take them."""
        if self.size < least:
            raise UsageError(
                f"{label}: patches of {self.size} pixels a side are too small for {why}, which needs {least}; enlarge "
                "the size of patches in the parameter file."
            )
