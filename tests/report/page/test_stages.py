import json
import platform
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from bench.core import layout
from bench.core.errors import UsageError
from bench.io.tables import ScoreRow, read_scores, write_scores
from bench.stages.reporting import report
from bench.stages.scoring import summarize
from tests.report.conftest import QUALITY, card, fill, parameters, variant, write_json, write_score_files
from tests.shared import undrawn


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def everything(folder):
    """Return the text of all pages of a report."""
    paths = [folder / "index.html", *sorted(folder.glob("pages/*.html"))]
    return "".join(path.read_text(encoding="utf-8") for path in paths)


def test_two_runs_give_the_same_bytes(reported):
    _, first, second = reported
    assert files(first) == files(second)


def test_what_is_written(reported):
    found = set(files(reported[1]))
    tables = [
        "table1",
        "table2",
        "table2_differences",
        "table3",
        "table3_differences",
        "masks",
        "codebooks",
        "parts",
        "protocols",
    ]
    assert {f"tables/{name}.{kind}" for name in tables for kind in ("csv", "md", "tex")} <= found
    assert {
        "tables/support.md",
        "index.html",
        "metrics.json",
        "scores.csv",
        "figures/fig7_k32.png",
        "figures/curves.png",
        "figures/pareto_parameters.png",
        "figures/protocols.png",
    } <= found
    assert "figures/crops_panoramas_no-truth_street-00.webp" in found
    assert not any(name.endswith(".part") for name in found)


def test_what_is_supported_stands_on_the_page_and_in_a_file(reported):
    text = (reported[1] / "tables" / "support.md").read_text(encoding="utf-8")
    html = (reported[1] / "pages" / "support.html").read_text(encoding="utf-8")
    # The scenes are courtyard-00 and sunset-00: the prepared ones of the test split, no training scenes.
    for sentence in (
        "tested on 2 views of 2 places (courtyard, sunset); 1 seed;",
        "nothing is supported, for or against",
    ):
        assert sentence in text and sentence in html
    assert '<section id="support">' in html


def test_no_host_or_date_in_any_output(reported):
    found = files(reported[1])
    packed = (".png", ".webp", ".js")
    text = "\n".join(content.decode() for name, content in found.items() if not name.endswith(packed))
    text = re.sub(r"data:image/[^\"]*", "", text)
    for word in (socket.gethostname(), platform.release(), str(reported[1]), str(Path.cwd())):
        assert not re.search(rf"\b{re.escape(word)}\b", text)
    assert not re.search(r"\b20\d\d-\d\d-\d\d\b|\b\d\d:\d\d\b", text)


def test_page_with_pictures_is_small(reported):
    assert len((reported[1] / "index.html").read_bytes()) < 300_000


def test_summary_holds_every_row_sorted_and_the_means(tiny):
    summarize.run(tiny)
    rows = read_scores([tiny.reports / "scores.csv"])
    assert len(rows) == sum(len(read_scores([path])) for path in (tiny.work / "scores").glob("*.csv"))
    means = json.loads((tiny.reports / "metrics.json").read_text(encoding="utf-8"))
    assert means["full"]["panoramas"]["psnr-mu"] == 34.2


def test_scores_that_the_parameters_do_not_name_are_left_out(tiny):
    stale = tiny.work / "scores" / "old--panoramas.csv"
    stale.write_text((tiny.work / "scores" / "reference-only--panoramas.csv").read_text().replace("reference", "old"))
    summarize.run(tiny)
    assert "old" not in (tiny.reports / "scores.csv").read_text(encoding="utf-8")


def test_a_missing_evaluation_is_named(tiny):
    (tiny.work / "scores" / "reference-only--panoramas.csv").unlink()
    with pytest.raises(UsageError, match="evaluate reference-only--panoramas"):
        summarize.run(tiny)


def test_report_survives_missing_parts_and_says_so(bare):
    summarize.run(bare)
    report.run(bare)
    html = everything(bare.reports)
    for sentence in ("No codebook was inspected", "No learning curves of networks", "No prepared test scenes"):
        assert sentence in html
    assert not list((bare.reports / "figures").glob("*"))
    assert not (bare.reports / "tables" / "codebooks.csv").exists()


TABLES = parameters().model_dump(by_alias=True)["tables"]
FIXED = {"masks", "protocol", "protocols", "views", "repeat", "why"}
LEARNED = {"decisions", "support", "curves", "crops", "differences", "table1", "table2", "table3"}
FRONT = {"chart", "found", "crop"}
"""Sections of the front, which draw on the others."""
UNUSED = {"method": "olc", "train": {}, "evaluate": []}
NO_CODEBOOKS = {
    "codebooks": {},
    "variants": {name: UNUSED if variant(name).get("codebook") else variant(name) for name in QUALITY},
}
ALONE = {"codebooks": {}, "variants": {"reference-only": variant("reference-only")}, "tables": {}}


@pytest.mark.parametrize(
    ("changes", "sections"),
    [
        (ALONE, FIXED),
        ({**ALONE, "sensitivity": [], "tables": {"floors": ["reference-only"]}}, FIXED - {"protocols", "why"}),
        ({**ALONE, "tables": {"1": {"rows": {"Floor": "reference-only"}}}}, {*FIXED, "table1"}),
        ({"tables": {**TABLES, "1": None}}, {*FIXED, *LEARNED, "codebooks"} - {"table1"}),
        ({"tables": {**TABLES, "2": None}}, {*FIXED, *LEARNED, "codebooks"} - {"table2"}),
        ({"tables": {**TABLES, "3": None}}, {*FIXED, *LEARNED, "codebooks"} - {"table3"}),
        (
            {"tables": {**TABLES, "2": None, "3": None, "crops": []}, **NO_CODEBOOKS},
            {*FIXED, "table1", "curves", "decisions"},
        ),
    ],
    ids=["one method", "no other protocol", "own row", "no Table 1", "no Table 2", "no Table 3", "no codebooks"],
)
def test_what_a_profile_lacks_is_absent_from_its_report(changes, sections, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    undrawn(monkeypatch)
    params = parameters(**changes)
    # Scores alone are enough to see which sections there are.
    write_all = write_score_files if params.runs else fill
    write_all(params)
    summarize.run(params)
    report.run(params)
    found = set(re.findall(r'<section[^>]* id="([^"]*)"', everything(params.reports)))
    assert found - FRONT - {"sizes"} == sections
    found = {path.stem for path in (params.reports / "tables").glob("*.*")}
    papers = {"table1", "table2", "table3", "support"}
    assert found & papers == sections & papers
    entries = json.loads((params.reports / "tables" / "provenance.json").read_text())["entries"]
    assert {*entries, "provenance"} == found


def test_a_report_is_not_replaced_by_one_that_would_lack_its_parts(tiny, monkeypatch):
    undrawn(monkeypatch)
    summarize.run(tiny)
    (tiny.reports / "index.html").write_text("an earlier page")
    before = files(tiny.reports)
    gone = next(tiny.work.glob("weights/*.json"))
    gone.unlink()
    with pytest.raises(
        UsageError, match=rf"^\d+ of \d+ files .* such as .*{re.escape(gone.name)}.*dvc repro.*--partial"
    ):
        report.run(tiny)
    assert files(tiny.reports) == before
    report.run(tiny, partial=True)
    assert files(tiny.reports) == before
    assert {"index.html", "tables/table1.csv", "tables/provenance.json"} <= set(files(tiny.work / "report"))


def test_a_partial_report_takes_what_git_tracks_for_weights_and_ranks_submissions(bare, tmp_path, monkeypatch, capsys):
    undrawn(monkeypatch)
    for run in bare.runs:
        write_json(bare.work / "weights" / f"{run}.json", card(bare, run))
    summarize.run(bare)
    rows = read_scores([bare.reports / "scores.csv"]).query("variant == 'full'")
    mine = rows.assign(method="submitted", variant="my-net", trainset="", seed=None, value=rows["value"] + 1)
    write_scores(layout.submissions() / "my-net.csv", [ScoreRow(*row) for row in mine.itertuples(index=False)])
    report.run(bare)
    before, whole = files(bare.reports), (bare.reports / "tables" / "table1.csv").read_text()
    shutil.rmtree(bare.work)  # a fresh clone
    capsys.readouterr()
    report.run(bare, partial=True, out=tmp_path / "mine")
    assert (tmp_path / "mine" / "tables" / "table1.csv").read_text() == whole
    assert "panoramas,my-net,submitted" in whole and files(bare.reports) == before
    said = capsys.readouterr().out.splitlines()
    assert f" tables in {tmp_path / 'mine' / 'tables'}, " in said[0]
    assert "learned rows of Table 1 reach" in said[1]
    assert said[2].startswith("my-net on panoramas: psnr-mu 35.20 dB, place 1 of ")
    assert said[-1] == f"page: {tmp_path / 'mine' / 'index.html'}"


def test_a_partial_report_shows_what_is_evaluated_and_the_rest_as_pending(tiny, monkeypatch, capsys):
    undrawn(monkeypatch)
    gone = [key for key, entry in tiny.evaluations.items() if entry.variant == "full"]
    for key in gone:
        layout.scores(tiny, key).unlink()
    (tiny.work / "report" / "tables").mkdir(parents=True)
    (tiny.work / "report" / "tables" / "table1.csv").touch()  # of one that was killed before its page
    report.run(tiny, partial=True)  # without `summarize`, which needs them all
    rows = pd.read_csv(tiny.work / "report" / "tables" / "table2.csv", dtype="str", keep_default_na=False)
    kinds = dict(zip(rows["method"], rows["kind"], strict=True))
    (label,) = (label for label, variant in tiny.rows(2).items() if variant == "full")
    assert kinds[label] == "pending" and "measured" in kinds.values()
    shown = len(tiny.evaluations) - len(gone)
    said = capsys.readouterr().out.splitlines()[-1]
    assert said == f"page: {tiny.work / 'report' / 'index.html'}; evaluations: {shown} here, {len(gone)} pending"
    assert not (tiny.reports / "scores.csv").exists()


def test_only_what_an_earlier_report_has_written_elsewhere_goes(tmp_path):
    for name in ("table1.csv", "notes.md"):
        (tmp_path / name).touch()
    write_json(tmp_path / "provenance.json", {"entries": {"table1": {"sha256": {"table1.csv": "0", "../x.csv": "0"}}}})
    assert report._earlier(tmp_path, everything=False) == {"table1.csv", "x.csv", "provenance.json"}
    assert report._earlier(tmp_path, everything=True) == {"table1.csv", "notes.md", "provenance.json"}
    write_json(tmp_path / "provenance.json", {"entries": [1]})
    with pytest.raises(UsageError, match="entries isn't an object of objects"):
        report._earlier(tmp_path, everything=False)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("reports/tiny", "lies in reports/"),
        ("reports/new", "lies in reports/"),
        ("mine", "holds files that are no report"),
        ("mine/photo.png", "is an existing file"),
    ],
)
def test_a_report_elsewhere_replaces_nobodys_files(bare, name, words):
    Path("mine/figures").mkdir(parents=True)
    for file in ("mine/photo.png", "mine/figures/photo.png"):
        Path(file).touch()
    before = files(Path())
    with pytest.raises(UsageError, match=f"^--out {name} {words}"):
        report.run(bare, partial=True, out=Path(name))
    assert files(Path()) == before


def test_leftovers_of_an_earlier_report_go_and_views_are_copied(bare, monkeypatch):
    undrawn(monkeypatch)
    (bare.reports / "tables").mkdir(parents=True)
    (bare.reports / "tables" / "codebooks.csv").write_text("old")
    views = bare.work / "raw" / "panoramas" / "views.csv"
    views.parent.mkdir(parents=True)
    views.write_text("view,saturated\na,0.1\n")
    summarize.run(bare)
    report.run(bare)
    assert not (bare.reports / "tables" / "codebooks.csv").exists()
    assert (bare.reports / "tables" / "views.csv").read_text() == "view,saturated\na,0.1\n"


def test_report_imports_no_torch():
    code = (
        "import importlib, pkgutil, sys, bench.report as r\n"
        "[importlib.import_module(m.name) for m in pkgutil.walk_packages(r.__path__, 'bench.report.')]\n"
        "sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
