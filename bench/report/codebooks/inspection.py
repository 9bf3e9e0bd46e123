"""Tables of what `inspect` found: use of the codebooks, and whether the network's parts do their work."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.core.scene import IMAGE_KINDS
from bench.metrics.codebook import QUARTERS
from bench.report.table.table import Column, Row, Table, Value

CODEBOOK_COLUMNS = (
    Column("codebook", "codebook"),
    Column("segments", "segments"),
    Column("codes", "K", "", 0),
    Column("mean_square_norm", "mean |code|²", "", 4),
    Column("image_kind", "kind of image"),
    Column("allowed", "codes allowed", "", 0),
    Column("used", "used, share", "", 3),
    Column("perplexity", "perplexity", "", 1),
    Column("quantisation_error", "quantisation error", "", 5),
    Column("psnr_mu", "PSNR-μ", "rebuilt", 2),
    Column("psnr_l", "PSNR-l", "rebuilt", 2),
    *(Column(f"hits_q{i + 1}", f"Q{i + 1}", "hits", 3) for i in range(QUARTERS)),
    *(Column(f"used_q{i + 1}", f"Q{i + 1}", "used", 3) for i in range(QUARTERS)),
    *(Column(f"error_q{i + 1}", f"Q{i + 1}", "error", 4) for i in range(QUARTERS)),
    Column("n_images", "images", shown=False),
    Column("n_vectors", "vectors", shown=False),
    Column("note", "note", shown=False),
)
PART_COLUMNS = (
    Column("run", "run"),
    Column("codes", "K", "", 0),
    Column("psnr_mu", "PSNR-μ", "", 2),
    Column("psnr_mu_permuted_features", "PSNR-μ, F_vq permuted", "", 2),
    Column("fsm_permuted_change", "change, FSM permuted", "", 5),
    Column("mapping_loss_first", "mapping loss, first", "", 5),
    Column("mapping_loss_last", "mapping loss, last", "", 5),
    Column("hdr_perplexity", "perplexity of HDR images", "", 1),
    Column("note", "note", shown=False),
)


def codebooks(found: Sequence[Mapping[str, Any]], setting: str) -> Table:
    """Build the table of codebook use: one row for each codebook and kind of image."""
    rows = tuple(_codebook_row(report, kind) for report in found for kind in IMAGE_KINDS if kind in report["kinds"])
    return Table(
        name="codebooks",
        title="Use of the codebooks on held-out images",
        caption=f"{setting}: {samples(found)}. L1 to L3 are the frames, short to long; H is the ground truth. "
        "Mean |code|²: mean square norm of the codebook's codes, to which the mapping loss's effect is proportional. "
        "Used: share of the codebook's K codes hit at least once (an overlapped one allows L1 to L3 half of them). "
        "Perplexity: exp of the entropy of hits. Quantisation error: mean squared difference of a vector's component "
        "and its code's. PSNR: reconstruction from the codes alone. "
        "Q1 to Q4: the quarters of the codebook, their share of hits, the share of their codes used and the "
        "quantisation error of the vectors that chose them; in a vanilla codebook they are ranges of indices and no "
        "more. Images are padded to multiples of 8 by reflection.",
        columns=CODEBOOK_COLUMNS,
        rows=rows,
        groups={
            ("all", "rebuilt"): "reconstruction, dB",
            ("all", "hits"): "share of hits",
            ("all", "used"): "share used",
            ("all", "error"): "quantisation error",
        },
    )


def samples(found: Sequence[Mapping[str, Any]]) -> str:
    """State what the statistics of some codebooks were counted on."""
    counts = sorted({(int(report["images"]), int(report["vectors"])) for report in found})
    return " and ".join(f"{images} images, {vectors} vectors" for images, vectors in counts) or "nothing inspected yet"


def _codebook_row(report: Mapping[str, Any], kind: str) -> Row:
    values = report["kinds"][kind]
    cells: dict[str, Value] = {
        "codebook": str(report["codebook"]),
        "segments": str(report["segments"]),
        "codes": int(report["codes"]),
        "mean_square_norm": number(report.get("mean_square_norm")),
        "image_kind": kind,
        "allowed": values.get("allowed"),
        "n_images": int(report["images"]),
        "n_vectors": int(report["vectors"]),
    }
    for key in ("used", "perplexity", "quantisation_error", "psnr-mu", "psnr-l"):
        cells[key.replace("-", "_")] = number(values.get(key))
    quarters = {"hits": "quarters", "used": "quarters_used", "error": "quarters_error"}
    shares = {
        f"{name}_q{i + 1}": share for name, fact in quarters.items() for i, share in enumerate(values.get(fact, ()))
    }
    cells |= {key: number(share) for key, share in shares.items()}
    unused = {key: "no vector chose this quarter" for key, share in shares.items() if share is None}
    return row("all", cells, CODEBOOK_COLUMNS, unused)


def parts(found: Sequence[Mapping[str, Any]], setting: str) -> Table:
    """Build the table that shows whether codebook features, mapping loss and FSM matter to the trained networks."""
    return Table(
        name="parts",
        title="Do the parts do their work?",
        caption=f"{setting}. F_vq permuted: the codebook decoder's features are shuffled over space, PSNR-μ "
        "should fall. FSM permuted: the three frames' weights are exchanged, the output should change (largest change "
        "of relative radiance). The mapping loss should fall in training; the perplexity of HDR images should reach "
        "10 % of K.",
        columns=PART_COLUMNS,
        rows=tuple(
            row(
                "all",
                {"run": str(report["run"]), "codes": report.get("codes")}
                | {column.key: number(report.get(column.key.replace("_", "-"))) for column in PART_COLUMNS[2:-1]},
                PART_COLUMNS,
                {},
            )
            for report in found
        ),
    )


def row(panel: str, cells: Mapping[str, Value], columns: Sequence[Column], reasons: Mapping[str, str]) -> Row:
    """Make a row of what an inspection reported; an empty cell without a reason of its own wasn't reported."""
    empty = [c.key for c in columns if cells.get(c.key) is None and c.key != "note"]
    remarks = {key: reasons.get(key, "not reported by this inspection") for key in empty}
    made = Row(panel, cells, remarks)
    return Row(panel, {**cells, "note": made.note}, remarks)


def number(value: Any) -> float | None:
    """Return a reported value as a number, None where there is none."""
    return None if value is None else float(value)
