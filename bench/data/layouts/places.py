"""Layouts: in which folders the scenes of a split lie, also below the folders that archives wrap them in."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.core.dataset import Listing
from bench.core.errors import Incomplete, UsageError
from bench.core.reading import is_folder, shown

DEEP = 2
"""Folders between the root and a layout that are looked through, such as an archive's own."""

SHOWN = 6


class SplitFolders(NamedTuple):
    """One way in which a split may lie: folders that hold scene folders, and the numbers of the scenes that count.

    folders : relative to the layout's base; all that exist are taken, "" is the base itself.
    numbers : first and last number of the split's scene folders, or None if all count.
    """

    folders: tuple[str, ...]
    numbers: tuple[int, int] | None = None


Layout = Mapping[str, Sequence[SplitFolders]]
"""Split -> the ways in which it may lie, the most specific first."""


def natural(name: str) -> list[tuple[int, str]]:
    """Sorting key that orders numbers inside names by value: "2.tif" before "10.tif"."""
    # Not isdigit: "²" is a digit that int refuses.
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name) if part]


def find(root: Path, split: str, layouts: Mapping[str, Layout], dataset: str) -> Listing:
    """List the scene folders of a split under `root`, in natural order, with the name of the layout that fits first.

    Incomplete, with what was expected and what is there, if none fits; UsageError for a scene folder that is a link to
    somewhere outside `root`.
    """
    root = Path(root)
    if not is_folder(root):
        raise Incomplete(f"{dataset}, split {split}: {shown(root)} is no folder.")
    for name, layout in layouts.items():
        for base in _bases(root):
            for place in layout[split]:
                if folders := _scenes(base, place):
                    _refuse_links(root, folders, dataset)
                    return Listing(name, folders)
    raise Incomplete(_nothing(root, split, layouts, dataset))


def _bases(root: Path) -> Iterator[Path]:
    level = [root]
    for _ in range(DEEP + 1):
        yield from level
        level = [folder for above in level for folder in _folders(above)]


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
    except OSError as error:
        raise UsageError(f"{folder}: can't be read ({error.strerror}); check the disk and permissions.") from error


def _scenes(base: Path, place: SplitFolders) -> list[Path]:
    # A folder without an exposure file still counts: that it is incomplete must be said, not passed over.
    holders = [base / name for name in place.folders if (base / name).is_dir()]
    found = [folder for holder in holders for folder in _folders(holder) if _counts(folder.name, place.numbers)]
    if not any(_holds_files(folder) for folder in found):
        return []  # folders of folders: an archive's own, with the scenes below
    return sorted(found, key=lambda folder: (folder.parent.name, natural(folder.name)))


def _holds_files(folder: Path) -> bool:
    try:
        return any(child.is_file() for child in folder.iterdir())
    except OSError:
        return True  # what may not be read is said where it is read


def _counts(name: str, numbers: tuple[int, int] | None) -> bool:
    return numbers is None or (name.isascii() and name.isdecimal() and numbers[0] <= int(name) <= numbers[1])


def _refuse_links(root: Path, folders: Sequence[Path], dataset: str) -> None:
    top = root.resolve()
    for folder in folders:
        if not folder.resolve().is_relative_to(top):
            raise UsageError(
                f"{dataset}: {shown(folder)} is a link to {shown(folder.resolve())}, outside {shown(root)}; copy the "
                "scene there, or name the folder that holds all of them."
            )


def _nothing(root: Path, split: str, layouts: Mapping[str, Layout], dataset: str) -> str:
    ways = [_way(name, place) for name, layout in layouts.items() for place in layout[split]]
    there = [shown(path.name) for path in _folders(root)]
    seen = ", ".join(there[:SHOWN]) + (f" and {len(there) - SHOWN} more" if len(there) > SHOWN else "") or "no folder"
    return (
        f"{dataset}, split {split}: no scenes under {shown(root)}; expected folders in {'; or '.join(ways)}. "
        f"There: {seen}.\nPlace the unpacked archives there."
    )


def _way(layout: str, place: SplitFolders) -> str:
    folders = " or ".join(name or "the folder itself" for name in place.folders)
    numbers = f" numbered {place.numbers[0]:03d} to {place.numbers[1]:03d}" if place.numbers else ""
    return f"{folders}{numbers} ({layout})"


KALANTARI_LIKE: Layout = {
    "train": [SplitFolders((name,)) for name in ("Training", "training", "Train", "train")],
    "test": [SplitFolders(("Test/EXTRA", "Test/PAPER")), SplitFolders(("Test",)), SplitFolders(("test",))],
}
"""Sets whose scenes look like Kalantari's and whose folders are called after the split."""
