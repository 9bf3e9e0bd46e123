"""The page's section on codebooks: tables, sentences and figures of what `inspect` found."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.report.codebooks import combination, inspection
from bench.report.codebooks.codebook_figures import Book, atlas_figure, by_size, codebook_figure, sheets
from bench.report.codebooks.combination_findings import lowest_seed, sentences
from bench.report.codebooks.observed_figure import observed, observed_curves, quantised_after
from bench.report.codebooks.use_figures import kinds_figure, overlap_figure, zones_figure
from bench.report.page.page import Figure, Section
from bench.report.results.seeds import over_seeds

INTRO = (
    "The paper holds that HDR information is formed by combining LDR representations. What can be measured of it: "
    "whether HDR images choose codes that LDR frames of the same images use, and whether, where the reference frame is "
    "saturated or dark, they choose codes of the half of the book that belongs to the frame which exposes that place "
    "best. Vanilla books are the control: every kind may use every code, and their quarters are ranges of indices."
)

LATE = (
    " Dashed line: there quantisation begins (stage1.quantise_from), and a run whose codes are drawn from data "
    "(stage1.init) draws them. Grey, before it: measured on the codes as they were at first, which the network didn't "
    "use yet and such a draw throws away."
)


def section(
    setting: str,
    books: Sequence[Book],
    networks: Sequence[Mapping[str, Any]],
    curves: Mapping[str, pd.DataFrame],
) -> Section:
    """Make the section of the inspected books, the inspected networks and the books' learning curves by name.

    setting : what captions begin with (`bench.report.table.caption.of_codebooks`).
    """
    reports = [book.report for book in books]
    tables, missing = [], []
    if reports:
        made = [inspection.codebooks(reports, setting), *combination.tables(reports, setting)]
        tables += [over_seeds(table, "codebook") for table in made]
    else:
        missing.append("No codebook was inspected in this profile, so there is no table of its use and no Fig. 7.")
    if networks:
        tables.append(over_seeds(inspection.parts(networks, setting), "run"))
    else:
        missing.append("No network with a codebook was inspected in this profile.")
    kept = [str(report["codebook"]) for report in lowest_seed(reports)]
    shown = [book for book in books if book.name in kept]
    figures = [figure for size, equal in by_size(shown).items() for figure in _figures(size, equal)]
    figures += _observations([book for equal in by_size(shown).values() for book in equal], curves)
    return Section(
        "codebooks", "Codebooks", INTRO if reports else "", tables, figures, missing, findings=sentences(reports)
    )


def _figures(size: int, books: Sequence[Book]) -> Iterator[Figure]:
    several = sheets(books)
    for number, sheet in enumerate(several, start=1):
        ending, of = f"k{size}" + (f"_{number}" if number > 1 else ""), f"K = {size}"
        of += f" ({number} of {len(several)})" if len(several) > 1 else ""
        yield from _paper_figures(sheet, ending, of)
        whole = [book for book in sheet if "overlap" in book.report and "zones" in book.report]
        if whole:
            yield from _use_figures(whole, ending, of)


def _paper_figures(books: Sequence[Book], ending: str, of: str) -> Iterator[Figure]:
    samples = inspection.samples([book.report for book in books])
    yield Figure(
        f"fig7_{ending}",
        codebook_figure(books),
        f"Codes in space and their use by HDR images, {of} (after the paper's Fig. 7)",
        f"Held-out HDR images: {samples}. Above: codes on the two main axes of each book's own PCA; the area of a dot "
        "grows with the HDR hits of its code, an open ring had none. Below: share of the HDR images' vectors that each "
        "code took, in the order of the book, and each quarter's sum. In an overlapped codebook L1 uses Q1 and Q2, L2 "
        "Q2 and Q3, L3 Q3 and Q4, HDR all; in a vanilla one the quarters are ranges of indices and no more.",
    )
    yield Figure(
        f"atlas_{ending}",
        atlas_figure(books),
        f"What each code alone decodes to, {of}",
        "One tile a code, in the order of the book: the centre of a flat patch of that code, decoded, by mu-law (mu = "
        "5000). The bar at the left has the colour of the quarter. Struck out: no HDR image used the code "
        f"({samples}). White is the 99.5th percentile of the book's own tiles, as decoded codes have no truth.",
    )


def _use_figures(books: Sequence[Book], ending: str, of: str) -> Iterator[Figure]:
    reports = [book.report for book in books]
    samples = inspection.samples(reports)
    yield Figure(
        f"kinds_{ending}",
        kinds_figure(books),
        f"How each kind of image uses the quarters, {of}",
        f"{samples} of each kind. L1 to L3: frames, short to long; H: HDR. Quantisation error: that of the vectors "
        "which chose the quarter. A dash on the axis: none, or no vector.",
    )
    yield Figure(
        f"overlap_{ending}",
        overlap_figure(books),
        f"What kinds of images have in common, {of}",
        f"{samples} of each kind. Left: used codes in common over codes that either uses. Middle: sum over codes of "
        "the smaller of both shares of hits. Right: share of positions at which both chose the same code; frames "
        "aren't aligned. In an overlapped book L1 and L3 can't share a code. What chance gives is in the tables.",
    )
    yield Figure(
        f"zones_{ending}",
        zones_figure(books),
        f"What HDR images draw on in each exposure zone, {of}",
        f"{samples}. Share of each zone's HDR vectors (n) that chose each quarter; the lowest bar and the dashed lines "
        "are what every zone would show if zones didn't matter (mixed cells left out). If the claim holds in an "
        "overlapped book, saturated cells draw on Q1 and Q2, mid ones on Q2 and Q3, shadows on Q3 and Q4. "
        f"{combination.rule(reports)}",
    )


def _observations(books: Sequence[Book], curves: Mapping[str, pd.DataFrame]) -> list[Figure]:
    """Curves over training, of the books that were measured on held-out images meanwhile."""
    shown = {book.title: curves[book.name] for book in books if book.name in curves and observed(curves[book.name])}
    if not shown:
        return []
    caption = (
        "Measured during training on the same few held-out scenes, at most four centre crops of 128x128 pixels, by the "
        "share of the book's K codes that at least one vector chose, the perplexity of hits, the quantisation error "
        "and the reconstruction. So few vectors use fewer codes than the tables' sample does; nothing was selected or "
        "stopped by these values. L1 to L3: frames, short to long; H: HDR."
    )
    if any(quantised_after(curve) is not None for curve in shown.values()):
        caption += LATE
    return [Figure("observed_codebooks", observed_curves(shown), "Use of the codebooks over training", caption)]
