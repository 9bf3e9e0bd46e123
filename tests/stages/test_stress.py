"""The stress test at its smallest: what `make stress` runs, from views to the page, with another profile's weights."""

import csv
import re
import shutil
from pathlib import Path

import pytest
import yaml

from bench.core import layout
from bench.core.params import load
from bench.core.registry import ROOT
from bench.core.runs import run_id
from bench.io.tables import read_scores
from tests.shared import coarse

from ..core.test_stress import SHORT

FLOORS = load(ROOT / "profiles/stress/params.yaml").tables.floors


@pytest.fixture
def copied(site):
    """A site with copies of its own networks' weights, which stand for another profile's."""
    for run in (site.plain, site.vq):
        for path in (layout.weights(site.params, run), layout.weights(site.params, run).with_suffix(".json")):
            target = layout.foreign(f"demo/{run}").with_suffix(path.suffix)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
    return site


def variants(site):
    runs = {"plain": site.plain, "with-codes": site.vq}
    return {
        name: {"method": site.params.variants[site.params.runs[run].variant].method, "preset": "smoke",
               "weights": str(layout.foreign(f"demo/{run}"))}
        for name, run in runs.items()
    }  # fmt: skip


def test_weights_of_another_profile_predict_as_they_do_there(copied):
    """Options, head, codebook and registration are those of their card, whatever this profile's are."""
    copied = copied.change(variants=variants(copied), head="published", register="none")
    for name, run in (("plain", copied.plain), ("with-codes", copied.vq)):
        copied.run("evaluate", f"{name}--panoramas")
        own, theirs = (read_scores([layout.scores(copied.params, f"{key}--panoramas")]) for key in (name, run))
        assert own["scene"].tolist() == theirs["scene"].tolist()
        assert own["value"].tolist() == pytest.approx(theirs["value"].tolist(), abs=1e-9, nan_ok=True)


def test_the_weights_of_another_method_are_refused(copied, refused):
    wrong = {"wrong": {**variants(copied)["plain"], "method": "olc"}}
    said = refused(copied.change(variants=wrong), "--params", "params.yaml", "evaluate", "wrong--panoramas")
    assert "holds weights of ahdrnet, not of olc" in said


@pytest.fixture
def stressed(copied):
    """The profile of the repository, made small: two places, two values of each knob, five methods; nothing has run."""
    content = yaml.safe_load((ROOT / "profiles/stress/params.yaml").read_text(encoding="utf-8"))
    plain = {name: content["variants"][name] for name in FLOORS}
    content["simulate"] = {"width": 96, "height": 64, "test": ["courtyard", "interior"], "train": [], "stress": SHORT}
    content["simulate"] |= {"train_views": 0, "validation_views": 0}
    content |= {"preset": "smoke", "variants": {**plain, "flow-merge": {"method": "flow-merge"}, **variants(copied)}}
    (copied.folder / "stress.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return copied._replace(params=load(Path("stress.yaml")))


def test_from_views_to_the_page(stressed, monkeypatch):
    """The commands of docs/stress.md, then what else there is to evaluate, as `make stress` has it."""
    params, told = stressed.params, (ROOT / "docs" / "stress.md").read_text(encoding="utf-8")
    commands = re.findall(r"^python -m bench --params profiles/stress/params.yaml (.+)$", told, re.M)
    assert [line.split()[0] for line in commands] == ["plan", "fetch", "prepare", "evaluate"]
    for line in commands:
        stressed.run(*line.split())
    for key in params.evaluations.keys() - {line.split()[-1] for line in commands}:
        stressed.run("evaluate", key)
    for key, entry in params.evaluations.items():
        rows = read_scores([layout.scores(params, key)])
        assert set(rows["metric"]) == {"psnr-mu"}
        assert rows["scene"].nunique() == 2 * 7
        folder = layout.predictions(params, entry.run, "stress")
        assert folder.is_dir() and not list(folder.rglob("*.exr"))
    coarse(monkeypatch)
    stressed.run("summarize")
    stressed.run("report")

    tables, page = params.reports / "tables", (params.reports / "index.html").read_text(encoding="utf-8")
    with (tables / "stress.csv").open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert list(dict.fromkeys(row["variant"] for row in found)) == [
        *FLOORS, "flow-merge", "plain", "with-codes",
    ]  # fmt: skip
    assert {row["places"] for row in found} == {"2"}
    assert 'id="stress"' in page and "Where methods break: networks" in page
    assert "steps on panoramas" in page, "whose weights they are"
    assert (tables / "views.csv").read_bytes() == (layout.raw(params, "stress") / "views.csv").read_bytes()


def test_the_profile_takes_the_demo_s_networks():
    """Every network of Table 1 and row 7, under the name and method that the demo trains it with."""
    demo, own = load(ROOT / "params.yaml"), load(ROOT / "profiles/stress/params.yaml")
    networks = {name: entry for name, entry in own.variants.items() if entry.weights}
    for name, entry in networks.items():
        run = run_id(name, "panoramas", 0)
        assert Path(entry.weights) == layout.foreign(f"demo/{run}") and run in demo.runs
        assert (entry.method, entry.preset) == (demo.variants[name].method, demo.variants[name].preset)
    rows = {*demo.rows(1).values(), *list(demo.rows(3).values())[-1:]}
    assert {name for name in rows if demo.variants[name].method in {e.method for e in networks.values()}} <= set(
        networks
    )
    assert len(networks) == 11
    assert not own.runs, "nothing is trained"
