"""Submissions: score rows of other people's results, kept in the repository."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from bench.core.errors import UsageError
from bench.core.params import Params
from bench.io.tables import ScoreRow, read_scores, write_scores
from bench.stages import layout

NAME = r"[a-z0-9]+(-[a-z0-9]+)*"


def path(name: str) -> Path:
    """File of the submission called `name`."""
    return layout.submissions() / f"{name}.csv"


def check(params: Params, name: str, dataset: str, protocols: Collection[str], force: bool) -> None:
    """Refuse a name that can't be kept: not in kebab-case, one of our variants', or taken.

    protocols : ids. A submission may hold several of them and several datasets; what it holds already of one is only
                replaced with `force`.
    """
    if not re.fullmatch(NAME, name):
        raise UsageError(f"a submission can't be called {name!r}; use small letters, digits and hyphens: my-method.")
    if name in params.variants:
        raise UsageError(f"{name!r} is a variant of this benchmark; call the submission something else.")
    if path(name).exists() and not force:
        held = {(row.profile, row.dataset, row.protocol) for row in _rows(name)}
        taken = [protocol for protocol in sorted(protocols) if (params.profile, dataset, protocol) in held]
        if taken:
            raise UsageError(
                f"{path(name)} already holds scores on {dataset} under {', '.join(taken)}; choose another name, or "
                "replace them with --force."
            )


def keep(name: str, rows: Sequence[ScoreRow]) -> Path:
    """Write the rows to the submission's file, in place of those of the same profile, dataset and protocol."""
    replaced = {(row.profile, row.dataset, row.protocol) for row in rows}
    older = _rows(name) if path(name).exists() else []
    kept = [row for row in older if (row.profile, row.dataset, row.protocol) not in replaced]
    write_scores(path(name), sorted([*kept, *rows], key=lambda row: (row.profile, row.dataset, row.protocol)))
    return path(name)


def _rows(name: str) -> list[ScoreRow]:
    rows = (ScoreRow(*cells) for cells in read_scores([path(name)]).itertuples(index=False))
    return [row._replace(seed=None) for row in rows]  # what others submit has no seed
