"""Check that a trained profile learned, and that its parts do their work, beyond having run."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from bench.core import layout
from bench.core.errors import BenchError
from bench.core.params import Params
from bench.core.reading import read_json
from bench.io.tables import read_scores
from bench.report.results import gains
from bench.report.results.inputs import Measured
from bench.report.results.results import Summary, collect

SATURATED = "psnr-mu@saturated"
NEEDED = ("psnr-mu", "psnr-l", SATURATED)

AIM = 1.0
"""dB of mean PSNR-mu over the base of its own frames that a learned row should gain: rows below it are told.

It isn't required. Over the plain rule, from which heads once started, every learned row of the demo gains 3.5 dB or
more; the bounded rule, from which they start now, is itself above every other row without training, and demo-sized
networks saturate some 0.5 to 1.1 dB above it (docs/recipes.md). Required is that the gain is none of chance.
"""

BASE_LOSS = 0.3
"""dB of mean PSNR-l that a learned row may lose against that base."""

FLOOR_GAIN = 3.0
"""dB of mean PSNR-mu that a learned row must lie above every floor."""

SATURATED_GAIN = 3.0
"""dB of mean PSNR-mu inside the reference's saturated pixels that a learned row must lie above reference-only."""

ABOVE = 0.8
"""Share of Table 1's networks beside row 7 that must gain, and stand above every row without training: 8 of 10."""

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
    scores = read_scores([layout.need(params, params.reports / "scores.csv", "summarize")])
    checked = list(_checked(Measured(params, collect(scores), {})))
    found = [one for data in checked for one in _learning(data)] + [*_parts(params)]
    if not found:
        raise BenchError(f"profile {params.profile!r} has no learned row and floor to compare: nothing was checked.")
    print("\n".join([*map(str, found), *_findings(params, checked)]))
    if failed := [one for one in found if not one.holds]:
        raise BenchError(f"{len(failed)} of {len(found)} requirements of profile {params.profile!r} are not met.")
    print(f"all {len(found)} requirements of profile {params.profile!r} hold")


class CheckedSet(NamedTuple):
    """A data set that has learned rows and reference-only.

    dataset  : its name.
    there    : all that was scored on it, by variant.
    learned  : the learned rows of Tables 1 to 3 among them.
    gained   : their gains in PSNR-mu, where the base has scores.
    networks : those of Table 1 beside row 7.
    last     : row 7, the last of Table 3; () without one.
    """

    measured: Measured
    dataset: str
    there: Mapping[str, Summary]
    learned: Mapping[str, Summary]
    gained: Mapping[str, gains.Gain]
    networks: Sequence[str]
    last: Sequence[str]


def _checked(measured: Measured) -> Iterator[CheckedSet]:
    params = measured.params
    rows = [name for name in dict.fromkeys(measured.rows) if measured.learned(name)]
    for dataset in sorted({dataset for _, dataset in measured.results}):
        there = {name: found for (name, tested), found in measured.results.items() if tested == dataset}
        learned = {name: there[name] for name in rows if name in there}
        if learned and "reference-only" in there:
            gained = {name: gain for name in learned if (gain := gains.gain(name, measured, dataset)) is not None}
            last = [name for name in list(params.rows(3).values())[-1:] if name in learned]
            networks = [name for name in params.rows(1).values() if name in learned and name not in last]
            yield CheckedSet(measured, dataset, there, learned, gained, networks, last)


def _learning(data: CheckedSet) -> Iterator[Requirement]:
    """Compare the learned rows of Tables 1 to 3 with their bases, the floors and all rows without training."""
    for name, own in data.learned.items():
        yield from _row(name, own, data)
    yield from _gains(data)
    yield from _above(data)


def _row(name: str, own: Summary, data: CheckedSet) -> Iterator[Requirement]:
    subject, there, measured = f"{name} on {data.dataset}", data.there, data.measured
    if lacking := {*NEEDED} - set(own.values):
        raise BenchError(f"{subject}: no scores of {', '.join(sorted(lacking))}; the protocol must give them.")
    linear = gains.gain(name, measured, data.dataset, "psnr-l")
    if linear is None:
        raise BenchError(f"{subject}: {gains.missing(name, measured, data.dataset)}; evaluate the base too.")
    floors = [there[floor].values["psnr-mu"] for floor in measured.params.tables.floors if floor in there]
    yield Requirement(f"{subject}, PSNR-l gained over {linear.base}", linear.difference.mean, -BASE_LOSS, "dB", True)
    if floors:
        yield Requirement(f"{subject}, PSNR-mu", own.values["psnr-mu"], max(floors) + FLOOR_GAIN, "dB", True)
    bound = there["reference-only"].values[SATURATED] + SATURATED_GAIN
    yield Requirement(f"{subject}, PSNR-mu where saturated", own.values[SATURATED], bound, "dB", True)


def _gains(data: CheckedSet) -> Iterator[Requirement]:
    """Count the networks whose interval of the gain lies above 0; every row of Tables 2 and 3 must have one."""
    if data.networks:
        above = sum(data.gained[name].difference.low > 0 for name in data.networks)
        subject = f"networks of Table 1 on {data.dataset} whose gain over their base is no chance (interval above 0)"
        yield _most(subject, above, data)
    for name, gain in data.gained.items():
        if name not in data.networks:
            subject = f"{name} on {data.dataset}, lower end of the interval of PSNR-mu gained over {gain.base}"
            yield Requirement(subject, gain.difference.low, 0.0, "dB")


def _above(data: CheckedSet) -> Iterator[Requirement]:
    """Count the networks above every row without training; row 7 must be above them by itself."""
    learned, measured = data.learned, data.measured
    plain = {name: found.values["psnr-mu"] for name, found in data.there.items() if not measured.learned(name)}
    best = max(plain, key=lambda name: plain[name])
    if data.networks:
        above = sum(learned[name].values["psnr-mu"] > plain[best] for name in data.networks)
        yield _most(f"networks of Table 1 on {data.dataset} above {best}, the best row without training", above, data)
    for name in data.last:
        subject = f"{name} (row 7) on {data.dataset}, PSNR-mu above {best}'s"
        yield Requirement(subject, learned[name].values["psnr-mu"], plain[best], "dB")


def _most(subject: str, count: int, data: CheckedSet) -> Requirement:
    """Return the requirement that most networks of Table 1 do something: eight of ten."""
    networks = len(data.networks)
    return Requirement(subject, count, math.ceil(ABOVE * networks), f"of {networks}", True)


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
    return read_json(path)


def _findings(params: Params, checked: Sequence[CheckedSet]) -> Iterator[str]:
    """Yield what is told and not required: gains below the aim, and whether F_vq's places matter to few seeds."""
    for data in checked:
        gained = {name: gain.difference.mean for name, gain in data.gained.items()}
        short = [f"{name} {mean:+.2f}" for name, mean in gained.items() if mean < AIM]
        if short:
            yield (
                f"note {data.dataset}: {len(short)} of {len(gained)} learned rows gain less than {AIM:g} dB of "
                f"PSNR-mu over their base: {', '.join(short)}"
            )
    losses: dict[str, list[float]] = {}
    for run, entry in params.runs_with_codebook.items():
        if params.variants[entry.variant].options.get("prior", "rf") == "rf":
            facts = _facts(params, run)
            losses.setdefault(entry.variant, []).append(facts["psnr-mu"] - facts["psnr-mu-permuted-features"])
    for variant, lost in losses.items():
        seeds = f"{len(lost)} seeds, {min(lost):.4g} to {max(lost):.4g}" if len(lost) > 1 else "one seed"
        mean = math.fsum(lost) / len(lost)
        yield f"note {variant}: PSNR-mu lost when F_vq is permuted over space: {mean:.4g} dB ({seeds})"
