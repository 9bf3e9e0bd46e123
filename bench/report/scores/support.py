"""Sentences on what the data do and don't support about OLC; they follow the paired tests."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from bench.core.optimisation import Stage1
from bench.metrics.intervals import Spread, place
from bench.report.page.page import PageSection
from bench.report.results import paired
from bench.report.results.caption import made_with
from bench.report.results.inputs import Measured, Paper
from bench.report.results.paired import BETTER, UNCLEAR, WORSE, Pairing, compare, phrase, rough, short, verdict
from bench.report.scores.scored import METRICS, datasets_of

TITLE = "What these data do and don't support about OLC"
INTRO = (
    "Every sentence follows the paired tests of Tables 2 and 3 in this profile. Not distinguishable means that the "
    "interval holds 0; it doesn't show that there is no difference. Each test stands alone at 95 %: where there is no "
    "difference, one in twenty finds one."
)
CLAIM = {BETTER: "supported", WORSE: "contradicted", UNCLEAR: "not supported"}
KNOWLEDGE = {
    BETTER: "This supports that what the codebook's decoder learnt helps, beyond its size.",
    WORSE: "This speaks against the frozen, trained decoder.",
    UNCLEAR: "These data don't support that what the codebook's decoder learnt is what helps.",
}
"""Verdict on row 7 against its control with a random, trained decoder -> its meaning."""
MANY = 8
"""Places above which they are counted and not named."""

Scenes = Mapping[str, Mapping[str, Sequence[str]]]
"""Data set -> split -> names of its scenes."""


class Test(NamedTuple):
    """A pair of rows with its difference in PSNR-mu and its verdict.

    control : ours stands below the paper's rows, or is tested against such a row.
    """

    pair: Pairing
    difference: Spread
    verdict: str
    control: bool

    @property
    def words(self) -> str:
        """The row and what the test says of it."""
        return f"PSNR-μ of {self.pair.label} {phrase(self.difference, self.pair.other_label, unit=' dB')}"


class Rivals(NamedTuple):
    """A test between codebooks of one size: segments of both, and how both were trained."""

    test: Test
    codes: int
    segments: tuple[str, str]
    training: tuple[Stage1, Stage1]


def section(papers: Sequence[Paper], measured: Measured, scenes: Scenes) -> PageSection:
    """Return the section: for each tested data set, what it is and what its tests say.

    scenes : data set -> split -> names of its prepared scenes; only what is there is counted.
    """
    tested = {paper.number: paper for paper in papers if paper.number in (2, 3)}
    panels = dict.fromkeys(panel for _, paper in sorted(tested.items()) for panel in datasets_of(paper, measured))
    findings = [sentence for panel in panels for sentence in _sentences(tested, measured, panel, scenes)]
    return PageSection(
        "support", TITLE, INTRO, findings=findings or ["No row of Table 2 or 3 was measured: no support."]
    )


def text(made: PageSection) -> str:
    """Return the section as Markdown."""
    return "\n\n".join([f"**{made.title}**", made.intro, *(f"- {said}" for said in made.findings)]) + "\n"


def _sentences(papers: Mapping[int, Paper], measured: Measured, panel: str, scenes: Scenes) -> Iterator[str]:
    codebooks, steps = (_tests(papers[number], measured, panel) if number in papers else [] for number in (2, 3))
    seeds = max((test.difference.seeds for test in (*codebooks, *steps)), default=0)
    yield _data(measured, panel, scenes, seeds)
    if not codebooks and not steps:
        yield f"No two rows of Table 2 or 3 were measured on {panel}: nothing is supported, for or against OLC."
    elif seeds < 2:
        yield (
            f"There is one seed of each network (n = 1) on {panel}: nothing is supported, for or against OLC. A "
            "difference between two networks of one seed each can be chance."
        )
    else:
        rivals = [found for test in codebooks if (found := _rivals(test, measured))]
        yield from _overlapped(rivals, measured, panel)
        yield from _images(rivals)
        yield from _remedies(rivals)
        yield from _steps(steps, measured)
        yield from _reach([*codebooks, *steps])


def _tests(paper: Paper, measured: Measured, panel: str) -> list[Test]:
    tests = []
    for pair in paired.pairs(paper, measured, panel):
        if difference := compare(pair, "psnr-mu", measured, panel):
            control = pair.label in paper.controls or (paper.number == 2 and pair.other_label in paper.controls)
            tests.append(Test(pair, difference, verdict(difference), control))
    return tests


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
    few = rough([len({place(scene) for scene in tested})]) if seeds > 1 else ""
    return f"{'; '.join(parts)}.{few} What they show holds for such places and schedules only."


def _views(scenes: Collection[str]) -> str:
    places = sorted({place(scene) for scene in scenes})
    named = f" ({', '.join(places)})" if len(places) <= MANY else ""
    views = f"{len(scenes)} {'view' if len(scenes) == 1 else 'views'}"
    return f"{views} of {len(places)} {'place' if len(places) == 1 else 'places'}{named}"


def _rivals(test: Test, measured: Measured) -> Rivals | None:
    own, other = paired.codebook_of(test.pair.variant, measured), paired.codebook_of(test.pair.other, measured)
    if own is None or other is None or own[0].codes != other[0].codes:
        return None
    return Rivals(test, own[0].codes, (own[0].segments, other[0].segments), (own[1], other[1]))


def _overlapped(rivals: Sequence[Rivals], measured: Measured, panel: str) -> Iterator[str]:
    found = [rival for rival in rivals if rival.segments == ("olc", "vanilla")]
    plain = {rival.codes: rival for rival in found if not rival.test.control}
    claims = [f"{CLAIM.get(rival.test.verdict, 'not tested')} at K = {codes}" for codes, rival in plain.items()]
    if claims:
        listed = " and ".join(part for part in (", ".join(claims[:-1]), claims[-1]) if part)
        yield f"That OLC is better than a vanilla codebook in PSNR-μ is {listed} (Table 2's own rows)."
    else:
        yield "No overlapped codebook was tested against a vanilla one of its size among Table 2's own rows."
    for rival in found:
        own, other = rival.training
        images = " from HDR images alone" if other.images == "hdr" and own.images != "hdr" else ""
        where = f"OLC against vanilla{images}, K = {rival.codes}, {_start(own)}"
        yield f"{where}: {rival.test.words}. {_other_metrics(rival.test, measured, panel)}"
    alike = [r for r in found if r.test.control and r.training[0] == r.training[1] and r.training[0].restart_every]
    again = {rival.codes: rival for rival in alike}
    for codes, rival in plain.items():
        if not rival.training[0].restart_every:
            yield f"At K = {codes} {_vanished(rival.test.verdict, again.get(codes))}"


def _start(training: Stage1) -> str:
    init = {"data": "codes start from data", "uniform": "codes start from uniform random numbers"}[training.init]
    return f"{init} and {'dead ones restart' if training.restart_every else 'never restart'}"


def _other_metrics(test: Test, measured: Measured, panel: str) -> str:
    said: dict[str, list[str]] = {}
    for column in METRICS[1:]:
        if difference := compare(test.pair, column.key.replace("_", "-"), measured, panel):
            said.setdefault(verdict(difference), []).append(column.head)
    words = [f"{name} in {', '.join(said[name])}" for name in sorted(said, key=[BETTER, WORSE, UNCLEAR, *said].index)]
    return f"In other metrics: {'; '.join(words)}." if words else "No other metric was scored."


def _vanished(first: str, again: Rivals | None) -> str:
    """Tell whether a gain of OLC vanishes where dead codes restart; `first` is the verdict where they don't."""
    if again is None:
        return "no pair with restarts was measured: whether a gain of OLC would vanish there stays open."
    how, then = _start(again.training[0]), again.test.verdict
    if first not in CLAIM or then not in CLAIM:
        return f"it wasn't tested whether a gain of OLC vanishes where {how}."
    if first == BETTER:
        end = {BETTER: "remains", UNCLEAR: "isn't distinguishable from none any more", WORSE: "turns into a loss"}
        limit = "; that alone doesn't show that it is smaller there" if then == UNCLEAR else ""
        return f"the gain of OLC {end[then]} where {how}{limit}."
    if then == BETTER:
        return f"OLC gains only where {how}, not in the plain pair."
    return f"there is no gain of OLC to vanish: the plain pair is {first}, the one where {how} is {then}."


def _images(rivals: Sequence[Rivals]) -> Iterator[str]:
    found = [r for r in rivals if r.segments == ("vanilla", "vanilla") and r.training[0].images != r.training[1].images]
    names = {"hdr": "V-HDR (HDR images alone)", "mixture": "V-mix (the mixture)"}
    for rival in found:
        first, second = (names[training.images] for training in rival.training)
        yield f"{first} against {second}, K = {rival.codes}: {rival.test.words}."
    if not found:
        yield "No vanilla codebook from HDR images alone was tested against one from the mixture."


def _remedies(rivals: Sequence[Rivals]) -> Iterator[str]:
    for rival in rivals:
        own, other = rival.training
        if rival.segments[0] == rival.segments[1] and own.images == other.images and _start(own) != _start(other):
            name = {"olc": "OLC", "vanilla": "Vanilla"}[rival.segments[0]]
            where = f"{name}, K = {rival.codes}, where {_start(own)} against where {_start(other)}"
            yield f"{where}: {rival.test.words}."


def _steps(tests: Sequence[Test], measured: Measured) -> Iterator[str]:
    """Yield what each part of the network adds (Table 3), and the last row against its controls."""
    found = [test for test in tests if not test.control]
    counts = {word: sum(test.verdict == word for test in found) for word in (BETTER, WORSE, UNCLEAR)}
    steps = [f"{short(test.pair.label)} {phrase(test.difference, test.pair.other_label, unit=' dB')}" for test in found]
    if found:
        yield (
            f"Of {len(found)} {'step' if len(found) == 1 else 'steps'} of Table 3 in PSNR-μ, {counts[BETTER]} better, "
            f"{counts[WORSE]} worse, {counts[UNCLEAR]} not distinguishable: {'; '.join(steps)}."
        )
    else:
        yield "No two of Table 3's rows were measured."
    controls = [test for test in tests if test.control]
    for pair, control, *_ in controls:
        turned = control._replace(mean=-control.mean, low=-control.high, high=-control.low)
        row, change = short(pair.other_label), phrase(turned, "the control", unit=" dB")
        what = f'{row[0].upper()}{row[1:]} against its control, "{pair.label}": PSNR-μ {change}.'
        random = measured.params.variants[pair.variant].options.get("prior_weights") == "random"
        meaning = KNOWLEDGE.get(verdict(turned)) if random else None
        yield f"{what} {meaning}" if meaning else what
    if not controls:
        yield "Row 7 of Table 3 has no measured control, so its gain can't be told from that of more parameters."


def _reach(tests: Sequence[Test]) -> Iterator[str]:
    """Say how small a difference these tests could tell from none."""
    halves = [(test.difference.high - test.difference.low) / 2 for test in tests if test.verdict in CLAIM]
    if halves:
        span = " to ".join(dict.fromkeys(f"{half:.2f}" for half in (min(halves), max(halves))))
        yield f"The intervals reach about {span} dB to either side: smaller differences can't be told from none here."
