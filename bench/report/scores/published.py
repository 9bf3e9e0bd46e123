"""How many scenes a data set is known to have. Without pandas: `score` asks it too, and starts a third faster so."""

from urllib.parse import urlsplit

from bench.core.params import Downloads, Params
from bench.core.registry import datasets


def synthetic(params: Params) -> list[str]:
    """Name the data sets that are synthetic: served by this machine and not recorded in the tracked checksums."""
    if params.downloads.checksums == Downloads().checksums:
        return []
    local = ("127.0.0.1", "localhost")
    return [name for name, use in params.datasets.items() if urlsplit(use.mirror or "").hostname in local]


def published_scenes(params: Params, dataset: str) -> int | None:
    """Return how many test scenes a data set is known to have; None where nobody knows, or it is a synthetic one."""
    if dataset not in datasets or dataset in synthetic(params):
        return None
    card = datasets[dataset]
    return next((count for split, count in card.expected.items() if card.splits[split] == "test"), None)
