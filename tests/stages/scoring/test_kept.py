"""Slow predictions without weights are kept: an interrupted evaluation goes on, and nothing stale is used."""

from pathlib import Path

import pytest

from bench.core import layout
from bench.core.errors import UsageError
from bench.core.fingerprint import DECIDES
from bench.core.method import MethodCard
from bench.io.container import list_scenes
from bench.stages.scoring import predict

CELL = "triangle-merge--panoramas"


@pytest.fixture
def calls(monkeypatch):
    """Names of the scenes that a method without training is run on; every prediction counts as slow."""
    seen, real = [], MethodCard.predict

    def run(card, scene, preset="", **options):
        seen.append(scene.id)
        return real(card, scene, preset, **options)

    monkeypatch.setattr(MethodCard, "predict", run)
    monkeypatch.setattr(predict, "SLOW", 0.0)
    return seen


def kept(site):
    return sorted((Path("runs") / site.params.profile / "predictions" / CELL).glob("*/*.exr"))


def names(site):
    splits = [layout.scenes(site.params, "panoramas", split) for split in ("test", "no-truth")]
    return [path.name for folder in splits if folder.exists() for path in list_scenes(folder)]


def predictions(site):
    folder = layout.predictions(site.params, "triangle-merge", "panoramas")
    return {path.name: path.read_bytes() for path in folder.rglob("*.exr")}


def test_an_interrupted_evaluation_goes_on_where_it_was(site, calls, monkeypatch):
    before, wanted, counted = predictions(site), names(site), MethodCard.predict

    def stopped(card, scene, preset="", **options):
        if len(calls) == len(wanted) - 1:
            raise KeyboardInterrupt
        return counted(card, scene, preset, **options)

    monkeypatch.setattr(MethodCard, "predict", stopped)
    with pytest.raises(KeyboardInterrupt):
        site.run("evaluate", CELL)
    assert calls == wanted[:-1]
    assert len(kept(site)) == len(wanted) - 1
    monkeypatch.setattr(MethodCard, "predict", counted)
    site.run("evaluate", CELL)
    assert calls == wanted
    assert predictions(site) == before
    site.run("evaluate", CELL)
    assert calls == wanted


def test_other_options_code_or_scenes_are_predicted_anew_and_the_old_is_forgotten(site, calls, monkeypatch):
    site.run("evaluate", CELL)
    first = kept(site)
    variants = {"triangle-merge": {"method": "triangle-merge", "preset": "other"}}
    changed = site.change(variants=variants)
    changed.run("evaluate", CELL)
    second = kept(site)
    assert len(calls) == 2 * len(names(site))
    assert len(second) == len(first)
    assert not set(second) & set(first)
    monkeypatch.setitem(DECIDES, "prediction", (*DECIDES["prediction"], "bench/io"))
    changed.run("evaluate", CELL)
    assert len(calls) == 3 * len(names(site))


def test_a_damaged_file_is_made_again(site, calls):
    site.run("evaluate", CELL)
    before = predictions(site)
    kept(site)[0].write_bytes(b"cut short")
    site.run("evaluate", CELL)
    assert len(calls) == len(names(site)) + 1
    assert predictions(site) == before


def test_quick_predictions_and_quick_looks_keep_nothing(site, calls, monkeypatch):
    site.run("evaluate", CELL, limit=1)
    assert not kept(site)
    monkeypatch.setattr(predict, "SLOW", 1e9)
    site.run("evaluate", CELL)
    assert not kept(site)


def test_preset_and_options_of_a_variant_reach_the_method(site, monkeypatch):
    given = []
    monkeypatch.setattr(
        MethodCard, "predict",
        lambda card, scene, preset="", **options: given.append((card.name, preset, options)) or scene.linear[1],
    )  # fmt: skip
    variant = {"method": "sen2012", "preset": "high", "options": {"max_side": 40}}
    site.change(variants={"triangle-merge": variant}).run("evaluate", CELL, limit=1)
    assert set(map(str, given)) == {str(("sen2012", "high", {"max_side": 40}))}


def test_sen_runs_as_a_variant(site):
    variant = {"method": "sen2012", "preset": "normal", "options": {"max_side": 40}}
    site.change(variants={"triangle-merge": variant}).run("evaluate", CELL, limit=1)


def test_a_wrong_option_is_one_sentence(site):
    variant = {"method": "sen2012", "preset": "normal", "options": {"maxside": 40}}
    with pytest.raises(UsageError, match=r"no option of sen2012 is called 'maxside'\. Did you mean 'max_side'"):
        site.change(variants={"triangle-merge": variant}).run("evaluate", CELL, limit=1)


def test_an_unknown_preset_of_a_method_without_training_is_refused_first(fresh, refused):
    changed = fresh.change(variants={"triangle-merge": {"method": "sen2012", "preset": "hihg"}})
    assert "Did you mean 'high'" in refused(changed, "fetch", "panoramas")
