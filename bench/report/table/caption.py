"""Captions: what a number in a table was made under."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from bench.core.params import Downloads, Params
from bench.core.registry import datasets
from bench.metrics.intervals import RESAMPLES
from bench.report.results.results import Result

ERROR = (
    f"Standard error: the standard deviation of {RESAMPLES} bootstrap means, for each of which seeds, then places, "
    "then the views of each place are drawn with replacement. For n seeds or places it can be too small by a factor "
    "down to the root of 1 - 1/n; intervals are widened for that."
)
PLUS_MINUS = " (mean ± standard error over seeds and scenes)"
SUBMITTED = "Submitted rows are others' results, scored here and ranked with the learned rows."

OWN_HEAD = "keeps its published output layer; other networks end in `{head}`, ours, which adds to the reference frame"

RECIPES = {
    "common": "common (one for all methods)",
    "published": "published (each method's own, see the table of recipes)",
}

Cards = Mapping[str, Mapping[str, Any]]


def caption(params: Params, cards: Cards, results: Sequence[Result], tested: Sequence[str]) -> str:
    """Return the sentences that tell data, sample counts, seeds, protocol, head, backbone, schedule and widths."""
    if not results:
        return f"Profile {params.profile}: nothing measured yet."
    protocol = sorted({result.protocol for result in results})
    made = [f"Protocol {', '.join(protocol)}", *settings(params, cards)]
    marks = "Best in bold, second underlined, among networks measured here; rows without training aren't marked."
    what = f"{data(results, tested, stand_ins(params))}; {seeds(results)}{waivers(params)}"
    return f"Profile {params.profile}: {what}. {'; '.join(made)}. {marks}{spread(results)}"


def data(results: Sequence[Result], tested: Sequence[str], synthetic: Sequence[str] = ()) -> str:
    """Return the tested data sets and how many scenes of how many places were scored."""
    titles = [f"{name} (synthetic data of this name)" if name in synthetic else title(name) for name in tested]
    counts = _distinct(result.scenes for result in results)
    places = _distinct(len(found) for result in results if (found := result.places))
    of = f" of {' or '.join(places)} {'place' if places == ['1'] else 'places'}" if places else ""
    return f"{', '.join(titles)}; {' or '.join(counts)} test scenes{of}"


def waivers(params: Params) -> str:
    """Return the checks of data that the profile overrules, with the reasons."""
    said = [f"{name} of {data}: {why}" for data, use in params.datasets.items() for name, why in use.waive.items()]
    return f"; checks waived ({'; '.join(said)})" if said else ""


def stand_ins(params: Params) -> list[str]:
    """Name the data sets that are synthetic: served by this machine and not recorded in the tracked checksums."""
    tracked = Downloads().checksums
    return [
        name
        for name, use in params.datasets.items()
        if urlsplit(use.mirror or "").hostname in ("127.0.0.1", "localhost") and params.downloads.checksums != tracked
    ]


def title(name: str) -> str:
    """Return a data set's name with its title, as far as the registry knows it."""
    return f"{name} ({datasets[name].title})" if name in datasets else name


def seeds(results: Sequence[Result]) -> str:
    """Return how many seeds stand behind a mean."""
    largest = max((result.seeds for result in results), default=0)
    if largest <= 1:
        return "one seed (n = 1, no spread)"
    return f"up to {largest} seeds{PLUS_MINUS}"


def spread(results: Sequence[Result]) -> str:
    """Return the sentence that defines the standard error, with a space before it; "" where none is shown."""
    return f" {ERROR}" if any(result.spreads for result in results) else ""


def settings(params: Params, cards: Cards) -> list[str]:
    """Return head, perceptual backbone, schedule and widths in the words of a caption."""
    found = made_with(params, cards)
    return [f"{name} {value}" for name, value in found.items()]


def made_with(params: Params, cards: Cards) -> dict[str, str]:
    """Return head, perceptual backbone, schedule and widths as the cards tell them; without cards, the parameters."""
    own = list(cards.values())
    head = _distinct(card["head"] for card in own if card.get("head")) or [params.head]
    backbone = _distinct(card["perceptual"] for card in own if card.get("perceptual")) or [params.perceptual.backbone]
    widths = _distinct(card["preset"] for card in own if card.get("preset")) or [params.preset]
    schedule = _distinct(f"{c['steps']} steps at batch {c['batch']}" for c in own if "steps" in c and "batch" in c)
    recipe = _distinct(card["recipe"] for card in own if card.get("recipe")) or [params.recipe]
    device = _distinct(card["device"] for card in own if card.get("device"))
    sizes = _sizes(params)
    if params.codebook_runs:
        schedule.append(f"codebooks {params.stage1.steps} steps at batch {params.stage1.batch}, {_codes(params)}")
    return {
        "output head": " and ".join(head),
        "perceptual backbone": " and ".join(_short(name) for name in backbone),
        "training": ", ".join(schedule) + (f" on {' and '.join(device)}" if device else "") or "none",
        "recipe": " and ".join(RECIPES[name] for name in recipe),
        "widths preset": " and ".join(widths),
        **({"codebooks": sizes} if sizes else {}),
    }


def _sizes(params: Params) -> str:
    """Tell which numbers of codes stand where the paper's row says another, "" if all are the paper's."""
    found = {}
    for row, variant in params.rows(2).items():
        printed = re.search(r"K=(\d+)", row)
        books = (
            params.codebook_runs[run.codebook or ""]
            for run in params.runs_with_codebook.values()
            if run.variant == variant
        )
        if printed and (book := next(books, None)) and book.codes != int(printed[1]):
            found[printed[0]] = book.codes
    said = " and ".join(f"K={codes} in rows called {name}" for name, codes in found.items())
    return f"of {said}" if said else ""


def _codes(params: Params) -> str:
    start = {"uniform": "codes from U(-1/K, 1/K)", "data": "codes from data"}[params.stage1.init]
    share = params.stage1.quantise_from
    return start + (f" and no quantisation before {share:.0%} of the steps" if share else "")


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


def _short(backbone: str) -> str:
    # A card may end in a sha256; its first twelve digits identify the file well enough for a caption.
    return " ".join(word[:12] if len(word) > 40 else word for word in backbone.split())


def _distinct(values: Iterable[object]) -> list[str]:
    return sorted({str(value) for value in values})
