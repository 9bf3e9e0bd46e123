"""A dataset: a source of scenes."""

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeVar

from bench.core.errors import Incomplete, UsageError, unknown_name
from bench.core.reading import shown

if TYPE_CHECKING:  # listing datasets doesn't import NumPy
    from bench.core.scene import Scene

T = TypeVar("T")

LAYOUT = "folders"
"""Name of the layout of a dataset that has only one."""


Role = Literal["train", "validation", "test", "no-truth"]
"""What a split is for: recipes are chosen on validation, which may be lacking."""


class Listing(NamedTuple):
    """The scenes of one split: the layout they were found in, and the folder of each, in order.

    beside : scene folder -> other folders that hold files of the scene.
    """

    layout: str
    folders: Sequence[Path]
    beside: Mapping[Path, Sequence[Path]] = {}


class SceneReader(Protocol):
    """The class that a dataset's file defines: it finds scenes, and reads one.

    Where the card names several layouts, it is made with the one to expect, or None to detect it.
    """

    def find(self, root: Path, split: str) -> Listing:
        """List the scene folders of a split, in order; UsageError if there is none or the layout isn't known."""

    def read(self, folder: Path, split: str) -> "Scene":
        """Read and check one of these folders; UsageError, with one sentence, for whatever is wrong with it."""


@dataclass(frozen=True)
class DatasetCard:
    """Metadata of a dataset, known without touching its files. Every field is a literal in the dataset's file.

    splits   : split name -> role.
    sources  : official files: name, url ("" if no plain address exists), mirrors (more addresses), bytes (None if not
               published), sha256 (None: recorded at first download).
    fetch    : "simulate" (made from files beside the dataset's, by its class's `simulate`), "download" (by machine) or
               "manual" (by hand).
    page     : the dataset's home page.
    steps    : what to do by hand where no machine can fetch it, a sentence each.
    layouts  : names of the layouts it is found in; the parameter file may force one.
    expected : split -> published number of scenes.
    """

    name: str
    title: str
    licence: str
    cites: str
    module: str
    attribute: str
    splits: Mapping[str, Role] = field(default_factory=dict)
    sources: tuple[Mapping[str, Any], ...] = ()
    fetch: Literal["simulate", "download", "manual"] = "manual"
    page: str = ""
    steps: tuple[str, ...] = ()
    layouts: tuple[str, ...] = (LAYOUT,)
    expected: Mapping[str, int] = field(default_factory=dict)

    def incomplete(self, split: str, count: int) -> str:
        """Return a sentence that says so where fewer scenes than published are there, else ""."""
        published = self.expected.get(split)
        if published is None or count >= published:
            return ""
        return (
            f"{self.name}/{split}: {count} of {published} scenes; numbers from them don't compare with the whole set's."
        )

    def load(self) -> Any:
        """Import the dataset's module and return the class that carries the card."""
        return getattr(importlib.import_module(self.module), self.attribute)

    def reader(self, layout: str | None = None) -> SceneReader:
        """Return the dataset's reader, for the layout of this name or, with None, for whichever it finds."""
        if layout is not None and layout not in self.layouts:
            raise unknown_name(f"layout of {self.name}", layout, self.layouts)
        made = self.load()
        reader: SceneReader = made(layout) if len(self.layouts) > 1 else made()
        return reader

    def find(self, root: Path, split: str, layout: str | None = None) -> Listing:
        """List the scene folders of one split under `root`; Incomplete where the reader misses a file or folder."""
        if split not in self.splits:
            raise unknown_name(f"split of {self.name}", split, self.splits)
        reader = self.reader(layout)
        with self._told(f"{self.name}/{split}"):
            return reader.find(Path(root), split)

    def read(self, folder: Path, split: str, layout: str | None = None) -> "Scene":
        """Read one of these folders; Incomplete where the reader misses a file, UsageError for whatever is wrong."""
        reader = self.reader(layout)
        with self._told(f'scene "{shown(folder.name)}" of {self.name}'):
            return reader.read(folder, split)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Turn what the disk answers to a reader that doesn't look first into a sentence."""
        try:
            yield
        except OSError as error:
            missing = isinstance(error, FileNotFoundError | NotADirectoryError)
            path, reason = shown(error.filename or "a file"), error.strerror or error
            raise (Incomplete if missing else UsageError)(f"{what}: {path} can't be read ({reason}).") from error

    def scenes(self, root: Path, split: str, layout: str | None = None) -> "Iterator[Scene]":
        """Yield the scenes of one split as the files under `root` hold them, unchecked (`bench.data.checks`)."""
        found = self.find(root, split, layout)
        return (self.read(folder, split, found.layout) for folder in found.folders)


def dataset(name: str, *, title: str, licence: str, cites: str, **card: Any) -> Callable[[type[T]], type[T]]:
    """Register the decorated class as dataset `name`; arguments are literals, the fields of `DatasetCard`."""

    def mark(target: type[T]) -> type[T]:
        target.card = DatasetCard(  # type: ignore[attr-defined]
            name, title, licence, cites, target.__module__, target.__name__, **card
        )
        return target

    return mark
