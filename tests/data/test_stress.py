"""The stress test's brackets: one knob turned changes what it should, and nothing else of a view."""

import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest

from bench.core.errors import UsageError
from bench.core.places import place
from bench.core.registry import datasets
from bench.core.simulation import Simulation
from bench.core.stress import KNOBS
from bench.data.camera import saturated
from bench.data.stress import simulate_stress, white

from ..core.test_stress import SHORT

PANORAMAS = Path(__file__).resolve().parents[2] / "datasets" / "panoramas"
SETTINGS = Simulation(width=96, height=64, test=("forest", "interior"), test_views=1, stress=SHORT)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("stress") / "raw"
    simulate_stress(SETTINGS, PANORAMAS, out, lambda line: None)
    return out


@pytest.fixture(scope="module")
def scenes(made):
    return {scene.id: scene for scene in datasets["stress"].scenes(made, "test")}


@pytest.fixture(scope="module")
def rows(made):
    with (made / "views.csv").open(newline="", encoding="utf-8") as file:
        return {row["scene"]: row for row in csv.DictReader(file)}


VIEWS = ("forest-01", "interior-01")


def test_every_view_is_taken_in_every_way(scenes, rows):
    wanted = {f"{view}--{take.name}" for view in VIEWS for take in SETTINGS.stress.takes()}
    assert scenes.keys() == rows.keys() == wanted
    assert {scene.metadata["capture"] for scene in scenes.values()} == {"forest", "interior"}
    assert {place(name) for name in scenes} == {"forest", "interior"}
    for name, row in rows.items():
        knob = row["take"].partition("-")[0]
        assert name.endswith(f"--{row['take']}")
        for other in KNOBS:
            assert (float(row[f"knob_{other}"]) == SHORT["neutral"][other]) == (other != knob)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("take", ["speed-2", "rotation-1", "translation-2", "electrons-2"])
def test_the_reference_s_moment_stays(scenes, view, take):
    """Noise apart, the middle frame shows the same: objects, place, exposure."""
    neutral, turned = scenes[f"{view}--neutral"], scenes[f"{view}--{take}"]
    np.testing.assert_array_equal(turned.radiance, neutral.radiance)
    np.testing.assert_array_equal(turned.times, neutral.times)
    ends = [0, 2] if take != "electrons-2" else []
    for index in ends:
        assert np.abs(turned.ldr[index] - neutral.ldr[index]).max() > 0.1
    if take == "electrons-2":
        noise = [float(np.std(scene.linear[1] * 4 - np.minimum(scene.radiance * 4, 1))) for scene in (neutral, turned)]
        assert noise[1] > 1.5 * noise[0]


@pytest.mark.parametrize("view", VIEWS)
def test_a_wider_step_leaves_the_reference_s_exposure(scenes, view):
    neutral, turned = scenes[f"{view}--neutral"], scenes[f"{view}--step-2"]
    assert (neutral.times.tolist(), turned.times.tolist()) == ([1, 4, 16], [1, 8, 64])
    shown = [np.minimum(scene.radiance * scene.times[1], 1) for scene in (neutral, turned)]
    # The engine keeps the objects' light within what the frames show, so it may change with the short frame's range.
    assert (np.abs(shown[0] - shown[1]).max(axis=-1) > 0.01).mean() < 0.05


@pytest.mark.parametrize("view", VIEWS)
def test_the_reference_is_saturated_as_far_as_wanted(scenes, rows, view):
    """But for what the objects hide of the place."""
    for take, share in (("neutral", 0.05), ("saturated-2", 0.2)):
        found = saturated(scenes[f"{view}--{take}"].frames[1])
        assert found == pytest.approx(float(rows[f"{view}--{take}"]["reference_saturated"]), abs=1e-4)
        assert share / 3 < found < 1.2 * share


def test_white_is_above_the_brightest_pixel_where_it_must_be():
    light = np.tile(np.arange(1.0, 101.0)[:, None, None], (1, 10, 3))
    assert white(light, share=0.02, step=2) == pytest.approx(4 * 98, rel=0.01)
    assert white(np.zeros((2, 2, 3)) + [[[0, 0, 1e3]]] * 2, share=0.5, step=1) == pytest.approx(2e3)


def test_equal_settings_give_equal_bytes(made, tmp_path):
    again = tmp_path / "raw"
    simulate_stress(SETTINGS, PANORAMAS, again, lambda line: None)

    def digests(folder):
        return {
            path.relative_to(folder): hashlib.sha256(path.read_bytes()).digest()
            for path in folder.rglob("*")
            if path.is_file()
        }

    assert digests(again) == digests(made)


def test_a_folder_of_other_files_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(UsageError, match="holds files that weren't simulated"):
        simulate_stress(SETTINGS, PANORAMAS, tmp_path, lambda line: None)
    assert (tmp_path / "mine.txt").read_text() == "kept"
