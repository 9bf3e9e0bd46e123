"""The choices of the HDR network's parts that aren't any, refused in a sentence."""

from collections.abc import Mapping
from typing import Any

from bench.core.errors import UsageError


def check(alignment: str, prior: str, vqgan: Mapping[str, Any] | None) -> None:
    """Refuse parts that don't exist, and a prior without a VQGAN."""
    if alignment not in ("pa", "none"):
        raise UsageError(f"alignment {alignment!r} is unknown; expected pa or none.")
    if prior not in ("rf", "concat", "none"):
        raise UsageError(f"prior {prior!r} is unknown; expected rf, concat or none.")
    if prior != "none" and not vqgan:
        raise UsageError("this variant of olc needs a codebook: give its number of codes and segments.")


def check_prior(prior: str, weights: str, frozen: bool) -> None:
    """Refuse settings of a prior's weights that don't exist, or that no prior is there for."""
    if weights not in ("trained", "random"):
        raise UsageError(f"prior_weights {weights!r} are unknown; expected trained or random.")
    if not isinstance(frozen, bool):
        raise UsageError(f"prior_frozen {frozen!r} is neither true nor false.")
    if prior == "none" and (weights, frozen) != ("trained", True):
        raise UsageError("with prior: none there is no codebook decoder; remove prior_weights and prior_frozen.")
