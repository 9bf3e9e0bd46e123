"""The trainings and evaluations that a parameter file asks for: derived from its variants and two defaults."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.errors import unknown_name
from bench.core.reading import exists, read_json
from bench.core.registry import code_of, methods

if TYPE_CHECKING:
    from bench.core.params import Params, Variant
    from bench.core.recipe import Kind

UNTRAINED = "untrained"
"""Stands for the training set of what isn't trained here, where test sets are given for each training set."""


@dataclass(frozen=True)
class Run:
    """One training of one variant.

    code     : file or folder of the method.
    codebook : the training of a codebook that it builds on (`CodebookRun`), if any.
    """

    variant: str
    trainset: str
    seed: int
    code: str
    codebook: str | None
    recipe: "Kind | None"


@dataclass(frozen=True)
class CodebookRun:
    """One training of one codebook (`bench.core.params.Codebook`)."""

    codebook: str
    segments: str
    codes: int
    trainset: str
    seed: int


@dataclass(frozen=True)
class Evaluation:
    """One variant on the test split of one data set.

    run     : the training that is evaluated; of a variant that isn't trained here, the variant's own name, under which
              its predictions lie.
    code    : file or folder of the method.
    weights : others' weights, if the variant has such.
    """

    run: str
    variant: str
    dataset: str
    code: str
    weights: str | None = None


def trains(variant: "Variant") -> bool:
    """Tell whether a variant is trained here: it has a network, and no weights of others."""
    return methods[variant.method].trains and variant.weights is None


def head(params: "Params", variant: "Variant") -> str | None:
    """Return a variant's output head: its own choice, else the profile's where the method offers it; None: no heads."""
    heads = methods[variant.method].heads
    if not heads:
        return None
    if variant.weights is not None:
        return heads[0]
    return str(variant.options.get("head", params.head if params.head in heads else heads[0]))


def registration(params: "Params", variant: "Variant") -> str:
    """Return how the frames of a variant's network are registered, in training and prediction: "none", or a name.

    Its method's own way, else the profile's. Others' weights were trained as their authors did: on frames as taken,
    where the method has no way of its own.
    """
    return methods[variant.method].registers or (params.registration if trains(variant) else "none")


RULE = "brighter-where-clipped"
"""The method that bases are made with; on registered frames the registration's name stands before it."""

BASES = {"mu-residual": "reference-only", "rule-residual": RULE}
"""Head of ours -> the method that a network with it gives before its first step, on the frames that it gets."""


def base_of(params: "Params", name: str) -> str | None:
    """Return the row without training that a learned row is compared with, on the frames that it gets.

    name : a run or a variant.
    Of the head `mu-residual` it is `reference-only`; of any other the one-line rule with a bound, which is what
    `rule-residual` gives before the first step. The result is the profile's variant of that method, or, where it has
    none, the method; None for a row that isn't learned. Of weights from elsewhere it is what their card says, where
    that is there. An unknown name, or a damaged card, raises UsageError.
    """
    key = params.runs[name].variant if name in params.runs else name
    if key not in params.variants:
        raise unknown_name("variant", key, params.variants)
    variant = params.variants[key]
    if not methods[variant.method].trains:
        return None
    told = _card(variant)
    registered = told.get("register") or registration(params, variant)
    chosen = variant.options.get("head") or told.get("head") or head(params, variant)
    rule = RULE if registered == "none" else f"{registered}-{RULE}"
    base = "reference-only" if chosen == "mu-residual" else rule
    return next((own for own, other in params.variants.items() if other.method == base), base)


def _card(variant: "Variant") -> Mapping[str, Any]:
    """Read the card beside a variant's weights from elsewhere; {} without one."""
    if variant.weights is None or not exists(card := Path(variant.weights).with_suffix(".json")):
        return {}
    return read_json(card)


def runs(params: "Params") -> dict[str, Run]:
    """Return all trainings of HDR networks by id, first seeds first: an early end leaves whole tables of one seed."""
    found: dict[str, Run] = {}
    wanted = {name: variant for name, variant in params.variants.items() if trains(variant)}
    for rank in range(max((len(s) for v in wanted.values() for s in _train(params, v).values()), default=0)):
        for name, variant in wanted.items():
            for trainset, seeds in _train(params, variant).items():
                if rank < len(seeds):
                    book = variant.codebook and run_id(variant.codebook, trainset, seeds[rank])
                    code = code_of(methods[variant.method].module)
                    run = Run(name, trainset, seeds[rank], code, book, variant.recipe)
                    found[run_id(name, trainset, run.seed)] = run
    return found


def codebook_runs(params: "Params") -> dict[str, CodebookRun]:
    """Return the trainings of codebooks that the runs build on, by id, in the order of the parameter file."""
    order = list(params.codebooks)
    needed = {
        run.codebook: CodebookRun(name, book.segments, book.codes, run.trainset, run.seed)
        for run in params.runs.values()
        if run.codebook is not None
        for name in [params.variants[run.variant].codebook or ""]
        for book in [params.codebooks[name]]
    }
    return dict(sorted(needed.items(), key=lambda item: (item[1].seed, order.index(item[1].codebook))))


def evaluations(params: "Params") -> dict[str, Evaluation]:
    """Return all evaluations by id: what isn't trained here, then every run."""
    found: dict[str, Evaluation] = {}
    for name, variant in params.variants.items():
        if not trains(variant):
            code = code_of(methods[variant.method].module)
            for dataset in _tested(params, variant, UNTRAINED):
                found[f"{name}--{dataset}"] = Evaluation(name, name, dataset, code, variant.weights)
    for key, run in params.runs.items():
        for dataset in _tested(params, params.variants[run.variant], run.trainset):
            found[f"{key}--{dataset}"] = Evaluation(key, run.variant, dataset, run.code)
    return found


def run_id(name: str, trainset: str, seed: int) -> str:
    """Return what the training of a variant or codebook is called."""
    return f"{name}--{trainset}--s{seed}"


def check(params: "Params", expect: Callable[[str, str, Mapping[str, Any]], None]) -> None:
    """Refuse, with a ValueError, sets, seeds and codebooks that don't fit; `expect` refuses an unknown name."""
    for where, trained, tested in _stated(params):
        for trainset, seeds in (trained or {}).items():
            expect(f"{where}train", trainset, params.datasets)
            if len(set(seeds)) != len(seeds):
                raise ValueError(f"{where}train.{trainset}: a seed stands there twice")
        if isinstance(tested, Mapping):
            for trainset in tested:
                expect(f"{where}evaluate", trainset, {**params.datasets, UNTRAINED: None})
        for dataset in _all(tested):
            expect(f"{where}evaluate", dataset, params.datasets)
    for name, variant in params.variants.items():
        for field in ("train", "codebook", "recipe", "stage2"):
            if getattr(variant, field) and not trains(variant):
                why = "it has others' weights" if variant.weights else f"{variant.method} has nothing to train"
                raise ValueError(f"variants.{name}.{field}: it isn't trained here: {why}; remove the field")
        if variant.codebook and "codebook" not in methods[variant.method].requires:
            raise ValueError(f"variants.{name}.codebook: {variant.method} builds on no codebook; remove the field")
        if variant.weights is not None and Path(variant.weights).suffix != ".safetensors":
            raise ValueError(
                f"variants.{name}.weights: {variant.weights!r}: expected a .safetensors file with its card beside it, "
                "as import-weights and trainings write them"
            )
        _need_head(params, name, variant)
    _need_unlike(params)


def _need_head(params: "Params", name: str, variant: "Variant") -> None:
    """Refuse a training with a head of ours on a network that is built without one."""
    card = methods[variant.method]
    chosen = head(params, variant)
    if not trains(variant) or chosen is None or chosen == card.heads[0]:
        return
    options = {**card.presets.get(variant.preset, {}), **variant.options}
    for option, values in card.without_heads.items():
        if options.get(option) in values:
            raise ValueError(
                f"variants.{name}: {variant.method} of {option} {options[option]!r} has no head {chosen!r}; give the "
                f"variant another {option} or preset, or `options: {{head: {card.heads[0]}}}`"
            )


def _need_unlike(params: "Params") -> None:
    """Refuse names whose trainings, evaluations or inspections would be called alike: one would replace the other."""
    books, inspected = params.codebook_runs, {f"network-{run}" for run in params.runs}
    found = [("variants", name) for name in params.variants if name in params.runs]
    found += [("codebooks", name) for name in params.codebooks if name in books]
    found += [("codebooks", book.codebook) for key, book in books.items() if key in inspected]
    for part, name in found:
        raise ValueError(f"{part}: {name!r} is what a training or its inspection is called; take another name")


def _stated(params: "Params") -> Iterator[tuple[str, Any, Any]]:
    yield "", params.train, params.evaluate
    for name, variant in params.variants.items():
        yield f"variants.{name}.", variant.train, variant.evaluate


def _all(tested: Any) -> Iterator[str]:
    if isinstance(tested, Mapping):
        for sets in tested.values():
            yield from sets
    else:
        yield from tested or ()


def _train(params: "Params", variant: "Variant") -> Mapping[str, tuple[int, ...]]:
    return params.train if variant.train is None else variant.train


def _tested(params: "Params", variant: "Variant", trainset: str) -> tuple[str, ...]:
    tested = params.evaluate if variant.evaluate is None else variant.evaluate
    return tuple(tested.get(trainset, ())) if isinstance(tested, Mapping) else tested
