"""Settings of the training patches."""

from pydantic import Field

from bench.core.errors import UsageError
from bench.core.section import Section, silent


class Patches(Section):
    """Training patches, cut on the fly on a grid."""

    size: int = Field(default=256, gt=0, multiple_of=8)
    stride: int = Field(default=64, gt=0)
    augment: bool = silent(True, "flips and rotations, as in the training codes of the field")

    def need(self, least: int, label: str, why: str) -> None:
        """Raise UsageError if patches have fewer than `least` pixels a side; `why` names what can't take them."""
        if self.size < least:
            raise UsageError(
                f"{label}: patches of {self.size} pixels a side are too small for {why}, which needs {least}; enlarge "
                "the size of patches in the parameter file."
            )
