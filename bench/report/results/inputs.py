"""Inputs of tables: the paper's printed rows, and what a profile measured."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from bench.core.errors import UsageError
from bench.core.params import Params
from bench.core.registry import methods
from bench.report.results.results import Results

PAPER_CODES = 1024
"""Codes of the paper's codebook, where a row's label names no number."""
DEFAULT_BLOCK = "kalantari"
"""Data set of a printed table that names none."""


@dataclass(frozen=True)
class Paper:
    """One of the paper's tables: number, what it shows, its rows as printed and our variant for each label.

    controls  : label -> variant of rows of ours that stand below the paper's.
    elsewhere : (data set, label, metric) -> what other sources print, half a sentence.
    """

    number: int
    title: str
    printed: pd.DataFrame
    variants: Mapping[str, str]
    controls: Mapping[str, str] = field(default_factory=dict)
    elsewhere: Mapping[tuple[str, str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a control under the label of another row: tables and tests find rows by label."""
        for label in self.controls:
            if label in self.variants or label in set(self.printed["method"]):
                where = f"tables.{self.number}.controls: {label!r}"
                raise UsageError(f"{where} is the label of another row; give the control a label of its own.")

    @property
    def blocks(self) -> list[str]:
        """Data sets the paper reports on, in its order."""
        return list(self.printed["dataset"].unique()) if "dataset" in self.printed else [DEFAULT_BLOCK]

    def rows(self, block: str) -> list[dict[str, Any]]:
        """Return the printed rows of one block as dictionaries, in the paper's order."""
        printed = self.printed
        if "dataset" in printed:
            printed = printed[printed["dataset"] == block]
        return [{str(key): value for key, value in record.items()} for record in printed.to_dict("records")]

    def extra(self, block: str) -> list[str]:
        """Return labels of ours that this block doesn't print: methods that someone added."""
        return [label for label in self.variants if label not in {str(row["method"]) for row in self.rows(block)}]

    @property
    def own(self) -> dict[str, str]:
        """Label -> variant of every row that has one, from top to bottom."""
        printed = dict.fromkeys(str(label) for label in self.printed["method"])
        above = {label: self.variants[label] for label in printed if label in self.variants}
        return {**above, **self.variants, **self.controls}


@dataclass(frozen=True)
class Measured:
    """A profile's parameters, means, the cards of its weights by run, and others' results.

    submitted : (name, dataset) -> result, under the profile's protocol.
    sizes     : variant -> "measured" or "published" -> parameters and multiply-adds (`bench.stages.cost.sizes`).
    """

    params: Params
    results: Results
    cards: Mapping[str, Mapping[str, Any]]
    submitted: Results = field(default_factory=dict)
    sizes: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)

    def card(self, variant: str) -> Mapping[str, Any]:
        """Return the card of the variant's first run, {} if it has no weights."""
        found = [self.cards[run] for run in sorted(self.cards) if self.cards[run].get("variant") == variant]
        return found[0] if found else {}

    def label(self, variant: str) -> str:
        """Return the paper's label of a variant, as people read it, with ours behind it, or just ours."""
        params = self.params
        for rows in (*map(params.rows, (1, 3, 2)), *map(params.controls, (1, 2, 3))):
            for name, ours in rows.items():
                if ours == variant:
                    return f"{self.named(name, variant)} · {variant}" if name.lower() != variant else name
        return variant

    def named(self, label: str, variant: str) -> str:
        """Return a row's label as people read it: with the codes that the variant has, and FSM for the tables' FMU."""
        codes = self.codes(variant)
        return (re.sub(r"K=\d+", f"K={codes}", label) if codes else label).replace("FMU", "FSM")

    def smaller(self, label: str, variant: str) -> str:
        """Return which number of codes stands in the place of the paper's, "" where it is the paper's or none."""
        codes, printed = self.codes(variant), re.search(r"K=(\d+)", label)
        paper = int(printed[1]) if printed else PAPER_CODES
        return f"K = {codes}, in the place of the paper's {paper}" if codes not in (None, paper) else ""

    @property
    def rows(self) -> list[str]:
        """Variants in the paper's rows, table by table."""
        return [variant for number in self.params.tables.paper for variant in self.params.rows(number).values()]

    @property
    def controls(self) -> list[str]:
        """Variants that stand in tables as controls and nowhere as a row of the paper."""
        numbers, rows = self.params.tables.paper, self.rows
        named = [variant for number in numbers for variant in self.params.controls(number).values()]
        return [variant for variant in named if variant not in rows]

    def kind(self, variant: str) -> str:
        """Return what kind of row a variant of ours makes outside of Tables 1-3: floor, control or measured."""
        if variant in self.params.tables.floors:
            return "floor"
        return "control" if variant in self.controls else "measured"

    def learned(self, variant: str) -> bool:
        """Tell whether a variant of ours has trained weights, its own or others'."""
        made = self.params.variants.get(variant)
        return made is not None and made.method in methods and methods[made.method].trains

    def choices(self, variant: str) -> tuple[str, ...]:
        """Return notes on a method without training: what its settings were chosen on, its preset and other options."""
        made = self.params.variants.get(variant)
        if made is None or made.method not in methods or self.learned(variant):
            return ()
        card = methods[made.method]
        chosen = [f"preset {made.preset}"] if card.presets else []
        chosen += [f"{name} {value}" for name, value in made.options.items()]
        ran = [f"{card.label}: {', '.join(chosen)}"] if chosen else []
        return (*([card.tuned] if card.tuned else []), *ran)

    def fewer(self, name: str, dataset: str) -> tuple[str, ...]:
        """Return a note if a submission holds another number of scenes than were measured here."""
        own = max(found.scenes for (_, tested), found in self.results.items() if tested == dataset)
        scenes = self.submitted[name, dataset].scenes
        return (f"scored on {scenes} scenes, {own} were measured here; not ranked",) if scenes != own else ()

    def codebook(self, variant: str) -> str:
        """Return the name of the codebook of the variant's first run, "" without a codebook."""
        runs = (run for run in self.params.runs_with_codebook.values() if run.variant == variant)
        return next((run.codebook for run in runs if run.codebook), "")

    def codes(self, variant: str) -> int | None:
        """Return the number of codes in that codebook, None without a codebook."""
        name = self.codebook(variant)
        return self.params.codebook_runs[name].codes if name else None
