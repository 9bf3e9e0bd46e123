"""Report: tables, figures and the page, all from files that other stages wrote."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bench.core import layout
from bench.core.errors import UsageError
from bench.core.params import Params
from bench.core.places import place
from bench.core.reading import read_json
from bench.core.registry import ROOT, protocols
from bench.io.files import check_destination, write_bytes_atomic, write_json_atomic, write_text_atomic
from bench.io.tables import read_scores
from bench.report.codebooks.figures import InspectedCodebook
from bench.report.codebooks.section import section
from bench.report.cost import predictions
from bench.report.figures.figures import learning_curves
from bench.report.literature import numbers
from bench.report.page.chart import chart
from bench.report.page.page import FOLDER, HOMES, Figure, Front, Page, PageSection, render
from bench.report.results.caption import of_codebooks
from bench.report.results.inputs import Measured, Paper
from bench.report.results.results import clean, collect
from bench.report.scores import cross, differences, front, incomplete, masks, names, recipes, scored, support
from bench.report.scores.summary import caution, facts, findings, standing
from bench.report.stress import section as stress
from bench.report.table.table import Table
from bench.report.table.writers import to_csv, to_latex, to_markdown
from bench.report.trace import digests, origins, provenance
from bench.report.viewer.viewer import FOLDER as VIEWED
from bench.report.viewer.viewer import PAGE
from bench.stages.reporting import pictures, sensitivity, submitted, why
from bench.stages.reporting import viewer as viewing

TITLES = {1: "All methods", 2: "Codebooks: vanilla and overlapped, two sizes", 3: "Ablation of the network's parts"}
INTROS = {
    1: "Floors first, then the paper's rows in its order. The paper's numbers stand behind the switch: they were made "
    "under a protocol that it doesn't state and, where their heading says so, on other data.",
    2: "Each row is the full network (row 7 of Table 3) on another frozen codebook.",
    3: "Each row adds a part to the one before. Rows differ in size, so this isn't a comparison at equal capacity.",
}
DIFFERENCES = "Each row of Tables 1 to 3 against the row that it is tested against, on the same scenes."
PROTOCOL = "Everything that decides a score besides the two images; another protocol gives other numbers."
PAPER_PAGE = "https://arxiv.org/abs/2507.01588"
COMPARISON = f"{VIEWED}/{PAGE}"
PRINTED_BY_PAPERS = "literature/kalantari.md"

WRITERS = {"csv": to_csv, "md": to_markdown, "tex": to_latex}


def run(params: Params, partial: bool = False, out: Path | None = None) -> None:
    """Write {tables,figures,viewer} and index.html of a folder, from reports/<profile>/scores.csv and what there is.

    A part that the parameters don't ask for is absent; one whose input is missing says so on the page.

    out     : the folder; by default reports/<profile>, which git tracks, or `layout.partial`.
    partial : make a report that lacks such parts, of the evaluations that are here if there are any: never in
              reports/<profile>. Elsewhere it replaces a richer one, which raises UsageError without it.

    UsageError for a folder that holds other files, or lies in reports/.
    """
    target = _target(params, partial, out)
    # What was measured: read once, handed down.
    here = [key for key in params.evaluations if partial and layout.scores(params, key).exists()]
    scores = _scores(params, here)
    if not partial:
        _check_inputs(params, target)
    others, notes = submitted.read(scores)
    recorded = {} if here or target == params.reports else _recorded(params)
    sizes = read_json(path) if (path := layout.sizes(params)).exists() else recorded.get("sizes", {})
    measured = Measured(params, collect(scores), _cards(params, recorded), others, sizes)
    papers = {paper.number: paper for paper in read_papers(params)}
    scenes = _prepared(params)

    # The page from top to bottom.
    sections = [_paper_table(paper, measured, notes) for paper in papers.values()]
    if made := recipes.table(measured):
        intro = "What each learned row was trained with, beside its publication's settings."
        sections.append(PageSection("recipes", "Training recipes", intro, [made]))
    supported = support.section(list(papers.values()), measured, scenes) if papers.keys() & {2, 3} else None
    sections += [supported] if supported else []
    if made := cross.table(measured, scores):
        intro = "Rows under the first of each method use weights that never saw the tested set's kind of pictures."
        sections.append(PageSection("cross", "Across data sets", intro, [made]))
    # Takes of the stress test are no sample of anything: their means stand in no other table.
    others = {key: found for key, found in measured.results.items() if key[1] != stress.DATASET}
    plain = replace(measured, results=others)
    if plain.results:
        sections.append(PageSection("masks", "Where methods differ", tables=[masks.table(plain)]))
    if tests := [table for paper in papers.values() if (table := differences.table(paper, measured))]:
        sections.append(PageSection("differences", "Paired differences", DIFFERENCES, tests))
    if 1 in papers and (drawn := predictions.figures(measured, scored.datasets_of(papers[1], measured))):
        sections.append(PageSection("sizes", "Size", figures=drawn))
    broken = stress.section(measured, _taken(params))
    sections += [broken] if broken else []
    if params.sensitivity:
        sections.append(sensitivity.section(params, scores, measured))
        sections.append(why.section(measured))
    sections.append(_protocol(params))
    if params.codebook_runs:
        sections.append(_codebooks(params, scenes))
    sections += pictures.sections(params, scores, measured)
    if params.runs or params.codebook_runs:
        sections.append(_curves(params))

    # Last, so that no table is left out.
    short, known_names = incomplete.incomplete(measured), names.names(measured)
    sections = [
        replace(
            one,
            tables=[names.told(incomplete.told(table, short), measured, known_names) for table in one.tables],
            findings=[names.renamed(sentence, known_names) for sentence in one.findings],
        )
        for one in sections
    ]

    # The folders' files, with what each was made from; the page last, when all that it names is there.
    tables = {"support": _Part("support", {"support.md": support.text(supported).encode()})} if supported else {}
    tables |= {
        table.name: _Part(one.anchor, {f"{table.name}.{end}": write(table).encode() for end, write in WRITERS.items()})
        for one in sections
        for table in one.tables
    }
    figures = {f.name: _Part(one.anchor, {f.file: f.picture}) for one in sections for f in one.figures}
    known = _known(params, scores, sizes)
    tables |= _views(params)
    _write(params, target / "tables", tables, measured, known)
    _write(params, target / "figures", figures, measured, known)
    # Said before the pictures of the viewer are packed, which takes the longest.
    print(f"{len(tables)} tables in {target / 'tables'}, {len(figures)} figures in {target / 'figures'}", flush=True)
    _write_viewer(target, measured, scores, known)
    reached = [sentence for one in sections if one.anchor == "table1" for sentence in findings(one.tables[0])]
    comparison = COMPARISON if (target / COMPARISON).is_file() else ""
    page = Page(params, facts(measured), _front(papers, sections, measured, target), sections, comparison)
    _write_pages(target, render(page))

    for line in (*reached, *submitted.places(measured)):
        print(line)
    left = len(params.evaluations) - len(here)
    pending = f"; evaluations: {len(here)} here, {left} pending" if here and left else ""
    print(f"page: {target / 'index.html'}{pending}")


def _scores(params: Params, here: Sequence[str]) -> pd.DataFrame:
    """Read the score rows of the evaluations `here`; where there are none, those of reports/<profile>/scores.csv."""
    if here:
        return clean(read_scores([layout.scores(params, key) for key in sorted(here)]))
    return read_scores([layout.need(params, params.reports / "scores.csv", "summarize")])


def _target(params: Params, partial: bool, out: Path | None) -> Path:
    """Return the folder of the report; UsageError for one where other files could be lost."""
    if out is None:
        return layout.partial(params) if partial else params.reports
    check_destination("--out", out, folder=True)
    if out.resolve().is_relative_to(Path("reports").resolve()):
        raise UsageError(
            f"--out {out} lies in reports/, whose reports git tracks and only whole ones replace (without --out and "
            "--partial); name a folder elsewhere."
        )
    report = (out / "index.html").is_file() and (out / "tables" / provenance.NAME).is_file()
    if out.exists() and any(out.iterdir()) and not report:
        raise UsageError(f"--out {out} holds files that are no report; name a new or empty folder.")
    return out


def read_papers(params: Params) -> list[Paper]:
    """Return those of the paper's tables that this profile has, with its variants."""
    printed = {n: _printed(ROOT / "reports" / "printed" / f"table{n}.csv") for n in params.tables.paper}
    others = {n: _elsewhere(frame) if n == 1 else {} for n, frame in printed.items()}
    return [Paper(n, TITLES[n], one, params.rows(n), params.controls(n), others[n]) for n, one in printed.items()]


def _elsewhere(printed: pd.DataFrame) -> dict[tuple[str, str, str], str]:
    """Return what sources print of a table's methods: (data set, label, metric) -> half a sentence."""
    found = numbers.ranges(numbers.read(ROOT / "reports" / "literature"))
    names = sorted({method for _, method, _ in found})
    labels = {label: name for label in printed["method"].unique() if (name := numbers.named(label, names))}
    return {
        (dataset, label, metric): numbers.elsewhere(one)
        for (dataset, method, metric), one in found.items()
        for label, name in labels.items()
        if name == method
    }


def _printed(path: Path) -> pd.DataFrame:
    # Empty text cells stay empty text; only numbers may be missing.
    text = ("dataset", "method", "reference_number", "implementation_unavailable", "suspected_copy_error")
    frame = pd.read_csv(path, dtype="str", keep_default_na=False)
    return frame.assign(**{c: pd.to_numeric(frame[c].replace("", None)) for c in frame.columns if c not in text})


def _check_inputs(params: Params, target: Path) -> None:
    """Keep a report from being replaced by a poorer one, as a fresh clone would make: it has scores and no more."""
    inputs = [
        *(layout.weights(params, run).with_suffix(".json") for run in params.runs),
        *(layout.curve(params, run) for run in params.runs),
        *(layout.predictions(params, entry.run, entry.dataset) for entry in params.evaluations.values()),
        *(layout.sensitivity(params, key) for key in params.evaluations if params.sensitivity),
        *(layout.inspection(params, name) for name in params.inspections),
    ]
    missing = [path for path in inputs if not path.exists()]
    if missing and (target / "index.html").exists():
        elsewhere = (
            f"leaves this one alone and writes {layout.partial(params)}" if target == params.reports else "does so"
        )
        raise UsageError(
            f"{len(missing)} of {len(inputs)} files behind {target} aren't here, such as {missing[0]}: a new report "
            f"would lack what they show. Make them with: {layout.pipeline(params)}. Or add --partial, which "
            f"{elsewhere}."
        )


def _recorded(params: Params) -> dict[str, Any]:
    """Read what the report that git tracks records of weights and sizes, which a fresh clone lacks."""
    return _provenance(params.reports / "tables")


def _provenance(folder: Path) -> dict[str, Any]:
    """Read provenance.json of a folder, {} without one; UsageError where its groups aren't objects of objects."""
    path = folder / provenance.NAME
    content = read_json(path) if path.exists() else {}
    for group in ("entries", "runs", "evaluations", "sizes"):
        found = content.get(group, {})
        if not isinstance(found, dict) or not all(isinstance(one, dict) for one in found.values()):
            raise UsageError(f"{path}: {group} isn't an object of objects; restore the file, or make the report again.")
    return content


def _cards(params: Params, recorded: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    known = {run: found["card"] for run, found in recorded.get("runs", {}).items() if "card" in found}
    cards = {run: layout.weights(params, run).with_suffix(".json") for run in params.runs}
    foreign = [(key, entry) for key, entry in params.evaluations.items() if entry.weights]
    for key, entry in reversed(foreign):
        cards[entry.variant] = layout.foreign_card(params, entry)
        if card := recorded.get("evaluations", {}).get(key, {}).get("card"):
            known[entry.variant] = card
    return {
        run: read_json(path) if path.exists() else known[run]
        for run, path in cards.items()
        if path.exists() or run in known
    }


def _prepared(params: Params) -> dict[str, dict[str, list[str]]]:
    """Data set -> split -> names of the prepared scenes, as far as they are there."""
    found: dict[str, dict[str, list[str]]] = {name: {} for name in params.datasets}
    for name, splits in found.items():
        for scene in sorted(layout.scenes(params, name).glob("*/*/")):
            splits.setdefault(scene.parent.name, []).append(scene.name)
    return found


def _taken(params: Params) -> pd.DataFrame | None:
    """Read what the stress test's takes are like, None where they aren't there."""
    path = layout.raw(params, stress.DATASET) / "views.csv"
    return pd.read_csv(path) if path.exists() else None


def _paper_table(paper: Paper, measured: Measured, notes: Sequence[str]) -> PageSection:
    """Make the section of one of the paper's tables; Table 1 has the notes on submissions."""
    table = scored.table(paper, measured)
    missing = notes if paper.number == 1 else ()
    return PageSection(f"table{paper.number}", f"Table {paper.number}", INTROS[paper.number], [table], missing=missing)


def _protocol(params: Params) -> PageSection:
    """Show the file of the profile's protocol: what decides a score besides the two images."""
    text = (protocols.folder / f"{params.protocol}.yaml").read_text(encoding="utf-8")
    return PageSection("protocol", f"This profile's protocol: {protocols[params.protocol].id}", PROTOCOL, text=text)


def _front(papers: Mapping[int, Paper], sections: Sequence[PageSection], measured: Measured, target: Path) -> Front:
    """Make what stands above the tables."""
    tables = {table.name: table for one in sections for table in one.tables}
    crops = [figure for one in sections if one.anchor == "crops" for figure in one.figures]
    first, crop = tables.get("table1"), next(iter(crops), None)
    return Front(
        standing(measured),
        caution(first, measured) if first else "",
        chart(papers[1], first, measured) if first else None,
        front.findings(papers, first, sections, measured),
        crop,
        crop.title.rpartition(" ")[2] if crop else "",
        _links(target, tables),
    )


def _links(target: Path, tables: Mapping[str, Table]) -> dict[str, str]:
    """Return words -> address of what the front links to, as far as it is there."""
    found = {"Paper": PAPER_PAGE}
    root = Path.cwd()  # of the project: commands run there
    if target.resolve().is_relative_to(root) and (root / "README.md").is_file():
        found["Repository"] = f"{os.path.relpath(root, target.resolve())}/README.md"
    if (target / "scores.csv").is_file():
        found["Scores (CSV)"] = "scores.csv"
    if "table1" in tables:
        found |= {"Table 1 (CSV)": "tables/table1.csv", "Table 1 (LaTeX)": "tables/table1.tex"}
    found["Protocol"] = f"{FOLDER}/protocols.html#protocol"
    if (target.parent / PRINTED_BY_PAPERS).is_file():
        found["What papers printed"] = f"../{PRINTED_BY_PAPERS}"
    return found


def _codebooks(params: Params, scenes: Mapping[str, Mapping[str, Sequence[str]]]) -> PageSection:
    found = [path for name in params.codebook_runs if (path := layout.inspection(params, name)).exists()]
    wanted = [f"network-{run}" for run in params.runs_with_codebook]
    networks = [path for name in wanted if (path := layout.inspection(params, name)).exists()]
    curves = {name: pd.read_csv(path) for name, path in _codebook_curves(params).items() if path.exists()}
    cards = {name: layout.codebook(params, name).with_suffix(".json") for name in params.codebook_runs}
    known = {name: read_json(path) for name, path in cards.items() if path.exists()}
    trained = dict.fromkeys(codebook.trainset for codebook in params.codebook_runs.values())
    places = sorted({place(scene) for name in trained for scene in scenes[name].get("test", ())})
    none = "No codebook was inspected in this profile, so there is no table of its use and no Fig. 7."
    missing = [] if found else [none]
    missing += ["No network with a codebook was inspected in this profile."] if wanted and not networks else []
    inspected = [_inspected(path) for path in found]
    return section(
        of_codebooks(params, known, places), inspected, [read_json(path) for path in networks], curves, missing
    )


def _inspected(path: Path) -> InspectedCodebook:
    report = read_json(path)
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
        parts = {name: arrays[name] for name in ("histograms", "codes", "atlas")}
    return InspectedCodebook(str(report["codebook"]), str(report["segments"]), report=report, **parts)


def _codebook_curves(params: Params) -> dict[str, Path]:
    return {name: layout.codebook(params, name).with_suffix(".csv") for name in params.codebook_runs}


def _curves(params: Params) -> PageSection:
    groups = {
        "curves": ("networks", {run: layout.curve(params, run) for run in params.runs}),
        "curves_codebooks": ("codebooks", _codebook_curves(params)),
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
        elif paths:
            missing.append(f"No learning curves of {what} in this profile.")
    return PageSection("curves", "Learning curves", figures=figures, missing=missing)


class _Part(NamedTuple):
    """A table or figure: the section it stands in, and its files by name."""

    section: str
    files: dict[str, bytes]


def _views(params: Params) -> dict[str, _Part]:
    """The records that `fetch` left of simulated views, one file a data set."""
    paths = {name: layout.raw(params, name) / "views.csv" for name in params.datasets}
    present = {name: path for name, path in paths.items() if path.exists()}
    names = {data: "views" if len(present) == 1 else f"views-{data}" for data in present}
    return {names[data]: _Part("views", {f"{names[data]}.csv": path.read_bytes()}) for data, path in present.items()}


def _write(
    params: Params, folder: Path, parts: Mapping[str, _Part], measured: Measured, known: provenance.Known
) -> None:
    """Write a folder of the report and its provenance; what an earlier report left there goes."""
    earlier = _earlier(folder, everything=folder.parent == params.reports)
    files = {file: content for part in parts.values() for file, content in part.files.items()}
    for file, content in files.items():
        write_bytes_atomic(folder / file, content)
    if parts:
        sources = {n: origins.of_file(params, measured.results, part.section, n) for n, part in parts.items()}
        hashes = {n: {file: digests.of_bytes(c) for file, c in part.files.items()} for n, part in parts.items()}
        write_json_atomic(folder / provenance.NAME, provenance.content(params, known, sources, hashes))
        files[provenance.NAME] = b""
    # A table or figure of an earlier run that this one doesn't make would look current; DVC clears them, a call by
    # hand wouldn't.
    for name in earlier - files.keys():
        (folder / name).unlink(missing_ok=True)


def _write_viewer(target: Path, measured: Measured, scores: pd.DataFrame, known: provenance.Known) -> None:
    """Write the page that compares pictures and a script for each scene; without predictions nothing but records."""
    folder, found, params = target / VIEWED, viewing.make(measured, scores), measured.params
    parts = {name: _Part("viewer", {f"{name}.js": script}) for name, script in (found.scripts if found else {}).items()}
    parts |= {"index": _Part("viewer", {PAGE: found.page.encode()})} if found else {}
    _write(params, folder, parts, measured, known)
    if not parts:  # the pipeline needs the folder, and git keeps none that is empty
        write_json_atomic(folder / provenance.NAME, provenance.content(params, known, {}, {}))


def _earlier(folder: Path, everything: bool) -> set[str]:
    """Return the files of an earlier report in `folder`: by its provenance, since a folder of --out may hold others.

    everything : take all files of a report's kinds; in reports/ nothing else lies.
    """
    if everything:
        kinds = (".csv", ".md", ".tex", ".png", ".webp", ".html", ".js", ".json")
        return {path.name for path in folder.glob("*") if path.suffix in kinds}
    entries = _provenance(folder).get("entries", {})
    named = {Path(file).name for entry in entries.values() for file in entry.get("sha256", ())}
    return named | ({provenance.NAME} if entries else set())


def _write_pages(target: Path, pages: Mapping[str, str]) -> None:
    """Write the front and what stands beside it; a page that an earlier report had and this one doesn't goes."""
    for name, _ in HOMES.values():
        if (file := f"{FOLDER}/{name}.html") not in pages:
            (target / file).unlink(missing_ok=True)
    for file, html in pages.items():
        write_text_atomic(target / file, html)


def _known(params: Params, scores: pd.DataFrame, sizes: Mapping[str, Any]) -> provenance.Known:
    """Hash what the other stages left, as far as it is there."""
    rows, curves = clean(scores), _codebook_curves(params)
    folders = {name: sorted(layout.scenes(params, name).glob("*/")) for name in params.datasets}
    return provenance.Known(
        params=digests.of_params(params),
        evaluations={key: _evaluation(params, rows, key) for key in params.evaluations},
        runs={run: _trained(layout.weights(params, run), layout.curve(params, run)) for run in params.runs},
        codebooks={name: _trained(layout.codebook(params, name), path) for name, path in curves.items()},
        datasets={
            name: {path.name: digests.of_records(path) for path in found if path.is_dir()}
            for name, found in folders.items()
        },
        inspections={name: _hashed(json=layout.inspection(params, name)) for name in params.inspections},
        sizes=sizes,
    )


def _evaluation(params: Params, scores: pd.DataFrame, key: str) -> dict[str, Any]:
    entry, found = params.evaluations[key], origins.rows(params, scores, key)
    folder = layout.predictions(params, entry.run, entry.dataset)
    made: dict[str, Any] = {"scores": {"rows": len(found), "sha256": origins.digest(found)}}
    if folder.exists():
        made["predictions"] = digests.of_folder(folder)._asdict()
    if (path := layout.foreign_card(params, entry)).exists():
        made["card"] = provenance.card(read_json(path))
    return made | _hashed(sensitivity=layout.sensitivity(params, key))


def _trained(weights: Path, curve: Path) -> dict[str, Any]:
    card = weights.with_suffix(".json")
    return _hashed(weights=weights, curve=curve) | ({"card": provenance.card(read_json(card))} if card.exists() else {})


def _hashed(**paths: Path) -> dict[str, str]:
    return {f"{name}_sha256": digests.of_file(path) for name, path in paths.items() if path.exists()}
