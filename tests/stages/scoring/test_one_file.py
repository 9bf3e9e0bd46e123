"""Adding a method or a metric is one file: CONTRIBUTING's examples train, predict, score and stand in the table."""

import csv
import re

import pytest
import yaml

from bench.core import registry
from bench.core.method import MethodCard
from bench.core.registry import Registry
from tests.stages.conftest import ROOT, loaded, with_code
from tests.test_docs import ENTRIES, FILES, PROTOCOL, merge

NEW = {"methods/hat_merge.py": "hat-merge", "methods/three_layers.py": "three-layers"}
METRIC, ABSENT = "bench/metrics/outliers.py", "bench/metrics/rare.py"


@pytest.fixture
def enlarged(site, monkeypatch):
    """A copy of the project with the new files in it, and the new entries of parameter file and protocol.

    Besides CONTRIBUTING's metric there is one whose library nobody has.
    """
    with_code(site)
    before = {path.relative_to(site.folder) for path in (site.folder / "methods").rglob("*.py")}
    for path in NEW:
        (site.folder / path).write_text(FILES[path], encoding="utf-8")
    (site.folder / METRIC).write_text(FILES[METRIC], encoding="utf-8")
    rare = re.sub(r"@section.*?(?=@metric)", "", FILES[METRIC], flags=re.S).replace("outliers-", "rare-")
    rare = rare.replace('("outliers", "mu")', '("mu",), needs=("nosuchlibrary",)')
    (site.folder / ABSENT).write_text(rare, encoding="utf-8")
    protocol = site.folder / "bench/metrics/protocols/whole-float.yaml"
    settings, added = yaml.safe_load(protocol.read_text(encoding="utf-8")), yaml.safe_load(PROTOCOL)
    settings |= added | {"metrics": [*settings["metrics"], *added["metrics"][1:], "rare-mu"]}
    protocol.write_text(yaml.safe_dump(settings), encoding="utf-8")
    content = yaml.safe_load((site.folder / "params.yaml").read_text(encoding="utf-8"))
    for entry in map(yaml.safe_load, ENTRIES):
        if set(entry["variants"]) <= set(NEW.values()):
            content = merge(content, entry)
    (site.folder / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    added = {path.relative_to(site.folder) for path in (site.folder / "methods").rglob("*.py")} - before
    assert {str(path) for path in added} == set(NEW)
    with monkeypatch.context() as patch:
        patch.setattr(registry, "ROOT", site.folder)
        cards = Registry("method", "methods", MethodCard).every
    for name in NEW.values():  # this process reads the parameters too
        monkeypatch.setitem(registry.methods.every, name, cards[name])
    return site._replace(params=loaded(site.folder))


def test_a_new_method_runs_through_the_whole_pipeline(enlarged, command, together):
    runs = [name for name in enlarged.params.runs if name.startswith("three-layers")]
    evaluations = [name for name in enlarged.params.evaluations if re.match("three-layers|hat-merge", name)]
    assert len(runs) == 1 and len(evaluations) == 2
    steps = [*(("train", run) for run in runs), *(("evaluate", name) for name in evaluations)]
    steps += [("sizes",), ("summarize",), ("report",)]
    together(enlarged, steps)
    with (enlarged.folder / enlarged.params.reports / "tables" / "table1.csv").open(encoding="utf-8") as file:
        rows = {row["method"]: row for row in csv.DictReader(file) if row["dataset"] == "panoramas"}
    learned, plain = rows["Three layers"], rows["Hat merge"]
    assert (learned["kind"], plain["kind"]) == ("measured", "measured")
    for row in (learned, plain):
        assert all(float(row[score]) > 0 for score in ("psnr_mu", "psnr_l", "ssim_mu", "hdrvdp2", "outliers_mu"))
        assert row["rare_mu"] == ""
    assert float(learned["params_m"]) > 0 and plain["params_m"] == ""
    assert float(learned["macs_full_g"]) > 20 * float(learned["macs_256_g"]) > 0
    assert float(learned["published_params_m"]) > float(learned["params_m"])
    page = (enlarged.folder / enlarged.params.reports / "index.html").read_text(encoding="utf-8")
    assert "Three layers" in page and "Hat merge" in page and "outliers\N{NON-BREAKING HYPHEN}μ" in page
    reason = "needs nosuchlibrary, which isn't installed"
    assert reason in (enlarged.folder / enlarged.params.reports / "tables" / "table1.md").read_text(encoding="utf-8")
    listed = command(enlarged, "list", "metrics").stdout
    assert "outliers-mu" in listed and reason in listed


def test_nothing_else_of_the_project_was_touched(enlarged):
    for path in sorted((ROOT / "bench").rglob("*.py")):
        assert (enlarged.folder / path.relative_to(ROOT)).read_bytes() == path.read_bytes()
