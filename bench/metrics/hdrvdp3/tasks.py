"""Tasks: the figures that HDR-VDP-3 was calibrated with for each question an observer is asked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

from ..errors import UsageError, unknown_name


@dataclass(frozen=True)
class VisualTask:
    """Parameters of a task, by the names and in the units of the reference's options (exponents of 10 mostly)."""

    base_sensitivity_correction: float
    mask_self: float
    mask_xn: float
    mask_xo: float
    mask_q: float
    mask_p: float
    psych_func_slope: float
    si_sigma: float
    steerpyr_filter: str = "sp0Filters"
    do_sprob_sum: bool = True
    do_robust_pdet: bool = True
    do_spatial_total_pooling: bool = False
    masking_norm: float = 0.0
    sensitivity_correction: float = 0.0
    rod_sensitivity: float = 0.0
    do_masking: bool = True
    do_aesl: bool = True
    do_aod: bool = True
    do_slum: bool = True

    def with_options(self, options: Mapping[str, Any]) -> "VisualTask":
        """Return the task with some parameters replaced; an unknown one, or a value that isn't one, is a UsageError."""
        known = [field.name for field in fields(self)]
        for name, value in options.items():
            if name not in known:
                raise unknown_name("option of HDR-VDP-3", str(name), known)
            wanted = _allowed(name)
            if not wanted.holds(value):
                raise UsageError(f"option {name} of HDR-VDP-3 is {value!r}; expected {wanted.said}.")
        return replace(self, **options)


class Allowed(NamedTuple):
    """Values that an option takes, and a sentence's words for them."""

    holds: Callable[[Any], bool]
    said: str


def _allowed(name: str) -> Allowed:
    if name == "steerpyr_filter":
        return Allowed(lambda value: value in FILTERS, " or ".join(FILTERS))
    if name.startswith("do_"):
        return Allowed(lambda value: value in (False, True), "True or False")
    return Allowed(
        lambda value: isinstance(value, int | float) and abs(value) <= LARGEST, f"a number, {LARGEST:g} at most"
    )


FILTERS = ("sp0Filters", "sp3Filters")
LARGEST = 100.0
"""No exponent of 10 is as large as this."""


def _expected(name: str) -> str:
    return "True or False" if name.startswith("do_") else f"a number in [-{LARGEST:g}, {LARGEST:g}]"


QUALITY = VisualTask(
    base_sensitivity_correction=0.203943775672,
    mask_self=1.41846291721,
    mask_xn=0.136877512403,
    mask_xo=-50,
    mask_q=0.108934275615,
    mask_p=0.3424,
    psych_func_slope=0.34,
    si_sigma=-0.502280453708,
)

TASKS = {
    "quality": QUALITY,
    "side-by-side": QUALITY,
    "flicker": replace(
        QUALITY,
        base_sensitivity_correction=0.359225308021 + 0.14178269059,
        mask_self=1.48041073222,
        mask_xn=0.00886149078207,
        mask_q=0.11339123107,
        psych_func_slope=0.591472024776,
        si_sigma=-0.511779476487,
    ),
    "detection": VisualTask(
        base_sensitivity_correction=-1,
        mask_self=1.73128,
        mask_xn=-50,
        mask_xo=0.816109,
        mask_q=0.290256,
        mask_p=0.3424226808222063,  # log10 of 2.2
        psych_func_slope=0.5440680443502757,  # log10 of 3.5
        si_sigma=-0.000502005,
        steerpyr_filter="sp3Filters",
        do_sprob_sum=False,
        do_robust_pdet=False,
        do_spatial_total_pooling=True,
    ),
}
"""Quality and side-by-side are equal in every figure."""
