"""The page's section on codebooks: tables, sentences and figures of what `inspect` found."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.report.codebooks import figures, tables
from bench.report.codebooks.figures import InspectedCodebook
from bench.report.codebooks.findings import lowest_seed, sentences
from bench.report.page.page import Figure, PageSection
from bench.report.results.seeds import over_seeds

INTRO = (
    "The paper holds that HDR information is formed by combining LDR representations. What can be measured of it: "
    "whether HDR images choose codes that LDR frames of the same images use, and whether, where the reference frame is "
    "saturated or dark, they choose codes of the half of the codebook that belongs to the frame which exposes that "
    "place best: in an overlapped codebook, more often than chance is what the claim predicts, less often speaks "
    "against it. Vanilla codebooks are the control: every kind may use every code, and their quarters are ranges of "
    "indices, no segments."
)

LATE = (
    " Dashed line: there quantisation begins (stage1.quantise_from), and a run whose codes are drawn from data "
    "(stage1.init) draws them. Grey, before it: measured on the codes as they were at first, which the network didn't "
    "use yet and such a draw throws away."
)


def section(
    setting: str,
    codebooks: Sequence[InspectedCodebook],
    networks: Sequence[Mapping[str, Any]],
    curves: Mapping[str, pd.DataFrame],
    missing: Sequence[str] = (),
) -> PageSection:
    """Make the section of the inspected codebooks, the inspected networks and the codebooks' learning curves by name.

    setting : what captions begin with (`bench.report.results.caption.of_codebooks`).
    """
    reports = [codebook.report for codebook in codebooks]
    made = [tables.codebooks(reports, setting), *tables.claim(reports, setting)] if reports else []
    means = [over_seeds(table, "codebook") for table in made]
    if networks:
        means.append(over_seeds(tables.parts(networks, setting), "run"))
    kept = [str(report["codebook"]) for report in lowest_seed(reports)]
    groups = figures.by_size([codebook for codebook in codebooks if codebook.name in kept])
    drawn = [figure for size, equal in groups.items() for figure in _of_size(size, equal)]
    drawn += _observations([codebook for equal in groups.values() for codebook in equal], curves)
    intro = INTRO if reports else ""
    return PageSection("codebooks", "Codebooks", intro, means, drawn, missing, findings=sentences(reports))


def _of_size(size: int, codebooks: Sequence[InspectedCodebook]) -> Iterator[Figure]:
    sheets = figures.sheets(codebooks)
    for number, sheet in enumerate(sheets, start=1):
        ending, of = f"k{size}" + (f"_{number}" if number > 1 else ""), f"K = {size}"
        of += f" ({number} of {len(sheets)})" if len(sheets) > 1 else ""
        yield from _paper_figures(sheet, ending, of)
        if whole := [one for one in sheet if "overlap" in one.report and "zones" in one.report]:
            yield from _use_figures(whole, ending, of)


def _paper_figures(codebooks: Sequence[InspectedCodebook], ending: str, of: str) -> Iterator[Figure]:
    samples = tables.samples([codebook.report for codebook in codebooks])
    yield Figure(
        f"fig7_{ending}",
        figures.codebook_figure(codebooks),
        f"Codes in space and their use by HDR images, {of} (after the paper's Fig. 7)",
        f"Held-out HDR images: {samples}. Above: codes on the two main axes of each codebook's own PCA; the area of a "
        "dot grows with the HDR hits of its code, an open ring had none. Below: share of the HDR images' vectors that "
        "each code took, in the order of the codebook, and each quarter's sum. In an overlapped codebook L1 uses Q1 "
        "and Q2, L2 Q2 and Q3, L3 Q3 and Q4, HDR all; in a vanilla one the quarters are ranges of indices and no more.",
    )
    yield Figure(
        f"atlas_{ending}",
        figures.atlas_figure(codebooks),
        f"What each code alone decodes to, {of}",
        "One tile a code, in the order of the codebook: the centre of a flat patch of that code, decoded, by mu-law "
        "(mu = 5000). The bar at the left has the colour of the quarter. Struck out: no HDR image used the code "
        f"({samples}). White is the 99.5th percentile of the codebook's own tiles, as decoded codes have no ground "
        "truth.",
    )


def _use_figures(codebooks: Sequence[InspectedCodebook], ending: str, of: str) -> Iterator[Figure]:
    reports = [codebook.report for codebook in codebooks]
    samples = tables.samples(reports)
    yield Figure(
        f"kinds_{ending}",
        figures.kinds_figure(codebooks),
        f"How each kind of image uses the quarters, {of}",
        f"{samples} of each kind. L1 to L3: frames, short to long; H: HDR. Quantisation error: that of the vectors "
        "which chose the quarter. A dash on the axis: none, or no vector.",
    )
    yield Figure(
        f"overlap_{ending}",
        figures.overlap_figure(codebooks),
        f"What kinds of images have in common, {of}",
        f"{samples} of each kind. Left: used codes in common over codes that either uses. Middle: sum over codes of "
        "the smaller of both shares of hits. Right: share of positions at which both chose the same code; frames "
        "aren't aligned. In an overlapped codebook L1 and L3 can't share a code. What chance gives is in the tables.",
    )
    yield Figure(
        f"zones_{ending}",
        figures.zones_figure(codebooks),
        f"What HDR images draw on in each exposure zone, {of}",
        f"{samples}. Share of each zone's HDR vectors (n) that chose each quarter; the lowest bar and the dashed lines "
        "are what every zone would show if zones didn't matter (mixed cells left out). If the claim holds in an "
        "overlapped codebook, saturated cells draw on Q1 and Q2, mid ones on Q2 and Q3, shadows on Q3 and Q4. "
        f"{tables.rule(reports)}",
    )


def _observations(codebooks: Sequence[InspectedCodebook], curves: Mapping[str, pd.DataFrame]) -> list[Figure]:
    """Curves over training, of the codebooks that were measured on held-out images meanwhile."""
    shown = {one.title: curves[one.name] for one in codebooks if figures.observed(curves.get(one.name))}
    if not shown:
        return []
    caption = (
        "Measured during training on the same few held-out scenes, at most four centre crops of 128x128 pixels, by the "
        "share of the codebook's K codes that at least one vector chose, the perplexity of hits, the quantisation "
        "error and the reconstruction. So few vectors use fewer codes than the tables' sample does; nothing was "
        "selected or stopped by these values. L1 to L3: frames, short to long; H: HDR."
    )
    if any(figures.quantised_after(curve) is not None for curve in shown.values()):
        caption += LATE
    drawn = figures.observed_curves(shown)
    return [Figure("observed_codebooks", drawn, "Use of the codebooks over training", caption)]
