"""Parameters and multiply-adds of Table 1: of the networks as this profile has them, and at their published size."""

from collections.abc import Mapping, MutableMapping

from bench.core.registry import methods
from bench.report.results.inputs import Measured
from bench.report.table.table import Column, Value

COLUMNS = (
    Column("macs_256_g", "GMACs 256x256", "", 2),
    Column("macs_full_g", "GMACs 1000x1500", "", 1),
    Column("published_params_m", "full size: params (M)", "", 3),
    Column("published_macs_256_g", "full size: GMACs 256x256", "", 1),
    Column("published_macs_full_g", "full size: GMACs 1000x1500", "", 0),
)
KEYS = ("params_m", *(column.key for column in COLUMNS))
NONE = "has no weights"
SUBMITTED = {**dict.fromkeys(KEYS, "a submission has no network to count"), "params_m": "not told by a submission"}
OWN = "olc"
"""The paper's proposal, whose rows have labels of their own."""
UNCOUNTED = "not counted in this profile"
LEGEND = (
    " GMACs: multiply-adds of convolutions and matrix products of one prediction, in 10^9, padded as the network needs "
    "it, without what runs before it, such as optical flow. Full size: the published network, whatever size is "
    "measured here."
)


def add(cells: MutableMapping[str, Value], remarks: MutableMapping[str, str], measured: Measured, variant: str) -> None:
    """Fill the cells of a variant's row, or their remarks."""
    if variant not in measured.params.variants:
        return
    sizes = measured.sizes.get(variant)
    if sizes is None:
        method = measured.params.variants[variant].method
        trains = method in methods and methods[method].trains
        remarks.update(dict.fromkeys(KEYS[1:], UNCOUNTED if trains or measured.card(variant) else NONE))
        return
    for prefix, part in (("", "measured"), ("published_", "published")):
        found: Mapping[str, int] = sizes[part]
        cells.update({f"{prefix}macs_{name}_g": found[f"macs_{name}"] / 1e9 for name in ("256", "full")})
    cells["published_params_m"] = sizes["published"]["parameters"] / 1e6


def after_paper(measured: Measured, variant: str) -> bool:
    """Tell whether a variant's method is younger than the paper's tables."""
    method = measured.params.variants[variant].method if variant in measured.params.variants else ""
    return method in methods and methods[method].after_paper


def renamed(measured: Measured, variant: str, label: str) -> tuple[str, ...]:
    """Return a note on what a row's network is called here where that isn't the paper's name, such as with its flow."""
    method = measured.params.variants[variant].method if variant in measured.params.variants else ""
    if method not in methods or method == OWN or not methods[method].trains or methods[method].label == label:
        return ()
    return (f"here {methods[method].label}",)


def no_code(label: str, default: str) -> str:
    """Return why a row of printed numbers has no measured ones: the reason on the method's card, if there is one."""
    return next((card.unavailable for card in methods.every.values() if card.label == label), "") or default
