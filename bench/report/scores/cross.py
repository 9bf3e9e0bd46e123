"""Cross-dataset tests: weights trained on one set, tested on another, beside those trained on the tested set."""

from collections.abc import Iterable

import pandas as pd

from bench.report.results.inputs import Measured
from bench.report.results.results import Result, collect
from bench.report.scores.masks import label
from bench.report.table.caption import caption
from bench.report.table.table import Column, Row, Table, Value, rank

SCORES = {"psnr-mu": ("PSNR-μ", 2), "psnr-l": ("PSNR-l", 2), "ssim-mu": ("SSIM-μ", 4), "hdrvdp2": ("HDR-VDP-2", 2)}

VALUES = tuple(Column(name.replace("-", "_"), head, "", digits, "higher") for name, (head, digits) in SCORES.items())
COLUMNS = (
    Column("dataset", "tested on", shown=False),
    Column("method", "method"),
    Column("variant", "variant", shown=False),
    Column("trainset", "trained on"),
    Column("kind", "kind"),
    *VALUES,
    Column("change", "PSNR-μ against own weights", "", 2),
    Column("scenes", "scenes", "", 0),
    Column("seeds", "seeds", shown=False),
    Column("protocol", "protocol", shown=False),
    Column("note", "note", shown=False),
)


def table(measured: Measured, scores: pd.DataFrame) -> Table | None:
    """Build the table of every variant that was tested on a set it wasn't trained on; None if there is none.

    `change` is the PSNR-μ minus that of the same variant trained on the tested set.
    """
    found = {
        (variant, trainset, dataset): result
        for trainset in _trainsets(measured)
        for (variant, dataset), result in collect(scores[scores["trainset"] == trainset]).items()
    }
    crossed = {(variant, dataset) for variant, trainset, dataset in found if trainset != dataset}
    chosen = {key: result for key, result in found.items() if (key[0], key[2]) in crossed}
    if not chosen:
        return None
    order = list(measured.params.datasets)
    keys = sorted(chosen, key=lambda key: (order.index(key[2]), key[0], key[1] != key[2], order.index(key[1])))
    rows = [_row(key, chosen[key], found, measured) for key in keys]
    tested = list(dict.fromkeys(row.panel for row in rows))
    return Table(
        name="cross",
        title="Trained on one set, tested on another",
        caption=caption(measured.params, measured.cards, list(chosen.values()), tested),
        columns=COLUMNS,
        rows=rank(rows, VALUES, ("dataset", "protocol", "scenes")),
        headings={name: f"Tested on {name}" for name in tested},
    )


def _trainsets(measured: Measured) -> Iterable[str]:
    return dict.fromkeys(run.trainset for run in measured.params.runs.values())


def _row(
    key: tuple[str, str, str], result: Result, found: dict[tuple[str, str, str], Result], measured: Measured
) -> Row:
    variant, trainset, dataset = key
    own = found.get((variant, dataset, dataset))
    cells: dict[str, Value] = {
        "dataset": dataset, "method": label(variant, measured), "variant": variant, "trainset": trainset,
        "kind": "measured", "scenes": result.scenes, "seeds": result.seeds, "protocol": result.protocol,
    }  # fmt: skip
    remarks: dict[str, str] = {}
    for name, column in zip(SCORES, VALUES, strict=True):
        if name in result.values:
            cells[column.key] = result.values[name]
        else:
            remarks[column.key] = f"not defined by {result.protocol}"
    if trainset == dataset:
        remarks["change"] = "its own weights"
    elif own is None or "psnr-mu" not in own.values or "psnr-mu" not in result.values:
        remarks["change"] = f"no weights of it were trained on {dataset} in this profile"
    else:
        cells["change"] = result.values["psnr-mu"] - own.values["psnr-mu"]
    made = Row(dataset, cells, remarks, ranked=True)
    return Row(dataset, {**cells, "note": made.note}, remarks, ranked=True)
