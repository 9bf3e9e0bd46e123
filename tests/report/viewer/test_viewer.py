import json
import re
import shutil

import numpy as np
import pytest

from bench.core.errors import UsageError
from bench.core.registry import protocols
from bench.io.container import read_scene
from bench.io.radiance import read_exr
from bench.io.tables import read_scores
from bench.metrics.scorer import Scorer
from bench.metrics.viewing import visibility
from bench.report.results.inputs import Measured
from bench.report.results.results import collect
from bench.report.viewer import packing
from bench.report.viewer import viewer as pages
from bench.report.viewer.choice import chosen
from bench.stages.reporting import report, viewer
from bench.stages.scoring import summarize
from tests.report.conftest import parameters
from tests.report.scenes import HEIGHT, WIDTH, scene
from tests.report.viewer.reading import radiance, read_script, unpack
from tests.shared import undrawn


def content(page):
    return json.loads(re.search(r"const REPORT = (.*);\n", page)[1])


def made(params):
    summarize.run(params)
    scores = read_scores([params.reports / "scores.csv"])
    return viewer.make(Measured(params, collect(scores), {}), scores)


def test_a_report_has_the_viewer_with_records_of_it(reported):
    folder = reported[1]
    records = json.loads((folder / "viewer" / "provenance.json").read_text(encoding="utf-8"))
    assert set(records["entries"]) == {"index", "courtyard-00", "sunset-00", "street-00"}
    assert {path.name for path in (folder / "viewer").iterdir()} == {
        "index.html", "courtyard-00.js", "sunset-00.js", "street-00.js", "provenance.json",
    }  # fmt: skip
    runs = ("reference-only", "ahdrnet--panoramas--s0", "full--panoramas--s0")
    assert all(set(one["evaluations"]) == {f"{run}--panoramas" for run in runs} for one in records["entries"].values())


def test_a_script_holds_what_was_predicted(reported):
    params, folder, _ = reported
    name, header, bodies = read_script((folder / "viewer" / "sunset-00.js").read_bytes())
    assert name == "sunset-00" and (header["width"], header["height"], header["step"]) == (WIDTH, HEIGHT, 1)
    assert header["radiance"]["names"] == ["reference", "truth", "reference-only", "ahdrnet", "full"]
    assert header["visibility"]["names"] == ["reference-only", "ahdrnet", "full"]
    assert header["frames"] == {"short": 1.0, "long": 16.0} and header["reference"] == 4.0
    assert all(bodies[frame][8:12] == b"WEBP" for frame in header["frames"])
    found = unpack(header["radiance"], bodies["radiance"], HEIGHT, WIDTH)
    work = folder.parents[1] / params.work
    kept = read_scene(work / "scenes" / "panoramas" / "test" / "sunset-00")
    full = read_exr(work / "predictions" / "full--panoramas--s0" / "panoramas" / "test" / "sunset-00.exr")
    for codes, wanted in ((found[0], kept.linear[1]), (found[1], kept.radiance), (found[4], full)):
        assert np.array_equal(codes, packing.codes(wanted))
        assert np.all(np.abs(radiance(codes) - wanted) <= np.expm1(packing.ROUNDING + 1e-6) * (wanted + 2e-4))
    maps = unpack(header["visibility"], bodies["visibility"], HEIGHT, WIDTH)
    protocol = protocols[params.protocol]
    seen = visibility(Scorer(full, np.array(kept.radiance)).pair(protocol), protocol).numpy()
    assert np.array_equal(maps[2][..., 0], np.rint(seen * pages.SHADES))


def test_a_scene_without_truth_has_no_maps(reported):
    _, header, bodies = read_script((reported[1] / "viewer" / "street-00.js").read_bytes())
    assert header["radiance"]["names"] == ["reference", "reference-only", "full"]  # ahdrnet predicted none
    assert "visibility" not in header and "visibility" not in bodies


def test_the_page_lists_scenes_with_their_scores(reported):
    page = (reported[1] / "viewer" / "index.html").read_text(encoding="utf-8")
    found = content(page)
    assert [(one["name"], one["split"]) for one in found["scenes"]] == [
        ("courtyard-00", "test"), ("sunset-00", "test"), ("street-00", "no-truth"),
    ]  # fmt: skip
    assert found["scenes"][1]["scores"]["full"] == {"psnr-mu": 35.2, "ssim-mu": pytest.approx(34.2 / 36 + 1)}
    assert found["scenes"][2]["scores"]["full"] == {}
    assert [one["key"] for one in found["metrics"]] == ["psnr-mu", "ssim-mu"]
    assert found["labels"] == {"ahdrnet": "AHDRNet", "full": "Proposed · full", "reference-only": "reference-only"}
    assert "1.3 % of radiance" in page and not re.search(r"(src|href)=\"(https?:|/)", page)


def test_without_predictions_nothing_is_left_but_records(bare, monkeypatch):
    undrawn(monkeypatch)
    summarize.run(bare)
    folder = bare.reports / "viewer"
    folder.mkdir()
    for earlier in ("index.html", "sunset-00.js"):
        (folder / earlier).write_text("of an earlier report")
    report.run(bare)
    assert [path.name for path in folder.iterdir()] == ["provenance.json"]
    assert json.loads((folder / "provenance.json").read_text(encoding="utf-8"))["entries"] == {}


def test_what_was_packed_is_kept_until_a_prediction_changes(tiny, monkeypatch):
    first = made(tiny)
    with monkeypatch.context() as patch:
        patch.setattr(pages, "script", None)
        assert made(tiny) == first
    path = tiny.work / "predictions" / "full--panoramas--s0" / "panoramas" / "test"
    shutil.copy(path / "courtyard-00.exr", path / "sunset-00.exr")
    changed = made(tiny).scripts
    assert changed["sunset-00"] != first.scripts["sunset-00"] and changed["street-00"] == first.scripts["street-00"]


def test_scripts_stay_within_their_limit(tiny, monkeypatch):
    size = len(made(tiny).scripts["courtyard-00"])
    monkeypatch.setattr(viewer, "LIMIT", size)
    found = made(tiny)
    assert list(found.scripts) == ["courtyard-00"]
    assert [one["name"] for one in content(found.page)["scenes"]] == ["courtyard-00"]


def test_every_place_is_shown_before_second_views(tiny):
    test = tiny.work / "scenes" / "panoramas" / "test"
    shutil.copytree(test / "courtyard-00", test / "courtyard-01")
    assert [path.name for _, path in viewer._views(tiny)] == ["courtyard-00", "sunset-00", "courtyard-01", "street-00"]


def test_no_maps_where_hdr_vdp_2_refuses(tiny, monkeypatch):
    def refuse(*_):
        raise UsageError("too small")

    monkeypatch.setattr(viewer, "visibility", refuse)
    assert "visibility" not in read_script(made(tiny).scripts["sunset-00"])[1]


def test_large_pictures_are_averaged(monkeypatch):
    monkeypatch.setattr(pages, "PIXELS", HEIGHT * WIDTH // 4)
    given = scene("sunset-00")
    _, header, bodies = read_script(pages.script(pages.ViewedScene("sunset-00", given, {})))
    assert (header["width"], header["height"], header["step"]) == (WIDTH // 2, HEIGHT // 2, 2)
    truth = unpack(header["radiance"], bodies["radiance"], HEIGHT // 2, WIDTH // 2)[1]
    assert np.array_equal(truth[3, 5], packing.codes(given.radiance[6:8, 10:12].mean((0, 1), keepdims=True))[0, 0])


def test_names_of_scenes_cannot_leave_their_strings():
    name = "</script>'\"#%"
    page = pages.render(parameters(), {}, [pages.Listed(name, "panoramas", "test", {})])
    assert page.count("</script>") == 1 and content(page)["scenes"][0]["name"] == name


def test_the_best_method_is_shown_beside_those_of_the_crops(measured):
    found = measured()
    assert chosen(found.params, found.results, "panoramas") == ["reference-only", "ahdrnet", "full"]
    tables = {**parameters().model_dump()["tables"], "crops": ["ahdrnet"]}
    assert chosen(parameters(tables=tables), found.results, "panoramas") == ["ahdrnet", "full"]
    assert len(chosen(parameters(tables={**tables, "crops": []}), {}, "panoramas")) == 6
