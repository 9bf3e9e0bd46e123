"""Which stages a launch is asked for by table and seed, and which of them come first."""

from collections import Counter
from collections.abc import Sequence

from bench.core.errors import UsageError
from bench.core.params import Params


def ranked(params: Params, tables: Sequence[int] = ()) -> dict[str, int]:
    """Return stage -> rank, 0 for the first, of the evaluations and inspections of tables.

    First seeds come before second ones; then what needs the first of the profile's data sets alone; then the tables in
    the order given.
    tables : numbers of the paper's tables, () for all; floors belong to each, and what stands in none follows all.
    UsageError for a table that the profile hasn't.
    """
    places, sets, count = _places(params, tables), list(params.datasets), Counter[tuple[str, str]]()
    seed_of: dict[str, int] = {}
    for key, run in params.runs.items():
        seed_of[key] = count[run.variant, run.trainset]
        count[run.variant, run.trainset] += 1
    found: dict[str, tuple[int, int, int]] = {}
    for key, entry in params.evaluations.items():
        if entry.variant not in places:
            continue
        trained = params.runs.get(entry.run)
        needed = [entry.dataset, *([trained.trainset] if trained else [])]
        rank = seed_of.get(entry.run, 0), max(sets.index(name) for name in needed), places[entry.variant]
        stages = [f"evaluate@{key}"]
        if trained and trained.codebook:
            stages += [f"inspect_network@{entry.run}", f"inspect_codebook@{trained.codebook}"]
        found |= {stage: min(rank, found.get(stage, rank)) for stage in stages}
    shown = list(tables or params.tables.paper)
    if 1 in shown:  # the one table with sizes of networks
        found["sizes"] = (0, 0, shown.index(1))
    order = sorted(set(found.values()))
    return {stage: order.index(rank) for stage, rank in found.items()}


def _places(params: Params, tables: Sequence[int]) -> dict[str, int]:
    """Return variant -> place in the order of the tables, of those that stand in one."""
    paper = params.tables.paper
    for number in tables:
        if number not in paper:
            there = ", ".join(str(known) for known in paper) or "none of them"
            raise UsageError(f"{params.params_file} has no Table {number}; it has {there}.")
    places = {} if tables and {*tables} < {*paper} else dict.fromkeys(params.variants, len(paper))
    for place, number in reversed([*enumerate(tables or paper)]):
        rows = (*paper[number].rows, *paper[number].controls)
        places |= dict.fromkeys((*(variant for _, variant in rows), *params.tables.floors), place)
    return places
