"""The datasets that stand in Kalantari's layout: cards, roles, captures."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from bench.core.errors import UsageError
from bench.core.registry import datasets
from bench.core.simulation import Simulation
from bench.data.simulate import simulate

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "data" / "golden" / "kalantari_layout" / "ev_0_2_4"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("datasets") / "raw"
    settings = Simulation(
        width=64, height=48, train=("city", "courtyard"), train_views=1, test_views=1, no_truth_scenes=1
    )
    simulate(settings, ROOT / "datasets" / "panoramas", out, lambda line: None)
    return out


@pytest.mark.parametrize(("split", "truth"), [("train", True), ("test", True), ("no-truth", False)])
def test_simulated_scenes_carry_their_panorama(simulated: Path, split: str, truth: bool) -> None:
    scenes = list(datasets["panoramas"].scenes(simulated, split))
    assert scenes
    for scene in scenes:
        assert scene.metadata["capture"] == scene.id.rpartition("-")[0]
        assert (ROOT / "datasets" / "panoramas" / f"{scene.metadata['capture']}.exr").is_file()
        assert (scene.radiance is not None) == truth
        assert scene.frames.shape == (3, 48, 64, 3)


def test_the_real_set_is_read_by_the_same_code(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN, tmp_path / "Training" / "001")
    shutil.copytree(GOLDEN, tmp_path / "Test" / "PAPER" / "BarbequeDay")
    (train,) = datasets["kalantari"].scenes(tmp_path, "train")
    (test,) = datasets["kalantari"].scenes(tmp_path, "test")
    assert (train.id, train.metadata["capture"], test.id) == ("001", "001", "BarbequeDay")
    np.testing.assert_array_equal(train.frames, test.frames)


def test_cards_state_licence_roles_and_origin() -> None:
    panoramas, kalantari = datasets["panoramas"], datasets["kalantari"]
    assert (panoramas.licence, panoramas.fetch) == ("CC0-1.0", "simulate")
    assert set(panoramas.splits.values()) == {"train", "validation", "test", "no-truth"}
    assert kalantari.fetch == "download"
    assert [source["bytes"] for source in kalantari.sources] == [2102116177, 602667980]


def test_an_unknown_split_is_named() -> None:
    with pytest.raises(UsageError, match="no split of panoramas is called 'holdout'"):
        datasets["panoramas"].scenes(Path(), "holdout")


def test_an_unplaced_dataset_says_where_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"kalantari, split train: no scenes under .*expected folders in Training"):
        list(datasets["kalantari"].scenes(tmp_path, "train"))


def test_every_shipped_panorama_is_used_and_licensed() -> None:
    folder = ROOT / "datasets" / "panoramas"
    default = Simulation()
    assert {path.stem for path in folder.glob("*.exr")} == {name for names in default.places.values() for name in names}
    assert "CC0" in (folder / "LICENSE.txt").read_text()
    assert sum(path.stat().st_size for path in folder.glob("*.exr")) < 20e6
