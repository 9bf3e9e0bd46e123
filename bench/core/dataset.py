"""A dataset: a source of scenes."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bench.core.errors import unknown_name

if TYPE_CHECKING:  # listing datasets doesn't import NumPy
    from bench.core.scene import Scene

T = TypeVar("T")


@dataclass(frozen=True)
class DatasetCard:
    """What is known of a dataset without touching its files. Every field is a literal in the dataset's file.

    splits  : split name -> role: "train", "test" or "no-truth".
    sources : official files: url, bytes (None if not published), sha256 ("recorded at first download" if not).
    fetch   : "simulate" (made from files of this repository) or "manual" (placed by the user).
    """

    name: str
    title: str
    licence: str
    cites: str
    module: str
    attribute: str
    splits: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[Mapping[str, Any], ...] = ()
    fetch: str = "manual"

    def load(self) -> Any:
        """Import the dataset's module and return the class that carries the card."""
        return getattr(importlib.import_module(self.module), self.attribute)

    def scenes(self, root: Path, split: str) -> "Iterator[Scene]":
        """Yield the checked scenes of one split from the files under `root`."""
        if split not in self.splits:
            raise unknown_name(f"split of {self.name}", split, self.splits)
        scenes: Iterator[Scene] = self.load()().scenes(Path(root), split)
        return scenes


def dataset(name: str, *, title: str, licence: str, cites: str, **card: Any) -> Callable[[type[T]], type[T]]:
    """Register the decorated class as dataset `name`; arguments are literals, the fields of `DatasetCard`."""

    def mark(target: type[T]) -> type[T]:
        target.card = DatasetCard(  # type: ignore[attr-defined]
            name, title, licence, cites, target.__module__, target.__name__, **card
        )
        return target

    return mark
