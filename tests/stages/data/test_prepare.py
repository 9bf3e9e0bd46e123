"""Prepare: every scene or none, by as many processes as there are, from where an earlier call was stopped."""

import hashlib
import json
import multiprocessing
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from bench.core import layout, parallel
from bench.core.errors import UsageError
from bench.core.params import load
from bench.io.container import read_scene
from bench.io.radiance import read_rgbe, write_rgbe
from bench.report.results import caption
from bench.stages.data import prepare

GOLDEN = Path(__file__).resolve().parents[2] / "data" / "golden" / "kalantari_layout"
COPIES, KILLS = 12, 20
TWINS = "one picture under two names"


def place(root, name, scene="ev_0_2_4"):
    """Put a tiny scene under `root`; variants with an exposure file of their own share the frames of the first."""
    folder = root / name
    shutil.copytree(GOLDEN / "ev_0_2_4", folder)
    for path in (GOLDEN / scene).iterdir():
        shutil.copy(path, folder / path.name)
    return folder


@pytest.fixture
def site(tmp_path, dataset_params):
    """A folder with a Kalantari set of one training and one test scene, fetched; the current folder."""
    source = tmp_path / "kalantari"
    place(source, "Training/001")
    place(source, "Test/EXTRA/002", "ev_m3_0_3")
    note = layout.raw(dataset_params("kalantari", {"waive": {"duplicates": TWINS}}), "kalantari") / "on_disk.json"
    note.parent.mkdir(parents=True)
    note.write_text(json.dumps({"folder": str(source)}))
    return tmp_path


def run(site, **changes):
    path = site / "params.yaml"
    if changes:  # a process that will be killed must not write the file that the next one reads
        content = yaml.safe_load(path.read_text())
        content["datasets"]["kalantari"] |= changes.pop("dataset", {})
        path.write_text(yaml.safe_dump(content | changes))
    prepare.run(load(path), "kalantari")


def prepared(site, split="train", name="001"):
    return site / "work" / "small" / "scenes" / "kalantari" / split / name


def records(site):
    return json.loads((site / "work" / "small" / "prepared" / "kalantari.json").read_text())


def everything(folder):
    """Name and sha256 of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_scenes_stand_in_their_splits_with_checks_and_sources(site, capsys):
    run(site)
    scene, record = read_scene(prepared(site), verify=True), records(site)["train"]["001"]
    assert scene.times.tolist() == [1, 4, 16] and scene.radiance is not None
    assert record["checks"]
    assert all(said == "passed" or said.startswith("not applicable: ") for said in record["checks"].values())
    assert len(record["fingerprint"]) == 16 and int(record["fingerprint"], 16) >= 0
    assert read_scene(prepared(site, "test", "002")).times.tolist() == [1, 8, 64]
    assert record["sources"] == everything(site / "kalantari" / "Training" / "001")
    assert "kalantari/train: 1 scenes, layout " in capsys.readouterr().out
    assert not list((site / "runs").rglob("scene.json")), "what is published isn't kept twice"


@pytest.mark.parametrize("variant", ["ev_m2_0_2", "ev_0_2_4_one_line"])
def test_exposure_files_of_one_meaning_give_one_prepared_scene(site, variant):
    run(site)
    first = everything(prepared(site))
    shutil.rmtree(site / "kalantari" / "Training")
    place(site / "kalantari", "Training/001", variant)
    run(site)
    assert everything(prepared(site)) == first


def test_a_truth_off_by_four_is_refused_with_its_price(site):
    path = site / "kalantari" / "Training" / "001" / "HDRImg.hdr"
    write_rgbe(path, np.asarray(4 * read_rgbe(path)))
    hint = r"set datasets\.kalantari\.waive in .*params\.yaml to \{scale: <your reason>\}; tables will say so"
    with pytest.raises(UsageError, match=rf"(?s)001.*12\.04 dB.*{hint}"):
        run(site)
    assert not prepared(site).exists()


def test_who_knows_better_may_overrule_a_measurement_and_the_record_says_so(site):
    path = site / "kalantari" / "Training" / "001" / "HDRImg.hdr"
    write_rgbe(path, np.asarray(read_rgbe(path) / 4))
    reason = "scaled by its authors, see their readme"
    run(site, dataset={"waive": {"scale": reason, "duplicates": "one picture under two names"}})
    checks = records(site)["train"]["001"]["checks"]
    assert checks["scale"].startswith(f'waived, {reason}: scene "001" of kalantari: the truth is 0.249 times')
    assert checks["frames"] == checks["truth"] == checks["steps"] == "passed"
    assert reason in caption.waivers(load(site / "params.yaml"))
    with pytest.raises(UsageError, match=r"12\.04 dB"):  # the waiver is not remembered
        run(site, dataset={"waive": {"duplicates": TWINS}})


@pytest.mark.parametrize("waive", [{"frames": "they are fine as they are"}, {"scale": ""}, {"scale": "x" * 101}, True])
def test_facts_cannot_be_waived_and_reasons_are_short(site, waive):
    with pytest.raises(UsageError, match=r"datasets\.kalantari\.waive"):
        run(site, dataset={"waive": waive})


def test_all_bad_scenes_are_named_and_nothing_is_written(site):
    for name in ("003", "004"):
        (place(site / "kalantari", f"Training/{name}") / "2.tif").write_bytes(b"")
    with pytest.raises(UsageError) as caught:
        run(site)
    lines = str(caught.value).splitlines()
    assert lines[0] == "2 of 4 scenes of kalantari were refused:"
    assert "003" in lines[1] and "004" in lines[2] and len(lines) == 3
    assert not prepared(site).parents[1].exists()
    shutil.rmtree(site / "kalantari" / "Training" / "003")
    place(site / "kalantari", "Training/003")
    shutil.rmtree(site / "kalantari" / "Training" / "004")
    run(site)
    assert {path.name for path in prepared(site).parent.iterdir()} == {"001", "003"}


def test_good_scenes_are_not_read_again_after_a_refusal(site, monkeypatch):
    (place(site / "kalantari", "Training/003") / "2.tif").write_bytes(b"")
    with pytest.raises(UsageError):
        run(site)
    shutil.rmtree(site / "kalantari" / "Training" / "003")
    monkeypatch.setattr(prepare.checks, "run", lambda scene: pytest.fail(f"{scene.id} was read again"))
    run(site)
    assert prepared(site).exists()


def test_a_scene_whose_files_changed_is_read_again(site):
    (place(site / "kalantari", "Training/003") / "2.tif").write_bytes(b"")
    with pytest.raises(UsageError):
        run(site)
    shutil.rmtree(site / "kalantari" / "Training")
    place(site / "kalantari", "Training/001", "ev_m3_0_3")
    run(site)
    assert read_scene(prepared(site)).times.tolist() == [1, 8, 64]


def test_running_again_changes_nothing(site):
    run(site)
    before = {path: path.stat().st_mtime_ns for path in prepared(site).parents[1].rglob("*.npy")}
    run(site)
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_damaged_container_is_mended(site):
    run(site)
    good = everything(prepared(site))
    with (prepared(site) / "ldr.npy").open("r+b") as file:
        file.seek(2000)
        file.write(b"\x12\x34")
    run(site)
    assert everything(prepared(site)) == good


def test_scenes_that_are_gone_are_removed(site):
    place(site / "kalantari", "Training/003")
    run(site)
    shutil.rmtree(site / "kalantari" / "Training" / "003")
    run(site)
    assert not prepared(site, name="003").exists()


def test_names_that_differ_in_how_accents_are_composed_alone_are_refused(site):
    """Other disks and programs take them for one; on this one they are two folders."""
    for name in ("caf\u00e9", "cafe\u0301"):
        place(site / "kalantari", f"Training/{name}")
    said = r"two scenes are called 'cafe\\u0301' and 'caf\\xe9', which read alike, .*; rename one of them\."
    with pytest.raises(UsageError, match=said):
        run(site)
    assert not prepared(site).exists()


def test_several_processes_write_what_one_writes(site, monkeypatch):
    for number in range(2, 7):
        place(site / "kalantari", f"Training/{number:03d}")
    run(site, threads=1)
    alone = everything(prepared(site).parents[1])
    shutil.rmtree(site / "work" / "small" / "scenes")
    monkeypatch.setattr(parallel, "WORTHWHILE", -1.0)
    run(site, threads=2)
    assert everything(prepared(site).parents[1]) == alone


def test_a_scene_of_both_splits_is_refused_unless_it_is_said_to_be_right(site, capsys):
    place(site / "kalantari", "Test/EXTRA/009")
    with pytest.raises(UsageError, match=r"(?s)001.*009.*waive in .*duplicates: <"):
        run(site, dataset={"waive": {}})
    assert not prepared(site).exists()
    run(site, dataset={"waive": {"duplicates": TWINS}})
    assert prepared(site).exists() and "note: " in capsys.readouterr().out


def test_a_forced_layout_that_is_unknown_is_answered(site):
    with pytest.raises(UsageError, match="no layout of kalantari is called 'oxfort'"):
        run(site, dataset={"layout": "oxfort"})


def test_killed_at_any_moment_the_next_run_completes_the_same_bytes(site):
    """Twenty kills, each at a moment drawn from an undisturbed run's length and each from the start."""
    for number in range(2, COPIES):
        place(site / "kalantari", f"Training/{number:03d}")
    start = time.monotonic()
    run(site)
    whole, length = everything(prepared(site).parents[1]), time.monotonic() - start
    context, rng, inside = multiprocessing.get_context("fork"), np.random.default_rng(0), 0
    for _ in range(KILLS):
        for folder in ("work/small/scenes", "runs"):
            shutil.rmtree(site / folder, ignore_errors=True)
        process = context.Process(target=run, args=(site,))
        process.start()
        time.sleep(rng.uniform(0, 1.2 * length))
        inside += process.is_alive()
        process.kill()
        process.join()
        run(site)
        assert everything(prepared(site).parents[1]) == whole
    assert inside >= KILLS // 2, "most kills must land before the end"
