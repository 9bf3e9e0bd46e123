"""Check that a trained profile learned, and that its parts do their work, beyond having run."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from bench.core.errors import BenchError
from bench.core.params import Params
from bench.io.tables import read_scores
from bench.report.results import gains
from bench.report.results.inputs import Measured
from bench.report.results.results import Summary, collect
from bench.stages import layout

SATURATED = "psnr-mu@saturated"
NEEDED = ("psnr-mu", "psnr-l", SATURATED)

BASE_GAIN = 1.0
"""dB of mean PSNR-mu that a learned row must gain over the base of its own frames."""

BASE_LOSS = 0.3
"""dB of mean PSNR-l that a learned row may lose against that base."""

FLOOR_GAIN = 3.0
"""dB of mean PSNR-mu that a learned row must lie above every floor."""

SATURATED_GAIN = 3.0
"""dB of mean PSNR-mu inside the reference's saturated pixels that a learned row must lie above reference-only."""

ABOVE = 0.8
"""Share of Table 1's networks beside row 7 that must stand above every row without training: eight of ten."""

PERPLEXITY_SHARE = 0.1
"""Share of K that the codes of the test set's HDR images must reach as perplexity."""


class Requirement(NamedTuple):
    """A subject, its measured value, the bound that it must exceed (reach, if `included`), and the unit."""

    subject: str
    value: float
    bound: float
    unit: str
    included: bool = False

    @property
    def holds(self) -> bool:
        """True where the value is above the bound, or equals one that is included."""
        return self.value > self.bound or (self.included and self.value == self.bound)

    def __str__(self) -> str:
        """Return a line."""
        mark, must = "ok  " if self.holds else "FAIL", "reach" if self.included else "exceed"
        return f"{mark} {self.subject}: {self.value:.4g} {self.unit}, must {must} {self.bound:.4g}"


def run(params: Params) -> None:
    """Print every requirement with its measured value, then findings; raise BenchError if a requirement isn't met."""
    found = [*_learning(params), *_parts(params)]
    if not found:
        raise BenchError(f"profile {params.profile!r} has no learned row and floor to compare: nothing was checked.")
    print("\n".join([*map(str, found), *_findings(params)]))
    if failed := [one for one in found if not one.holds]:
        raise BenchError(f"{len(failed)} of {len(found)} requirements of profile {params.profile!r} are not met.")
    print(f"all {len(found)} requirements of profile {params.profile!r} hold")


def _learning(params: Params) -> Iterator[Requirement]:
    """Compare the learned rows of Tables 1 to 3 with their bases, the floors and all rows without training."""
    scores = read_scores([layout.need(params, params.reports / "scores.csv", "summarize")])
    measured = Measured(params, collect(scores), {})
    rows = [name for name in dict.fromkeys(measured.rows) if measured.learned(name)]
    for dataset in sorted({dataset for _, dataset in measured.results}):
        there = {name: found for (name, tested), found in measured.results.items() if tested == dataset}
        learned = {name: there[name] for name in rows if name in there}
        if learned and "reference-only" in there:
            for name, own in learned.items():
                yield from _row(f"{name} on {dataset}", name, own, there, measured, dataset)
            yield from _above(learned, there, measured, dataset)


def _row(
    subject: str, name: str, own: Summary, there: Mapping[str, Summary], measured: Measured, dataset: str
) -> Iterator[Requirement]:
    if lacking := {*NEEDED} - set(own.values):
        raise BenchError(f"{subject}: no scores of {', '.join(sorted(lacking))}; the protocol must give them.")
    gain, linear = (gains.gain(name, measured, dataset, metric) for metric in ("psnr-mu", "psnr-l"))
    if gain is None or linear is None:
        raise BenchError(f"{subject}: {gains.missing(name, measured, dataset)}; evaluate the base too.")
    floors = [there[floor].values["psnr-mu"] for floor in measured.params.tables.floors if floor in there]
    yield Requirement(f"{subject}, PSNR-mu gained over {gain.base}", gain.difference.mean, BASE_GAIN, "dB", True)
    yield Requirement(f"{subject}, PSNR-l gained over {gain.base}", linear.difference.mean, -BASE_LOSS, "dB", True)
    if floors:
        yield Requirement(f"{subject}, PSNR-mu", own.values["psnr-mu"], max(floors) + FLOOR_GAIN, "dB", True)
    bound = there["reference-only"].values[SATURATED] + SATURATED_GAIN
    yield Requirement(f"{subject}, PSNR-mu where saturated", own.values[SATURATED], bound, "dB", True)


def _above(
    learned: Mapping[str, Summary], there: Mapping[str, Summary], measured: Measured, dataset: str
) -> Iterator[Requirement]:
    """Count the networks above every row without training; row 7 must be above them by itself."""
    params = measured.params
    plain = {name: found.values["psnr-mu"] for name, found in there.items() if not measured.learned(name)}
    best = max(plain, key=lambda name: plain[name])
    last = list(params.rows(3).values())[-1:]
    networks = [name for name in params.rows(1).values() if name in learned and name not in last]
    if networks:
        above = sum(learned[name].values["psnr-mu"] > plain[best] for name in networks)
        subject = f"networks of Table 1 on {dataset} above {best}, the best row without training"
        yield Requirement(subject, above, math.ceil(ABOVE * len(networks)), f"of {len(networks)}", True)
    for name in last:
        if name in learned:
            value = learned[name].values["psnr-mu"]
            yield Requirement(f"{name} (row 7) on {dataset}, PSNR-mu above {best}'s", value, plain[best], "dB")


def _parts(params: Params) -> Iterator[Requirement]:
    """Check the mapping loss and the parts of every network that has a codebook."""
    for run in params.runs_with_codebook:
        facts = _facts(params, run)
        fall = facts["mapping-loss-first"] - facts["mapping-loss-last"]
        yield Requirement(f"{run}: mapping loss, first minus last", fall, 0.0, "(loss)")
        yield Requirement(
            f"{run}: radiance change with permuted FSM weights", facts["fsm-permuted-change"], 0.0, "(max)"
        )
        share = facts["hdr-perplexity"] / facts["codes"]
        yield Requirement(f"{run}: perplexity of test HDR images / K", share, PERPLEXITY_SHARE, "")


def _facts(params: Params, run: str) -> dict[str, float]:
    path = layout.need(params, layout.inspection(params, f"network-{run}"), f"inspect network-{run}")
    facts: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    return facts


def _findings(params: Params) -> Iterator[str]:
    """Yield what is told and not required: whether F_vq's places matter, which few seeds and steps don't decide."""
    losses: dict[str, list[float]] = {}
    for run, entry in params.runs_with_codebook.items():
        if params.variants[entry.variant].options.get("prior", "rf") == "rf":
            facts = _facts(params, run)
            losses.setdefault(entry.variant, []).append(facts["psnr-mu"] - facts["psnr-mu-permuted-features"])
    for variant, found in losses.items():
        seeds = f"{len(found)} seeds, {min(found):.4g} to {max(found):.4g}" if len(found) > 1 else "one seed"
        mean = math.fsum(found) / len(found)
        yield f"note {variant}: PSNR-mu lost when F_vq is permuted over space: {mean:.4g} dB ({seeds})"
