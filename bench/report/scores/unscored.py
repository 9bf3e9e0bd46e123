"""Sets without ground truth: what was predicted, and that nothing of it can be scored."""

from typing import NamedTuple

from bench.report.results.inputs import Measured
from bench.report.table.table import Column, Row, Table, Value, hidden

COLUMNS = (
    *hidden("dataset"),
    Column("method", "method"),
    *hidden("variant"),
    Column("kind", "kind"),
    Column("trainset", "trained on"),
    Column("seed", "seed"),
    Column("scenes", "scenes predicted", "", 0),
    Column("psnr_mu", "scores", "", 2),
    *hidden("note"),
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
    kind = "floor" if entry.variant in measured.params.tables.floors else "measured"
    cells: dict[str, Value] = {
        "dataset": entry.dataset, "method": measured.label(entry.variant), "variant": entry.variant, "kind": kind,
        "scenes": entry.scenes, "trainset": entry.trainset or None,
        "seed": None if entry.seed is None else str(entry.seed),
    }  # fmt: skip
    untrained = {} if entry.trainset else {"trainset": "has no weights", "seed": "has no weights"}
    return Row(entry.dataset, cells, {"psnr_mu": REASON, **untrained})
