"""What the data do and don't support about OLC, in sentences that follow the paired tests."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from bench.core.optimisation import Stage1
from bench.metrics.intervals import Spread, place
from bench.report.page.page import Section
from bench.report.results.inputs import Measured, Paper
from bench.report.results.paired import (
    BETTER,
    UNCLEAR,
    WORSE,
    Pair,
    book,
    compare,
    pairs,
    phrase,
    rough,
    short,
    verdict,
)
from bench.report.scores.scored import METRICS, datasets_of
from bench.report.table.caption import made_with

TITLE = "What these data do and don't support about OLC"
INTRO = (
    "Every sentence follows the paired tests of Tables 2 and 3 in this profile. Not distinguishable means that the "
    "interval holds 0; it doesn't show that there is no difference. Each test stands alone at 95 %: where there is no "
    "difference, one in twenty finds one."
)
CLAIM = {BETTER: "supported", WORSE: "contradicted", UNCLEAR: "not supported"}
MANY = 8
"""Places above which they are counted and not named."""

Scenes = Mapping[str, Mapping[str, Sequence[str]]]
"""Data set -> split -> names of its scenes."""


class Test(NamedTuple):
    """A pair of rows with its difference in PSNR-mu."""

    pair: Pair
    difference: Spread
    verdict: str


class Rivals(NamedTuple):
    """A test between codebooks: K, segments of both, how both were trained, and whether they are the paper's rows."""

    test: Test
    codes: int
    segments: tuple[str, str]
    training: tuple[Stage1, Stage1]
    printed: bool


def section(papers: Sequence[Paper], measured: Measured, scenes: Scenes) -> Section:
    """Return the section: for each tested data set, what it is and what its tests say.

    scenes : data set -> split -> names of its prepared scenes; only what is there is counted.
    """
    second, third = (next(paper for paper in papers if paper.number == number) for number in (2, 3))
    panels = dict.fromkeys([*datasets_of(second, measured), *datasets_of(third, measured)])
    findings = [sentence for panel in panels for sentence in _sentences(second, third, measured, panel, scenes)]
    return Section("support", TITLE, INTRO, findings=findings or ["No row of Table 2 or 3 was measured: no support."])


def text(made: Section) -> str:
    """Return the section as Markdown."""
    return "\n\n".join([f"**{made.title}**", made.intro, *(f"- {said}" for said in made.findings)]) + "\n"


def _sentences(second: Paper, third: Paper, measured: Measured, panel: str, scenes: Scenes) -> Iterator[str]:
    books, steps = _tests(second, measured, panel), _tests(third, measured, panel)
    seeds = max((test.difference.seeds for test in (*books, *steps)), default=0)
    yield _data(measured, panel, scenes, seeds)
    if not books and not steps:
        yield f"No two rows of Table 2 or 3 were measured on {panel}: nothing is supported, for or against OLC."
    elif seeds < 2:
        yield (
            f"There is one seed of each network (n = 1) on {panel}: nothing is supported, for or against OLC. A "
            "difference between two networks of one seed each can be chance."
        )
    else:
        rivals = [found for test in books if (found := _rivals(test, second, measured))]
        yield from _overlapped(rivals, measured, panel)
        yield from _images(rivals)
        yield from _remedies(rivals)
        yield from _steps(steps, third)
        yield from _controls(steps, third, measured)
        yield from _reach([*books, *steps])


def _tests(paper: Paper, measured: Measured, panel: str) -> list[Test]:
    found = [(pair, compare(pair, "psnr-mu", measured, panel)) for pair in pairs(paper, measured, panel)]
    return [Test(pair, difference, verdict(difference)) for pair, difference in found if difference]


def _data(measured: Measured, panel: str, scenes: Scenes, seeds: int) -> str:
    tested = {
        scene for (_, name), result in measured.results.items() if name == panel for scene in _names(result.cells)
    }
    protocols = sorted({result.protocol for (_, name), result in measured.results.items() if name == panel})
    trained, made = scenes.get(panel, {}).get("train", ()), made_with(measured.params, measured.cards)
    parts = [f"On {panel}: tested on {_views(tested)}"]
    if trained:
        places = {place(scene) for scene in (*tested, *trained)}
        parts.append(f"trained on {_views(trained)}, {len(places)} places in all")
    parts += [
        f"{seeds} {'seed' if seeds == 1 else 'seeds'}",
        f"protocol {', '.join(protocols)}",
        f"perceptual backbone {made['perceptual backbone']}",
        made["training"],
        *([f"codebooks {made['codebooks']}"] if "codebooks" in made else []),
    ]
    places = {place(scene) for scene in tested}
    return (
        "; ".join(parts)
        + "."
        + (rough([len(places)]) if seeds > 1 else "")
        + " What they show holds for such places and schedules only."
    )


def _names(cells: Mapping[str, Mapping[tuple[str, str], float]]) -> set[str]:
    return {scene for values in cells.values() for _, scene in values}


def _views(scenes: set[str] | Sequence[str]) -> str:
    places = sorted({place(scene) for scene in scenes})
    named = f" ({', '.join(places)})" if len(places) <= MANY else ""
    views = f"{len(scenes)} {'view' if len(scenes) == 1 else 'views'}"
    return f"{views} of {len(places)} {'place' if len(places) == 1 else 'places'}{named}"


def _rivals(test: Test, paper: Paper, measured: Measured) -> Rivals | None:
    own, other = book(test.pair.variant, measured), book(test.pair.other, measured)
    if own is None or other is None or own[0].codes != other[0].codes:
        return None
    printed = test.pair.label not in paper.controls and test.pair.other_label not in paper.controls
    return Rivals(test, own[0].codes, (own[0].segments, other[0].segments), (own[1], other[1]), printed)


def _overlapped(rivals: Sequence[Rivals], measured: Measured, panel: str) -> Iterator[str]:
    found = [rival for rival in rivals if rival.segments == ("olc", "vanilla")]
    plain = {rival.codes: rival for rival in found if rival.printed}
    claims = [f"{CLAIM.get(rival.test.verdict, 'not tested')} at K = {codes}" for codes, rival in plain.items()]
    if claims:
        yield f"That OLC is better than a vanilla codebook in PSNR-μ is {_listed(claims)} (Table 2's own rows)."
    else:
        yield "No overlapped codebook was tested against a vanilla one of its size among Table 2's own rows."
    yield from (_rivalry(rival, measured, panel) for rival in found)
    again = {
        r.codes: r for r in found if not r.printed and r.training[0] == r.training[1] and r.training[0].restart_every
    }
    for codes, rival in plain.items():
        if not rival.training[0].restart_every:
            yield _vanished(codes, rival, again.get(codes))


def _rivalry(rival: Rivals, measured: Measured, panel: str) -> str:
    pair, (own, other) = rival.test.pair, rival.training
    images = " from HDR images alone" if other.images == "hdr" and own.images != "hdr" else ""
    said = phrase(rival.test.difference, pair.other_label, unit=" dB")
    where = f"OLC against vanilla{images}, K = {rival.codes}, {_start(own)}"
    return f"{where}: PSNR-μ of {pair.label} {said}. {_others(rival.test, measured, panel)}"


def _start(training: Stage1) -> str:
    init = {"data": "codes start from data", "uniform": "codes start from uniform random numbers"}[training.init]
    return f"{init} and {'dead ones restart' if training.restart_every else 'never restart'}"


def _others(test: Test, measured: Measured, panel: str) -> str:
    said: dict[str, list[str]] = {}
    for column in METRICS[1:]:
        if difference := compare(test.pair, column.key.replace("_", "-"), measured, panel):
            said.setdefault(verdict(difference), []).append(column.head)
    words = [f"{name} in {', '.join(said[name])}" for name in sorted(said, key=[BETTER, WORSE, UNCLEAR, *said].index)]
    return f"In other metrics: {'; '.join(words)}." if words else "No other metric was scored."


def _vanished(codes: int, plain: Rivals, again: Rivals | None) -> str:
    where = f"At K = {codes}"
    if again is None:
        return f"{where} no pair with restarts was measured: whether a gain of OLC would vanish there stays open."
    how, first, then = _start(again.training[0]), plain.test.verdict, again.test.verdict
    if first not in CLAIM or then not in CLAIM:
        return f"{where} it wasn't tested whether a gain of OLC vanishes where {how}."
    if first == BETTER:
        end = {BETTER: "remains", UNCLEAR: "isn't distinguishable from none any more", WORSE: "turns into a loss"}
        limit = "; that alone doesn't show that it is smaller there" if then == UNCLEAR else ""
        return f"{where} the gain of OLC {end[then]} where {how}{limit}."
    if then == BETTER:
        return f"{where} OLC gains only where {how}, not in the plain pair."
    return f"{where} there is no gain of OLC to vanish: the plain pair is {first}, the one where {how} is {then}."


def _images(rivals: Sequence[Rivals]) -> Iterator[str]:
    found = [r for r in rivals if r.segments == ("vanilla", "vanilla") and r.training[0].images != r.training[1].images]
    for rival in found:
        names = [
            "V-HDR (HDR images alone)" if training.images == "hdr" else "V-mix (the mixture)"
            for training in rival.training
        ]
        said = phrase(rival.test.difference, rival.test.pair.other_label, unit=" dB")
        yield f"{names[0]} against {names[1]}, K = {rival.codes}: PSNR-μ of {rival.test.pair.label} {said}."
    if not found:
        yield "No vanilla codebook from HDR images alone was tested against one from the mixture."


def _remedies(rivals: Sequence[Rivals]) -> Iterator[str]:
    for rival in rivals:
        own, other = rival.training
        if rival.segments[0] == rival.segments[1] and own.images == other.images and _start(own) != _start(other):
            name = {"olc": "OLC", "vanilla": "Vanilla"}[rival.segments[0]]
            said = phrase(rival.test.difference, rival.test.pair.other_label, unit=" dB")
            where = f"{name}, K = {rival.codes}, where {_start(own)} against where {_start(other)}"
            yield f"{where}: PSNR-μ of {rival.test.pair.label} {said}."


def _steps(tests: Sequence[Test], paper: Paper) -> Iterator[str]:
    found = [test for test in tests if test.pair.label not in paper.controls]
    if not found:
        yield "No two of Table 3's rows were measured."
        return
    counts = {word: sum(test.verdict == word for test in found) for word in (BETTER, WORSE, UNCLEAR)}
    steps = [f"{short(pair.label)} {phrase(change, pair.other_label, unit=' dB')}" for pair, change, _ in found]
    yield (
        f"Of {len(found)} {'step' if len(found) == 1 else 'steps'} of Table 3 in PSNR-μ, {counts[BETTER]} better, "
        f"{counts[WORSE]} worse, {counts[UNCLEAR]} not distinguishable: {'; '.join(steps)}."
    )


def _controls(tests: Sequence[Test], paper: Paper, measured: Measured) -> Iterator[str]:
    found = [test for test in tests if test.pair.label in paper.controls]
    for pair, control, _ in found:
        turned = control._replace(mean=-control.mean, low=-control.high, high=-control.low)
        said, row = verdict(turned), short(pair.other_label)
        change = phrase(turned, "the control", unit=" dB")
        what = f'{row[0].upper()}{row[1:]} against its control, "{pair.label}": PSNR-μ {change}.'
        means = {
            BETTER: "This supports that what the codebook's decoder learnt helps, beyond its size.",
            WORSE: "This speaks against the frozen, trained decoder.",
            UNCLEAR: "These data don't support that what the codebook's decoder learnt is what helps.",
        }
        random = measured.params.variants[pair.variant].options.get("prior_weights") == "random"
        yield f"{what} {means[said]}" if random and said in means else what
    if not found:
        yield "Row 7 of Table 3 has no measured control, so its gain can't be told from that of more parameters."


def _reach(tests: Sequence[Test]) -> Iterator[str]:
    """Say how small a difference these tests could tell from none."""
    halves = [(difference.high - difference.low) / 2 for _, difference, said in tests if said in CLAIM]
    if halves:
        span = " to ".join(dict.fromkeys(f"{half:.2f}" for half in (min(halves), max(halves))))
        yield f"The intervals reach about {span} dB to either side: smaller differences can't be told from none here."


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
