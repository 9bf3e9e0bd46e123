"""Settings of the training patches."""

from pydantic import Field

from bench.core.section import Section, silent


class Patches(Section):
    """Training patches, cut on the fly on a grid."""

    size: int = Field(default=256, gt=0, multiple_of=8)
    stride: int = Field(default=64, gt=0)
    augment: bool = silent(True, "flips and rotations, as in the training codes of the field")
