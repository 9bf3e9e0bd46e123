"""`bench why`: a folder of results under every setting of HDR-VDP-2."""

import csv

import pytest

from bench.core.registry import protocols
from bench.io.container import list_scenes, read_scene
from bench.io.radiance import read_exr


@pytest.fixture
def why(site, main_in):
    def run(*words):
        return main_in(site, "why", *map(str, words))

    return run


def test_each_value_is_the_protocols_own_and_other_files_are_replaced_on_demand(why, ours, site, tmp_path, capsys):
    words = (ours[0], "--dataset", "panoramas", "--scenes", 1, "--out", tmp_path)
    (tmp_path / "why.csv").write_text("mine")
    assert why(*words) == 2
    assert "why.csv exists; name another folder, or replace it with --force" in capsys.readouterr().err
    assert (tmp_path / "why.csv").read_text() == "mine"
    assert why(*words, "--force") == 0
    rows = {row["setting"]: row for row in csv.DictReader((tmp_path / "why.csv").read_text().splitlines())}
    scene = read_scene(list_scenes(site.folder / "work/tiny/scenes/panoramas/test")[0])
    prediction = read_exr(ours[0] / f"{scene.id}.exr")
    for name in ("whole-float", "gmodiff"):
        expected = protocols[name].only(["hdrvdp2"]).evaluate(prediction, scene.radiance, trusted=True)["hdrvdp2"]
        assert float(rows[name]["value"]) == pytest.approx(expected, abs=1e-6)
    assert (tmp_path / "why.png").read_bytes()[:4] == b"\x89PNG"
    said = capsys.readouterr().out
    assert "published: whole-float" in said and "scenes of panoramas: 1" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name the data set with --dataset"),
        (("--dataset", "panorama"), "Did you mean 'panoramas'"),
        (("--dataset", "panoramas", "--scenes", "1", "--out", "o"), "holds no file of the first 1 scenes"),
    ],
)
def test_a_mistake_is_a_sentence(why, words, said, tmp_path, capsys):
    assert why(tmp_path, *words) == 2
    assert said in capsys.readouterr().err
