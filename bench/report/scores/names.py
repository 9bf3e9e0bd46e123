"""Rows under the names that people read: the true number of codes, and the text's FSM where the tables print FMU."""

from collections.abc import Mapping
from dataclasses import replace

from bench.report.results.inputs import Measured
from bench.report.table.table import Row, Table

PRINTED_FMU = "FSM, frame-selective merging: the paper's table prints FMU"
HEAD = "method"
"""Column that names a row."""


def names(measured: Measured) -> dict[str, str]:
    """Return label of Tables 1 to 3 -> what people read instead, the longest label first."""
    params = measured.params
    rows = (*map(params.rows, (1, 2, 3)), *map(params.controls, (1, 2, 3)))
    found = {label: measured.named(label, variant) for named in rows for label, variant in named.items()}
    return {label: found[label] for label in sorted(found, key=len, reverse=True) if found[label] != label}


def renamed(text: str, known: Mapping[str, str]) -> str:
    """Return the text with every label that it holds as people read it."""
    for label, name in known.items():
        text = text.replace(label, name)
    return text


def told(table: Table, measured: Measured, known: Mapping[str, str]) -> Table:
    """Return the table with names that people read; its CSV keeps the labels, by which rows are found."""
    rows = tuple(_told(row, measured, known) for row in table.rows)
    return replace(table, rows=rows, caption=renamed(table.caption, known))


def _told(row: Row, measured: Measured, known: Mapping[str, str]) -> Row:
    texts = {key: renamed(value, known) for key, value in row.cells.items() if isinstance(value, str)}
    texts = {key: text for key, text in texts.items() if text != row.cells[key]} | dict(row.texts)
    head = str(row.cells.get(HEAD) or "")
    said = next((note for note in row.notes if note.startswith("K = ")), "")
    if said and head in known:
        codes = said.partition(",")[0].replace(" ", "")
        texts[HEAD] = known[head].replace(codes, said)
    asides = {HEAD: PRINTED_FMU} if "FSM" in texts.get(HEAD, head) else {}
    return replace(row, texts=texts, asides={**row.asides, **asides})
