"""What is timed: variants of a profile or registered methods, and what decides how long they take."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from bench.core.errors import unknown_name
from bench.core.fingerprint import fingerprint
from bench.core.params import Params
from bench.core.registry import ROOT, methods
from bench.report.cost.speed import Speed

PROFILE = "profile"
"""Stands for the presets that the profile's variants name."""


class Subject(NamedTuple):
    """A method of one size: a variant of the profile, with the run whose network it is, or a registered method."""

    name: str
    label: str
    method: str
    preset: str
    run: str = ""
    options: Mapping[str, Any] = {}


def subjects(params: Params, names: Sequence[str], preset: str) -> list[Subject]:
    """Return what is to be measured; UsageError for an unknown name.

    names  : variants of the profile where `preset` is "profile", else methods; none: floors and Table 1, or all.
    preset : "profile", or the same for all methods.
    """
    if preset == PROFILE:
        known = {name: _variant(params, name) for name in params.variants}
        wanted = dict.fromkeys([*params.tables.floors, *params.tables.table1.values()])
        default = [name for name in wanted if name in known]
        noun = f"variant (variants in {params.params_file})"
    else:
        known = {name: _registered(name, preset) for name in methods}
        default, noun = list(known), "method"
        if not any(preset in methods[name].presets for name in methods):
            raise unknown_name("preset", preset, {p for card in methods.values() for p in card.presets})
    for name in names:
        if name not in known:
            raise unknown_name(noun, name, known)
    return [known[name] for name in names or default]


def _registered(name: str, preset: str) -> Subject:
    card = methods[name]
    own = preset if card.trains or preset in card.presets else next(iter(card.presets), "none")
    return Subject(name, card.label, name, own)


def _variant(params: Params, name: str) -> Subject:
    variant = params.variants[name]
    labels = {own: label for label, own in params.tables.table1.items()}
    run = next((key for key, run in params.runs.items() if run.variant == name), "")
    label = labels.get(name) or (methods[variant.method].label if not methods[variant.method].trains else name)
    return Subject(name, label, variant.method, variant.preset, run, variant.options)


def stamp(params: Params, subject: Subject) -> str:
    """Hash what decides how long a prediction takes, size and threads apart."""
    run = params.runs.get(subject.run)
    name = run.codebook if run and run.codebook else ""
    book = params.codebook_runs.get(name)
    settings = {
        "network": [subject.method, subject.preset, subject.options, params.head, params.tile],
        "book": [book.codes, book.segments, params.stage1_of(name).network] if book else None,
        "torch": torch.__version__,
    }
    place = Path(*methods[subject.method].module.split(".")[:2])
    source = str(place) if (ROOT / place).is_dir() else f"{place}.py"
    return fingerprint("timing", source, settings=settings)


def outdated(params: Params, speed: Speed) -> bool:
    """Tell whether a row was measured of another network, or with other code, than its name means now."""
    meant = [_variant(params, speed.name)] if speed.name in params.variants else []
    meant += [_registered(speed.name, speed.preset)] if speed.name in methods else []
    return all(stamp(params, subject) != speed.stamp for subject in meant)
