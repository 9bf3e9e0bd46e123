"""Report: tables, figures and the page, all from files that other stages wrote."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bench.core.params import Params
from bench.core.registry import ROOT
from bench.io.files import write_bytes_atomic, write_text_atomic
from bench.io.tables import read_scores
from bench.metrics.intervals import place
from bench.report import cross, differences, masks, recipes, scored, speed, support
from bench.report.caption import of_codebooks
from bench.report.codebook_figures import Book
from bench.report.codebook_section import section
from bench.report.figures import learning_curves
from bench.report.inputs import Measured, Paper
from bench.report.page import Figure, Page, Section, render
from bench.report.results import collect
from bench.report.summary import facts, findings
from bench.report.table import Table
from bench.report.writers import to_csv, to_latex, to_markdown
from bench.stages import layout, pictures, sensitivity, submitted

TITLES = {1: "All methods", 2: "Codebooks: vanilla and overlapped, two sizes", 3: "Ablation of the network's parts"}


def run(params: Params) -> None:
    """Write reports/<profile>/{tables,figures} and index.html; a part whose input is missing says so on the page."""
    scores = read_scores([layout.need(params, params.reports / "scores.csv", "summarize")])
    others, notes = submitted.read(scores)
    sizes = _json(path) if (path := layout.sizes(params)).exists() else {}
    measured = Measured(params, collect(scores), _cards(params), others, sizes)
    papers = _papers(params)
    tables = [scored.table(paper, measured) for paper in papers]
    tests = {f"table{paper.number}": differences.table(paper, measured) for paper in papers if paper.number != 1}
    scenes = _scenes(params)
    supported = support.section(papers, measured, scenes)
    sections = [
        *_scored_sections(tables, tests, notes, speed.figures(measured, scored.datasets_of(papers[0], measured))),
        *_recipes(measured),
        supported,
        *_cross(measured, scores),
        Section("masks", "Where methods differ", tables=[masks.table(measured)]),
        sensitivity.section(params, scores, measured),
        _codebooks(params, scenes),
        *pictures.sections(params, scores, measured),
        _curves(params),
    ]
    _write_tables(params, [table for section in sections for table in section.tables], support.text(supported))
    _write_figures(params, [figure for section in sections for figure in section.figures])
    page = Page(params, facts(measured), findings(tables[0]), sections)
    write_text_atomic(params.reports / "index.html", render(page))


def _papers(params: Params) -> list[Paper]:
    tables = params.tables
    rows = {1: (tables.table1, {}), 2: (tables.table2, tables.table2_controls)}
    rows[3] = (tables.table3, tables.table3_controls)
    return [
        Paper(number, TITLES[number], _printed(ROOT / "reports" / "printed" / f"table{number}.csv"), own, controls)
        for number, (own, controls) in rows.items()
    ]


def _scenes(params: Params) -> dict[str, dict[str, list[str]]]:
    """Data set -> split -> names of the prepared scenes, as far as they are there."""
    found: dict[str, dict[str, list[str]]] = {name: {} for name in params.datasets}
    for name, splits in found.items():
        for scene in sorted(layout.scenes(params, name).glob("*/*/")):
            splits.setdefault(scene.parent.name, []).append(scene.name)
    return found


def _printed(path: Path) -> pd.DataFrame:
    # Empty text cells stay empty text; only numbers may be missing.
    text = ("dataset", "method", "reference_number", "implementation_unavailable", "suspected_copy_error")
    frame = pd.read_csv(path, dtype="str", keep_default_na=False)
    return frame.assign(**{c: pd.to_numeric(frame[c].replace("", None)) for c in frame.columns if c not in text})


def _cards(params: Params) -> dict[str, dict[str, Any]]:
    cards = {run: layout.weights(params, run).with_suffix(".json") for run in params.runs}
    cards |= {variant: layout.imported_card(params, cell) for variant, cell in params.imported.items()}
    return {run: _json(path) for run, path in cards.items() if path.exists()}


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _scored_sections(
    tables: Sequence[Table], tests: Mapping[str, Table | None], notes: Sequence[str], figures: Sequence[Figure]
) -> list[Section]:
    intros = (
        "Floors first, then the paper's rows in its order. The paper's columns hold its printed values, made under a "
        "protocol that it doesn't state. Where their heading says other data, they are there to be looked up only.",
        "Each row is the full network (row 7 of Table 3) on another frozen codebook.",
        "Each row adds a part to the one before. Rows differ in size, so this isn't a comparison at equal capacity.",
    )
    names = [(f"table{n}", f"Table {n}") for n in (1, 2, 3)]
    first, *rest = zip(names, intros, tables, strict=True)
    made = [Section(*name, intro, [table, *filter(None, [tests[name[0]]])]) for name, intro, table in rest]
    return [Section(*first[0], first[1], [first[2]], figures, notes), *made]


def _recipes(measured: Measured) -> list[Section]:
    made = recipes.table(measured)
    intro = "What each learned row was trained with, beside its publication's settings."
    return [Section("recipes", "Training recipes", intro, [made])] if made else []


def _cross(measured: Measured, scores: pd.DataFrame) -> list[Section]:
    made = cross.table(measured, scores)
    intro = "Rows under the first of each method use weights that never saw the tested set's kind of pictures."
    return [Section("cross", "Across data sets", intro, [made])] if made else []


def _codebooks(params: Params, scenes: Mapping[str, Mapping[str, Sequence[str]]]) -> Section:
    found = [path for name in params.codebooks if (path := layout.inspection(params, name)).exists()]
    networks = [path for run in params.vq_runs if (path := layout.inspection(params, f"network-{run}")).exists()]
    curves = {name: pd.read_csv(path) for name in params.codebooks if (path := _book_curve(params, name)).exists()}
    cards = {name: layout.codebook(params, name).with_suffix(".json") for name in params.codebooks}
    known = {name: _json(path) for name, path in cards.items() if path.exists()}
    trained = dict.fromkeys(book.trainset for book in params.codebooks.values())
    places = sorted({place(scene) for name in trained for scene in scenes[name].get("test", ())})
    setting = of_codebooks(params, known, places)
    return section(setting, [_book(path) for path in found], [_json(path) for path in networks], curves)


def _book(path: Path) -> Book:
    import numpy as np

    report = _json(path)
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
        parts = {name: arrays[name] for name in ("histograms", "codes", "atlas")}
    return Book(name=str(report["codebook"]), segments=str(report["segments"]), report=report, **parts)


def _curves(params: Params) -> Section:
    groups = {
        "curves": ("networks", {run: layout.curve(params, run) for run in params.runs}),
        "curves_codebooks": ("codebooks", {name: _book_curve(params, name) for name in params.codebooks}),
    }
    figures, missing = [], []
    for name, (what, paths) in groups.items():
        curves = {run: pd.read_csv(path) for run, path in paths.items() if path.exists()}
        if curves:
            caption = (
                "Loss terms as logged; one logarithmic axis for all panels, values that aren't positive are gaps. "
                "Where a panel holds several seeds, the lowest is drawn strongly and the others thin."
            )
            figures.append(Figure(name, learning_curves(curves, "loss"), f"Learning curves of the {what}", caption))
        else:
            missing.append(f"No learning curves of {what} in this profile.")
    return Section("curves", "Learning curves", figures=figures, missing=missing)


def _book_curve(params: Params, name: str) -> Path:
    return layout.codebook(params, name).with_suffix(".csv")


def _write_tables(params: Params, tables: Iterable[Table], supported: str) -> None:
    folder = params.reports / "tables"
    files: dict[str, str] = {"support.md": supported}
    for table in tables:
        files |= {f"{table.name}.csv": to_csv(table), f"{table.name}.md": to_markdown(table)}
        files[f"{table.name}.tex"] = to_latex(table)
    views = {name: layout.raw(params, name) / "views.csv" for name in params.datasets}
    present = {name: path for name, path in views.items() if path.exists()}
    for name, path in present.items():
        files["views.csv" if len(present) == 1 else f"views-{name}.csv"] = path.read_text(encoding="utf-8")
    for file, text in files.items():
        write_text_atomic(folder / file, text)
    _sweep(folder, files)


def _write_figures(params: Params, figures: Iterable[Figure]) -> None:
    folder = params.reports / "figures"
    files = {f"{figure.name}.png": figure.png for figure in figures}
    for file, content in files.items():
        write_bytes_atomic(folder / file, content)
    _sweep(folder, files)


def _sweep(folder: Path, written: Iterable[str]) -> None:
    # A table or figure of an earlier run that this one doesn't make would look current; DVC clears them, a call by
    # hand wouldn't.
    for path in folder.glob("*") if folder.exists() else ():
        if path.name not in set(written) and path.suffix in (".csv", ".md", ".tex", ".png"):
            path.unlink()
