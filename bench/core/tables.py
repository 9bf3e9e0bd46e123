"""Which variant stands in which row of the paper's tables, and what else a report shows."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from bench.core.section import Section


def _pairs(rows: Any) -> Any:
    """Turn a mapping, or a list of variants, mappings and pairs, into pairs (label, variant); "" for no label."""
    if isinstance(rows, Mapping):
        return tuple(rows.items())
    if not isinstance(rows, list | tuple):
        return rows
    pairs: list[Any] = []
    for row in rows:
        pairs += row.items() if isinstance(row, Mapping) else [("", row) if isinstance(row, str) else row]
    return tuple(pairs)


Rows = Annotated[tuple[tuple[str, str], ...], BeforeValidator(_pairs)]
"""Rows from top to bottom as (label, variant). A file holds a mapping of these, or a list of variants, whose labels
are their methods' (`Params.rows`); an entry of the list that is a mapping gives a label."""


class PaperTable(Section):
    """One of the paper's tables: the variants that stand in its rows, and rows of ours below them."""

    rows: Rows = ()
    controls: Rows = Field(default=(), description="rows of ours below the paper's, not ranked with them")

    @model_validator(mode="after")
    def _told_apart(self) -> "PaperTable":
        labels = [label for label, _ in (*self.rows, *self.controls) if label]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(f"two rows are called {label!r}; give each a label of its own")
        return self


class Tables(Section):
    """The paper's Tables 1 to 3 as far as a profile has them, under the keys "1", "2" and "3"."""

    model_config = ConfigDict(populate_by_name=True)

    first: PaperTable | None = Field(default=None, alias="1")
    second: PaperTable | None = Field(default=None, alias="2")
    third: PaperTable | None = Field(default=None, alias="3")
    against: Mapping[str, str] = Field(
        default_factory=dict, description="variant -> the one it is tested against; Table 3: else the row above"
    )
    floors: tuple[str, ...] = ()
    crops: tuple[str, ...] = Field(default=(), description="variants shown side by side in the crop figures")

    @model_validator(mode="before")
    @classmethod
    def _keys_are_text(cls, content: Any) -> Any:
        # YAML reads an unquoted 1 as a number.
        return {str(key): value for key, value in content.items()} if isinstance(content, Mapping) else content

    @property
    def paper(self) -> dict[int, PaperTable]:
        """The paper's tables that this profile has, by number."""
        tables = {1: self.first, 2: self.second, 3: self.third}
        return {number: table for number, table in tables.items() if table is not None}

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield every variant that the tables name, with the place in the file."""
        for number, table in self.paper.items():
            for part in ("rows", "controls"):
                for label, variant in getattr(table, part):
                    yield f"{number}.{part}" + (f".{label}" if label else ""), variant
        yield from ((f"against.{variant}", other) for variant, other in self.against.items())
        yield from (("against", variant) for variant in self.against)
        for field in ("floors", "crops"):
            yield from ((field, variant) for variant in getattr(self, field))
