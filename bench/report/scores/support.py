"""Sentences on what the data do and don't support about OLC; they follow the paired tests."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from bench.core.optimisation import Stage1
from bench.core.places import place
from bench.report.page.page import PageSection
from bench.report.results import paired
from bench.report.results.caption import made_with
from bench.report.results.inputs import Measured, Paper
from bench.report.results.paired import BETTER, UNCLEAR, WORSE, PairedTest, difference, interval, short
from bench.report.scores.scored import datasets_of

TITLE = "What these data do and don't support about OLC, D_VQ and RF"
INTRO = (
    "Verdicts are those of Tables 2 and 3 in PSNR-μ, corrected after Holm over the tests of each table; not "
    "distinguishable doesn't show that there is no difference."
)
CLAIM = {BETTER: "supported", WORSE: "contradicted", UNCLEAR: "not supported"}
KNOWLEDGE = {
    BETTER: "what the codebook's decoder learnt helps, beyond its size",
    WORSE: "the frozen, trained decoder does harm",
    UNCLEAR: "these data don't show that what the codebook's decoder learnt is what helps",
}
"""Verdict on row 7 against its control with a random, trained decoder -> its meaning."""
MANY = 8
"""Places above which they are counted and not named."""
STEPS = {"concat": "D_VQ", "rf": "RF"}
"""Option `prior` of the network -> the part that a row of Table 3 with it adds to the row above."""

Scenes = Mapping[str, Mapping[str, Sequence[str]]]
"""Data set -> split -> names of its scenes."""


class Rivals(NamedTuple):
    """A test between codebooks of one size: segments of both, how both were trained, and whether a control is in it."""

    test: PairedTest
    codes: int
    segments: tuple[str, str]
    training: tuple[Stage1, Stage1]
    control: bool


def section(papers: Sequence[Paper], measured: Measured, scenes: Scenes) -> PageSection:
    """Return the section: for each tested data set, what it is and what its tests say, in nine sentences at most.

    scenes : data set -> split -> names of its prepared scenes; only what is there is counted.
    """
    tested = {paper.number: paper for paper in papers if paper.number in (2, 3)}
    panels = list(dict.fromkeys(panel for _, paper in sorted(tested.items()) for panel in datasets_of(paper, measured)))
    found = {number: paired.tests(paper, measured, datasets_of(paper, measured)) for number, paper in tested.items()}
    sentences = [said for panel in panels for said in _sentences(tested, found, measured, panel, scenes)]
    return PageSection(
        "support", TITLE, INTRO, findings=sentences or ["No row of Table 2 or 3 was measured: no support."]
    )


def text(made: PageSection) -> str:
    """Return the section as Markdown."""
    return "\n\n".join([f"**{made.title}**", made.intro, *(f"- {said}" for said in made.findings)]) + "\n"


def _sentences(
    papers: Mapping[int, Paper],
    found: Mapping[int, Mapping[tuple[str, str], PairedTest]],
    measured: Measured,
    panel: str,
    scenes: Scenes,
) -> Iterator[str]:
    tests = {number: [test for (of, _), test in some.items() if of == panel] for number, some in found.items()}
    every = [test for some in tests.values() for test in some]
    seeds = max((test.difference.seeds for test in every), default=0)
    yield _data(measured, panel, scenes, seeds)
    if not every:
        yield f"No two rows of Table 2 or 3 were measured on {panel}: nothing is supported, for or against OLC."
    elif seeds < 2:
        yield (
            f"There is one seed of each network (n = 1) on {panel}: nothing is supported, for or against OLC, D_VQ or "
            "RF, since a difference between two networks of one seed each can be chance."
        )
    else:
        rivals = [one for test in tests.get(2, ()) if (one := _rivals(test, papers[2], measured))]
        yield _overlapped(rivals)
        yield _restarted(rivals)
        yield _images(rivals)
        if 3 in papers:
            steps = [test for test in tests[3] if test.pair.label not in papers[3].controls]
            yield from _parts(steps, measured)
            yield _together(papers[3], measured, panel)
            yield _control([test for test in tests[3] if test not in steps], measured)
        yield _reach(every)


def _data(measured: Measured, panel: str, scenes: Scenes, seeds: int) -> str:
    results = [result for (_, name), result in measured.results.items() if name == panel]
    tested = {scene for result in results for values in result.cells.values() for _, scene in values}
    trained, made = scenes.get(panel, {}).get("train", ()), made_with(measured.params, measured.cards)
    parts = [f"On {panel}: tested on {_views(tested)}"]
    if trained:
        places = {place(scene) for scene in (*tested, *trained)}
        parts.append(f"trained on {_views(trained)}, {len(places)} places in all")
    parts += [
        f"{seeds} {'seed' if seeds == 1 else 'seeds'}",
        f"protocol {', '.join(sorted({result.protocol for result in results}))}",
        f"perceptual backbone {made['perceptual backbone']}",
        made["training"],
        *([f"codebooks {made['codebooks']}"] if "codebooks" in made else []),
    ]
    return f"{'; '.join(parts)}; what they show holds for such places and schedules only."


def _views(scenes: Collection[str]) -> str:
    places = sorted({place(scene) for scene in scenes})
    named = f" ({', '.join(places)})" if len(places) <= MANY else ""
    views = f"{len(scenes)} {'view' if len(scenes) == 1 else 'views'}"
    return f"{views} of {len(places)} {'place' if len(places) == 1 else 'places'}{named}"


def _rivals(test: PairedTest, paper: Paper, measured: Measured) -> Rivals | None:
    own, other = paired.codebook_of(test.pair.variant, measured), paired.codebook_of(test.pair.other, measured)
    if own is None or other is None or own[0].codes != other[0].codes:
        return None
    control = test.pair.label in paper.controls or test.pair.other_label in paper.controls
    return Rivals(test, own[0].codes, (own[0].segments, other[0].segments), (own[1], other[1]), control)


def _against(rivals: Sequence[Rivals]) -> list[Rivals]:
    """Return the tests of an overlapped codebook against a vanilla one."""
    return [rival for rival in rivals if rival.segments == ("olc", "vanilla")]


def _overlapped(rivals: Sequence[Rivals]) -> str:
    found = [rival for rival in _against(rivals) if not rival.control]
    claims = [
        f"{CLAIM.get(rival.test.verdict, 'not tested')} at K = {rival.codes} ({rival.test.phrase(' dB', 'vanilla')})"
        for rival in found
    ]
    if not claims:
        return "No overlapped codebook was tested against a vanilla one of its size among Table 2's own rows."
    return f"That OLC is better than a vanilla codebook is {_listed(claims)}, where {_start(found[0].training[0])}."


def _listed(parts: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(parts[:-1]), parts[-1]) if part)


def _start(training: Stage1) -> str:
    init = {"data": "codes start from data", "uniform": "codes start from uniform random numbers"}[training.init]
    return f"{init} and {'dead ones restart' if training.restart_every else 'never restart'}"


def _restarted(rivals: Sequence[Rivals]) -> str:
    """Tell whether a gain of OLC remains where dead codes restart, and what restarts alone bring."""
    plain = {rival.codes: rival for rival in _against(rivals) if not rival.control}
    alike = [rival for rival in _against(rivals) if rival.control and rival.training[0] == rival.training[1]]
    again = [rival for rival in alike if rival.training[0].restart_every]
    said = [_vanished(rival, plain.get(rival.codes)) for rival in again]
    for rival in rivals:
        own, other = rival.training
        if rival.segments[0] == rival.segments[1] and own.images == other.images and _start(own) != _start(other):
            name = {"olc": "OLC", "vanilla": "vanilla"}[rival.segments[0]]
            said.append(f"that alone brings {name} at K = {rival.codes} {rival.test.phrase(' dB', 'without')}")
    if not again:
        said = ["no such pair was measured, so whether a gain of OLC would vanish there stays open", *said]
        return f"Where dead codes restart, {'; '.join(said)}."
    return f"Where {_start(again[0].training[0])}, {'; '.join(said)}."


def _vanished(again: Rivals, plain: Rivals | None) -> str:
    change = f"OLC at K = {again.codes} {again.test.phrase(' dB', 'vanilla')}"
    first, then = plain.test.verdict if plain else "", again.test.verdict
    if first not in CLAIM or then not in CLAIM:
        return f"{change}, and whether a gain of OLC vanishes wasn't tested"
    if first == BETTER:
        end = {BETTER: "remains", UNCLEAR: "isn't distinguishable from none any more", WORSE: "turns into a loss"}
        return f"{change}, so its gain {end[then]}"
    return f"{change}, {'a gain only there' if then == BETTER else 'and there is no gain of OLC to vanish'}"


def _images(rivals: Sequence[Rivals]) -> str:
    found = [r for r in rivals if r.segments == ("vanilla", "vanilla") and r.training[0].images != r.training[1].images]
    names = {"hdr": "V-HDR (HDR images alone)", "mixture": "V-mix (the mixture)"}
    said = []
    for rival in found:
        first, second = (names[training.images] for training in rival.training)
        said.append(f"{first} at K = {rival.codes} is {rival.test.phrase(' dB', second)}")
    none = "No vanilla codebook from HDR images alone was tested against one from the mixture."
    return f"{'; '.join(said)}." if said else none


def _prior(variant: str, measured: Measured) -> str:
    return str(measured.params.variants[variant].options.get("prior", "rf"))


def _parts(steps: Sequence[PairedTest], measured: Measured) -> Iterator[str]:
    """Yield what D_VQ and RF add (Table 3, each row against the one above)."""
    named = {STEPS.get(_prior(test.pair.variant, measured), ""): test for test in steps}
    for part in STEPS.values():
        test = named.get(part)
        if test:
            claim = CLAIM.get(test.verdict, "not tested")
            yield f"That {part} helps is {claim}: {short(test.pair.label)} {test.phrase(' dB')}."
        else:
            yield f"No row of Table 3 tells what {part} adds."


def _together(paper: Paper, measured: Measured, panel: str) -> str:
    """Compare the last row with the last one that has neither D_VQ nor RF: not one of the table's tests."""
    rows = [
        (label, variant)
        for label, variant in paper.own.items()
        if label not in paper.controls and (variant, panel) in measured.results
    ]
    plain = [row for row in rows if _prior(row[1], measured) == "none"]
    full = [row for row in rows if _prior(row[1], measured) == "rf"]
    found = difference(full[-1][1], plain[-1][1], paired.PRIMARY, measured, panel) if plain and full else None
    if not found:
        return "D_VQ and RF together weren't measured against a row without them."
    change = f"{short(full[-1][0])} {interval(found)} dB over {short(plain[-1][0])}"
    return f"D_VQ and RF together: {change} (an interval of its own, no test of the table)."


def _control(tests: Sequence[PairedTest], measured: Measured) -> str:
    """Compare the last row with its control: the table tests it the other way round."""
    for test in tests:
        turned = test._replace(difference=paired.turned(test.difference))
        row = short(test.pair.other_label)
        what = f"{row[0].upper()}{row[1:]} is {turned.phrase(' dB', f'its control ({test.pair.label})')}"
        random = measured.params.variants[test.pair.variant].options.get("prior_weights") == "random"
        meaning = KNOWLEDGE.get(turned.verdict) if random else None
        return f"{what}: {meaning}." if meaning else f"{what}."
    return "Row 7 of Table 3 has no measured control, so its gain can't be told from that of more parameters."


def _reach(tests: Sequence[PairedTest]) -> str:
    """Say how small a difference these tests could tell from none."""
    halves = sorted((test.difference.high - test.difference.low) / 2 for test in tests if test.told)
    if not halves:
        return "Nothing was tested, since all test scenes show one place."
    span = " to ".join(dict.fromkeys(f"{half:.2f}" for half in (halves[0], halves[-1])))
    return f"Intervals reach {span} dB to either side: smaller differences can't be told from none here."
