"""Check that the parts of a trained profile do their work, beyond having run."""

import json
import math
from collections.abc import Iterator
from typing import NamedTuple

from bench.core.errors import BenchError
from bench.core.params import Params
from bench.io.tables import read_scores
from bench.stages import layout

SATURATED = "psnr-mu@saturated"

MU_GAIN = 1.0
"""dB of mean PSNR-mu that a learned row must lie above both floors."""

SATURATED_GAIN = 3.0
"""dB of mean PSNR-mu inside the reference's saturated pixels that a learned row must lie above reference-only."""

PERPLEXITY_SHARE = 0.1
"""Share of K that the codes of the test set's HDR images must reach as perplexity."""


class Requirement(NamedTuple):
    """A subject, its measured value, the bound that the value must exceed, and the unit."""

    subject: str
    value: float
    bound: float
    unit: str

    @property
    def holds(self) -> bool:
        """True where the value is above the bound."""
        return self.value > self.bound

    def __str__(self) -> str:
        """Return a line."""
        mark = "ok  " if self.holds else "FAIL"
        return f"{mark} {self.subject}: {self.value:.4g} {self.unit}, must exceed {self.bound:.4g}"


def run(params: Params) -> None:
    """Print every requirement with its measured value; raise BenchError if one isn't met."""
    found = [*_against_floors(params), *_parts(params)]
    if not found:
        raise BenchError(f"profile {params.profile!r} has no learned row and floor to compare: nothing was checked.")
    print("\n".join(map(str, found)))
    if failed := [one for one in found if not one.holds]:
        raise BenchError(f"{len(failed)} of {len(found)} requirements of profile {params.profile!r} are not met.")
    print(f"all {len(found)} requirements of profile {params.profile!r} hold")


def _against_floors(params: Params) -> Iterator[Requirement]:
    """Compare every learned row with the floors, on every dataset that has scores."""
    scores = read_scores([layout.need(params, params.reports / "scores.csv", "summarize")])
    table = scores.pivot_table(index=["variant", "dataset"], columns="metric", values="value", aggfunc="mean")
    means = {(str(key[0]), str(key[1])): row for key, row in table.to_dict("index").items()}
    learned = {run.variant for run in params.runs.values()}
    for (variant, dataset), own in means.items():
        floors = {name: means[name, dataset] for name in params.tables.floors if (name, dataset) in means}
        if variant not in learned or "reference-only" not in floors:
            continue
        reference, subject = floors["reference-only"], f"{variant} on {dataset}"
        if lacking := {"psnr-mu", "psnr-l", SATURATED} - set(own):
            raise BenchError(f"{subject}: no scores of {', '.join(sorted(lacking))}; the protocol must give them.")
        best = max(floor["psnr-mu"] for floor in floors.values())
        yield Requirement(f"{subject}, PSNR-mu", own["psnr-mu"], best + MU_GAIN, "dB")
        yield Requirement(f"{subject}, PSNR-l", own["psnr-l"], math.nextafter(reference["psnr-l"], 0), "dB")
        bound = reference[SATURATED] + SATURATED_GAIN
        yield Requirement(f"{subject}, PSNR-mu where saturated", own[SATURATED], bound, "dB")


def _parts(params: Params) -> Iterator[Requirement]:
    """Check the mapping loss and the parts of every network that has a codebook."""
    for run, entry in params.runs_with_codebook.items():
        path = layout.need(params, layout.inspection(params, f"network-{run}"), f"inspect network-{run}")
        facts = json.loads(path.read_text(encoding="utf-8"))
        fall = facts["mapping-loss-first"] - facts["mapping-loss-last"]
        yield Requirement(f"{run}: mapping loss, first minus last", fall, 0.0, "(loss)")
        yield Requirement(
            f"{run}: radiance change with permuted FSM weights", facts["fsm-permuted-change"], 0.0, "(max)"
        )
        share = facts["hdr-perplexity"] / facts["codes"]
        yield Requirement(f"{run}: perplexity of test HDR images / K", share, PERPLEXITY_SHARE, "")
        if params.variants[entry.variant].options.get("prior", "rf") == "rf":
            loss = facts["psnr-mu"] - facts["psnr-mu-permuted-features"]
            yield Requirement(f"{run}: PSNR-mu lost when F_vq is permuted over space", loss, 0.0, "dB")
