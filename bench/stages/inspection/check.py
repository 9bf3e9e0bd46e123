"""Check: what the trained demo must show, beyond having run."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

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


class Finding(NamedTuple):
    """One requirement: what it is about, the measured value, the bound it must exceed, and its unit."""

    subject: str
    value: float
    bound: float
    unit: str

    @property
    def holds(self) -> bool:
        """Whether the value is above the bound."""
        return self.value > self.bound

    def __str__(self) -> str:
        """One line."""
        mark = "ok  " if self.holds else "FAIL"
        return f"{mark} {self.subject}: {self.value:.4g} {self.unit}, must exceed {self.bound:.4g}"


def run(params: Params) -> None:
    """Print every requirement with its measured value; raise BenchError if one isn't met."""
    findings = [*_against_floors(params), *_parts(params)]
    if not findings:
        raise BenchError(f"profile {params.profile!r} has no learned row and floor to compare: nothing was checked.")
    for finding in findings:
        print(finding)
    if failed := [finding for finding in findings if not finding.holds]:
        raise BenchError(f"{len(failed)} of {len(findings)} requirements of profile {params.profile!r} are not met.")
    print(f"all {len(findings)} requirements of profile {params.profile!r} hold")


def _against_floors(params: Params) -> Iterator[Finding]:
    """Every learned row beside the floors, on every dataset that has scores."""
    means, learned = _means(params), {run.variant for run in params.runs.values()}
    for (variant, dataset), scores in means.items():
        floors = {name: means[name, dataset] for name in params.tables.floors if (name, dataset) in means}
        if variant not in learned or "reference-only" not in floors:
            continue
        reference, subject = floors["reference-only"], f"{variant} on {dataset}"
        if lacking := {"psnr-mu", "psnr-l", SATURATED} - set(scores):
            raise BenchError(f"{subject}: no scores of {', '.join(sorted(lacking))}; the protocol must give them.")
        best = max(floor["psnr-mu"] for floor in floors.values())
        yield Finding(f"{subject}, PSNR-mu", scores["psnr-mu"], best + MU_GAIN, "dB")
        yield Finding(f"{subject}, PSNR-l", scores["psnr-l"], math.nextafter(reference["psnr-l"], 0), "dB")
        bound = reference[SATURATED] + SATURATED_GAIN
        yield Finding(f"{subject}, PSNR-mu where saturated", scores[SATURATED], bound, "dB")


def _means(params: Params) -> dict[tuple[str, str], Mapping[str, float]]:
    """Mean over scenes and seeds: (variant, dataset) to metric to value."""
    scores = read_scores([layout.need(params, params.reports / "scores.csv", "summarize")])
    table = scores.pivot_table(index=["variant", "dataset"], columns="metric", values="value", aggfunc="mean")
    return {(str(key[0]), str(key[1])): row for key, row in table.to_dict("index").items()}


def _parts(params: Params) -> Iterator[Finding]:
    """The parts of the full network (fusion by RF) on each codebook, and its mapping loss."""
    for run, entry in params.runs_with_codebook.items():
        facts = _facts(params, run)
        yield Finding(f"{run}: mapping loss, first minus last", _fall(facts), 0.0, "(loss)")
        yield Finding(f"{run}: radiance change with permuted FSM weights", facts["fsm-permuted-change"], 0.0, "(max)")
        share = facts["hdr-perplexity"] / facts["codes"]
        yield Finding(f"{run}: perplexity of test HDR images / K", share, PERPLEXITY_SHARE, "")
        if params.variants[entry.variant].options.get("prior", "rf") == "rf":
            loss = facts["psnr-mu"] - facts["psnr-mu-permuted-features"]
            yield Finding(f"{run}: PSNR-mu lost when F_vq is permuted over space", loss, 0.0, "dB")


def _fall(facts: Mapping[str, Any]) -> float:
    return float(facts["mapping-loss-first"] - facts["mapping-loss-last"])


def _facts(params: Params, run: str) -> dict[str, Any]:
    path = layout.need(params, layout.inspection(params, f"network-{run}"), f"inspect network-{run}")
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return facts
