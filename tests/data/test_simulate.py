"""The bracket engine: repeatable, honest about its splits, inside its bounds, and true to its truth."""

import csv
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.core.errors import UsageError
from bench.core.registry import datasets
from bench.core.simulation import Simulation
from bench.data.layouts import brackets
from bench.data.layouts.brackets import read_evs
from bench.data.panorama import Panorama
from bench.data.simulate import Bracket, load_all, retake, simulate, view_specs
from bench.data.simulate import brackets as take

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "datasets" / "panoramas"

SETTINGS = Simulation(
    width=96, height=64, train=("city", "courtyard"), test=("forest", "interior"), train_views=2, test_views=2,
    validation=("dancing_hall", "vintage_measuring_lab"), validation_views=1,
)  # fmt: skip
SPLITS = {"train": 4, "validation": 2, "test": 4, "no-truth": 2}


def folders(root, split):
    return datasets["panoramas"].find(root, split).folders


def read_scene(folder, truth=True):
    return brackets.read_scene(folder, "panoramas", truth=truth)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulated") / "raw"
    simulate(SETTINGS, SHIPPED, out, lambda line: None)
    return out


@pytest.fixture(scope="module")
def rows(made: Path) -> list[dict[str, str]]:
    with (made / "views.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_layout_is_complete(made: Path, rows: list[dict[str, str]]) -> None:
    assert {split: len(folders(made, split)) for split in SPLITS} == SPLITS
    assert len(rows) == sum(SPLITS.values())
    for split in SPLITS:
        for folder in folders(made, split):
            names = sorted(path.name for path in folder.iterdir())
            assert sum(name.endswith(".tif") for name in names) == 3
            assert ("HDRImg.hdr" in names) == (split != "no-truth")


def test_the_same_seed_gives_the_same_bytes_on_any_number_of_threads_and_kind_of_processor(
    made: Path, tmp_path: Path
) -> None:
    script = (
        "import sys; from pathlib import Path; from bench.core.simulation import Simulation;"
        "from bench.data.simulate import simulate;"
        "simulate(Simulation.model_validate_json(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), print)"
    )
    arguments = [sys.executable, "-c", script, SETTINGS.model_dump_json(), str(SHIPPED), str(tmp_path / "again")]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "2")
    # NumPy's names of what processors of the last dozen years have and older ones haven't: logarithms, exponentials and
    # arc tangents then come from other code, and differ in their last bits.
    older = {"NPY_DISABLE_CPU_FEATURES": "X86_V4 X86_V3"}
    subprocess.run(arguments, cwd=ROOT, env={**os.environ, **threads, **older}, check=True, capture_output=True)
    assert digests(tmp_path / "again") == digests(made)


def test_another_seed_gives_other_views(made: Path, tmp_path: Path) -> None:
    other = SETTINGS.model_copy(
        update={"seed": 1, "train_views": 0, "validation_views": 0, "no_truth_scenes": 0, "test_views": 1}
    )
    simulate(other, SHIPPED, tmp_path / "raw", lambda line: None)
    ours, theirs = (read_scene(folders(root, "test")[0]) for root in (made, tmp_path / "raw"))
    assert (ours.frames != theirs.frames).any()


def test_more_views_leave_the_first_ones_as_they_are(made: Path, tmp_path: Path) -> None:
    fewer = SETTINGS.model_copy(update={"train_views": 0, "validation_views": 0, "no_truth_scenes": 0, "test_views": 1})
    simulate(fewer, SHIPPED, tmp_path / "raw", lambda line: None)
    whole = digests(made)
    part = {name: digest for name, digest in digests(tmp_path / "raw").items() if name != "views.csv"}
    assert part.items() <= whole.items()


def test_no_place_and_no_texture_crosses_the_splits(made: Path, rows: list[dict[str, str]]) -> None:
    for row in rows:
        allowed = set(SETTINGS.places["test" if row["split"] == "no-truth" else row["split"]])
        assert row["panorama"] in allowed
        assert row["scene"].startswith(row["panorama"] + "-")
        assert set(row["textures"].split()) <= allowed - {row["panorama"]}
    for split in SPLITS:
        placed = {folder.name for folder in folders(made, split)}
        assert placed == {row["scene"] for row in rows if row["split"] == split}


def test_every_bracket_keeps_the_acceptance_bounds(made: Path, rows: list[dict[str, str]]) -> None:
    for row in rows:
        folder = next(made.glob(f"*/{row['scene']}"), None) or next(made.glob(f"*/*/{row['scene']}"))
        frames = read_scene(folder, truth=False).frames
        full = (frames == 65535).any(axis=-1).mean(axis=(1, 2))
        assert 0.02 <= full[1] <= 0.35
        assert 0.12 <= full[2] <= 0.75
        assert full[0] < 0.02
        assert (frames[1].mean(axis=-1) / 65535 < 6 / 255).mean() < 0.35
        np.testing.assert_allclose([float(row[f"{k}_saturated"]) for k in ("short", "mid", "long")], full, atol=1e-4)


def test_exposures_come_in_all_three_forms(made: Path, rows: list[dict[str, str]]) -> None:
    default = {spec.exposures for spec in view_specs(Simulation())}
    assert default == {(0, 2, 4), (-2, 0, 2), (-3, 0, 3)}
    for row in rows:
        folder = next(path for path in made.rglob(row["scene"]))
        written = read_evs(folder / "exposure.txt", row["scene"], 3)
        assert written == [float(ev) for ev in row["ev"].split()]
        assert int(row["ev_step"]) == written[1] - written[0]


def test_bit_depths_are_those_ordered(made: Path, rows: list[dict[str, str]]) -> None:
    depths = {row["scene"]: int(row["bit_depth"]) for row in rows}
    assert set(depths.values()) >= {8, 14, 16}
    for name, bits in depths.items():
        frames = read_scene(next(made.rglob(name)), truth=False).frames
        levels = frames / 65535 * (2**bits - 1)
        assert np.abs(levels - np.rint(levels)).max() <= 0.5


def test_truth_equals_the_linearised_reference_within_the_noise(made: Path, rows: list[dict[str, str]]) -> None:
    for row in rows:
        if row["split"] == "no-truth" or row["bit_depth"] == "8":
            continue
        scene = read_scene(next(made.rglob(row["scene"])))
        time = scene.times[1]
        assert scene.radiance is not None
        well = float(row["electrons"])
        mean = scene.radiance * time * well
        seen = scene.linear[1] * time * well
        # Above 20 e the Gaussian noise isn't cut at zero, below 90 % of the well not at saturation.
        inside = (mean > 20) & (mean < 0.9 * well)
        score = ((seen - mean) / np.sqrt(mean + SETTINGS.read_noise**2))[inside]
        # RGBE adds a little to the noise; objects and static pixels alike are held to it.
        assert abs(score.mean()) < 0.05
        assert 0.95 < score.std() < 1.1


def test_frames_move_and_the_truth_spans_the_short_range(made: Path, rows: list[dict[str, str]]) -> None:
    well = min(SETTINGS.electrons)
    for folder in folders(made, "train"):
        scene = read_scene(folder)
        assert scene.radiance is not None
        assert 0.97 <= scene.radiance.max() <= 1
        assert scene.radiance.min() >= 0
        assert (scene.radiance.max(axis=-1) > 1 / scene.times[1]).mean() > 0.015
        unsaturated = (scene.ldr[:2] < 0.9).all(axis=0)
        apart = np.abs(scene.linear[0] - scene.linear[1])[unsaturated]
        noise = np.sqrt(scene.radiance[unsaturated] / well) + 2 * SETTINGS.read_noise / well
        assert (apart > 6 * noise).mean() > 0.003  # camera and objects have moved


def test_an_earlier_result_is_replaced_and_other_folders_are_not(tmp_path: Path) -> None:
    few = SETTINGS.model_copy(update={"train_views": 0, "validation_views": 0, "no_truth_scenes": 0, "test_views": 1})
    simulate(few, SHIPPED, tmp_path / "raw", lambda line: None)
    (tmp_path / "raw" / "Test" / "EXTRA" / "stale").mkdir()
    simulate(few, SHIPPED, tmp_path / "raw", lambda line: None)
    assert [f.name for f in folders(tmp_path / "raw", "test")] == ["forest-01", "interior-01"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="holds files that weren't simulated"):
        simulate(few, SHIPPED, tmp_path / "mine", lambda line: None)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "raw"]


def test_progress_is_reported_once_a_bracket(tmp_path: Path) -> None:
    lines: list[str] = []
    few = SETTINGS.model_copy(update={"train_views": 0, "validation_views": 0, "no_truth_scenes": 0, "test_views": 1})
    simulate(few, SHIPPED, tmp_path / "raw", lines.append)
    assert [line.split(":")[0] for line in lines] == ["test forest-01", "test interior-01"]


def test_too_few_acceptable_views_end_in_a_sentence(tmp_path: Path) -> None:
    strict = SETTINGS.model_copy(update={"mid_saturated": (0.3, 0.3), "max_draws": 3})
    with pytest.raises(UsageError, match=r"panorama 'city': no acceptable view number 1 \(train\) in 3 draws"):
        simulate(strict, SHIPPED, tmp_path / "raw", lambda line: None)
    assert not list(tmp_path.iterdir())


def test_a_panorama_that_is_not_exr_ends_in_a_sentence(tmp_path: Path) -> None:
    for name in ("city", "courtyard", "forest", "interior"):
        (tmp_path / f"{name}.exr").write_bytes(b"#?RADIANCE\n")
    with pytest.raises(UsageError, match=r"city\.exr: not an OpenEXR file"):
        simulate(SETTINGS, tmp_path, tmp_path / "raw", lambda line: None)


def test_views_tell_what_makes_them_hard(rows: list[dict[str, str]]) -> None:
    low, high = SETTINGS.electrons
    for row in rows:
        assert low <= float(row["electrons"]) <= high
        assert 0.2 < float(row["translation_cm"]) < 20
        assert 0.05 < float(row["parallax_px"]) < 20
        assert 0.005 < float(row["uncovered_share"]) < 0.6
        assert 0 <= float(row["moving_share"]) < 0.6
        assert SETTINGS.objects[0] <= len(row["objects"].split()) <= SETTINGS.objects[1]
        assert SETTINGS.foreground[0] <= len(row["foreground"].split()) <= SETTINGS.foreground[1]
    assert len({row["electrons"] for row in rows}) == len(rows)


@pytest.fixture(scope="module")
def one() -> tuple[Bracket, dict[str, Panorama]]:
    settings = SETTINGS.model_copy(update={"train_views": 0, "validation_views": 0, "no_truth_scenes": 0})
    return next(take(settings, SHIPPED)), load_all(settings, SHIPPED)


def retaken(one: tuple[Bracket, dict[str, Panorama]], **changes: object) -> Bracket:
    bracket, lights = one
    return retake(SETTINGS.model_copy(update=changes), lights, bracket.spec, bracket.pose, bracket.row["draws"])


def test_a_view_can_be_taken_again(one: tuple[Bracket, dict[str, Panorama]]) -> None:
    again = retaken(one)
    assert again.row == one[0].row
    assert all((a == b).all() for a, b in zip(again.frames, one[0].frames, strict=True))


@pytest.mark.parametrize(
    ("change", "stay"),
    [
        ({"electrons": (500.0, 500.0)}, {"light", "things"}),
        ({"motion": (30.0, 30.0)}, {"camera", "things", "electrons"}),
        ({"rotation_jitter": 2.0}, {"things", "electrons", "truth"}),
        ({"translation": 0.2}, {"things", "electrons", "truth"}),
    ],
)
def test_a_setting_that_is_turned_changes_nothing_else(
    one: tuple[Bracket, dict[str, Panorama]], change: dict[str, object], stay: set[str]
) -> None:
    before, after = one[0], retaken(one, **change)
    columns = {
        "things": ("objects", "foreground", "textures"), "electrons": ("electrons",),
        "camera": ("translation_cm", "camera_rotation_px", "camera_height_m", "radius_m"),
    }  # fmt: skip
    for what in stay & set(columns):
        assert [before.row[name] for name in columns[what]] == [after.row[name] for name in columns[what]]
    if "light" in stay:
        assert all((a == b).all() for a, b in zip(before.seen, after.seen, strict=True))
    if "truth" in stay:
        np.testing.assert_array_equal(before.radiance, after.radiance)
    assert any((a != b).any() for a, b in zip(before.frames, after.frames, strict=True))


def test_without_motion_every_frame_shows_the_same(one: tuple[Bracket, dict[str, Panorama]]) -> None:
    still = retaken(one, motion=(0.0, 0.0), rotation_jitter=0.0, translation=0.0, sway=0.0)
    for light in (still.seen[0], still.seen[2]):
        np.testing.assert_allclose(light, still.seen[1], rtol=1e-9)
    assert not still.uncovered.any()
    assert float(still.row["parallax_px"]) == 0


def test_the_uncovered_share_grows_with_each_cause(one: tuple[Bracket, dict[str, Panorama]]) -> None:
    calm = {"motion": (0.0, 0.0), "rotation_jitter": 0.0, "translation": 0.0, "sway": 0.0}
    for name, value in {"motion": (20.0, 20.0), "rotation_jitter": 2.0, "translation": 0.2}.items():
        assert retaken(one, **{**calm, name: value}).uncovered.mean() > 0.005
