"""The top of the page: facts about the profile, and what Table 1 says in a sentence."""

from bench.report.results.caption import data, made_with, seeds
from bench.report.results.inputs import Measured
from bench.report.scores.incomplete import incomplete
from bench.report.table.table import Table

SMALLER = 1.5
"""Times fewer parameters than published from which on networks aren't the published ones."""


def facts(measured: Measured) -> dict[str, str]:
    """Return the box of facts: what was tested on what, under which protocol, and how it was trained."""
    params, results = measured.params, list(measured.results.values())
    tested = list(dict.fromkeys(entry.dataset for entry in params.evaluations.values()))
    trained = sorted({run.trainset for run in params.runs.values()})
    protocol = ", ".join(sorted({result.protocol for result in results}))
    whole, short = data(params, results, tested) if results else "nothing yet", incomplete(measured).values()
    return {
        "tested on": " ".join([f"{whole}.", *short]) if short else whole,
        "trained on": ", ".join(trained) or "nothing",
        "seeds": seeds(results),
        "protocol": protocol or params.protocol,
        **made_with(params, measured.cards),
        "parameter file": params.params_file,
    }


def standing(measured: Measured) -> str:
    """Return in a line what was measured, on what, and how often."""
    params, results = measured.params, list(measured.results.values())
    if not results:
        return "Nothing is measured yet."
    tested = list(dict.fromkeys(entry.dataset for entry in params.evaluations.values()))
    protocols = ", ".join(sorted({result.protocol for result in results}))
    said = f"{data(params, results, tested)}; {seeds(results, spreads=False)}; protocol {protocols}."
    return " ".join([said[0].upper() + said[1:], *incomplete(measured).values()])


def caution(table: Table, measured: Measured) -> str:
    """Return how much smaller Table 1's networks are than published ones; "" where they aren't."""
    pairs = [(row.cells.get("published_params_m"), row.cells.get("params_m")) for row in table.rows]
    ratios = [full / own for full, own in pairs if isinstance(full, float) and isinstance(own, float)]
    if not ratios or min(ratios) < SMALLER:
        return ""
    trained = made_with(measured.params, measured.cards)["training"]
    return (
        f"Networks here have {min(ratios):.0f} to {max(ratios):.0f} times fewer parameters than published ones, and "
        f"little training ({trained}): this ranks what was trained here, not the published methods."
    )


def findings(table: Table) -> list[str]:
    """Return, for each measured data set, where learned rows, others without training and floors lie in PSNR-μ."""
    sentences = []
    for panel in table.panels:
        rows = [row for row in table.rows if row.panel == panel and isinstance(row.cells.get("psnr_mu"), float)]
        own = [row for row in rows if row.ranked and row.cells["kind"] != "submitted"]
        learned = sorted(float(row.cells["psnr_mu"] or 0) for row in own)
        floors = [f"{row.cells['method']} {row.cells['psnr_mu']:.2f}" for row in rows if row.cells["kind"] == "floor"]
        if learned:
            span = " to ".join(dict.fromkeys(f"{value:.2f}" for value in (learned[0], learned[-1])))
            counts = sorted({str(row.cells["scenes"]) for row in rows})
            scenes = " or ".join(counts) + (" scene" if counts == ["1"] else " scenes")
            rest = f"; the floors: {', '.join(floors)} dB" if floors else ""
            if others := [row for row in rows if row.cells["kind"] == "measured" and not row.ranked]:
                best = max(others, key=lambda row: float(row.cells["psnr_mu"] or 0))
                above = sum(value > float(best.cells["psnr_mu"] or 0) for value in learned)
                rest = (
                    f". Without training, {best.cells['method']} reaches {best.cells['psnr_mu']:.2f} dB; "
                    f"{above or 'none'} of {len(learned)} learned rows {'lie' if above != 1 else 'lies'} above it{rest}"
                )
            sentences.append(f"On {panel}, learned rows of Table 1 reach {span} dB PSNR-μ (mean of {scenes}){rest}.")
    return sentences
