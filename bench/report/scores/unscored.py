"""Sets without ground truth: what was predicted, and that nothing of it can be scored."""

from typing import NamedTuple

from bench.report.results.inputs import Measured
from bench.report.scores.masks import label
from bench.report.table.table import Column, Row, Table, Value

COLUMNS = (
    Column("dataset", "dataset", shown=False),
    Column("method", "method"),
    Column("variant", "variant", shown=False),
    Column("kind", "kind"),
    Column("trainset", "trained on"),
    Column("seed", "seed"),
    Column("scenes", "scenes predicted", "", 0),
    Column("psnr_mu", "scores", "", 2),
    Column("note", "note", shown=False),
)

REASON = "no ground truth exists, so nothing can be scored"


class Predicted(NamedTuple):
    """One run's predictions of a set: scenes that have one, and what its weights were trained on ("" without any)."""

    dataset: str
    variant: str
    trainset: str
    seed: int | None
    scenes: int


def table(measured: Measured, predicted: list[Predicted]) -> Table | None:
    """List the runs that predicted sets without truth; None if there are none."""
    if not predicted:
        return None
    rows = tuple(_row(entry, measured) for entry in predicted)
    return Table(
        name="unscored",
        title="Sets without ground truth",
        caption=f"Profile {measured.params.profile}. For these sets {REASON}; compare the crops by eye.",
        columns=COLUMNS,
        rows=rows,
        headings={row.panel: f"Predicted on {row.panel}" for row in rows},
    )


def _row(entry: Predicted, measured: Measured) -> Row:
    floor = entry.variant in measured.params.tables.floors
    cells: dict[str, Value] = {
        "dataset": entry.dataset, "method": label(entry.variant, measured), "variant": entry.variant,
        "kind": "floor" if floor else "measured", "scenes": entry.scenes, "trainset": entry.trainset or None,
        "seed": None if entry.seed is None else str(entry.seed),
    }  # fmt: skip
    remarks = {"psnr_mu": REASON}
    if not entry.trainset:
        remarks |= {"trainset": "has no weights", "seed": "has no weights"}
    made = Row(entry.dataset, cells, remarks)
    return Row(entry.dataset, {**cells, "note": made.note}, remarks)
