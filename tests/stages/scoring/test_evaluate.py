"""Evaluate: scores under the profile's protocol, the same predictions under others, and a quick look."""

import pandas as pd
import pytest

from bench.core import layout
from bench.core.registry import protocols
from bench.io.container import list_scenes
from bench.io.tables import read_scores
from bench.metrics.scorer import Scorer


@pytest.fixture
def cell(site):
    """An evaluation of a method without training."""
    return next(iter(site.params.evaluations))


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "score_cache" not in path.parts}


def sensitivity(site, cell):
    return read_scores([layout.sensitivity(site.params, cell)])


def test_every_cell_has_rows_under_the_compared_protocols(workshop, monkeypatch):
    monkeypatch.chdir(workshop.folder)
    wanted = [protocols[name] for name in workshop.params.sensitivity]
    assert len(wanted) >= 2
    for cell in workshop.params.evaluations:
        rows = sensitivity(workshop, cell)
        assert list(dict.fromkeys(rows["protocol"])) == [protocol.id for protocol in wanted]
        for protocol in wanted:
            mine = rows[rows["protocol"] == protocol.id]
            assert set(mine["metric"]) == set(protocol.metrics)
            assert set(mine["scene"]) == set(read_scores([layout.scores(workshop.params, cell)])["scene"])


def test_rows_of_the_profile_s_protocol_are_those_of_the_score_file(workshop, monkeypatch):
    monkeypatch.chdir(workshop.folder)
    for cell in workshop.params.evaluations:
        own = read_scores([layout.scores(workshop.params, cell)])
        assert own["metric"].str.contains("@").any()
        rows = sensitivity(workshop, cell)
        rows = rows[rows["protocol"] == protocols[workshop.params.protocol].id].reset_index(drop=True)
        whole = own[~own["metric"].str.contains("@")].reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, whole, check_exact=True)


def test_all_means_every_protocol_and_none_leaves_an_empty_file(site, cell, capsys):
    site.change(sensitivity="all").run("evaluate", cell)
    wanted, said = {protocol.id for protocol in protocols.values()}, capsys.readouterr().out
    refusing = {name for name in wanted if f"can't be scored under {name}" in said}  # they crop more than there is
    assert set(sensitivity(site, cell)["protocol"]) == wanted - refusing
    assert len(wanted - refusing) > 1
    scores = layout.scores(site.params, cell).read_bytes()
    site.change(sensitivity=[]).run("evaluate", cell)
    assert sensitivity(site, cell).empty
    assert layout.scores(site.params, cell).read_bytes() == scores


def test_a_protocol_that_cannot_be_applied_is_said_and_left_out(site, cell, monkeypatch, capsys):
    other = next(name for name in site.params.sensitivity if name != site.params.protocol)
    real = Scorer.scores

    def scores(self, rule, masks=None):
        deep = rule.model_copy(update={"region": rule.region.model_copy(update={"crop": 40})})
        return real(self, deep if rule.name == other else rule, masks)

    monkeypatch.setattr(Scorer, "scores", scores)
    for path in (site.params.work / "score_cache").rglob("*.json"):
        path.unlink()
    site.run("evaluate", cell)
    assert set(sensitivity(site, cell)["protocol"]) == {protocols[site.params.protocol].id}
    assert f"can't be scored under {protocols[other].id}" in capsys.readouterr().out


def test_evaluating_again_from_the_cache_leaves_the_same_bytes(site, cell):
    before = contents(site.params.work)
    site.run("evaluate", cell)
    assert contents(site.params.work) == before


def test_it_ends_with_the_means_and_the_paths(site, cell, capsys):
    site.run("evaluate", cell)
    rows = read_scores([layout.scores(site.params, cell)])
    mean = rows[rows["metric"] == "psnr-mu"]["value"].mean()
    said = capsys.readouterr().out.splitlines()
    assert f"psnr-mu      {mean:.4f}" in said
    assert f"scores: {layout.scores(site.params, cell)}; " in said[-2]
    assert said[-1] == f"predictions: {layout.predictions(site.params, cell.removesuffix('--panoramas'), 'panoramas')}"
    site.run("summarize")
    said = capsys.readouterr().out.splitlines()
    assert any(line.startswith("panoramas  ") and f"  {mean:.2f} dB  2 scenes, 1 seed(s)" in line for line in said)
    assert said[-1].startswith(f"scores: {site.params.reports / 'scores.csv'}; ")


def test_a_limit_prints_the_first_scenes_and_writes_nothing(site, cell, capsys):
    before = contents(site.params.work)
    site.run("evaluate", cell, limit=1)
    assert contents(site.params.work) == before
    first = list_scenes(layout.scenes(site.params, "panoramas", "test"))[0].name
    rows = read_scores([layout.scores(site.params, cell)]).set_index(["scene", "metric"])["value"]
    said = capsys.readouterr().out
    assert "1 scenes under whole-float@1; nothing was written" in said
    shown = dict(line.split() for line in said.splitlines()[1:])
    assert {"psnr-mu", "ssim-l"} <= set(shown)
    for metric, value in shown.items():
        assert float(value) == pytest.approx(rows[first, metric], abs=1e-4)


def test_an_unknown_protocol_to_compare_is_said_before_anything_runs(fresh, refused):
    changed = fresh.change(sensitivity=["whole-float", "whole-flaot"])
    said = refused(changed, "fetch", "panoramas")
    assert "protocol (sensitivity in params.yaml)" in said
    assert "Did you mean 'whole-float'" in said
