"""Captions: what a number in a table was made under."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from bench.core.params import Params
from bench.core.registry import datasets, metrics, protocols
from bench.metrics.intervals import RESAMPLES
from bench.report.results.results import Summary
from bench.report.scores.published import synthetic

ERROR = (
    f"Standard error: the standard deviation of {RESAMPLES} bootstrap means, for each of which seeds, then places, "
    "then the views of each place are drawn with replacement. For n seeds or places it can be too small by a factor "
    "down to the root of 1 - 1/n; intervals are widened for that."
)
PLUS_MINUS = " (mean ± standard error over seeds and scenes)"
SUBMITTED = "Submitted rows are others' results, scored here and ranked with the learned rows."
OWN_HEAD = "keeps its published output layer; other networks end in `{head}`, ours, which adds to {base}"
BASES = {
    "mu-residual": "the reference frame",
    "rule-residual": "the brighter of short frame and reference where that is clipped, in the frames that they get",
}
"""Head of ours -> what it adds to."""
FRAMES = {
    "none": "as taken",
    "dis": "registered by DIS flow, so that alignment (PA) has little left to do",
    "homography": "registered by a homography",
}
"""How a card says that a network's frames were registered -> the words of a caption."""
RECIPES = {
    "common": "common (one for all methods)",
    "published": "published (each method's own, see the table of recipes)",
}
UNITS = {"peak_luminance": "cd/m2 for linear 1.0"}
PAPER_SIZE = "1500x1000"

Cards = Mapping[str, Mapping[str, Any]]
"""Run -> card of its weights."""


def caption(
    params: Params, cards: Cards, results: Sequence[Summary], tested: Sequence[str], marked: bool = True
) -> str:
    """Return the sentences that tell data, sample counts, seeds, protocol, head, backbone, schedule and widths.

    marked : the table marks best and second, and shows standard errors.
    """
    if not results:
        return f"Profile {params.profile}: nothing measured yet."
    protocol = sorted({result.protocol for result in results})
    made = "; ".join([f"Protocol {', '.join(protocol)}", *settings(params, cards)])
    text = (
        f"Profile {params.profile}: {data(params, results, tested)}; {seeds(results, marked)}{waivers(params)}. {made}."
    )
    if not marked:
        return text
    marks = "Best in bold, second underlined, among networks measured here; rows without training aren't marked."
    return f"{text} {marks}{spread(results)}"


def data(params: Params, results: Sequence[Summary], tested: Sequence[str]) -> str:
    """Return the tested data sets and how many scenes of how many places were scored."""
    made_up = synthetic(params)
    titles = [f"{name} (synthetic data of this name)" if name in made_up else title(name) for name in tested]
    counts = _distinct(result.scenes for result in results)
    places = _distinct(len(found) for result in results if (found := result.places))
    of = f" of {' or '.join(places)} {'place' if places == ['1'] else 'places'}" if places else ""
    return f"{', '.join(titles)}; {' or '.join(counts)} test scenes{of}"


def waivers(params: Params) -> str:
    """Return the checks of data that the profile overrules, with the reasons."""
    said = [f"{name} of {data}: {why}" for data, use in params.datasets.items() for name, why in use.waive.items()]
    return f"; checks waived ({'; '.join(said)})" if said else ""


def title(name: str) -> str:
    """Return a data set's name with its title, as far as the registry knows it."""
    return f"{name} ({datasets[name].title})" if name in datasets else name


def seeds(results: Sequence[Summary], spreads: bool = True) -> str:
    """Return how many seeds stand behind a mean.

    spreads : the table shows standard errors.
    """
    largest = max((result.seeds for result in results), default=0)
    if largest <= 1:
        return "one seed (n = 1, no spread)"
    return f"up to {largest} seeds{PLUS_MINUS if spreads else ''}"


def spread(results: Sequence[Summary]) -> str:
    """Return the sentence that defines the standard error, with a space before it; "" where none is shown."""
    return f" {ERROR}" if any(result.spreads for result in results) else ""


def settings(params: Params, cards: Cards) -> list[str]:
    """Return head, perceptual backbone, schedule and widths in the words of a caption."""
    return [f"{name} {value}" for name, value in made_with(params, cards).items()]


def made_with(params: Params, cards: Cards) -> dict[str, str]:
    """Return head, perceptual backbone, schedule and widths as the cards tell them; without cards, the parameters."""
    own = list(cards.values())

    def told(key: str, otherwise: str = "") -> list[str]:
        return _distinct(card[key] for card in own if card.get(key)) or [otherwise]

    # A card may end in a sha256; its first twelve digits identify the file well enough for a caption.
    backbones = [
        re.sub(r"\S{41,}", lambda word: word[0][:12], name) for name in told("perceptual", params.perceptual.backbone)
    ]
    schedule = _distinct(f"{c['steps']} steps at batch {c['batch']}" for c in own if "steps" in c and "batch" in c)
    if params.codebook_runs:
        stage1 = params.stage1
        start = {"uniform": "codes from U(-1/K, 1/K)", "data": "codes from data"}[stage1.init]
        share = stage1.quantise_from
        late = f" and no quantisation before {share:.0%} of the steps" if share else ""
        schedule.append(f"codebooks {stage1.steps} steps at batch {stage1.batch}, {start}{late}")
    device, sizes = told("device"), _codebook_sizes(params)
    return {
        "output head": " and ".join(told("head", params.head)),
        "frames": " and ".join(FRAMES.get(name, name) for name in told("register", params.registration)),
        "perceptual backbone": " and ".join(backbones),
        "training": ", ".join(schedule) + (f" on {' and '.join(device)}" if any(device) else "") or "none",
        "recipe": " and ".join(RECIPES[name] for name in told("recipe", params.recipe)) + _differing(params),
        "widths preset": " and ".join(told("preset", params.preset)),
        **({"codebooks": sizes} if sizes else {}),
    }


def _differing(params: Params) -> str:
    """Tell which variants differ from their recipe, and in what; "" if none does."""
    said = [
        f"{name} with {', '.join(f'{key} {value}' for key, value in variant.stage2.items())}"
        for name, variant in params.variants.items()
        if variant.stage2
    ]
    return f", but {' and '.join(said)}" if said else ""


def _codebook_sizes(params: Params) -> str:
    """Tell which numbers of codes stand where the paper's row says another, "" if all are the paper's."""
    found = {}
    for row, variant in params.rows(2).items():
        printed = re.search(r"K=(\d+)", row)
        own = [run for run in params.runs_with_codebook.values() if run.variant == variant]
        codebooks = (params.codebook_runs[run.codebook or ""] for run in own)
        if printed and (codebook := next(codebooks, None)) and codebook.codes != int(printed[1]):
            found[printed[1]] = codebook.codes
    said = " and ".join(f"K = {codes} in the place of the paper's {printed}" for printed, codes in found.items())
    return f"of {said}" if said else ""


def of_codebooks(params: Params, cards: Cards, places: Sequence[str]) -> str:
    """Return how a caption about inspected codebooks begins: profile, perceptual backbone, schedule, places.

    cards  : of the codebooks, by name; without any, the parameters tell the backbone.
    places : which the held-out scenes show, as far as these are there.
    """
    made = made_with(params, {name: {"perceptual": card.get("perceptual")} for name, card in cards.items()})
    parts = [f"Profile {params.profile}", f"perceptual backbone {made['perceptual backbone']}", made["training"]]
    if places:
        parts.append(f"held-out scenes of {len(places)} {'place' if len(places) == 1 else 'places'}")
    return ", ".join(parts)


@cache
def protocol_of(identity: str) -> Any:
    """Return the protocol of this id, such as "whole-float@1"; None if this version has no such one."""
    name = identity.partition("@")[0]
    return found if name in protocols and (found := protocols[name]).id == identity else None


def absent(metric: str, identity: str) -> str:
    """Return why rows under this protocol lack a metric."""
    found = protocol_of(identity)
    if found is not None and metric in found.metrics and (reason := metrics[metric].missing):
        return reason
    if found is None or metric in found.metrics:
        return f"not scored under {identity}"
    return f"protocol {identity} doesn't define it"


def conditions(identity: str, metrics: Iterable[str], params: Params) -> str:
    """Return sentences on the settings of PU21 and HDR-VDP-2, as far as these metrics need them; else "".

    The settings are read from the protocol's file, whatever fields it has.
    """
    found, scored = protocol_of(identity), set(metrics)
    pu21 = sorted(name for name in scored if "-pu" in name and "@" not in name)
    sentences = []
    if found is not None and found.pu21 is not None and pu21:
        sentences.append(f"PU21 ({', '.join(pu21)}): {_written_out(found.pu21)}.")
    if "hdrvdp2" in scored:
        if found is not None and found.hdrvdp2 is not None:
            sentences.append(f"HDR-VDP-2: {_written_out(found.hdrvdp2)}.")
            sentences += [f"{said}."] if (said := getattr(found.hdrvdp2, "caution", "")) else []
        sentences.append(caution(params))
    return " ".join(sentences)


def _written_out(section: Any) -> str:
    said = []
    for name, value in section.model_dump().items():
        if value is not None:
            plain = isinstance(value, float)
            text = f"{value:g}" if plain else _in_words(value)
            said.append(f"{name.replace('_', ' ')} {text}" + (f" {UNITS[name]}" if plain and name in UNITS else ""))
    return ", ".join(said)


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return " and ".join(f"{name.replace('_', ' ')} {_in_words(one)}" for name, one in value.items())
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def caution(params: Params) -> str:
    """Return the sentence that says what HDR-VDP-2's Q may be compared with."""
    depends = "Q depends on the picture's size and on pixels per degree"
    if params.simulate is None:
        return f"{depends}: only pictures of one size, under one setting, compare."
    size = f"{params.simulate.width}x{params.simulate.height}"
    return f"{depends}: on views of {size} pixels it doesn't compare with the paper's figures for {PAPER_SIZE}."


def _distinct(values: Iterable[object]) -> list[str]:
    return sorted({str(value) for value in values})
