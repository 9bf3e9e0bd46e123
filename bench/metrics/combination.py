"""Evidence on whether HDR information is formed by combining LDR representations, from the use of a codebook.

The paper's claim has two measurable sides. Codes: HDR images would choose codes that LDR images use too. Places: where
the reference frame is saturated, they would choose codes of the short frame's half of the codebook (quarters 1 and 2),
in its shadows those of the long frame's (3 and 4), else those of the middle frame's (2 and 3).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.core.scene import Array
from bench.metrics.association import contingency, cramers_v, mutual_information, shifted_tables
from bench.metrics.codebook import QUARTERS
from bench.metrics.overlap import mass_by_sharers
from bench.metrics.usage import histogram, perplexity, used_share
from bench.metrics.zones import MIXED, ZONES, ZoneRule

HDR = "H"
HALVES: Mapping[str, tuple[str, tuple[int, int]]] = {
    "shadows": ("L3", (2, 3)),
    "mid": ("L2", (1, 2)),
    "saturated": ("L1", (0, 1)),
}
"""Zone of the reference frame -> frame that exposes it best, and its two quarters of an overlapped codebook."""

SHIFTS = 200
"""Random shifts of the zone maps: enough for a 2.5 % and a 97.5 % quantile."""


def by_zone(
    zones: Sequence[Array], choices: Mapping[str, Sequence[Array]], size: int, seed: int, rule: ZoneRule | None = None
) -> dict[str, Any]:
    """Measure how HDR vectors of each exposure zone draw on a codebook of `size` codes, as JSON values.

    zones   : for each image the (h, w) labels of `cell_zones`, made with `rule`.
    choices : image kind -> for each image the (h, w) codes that its vectors chose; "H" is what is measured, the
              others are the LDR frames.
    seed    : of the shifts that the chance levels come from.

    A zone without vectors has its count alone. `expected` are the quarters' shares over the cells of all zones: what
    each zone would show if zones didn't matter. Mixed cells are counted apart and take no part in it.
    """
    hdr = [one.astype(np.int64) // (size // QUARTERS) for one in choices[HDR]]
    shape = (len(ZONES), QUARTERS)
    table = sum((contingency(*pair, shape) for pair in zip(zones, hdr, strict=True)), np.zeros(shape, np.int64))
    shifted = shifted_tables(zones, hdr, shape, SHIFTS, seed)
    label = np.concatenate([one.ravel() for one in zones])
    flat = {kind: np.concatenate([one.ravel() for one in maps]) for kind, maps in choices.items()}
    found = {zone: _zone(label == index, flat, size) for index, zone in enumerate(ZONES)}
    for index, zone in enumerate(ZONES):
        if found[zone]["vectors"]:
            found[zone] |= _half(zone, table[index], shifted[:, index])
    counts = {kind: histogram(chosen, size) for kind, chosen in flat.items()}
    ldr = {kind: counts[kind] for kind in counts if kind != HDR}
    information = [mutual_information(one) for one in shifted]
    return {
        "rule": dict((rule or ZoneRule())._asdict()),
        "zones": found | {"mixed": _zone(label == MIXED, flat, size)},
        "expected": (table.sum(0) / table.sum()).tolist() if table.sum() else None,
        "information": mutual_information(table),
        "information_shifted": {"mean": float(np.mean(information)), "high": float(np.quantile(information, 0.95))},
        "cramers_v": cramers_v(table),
        "shifts": SHIFTS,
        "sharers": {"mass": mass_by_sharers(counts[HDR], ldr), "codes": mass_by_sharers(np.ones(size, np.int64), ldr)},
    }


def _zone(inside: NDArray[np.bool_], choices: Mapping[str, Array], size: int) -> dict[str, Any]:
    """Describe the HDR vectors `inside` a zone: quarters, variety, who else uses their codes, who agrees in place."""
    number = int(inside.sum())
    if number == 0:
        return {"vectors": 0}
    counts = histogram(choices[HDR][inside], size)
    others = {kind: chosen for kind, chosen in choices.items() if kind != HDR}
    return {
        "vectors": number,
        "quarters": (counts.reshape(QUARTERS, -1).sum(1) / number).tolist(),
        "used": used_share(counts),
        "perplexity": perplexity(counts),
        "sharers": mass_by_sharers(counts, {kind: histogram(chosen, size) for kind, chosen in others.items()}),
        "same": {kind: float((choices[HDR][inside] == chosen[inside]).mean()) for kind, chosen in others.items()},
        "same_by_chance": {
            kind: float(counts @ histogram(chosen[inside], size) / number**2) for kind, chosen in others.items()
        },
    }


def _half(zone: str, counts: Array, shifted: Array) -> dict[str, Any]:
    """Share of a zone's vectors in the half of the codebook that belongs to the frame which exposes the zone best."""
    frame, quarters = HALVES[zone]
    shares = shifted[:, list(quarters)].sum(1) / np.maximum(shifted.sum(1), 1)
    low, high = np.quantile(shares, (0.025, 0.975))
    return {
        "half": {
            "frame": frame,
            "share": float(counts[list(quarters)].sum() / counts.sum()),
            "shifted": {"low": float(low), "mean": float(shares.mean()), "high": float(high)},
        }
    }
