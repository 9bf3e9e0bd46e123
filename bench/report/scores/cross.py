"""Cross-dataset tests: weights trained on one set, tested on another, beside those trained on the tested set."""

import pandas as pd

from bench.report.results.caption import caption
from bench.report.results.inputs import Measured
from bench.report.results.results import Summary, collect
from bench.report.scores.scored import METRICS
from bench.report.table.table import Column, Row, Table, Value, hidden, rank

SHOWN = ("psnr_mu", "psnr_l", "ssim_mu", "hdrvdp2")
VALUES = tuple(Column(c.key, c.head, "", c.digits, c.better) for key in SHOWN for c in METRICS if c.key == key)
COLUMNS = (
    Column("dataset", "tested on", shown=False),
    Column("method", "method"),
    *hidden("variant"),
    Column("trainset", "trained on"),
    Column("kind", "kind"),
    *VALUES,
    Column("change", "PSNR-μ against own weights", "", 2),
    Column("scenes", "scenes", "", 0),
    *hidden("seeds", "protocol", "note"),
)


def table(measured: Measured, scores: pd.DataFrame) -> Table | None:
    """Build the table of every variant that was tested on a set it wasn't trained on; None if there is none.

    `change` is the PSNR-μ minus that of the same variant trained on the tested set.
    """
    trainsets = dict.fromkeys(run.trainset for run in measured.params.runs.values())
    found = {
        (variant, trainset, dataset): result
        for trainset in trainsets
        for (variant, dataset), result in collect(scores[scores["trainset"] == trainset]).items()
    }
    crossed = {(variant, dataset) for variant, trainset, dataset in found if trainset != dataset}
    chosen = {key: result for key, result in found.items() if (key[0], key[2]) in crossed}
    if not chosen:
        return None
    order = list(measured.params.datasets)
    keys = sorted(chosen, key=lambda key: (order.index(key[2]), key[0], key[1] != key[2], order.index(key[1])))
    rows = [_row(*key, chosen[key], found.get((key[0], key[2], key[2])), measured) for key in keys]
    tested = list(dict.fromkeys(row.panel for row in rows))
    return Table(
        name="cross",
        title="Trained on one set, tested on another",
        caption=caption(measured.params, measured.cards, list(chosen.values()), tested),
        columns=COLUMNS,
        rows=rank(rows, VALUES, ("dataset", "protocol", "scenes")),
        headings={name: f"Tested on {name}" for name in tested},
    )


def _row(variant: str, trainset: str, dataset: str, result: Summary, own: Summary | None, measured: Measured) -> Row:
    cells: dict[str, Value] = {
        "dataset": dataset, "method": measured.label(variant), "variant": variant, "trainset": trainset,
        "kind": "measured", "scenes": result.scenes, "seeds": result.seeds, "protocol": result.protocol,
    }  # fmt: skip
    remarks: dict[str, str] = {}
    for column in VALUES:
        if (name := column.key.replace("_", "-")) in result.values:
            cells[column.key] = result.values[name]
        else:
            remarks[column.key] = f"not defined by {result.protocol}"
    if trainset == dataset:
        remarks["change"] = "its own weights"
    elif own is None or "psnr-mu" not in own.values or "psnr-mu" not in result.values:
        remarks["change"] = f"no weights of it were trained on {dataset} in this profile"
    else:
        cells["change"] = result.values["psnr-mu"] - own.values["psnr-mu"]
    return Row(dataset, cells, remarks, ranked=True)
