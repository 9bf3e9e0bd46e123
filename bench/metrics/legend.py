"""A protocol's settings with their meanings, as text."""

from collections.abc import Iterable, Iterator

from pydantic import BaseModel

Row = tuple[str, str, str]
"""Dotted key, value, meaning."""


def rows(section: BaseModel, prefix: str = "") -> Iterator[Row]:
    """Yield a row for every setting, at any depth; a section that isn't part of the protocol is a row itself."""
    for name, info in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from rows(value, f"{prefix}{name}.")
        else:
            yield prefix + name, shown(value), info.description or ""


def shown(value: object) -> str:
    """Lists with blanks between their items, sentences with semicolons."""
    if not isinstance(value, tuple):
        return str(value)
    items = [str(item) for item in value]
    return ("; " if any(" " in item for item in items) else " ").join(items) or "-"


def table(entries: Iterable[Row]) -> str:
    """One setting a line, keys aligned, meanings in brackets."""
    found = list(entries)
    width = max(len(key) for key, _, _ in found)
    return "\n".join(f"{key:<{width}}  {value}" + (f"  ({note})" if note else "") for key, value, note in found)
