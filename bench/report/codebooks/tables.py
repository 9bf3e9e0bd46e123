"""Tables of what `inspect` found: use of codebooks, whether a network's parts do their work, and the paper's claim.

The claim: HDR images are made of LDR representations. Its tables tell how kinds of images share a codebook, and what
HDR images draw on in each exposure zone.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from bench.core.scene import IMAGE_KINDS
from bench.metrics.codebook import QUARTERS
from bench.metrics.overlap import sharers
from bench.report.table.table import Column, Row, Table, Value

Report = Mapping[str, Any]

LDR = IMAGE_KINDS[:3]
ZONES = ("shadows", "mid", "saturated", "mixed")
UNMIXED = "all but mixed"
"""Name of the row over all zones: cells that belong to none aren't counted in it."""
EMPTY = "no cell of this zone in these images"


def _quarters(name: str, digits: int = 3) -> tuple[Column, ...]:
    return tuple(Column(f"{name}_q{i + 1}", f"Q{i + 1}", name, digits) for i in range(QUARTERS))


CODEBOOK = (Column("codebook", "codebook"), Column("segments", "segments"), Column("codes", "K", "", 0))
NOTE = Column("note", "note", shown=False)
TAIL = (Column("n_vectors", "vectors", "", 0), NOTE)

CODEBOOK_COLUMNS = (
    *CODEBOOK,
    Column("mean_square_norm", "mean |code|²", "", 4),
    Column("image_kind", "kind of image"),
    Column("allowed", "codes allowed", "", 0),
    Column("used", "used, share", "", 3),
    Column("perplexity", "perplexity", "", 1),
    Column("quantisation_error", "quantisation error", "", 5),
    Column("psnr_mu", "PSNR-μ", "rebuilt", 2),
    Column("psnr_l", "PSNR-l", "rebuilt", 2),
    *_quarters("hits"),
    *_quarters("used"),
    *_quarters("error", 4),
    Column("n_images", "images", shown=False),
    Column("n_vectors", "vectors", shown=False),
    NOTE,
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
    NOTE,
)
OVERLAP_COLUMNS = (
    *CODEBOOK,
    Column("first", "kind"),
    Column("second", "and kind"),
    Column("jaccard", "used codes, Jaccard", "", 3),
    Column("shared", "shared mass", "", 3),
    Column("same", "found", "same", 3),
    Column("same_by_chance", "by chance", "same", 3),
    *TAIL,
)
ZONE_COLUMNS = (
    *CODEBOOK,
    Column("zone", "zone of the reference"),
    *_quarters("hits"),
    Column("used", "used, share", "", 3),
    Column("perplexity", "perplexity", "", 1),
    *TAIL,
)
SHARERS = {name: f"codes_{name.lower().replace('+', '_')}" for name in sharers(LDR)}
SHARER_COLUMNS = (
    *CODEBOOK,
    Column("of", "share of"),
    *(Column(key, "none" if name == "none" else name, "by", 3) for name, key in SHARERS.items()),
    *(Column(f"same_{kind.lower()}", kind, "same", 3) for kind in LDR),
    *(Column(f"chance_{kind.lower()}", kind, "chance", 3) for kind in LDR),
    *TAIL,
)
CLAIM_COLUMNS = (
    *CODEBOOK,
    Column("unshared", "share of HDR vectors", "unshared", 3),
    Column("unshared_codes", "share of codes", "unshared", 3),
    Column("information", "bits", "", 4),
    Column("information_shifted", "bits by chance (95 %)", "", 4),
    Column("cramers_v", "Cramér's V", "", 3),
    *(
        Column(f"{zone}_{key}", head, zone, 3)
        for zone in ("saturated", "mid", "shadows")
        for key, head in (("half", "share"), ("low", "by chance, low"), ("high", "by chance, high"))
    ),
    *TAIL,
)


def codebooks(found: Sequence[Report], setting: str) -> Table:
    """Build the table of codebook use: one row for each codebook and kind of image."""
    rows = tuple(_codebook_row(report, kind) for report in found for kind in IMAGE_KINDS if kind in report["kinds"])
    return Table(
        name="codebooks",
        title="Use of the codebooks on held-out images",
        caption=f"{setting}: {samples(found)}. L1 to L3 are the frames, short to long; H is the ground truth. "
        "Mean |code|²: mean square norm of the codebook's codes, in units of which stage 2's mapping loss counts. "
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


def samples(found: Sequence[Report]) -> str:
    """State what the statistics of some codebooks were counted on."""
    counts = sorted({(int(report["images"]), int(report["vectors"])) for report in found})
    return " and ".join(f"{images} images, {vectors} vectors" for images, vectors in counts) or "nothing inspected yet"


def _codebook_row(report: Report, kind: str) -> Row:
    values = report["kinds"][kind]
    cells: dict[str, Value] = {
        **_codebook(report),
        "mean_square_norm": _number(report.get("mean_square_norm")),
        "image_kind": kind,
        "allowed": values.get("allowed"),
        "n_images": int(report["images"]),
    }
    for key in ("used", "perplexity", "quantisation_error", "psnr-mu", "psnr-l"):
        cells[key.replace("-", "_")] = _number(values.get(key))
    quarters = {"hits": "quarters", "used": "quarters_used", "error": "quarters_error"}
    shares = {
        f"{name}_q{i + 1}": share for name, fact in quarters.items() for i, share in enumerate(values.get(fact, ()))
    }
    cells |= {key: _number(share) for key, share in shares.items()}
    unused = {key: "no vector chose this quarter" for key, share in shares.items() if share is None}
    return _row(cells, CODEBOOK_COLUMNS, unused)


def parts(found: Sequence[Report], setting: str) -> Table:
    """Build the table that shows whether codebook features, mapping loss and FSM matter to the trained networks."""
    return Table(
        name="parts",
        title="Do the parts do their work?",
        caption=f"{setting}. F_vq permuted: the codebook decoder's features are shuffled over space, PSNR-μ "
        "should fall. FSM permuted: the three frames' weights are exchanged, the output should change (largest change "
        "of relative radiance). The mapping loss, times its weight and in mean squares of the codebook, should fall in "
        "training; the perplexity of HDR images should reach "
        "10 % of K.",
        columns=PART_COLUMNS,
        rows=tuple(
            _row(
                {"run": str(report["run"]), "codes": report.get("codes")}
                | {column.key: _number(report.get(column.key.replace("_", "-"))) for column in PART_COLUMNS[2:-1]},
                PART_COLUMNS,
                {},
            )
            for report in found
        ),
    )


def _row(cells: Mapping[str, Value], columns: Sequence[Column], reasons: Mapping[str, str]) -> Row:
    """Make a row of what an inspection reported; an empty cell without a reason of its own wasn't reported."""
    empty = [c.key for c in columns if cells.get(c.key) is None and c.key != "note"]
    remarks = {key: reasons.get(key, "not reported by this inspection") for key in empty}
    return Row("all", {**cells, "note": Row("all", cells, remarks).note}, remarks)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def claim(found: Sequence[Report], setting: str) -> list[Table]:
    """Build the tables about the claim, from the codebooks that were inspected for it; none without any."""
    complete = [report for report in found if "overlap" in report and "zones" in report]
    if not complete:
        return []
    return [make(complete, setting) for make in (_claim, _zones, _sharers, _overlaps)]


def rule(found: Sequence[Report]) -> str:
    """State in a sentence or two what the exposure zones are."""
    rules = [report["zones"]["rule"] for report in found if "zones" in report]
    wordings = dict.fromkeys(
        f"Zones are those of the reference frame in cells of {int(one['cell'])}x{int(one['cell'])} pixels, one for "
        f"each HDR vector: a pixel is saturated if a channel is at least {one['bright']:g} of full scale "
        f"({one['bright'] * 255:.0f} of 255, gamma-encoded), in the shadows if all are below {one['dark']:g} "
        f"({one['dark'] * 255:.0f} of 255), mid otherwise; a cell belongs to a zone if {one['majority']:.0%} of its "
        "pixels or more do, and is mixed otherwise."
        for one in rules
    )
    return " ".join(wordings)


def _claim(found: Sequence[Report], setting: str) -> Table:
    zones = [report["zones"] for report in found]
    shifts = " or ".join(dict.fromkeys(str(one["shifts"]) for one in zones))
    return Table(
        name="codebooks_claim",
        title="Are HDR images made of LDR representations? The claim in numbers",
        caption=f"{setting}: {samples(found)}. Used by no frame: share of HDR vectors on codes, and share of the "
        "codebook's codes, that no frame of the same images uses. Bits: mutual information of exposure zone and "
        "quarter over HDR vectors. Last groups: share of a zone's HDR vectors in the half of the codebook that OLC "
        "gives to the frame which exposes the zone best: saturated, L1 (Q1, Q2); mid, L2 (Q2, Q3); shadows, L3 (Q3, "
        f"Q4). By chance: what {shifts} random shifts of each image's zone map give, which keep how zones and codes "
        "cluster; 95 % of them stay below these bits, and 95 % lie between low and high. Neighbouring vectors aren't "
        f"independent, so no test that counts vectors would hold. {rule(found)}",
        columns=CLAIM_COLUMNS,
        rows=tuple(_claim_row(report) for report in found),
        groups={
            ("all", "unshared"): "used by no frame:",
            ("all", "saturated"): "saturated, in Q1+Q2:",
            ("all", "mid"): "mid, in Q2+Q3:",
            ("all", "shadows"): "shadows, in Q3+Q4:",
        },
    )


def _claim_row(report: Report) -> Row:
    zones = report["zones"]
    cells = _codebook(report) | {
        "unshared": _number(zones["sharers"]["mass"]["none"]),
        "unshared_codes": _number(zones["sharers"]["codes"]["none"]),
        "information": _number(zones["information"]),
        "information_shifted": _number(zones["information_shifted"]["high"]),
        "cramers_v": _number(zones["cramers_v"]),
    }
    reasons: dict[str, str] = {}
    for zone in ("saturated", "mid", "shadows"):
        half = zones["zones"][zone].get("half")
        found = (half["share"], half["shifted"]["low"], half["shifted"]["high"]) if half else (None,) * 3
        cells |= {f"{zone}_{key}": _number(value) for key, value in zip(("half", "low", "high"), found, strict=True)}
        reasons |= {f"{zone}_{key}": EMPTY for key in ("half", "low", "high")}
    return _row(cells, CLAIM_COLUMNS, reasons)


def _zones(found: Sequence[Report], setting: str) -> Table:
    return Table(
        name="codebooks_zones",
        folded=True,
        title="What HDR images draw on, by exposure zone",
        caption=f"{setting}: {samples(found)}. Share of each zone's HDR vectors that chose a code of each "
        f"quarter; the row {UNMIXED} is what each zone would show if zones didn't matter. "
        f"Used and perplexity fall with the number of vectors, so compare them between codebooks only. {rule(found)}",
        columns=ZONE_COLUMNS,
        rows=tuple(one for report in found for one in _zone_rows(report)),
        groups={("all", "hits"): "share of vectors"},
    )


def _zone_rows(report: Report) -> Iterator[Row]:
    zones = report["zones"]["zones"]
    unmixed = {
        "vectors": sum(int(zones[zone]["vectors"]) for zone in ZONES if zone != "mixed"),
        "quarters": report["zones"]["expected"] or (),
    }
    reasons = {column.key: EMPTY for column in ZONE_COLUMNS}
    by_zone = dict.fromkeys(("used", "perplexity"), "counted by zone and over all cells only")
    for zone, values in {**{zone: zones[zone] for zone in ZONES}, UNMIXED: unmixed}.items():
        cells = _codebook(report) | {"zone": zone, "n_vectors": int(values["vectors"])}
        cells |= {f"hits_q{i + 1}": _number(share) for i, share in enumerate(values.get("quarters", ()))}
        cells |= {key: _number(values.get(key)) for key in ("used", "perplexity")}
        yield _row(cells, ZONE_COLUMNS, reasons | (by_zone if zone == UNMIXED else {}))


def _sharers(found: Sequence[Report], setting: str) -> Table:
    return Table(
        name="codebooks_sharers",
        folded=True,
        title="Whose codes HDR images use",
        caption=f"{setting}: {samples(found)}. HDR vectors by which frames of the same images use their code "
        "too, each vector in one column; the last row of a codebook counts codes instead, as if all were used equally. "
        "Same code and place: share of HDR vectors whose code is the one that the frame's vector at the same place "
        "chose; by chance: what independent choices would give. Frames aren't aligned, so motion lowers it. By the "
        f"rule of segments, L1 and L3 have no code in common in an overlapped codebook. {rule(found)}",
        columns=SHARER_COLUMNS,
        rows=tuple(one for report in found for one in _sharer_rows(report)),
        groups={
            ("all", "by"): "code also used by",
            ("all", "same"): "same code and place as",
            ("all", "chance"): "by chance, as",
        },
    )


def _sharer_rows(report: Report) -> Iterator[Row]:
    zones, overlap, hdr = report["zones"], report["overlap"], IMAGE_KINDS.index("H")
    same = {key: dict(zip(IMAGE_KINDS, overlap[key][hdr], strict=True)) for key in ("same", "same_by_chance")}
    whole = {"vectors": report["vectors"], "sharers": zones["sharers"]["mass"], **same}
    codes = {"vectors": report["vectors"], "sharers": zones["sharers"]["codes"]}
    parts = {f"HDR vectors, {zone}": zones["zones"][zone] for zone in ZONES}
    for name, values in {"all HDR vectors": whole, **parts, "codes of the codebook": codes}.items():
        cells = _codebook(report) | {"of": name, "n_vectors": int(values["vectors"])}
        cells |= {SHARERS[who]: _number(share) for who, share in values.get("sharers", {}).items()}
        for key, prefix in (("same", "same"), ("same_by_chance", "chance")):
            cells |= {f"{prefix}_{kind.lower()}": _number(values.get(key, {}).get(kind)) for kind in LDR}
        reason = "a code has no place" if values is codes else EMPTY
        yield _row(cells, SHARER_COLUMNS, {column.key: reason for column in SHARER_COLUMNS})


def _overlaps(found: Sequence[Report], setting: str) -> Table:
    return Table(
        name="codebooks_overlap",
        folded=True,
        title="Overlap of what kinds of images use",
        caption=f"{setting}: {samples(found)}. Jaccard: codes that both kinds use over codes that either uses. "
        "Shared mass: histogram intersection, the sum over codes of the smaller of both shares. Same: share of "
        "positions at which both chose the same code, and what independent choices would give; frames aren't aligned, "
        "so motion lowers it. By the rule of segments alone, neighbouring frames of an overlapped codebook can share "
        "half of what they may use, L1 and L3 nothing.",
        columns=OVERLAP_COLUMNS,
        rows=tuple(one for report in found for one in _overlap_rows(report)),
        groups={("all", "same"): "same code at the same place,"},
    )


def _overlap_rows(report: Report) -> Iterator[Row]:
    for i, j in combinations(range(len(IMAGE_KINDS)), 2):
        cells = _codebook(report) | {"first": IMAGE_KINDS[i], "second": IMAGE_KINDS[j]}
        cells |= {key: _number(report["overlap"][key][i][j]) for key in ("jaccard", "shared", "same", "same_by_chance")}
        yield _row(cells, OVERLAP_COLUMNS, {})


def _codebook(report: Report) -> dict[str, Value]:
    return {
        "codebook": str(report["codebook"]),
        "segments": str(report["segments"]),
        "codes": int(report["codes"]),
        "n_vectors": int(report["vectors"]),
    }
