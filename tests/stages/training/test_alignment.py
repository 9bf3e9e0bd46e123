"""Networks get registered frames, of their method or the profile, wherever they run: training, prediction, tiles."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench.color.registration import flow, register, registered
from bench.core.fingerprint import DECIDES
from bench.core.registry import methods
from bench.core.runs import registration
from bench.io.container import read_scene
from bench.nn.frames import scene_input
from bench.stages.scoring import predict
from bench.stages.scoring.predict import predictor
from bench.stages.tools import tiles
from bench.stages.training import inputs, train

RUN = "kalantari2017--panoramas--s0"


class Recording(nn.Module):
    """A network that keeps what it is given and answers with the reference's radiance."""

    def __init__(self):
        super().__init__()
        self.given = []

    def forward(self, frames):
        self.given.append(frames)
        return frames[:, 1, 3:]


@pytest.fixture
def aligning(site):
    """A workshop with a run of a method that registers, and nothing registered yet."""
    shutil.rmtree(Path("runs", site.params.profile), ignore_errors=True)
    return site.change(
        variants={"kalantari2017": {"method": "kalantari2017", "preset": "smoke"}},
        head="published",
        register="none",
    )


def kept(place):
    return sorted(Path("runs", place.params.profile).glob("aligned-dis--panoramas/*/*/scene.json"))


def test_training_reads_registered_frames(aligning):
    plain = inputs.read_split(aligning.params, "panoramas", "train")
    found = inputs.read_aligned(aligning.params, "panoramas", "train", "dis")
    assert [scene.id for scene in found] == [scene.id for scene in plain]
    assert any((one.frames != other.frames).any() for one, other in zip(plain, found, strict=True))
    for one, other in zip(plain, found, strict=True):
        np.testing.assert_array_equal(other.frames, register(one, flow).frames)
        np.testing.assert_array_equal(other.radiance, one.radiance)
        assert isinstance(other.frames, np.memmap) and other.reference == one.reference
    assert len(kept(aligning)) == len(plain)


def test_scenes_are_registered_once(aligning, monkeypatch):
    inputs.read_aligned(aligning.params, "panoramas", "train", "dis")
    monkeypatch.setattr(inputs, "registered", lambda *_: pytest.fail("registered again"))
    inputs.read_aligned(aligning.params, "panoramas", "train", "dis")


def test_a_damaged_scene_is_registered_again(aligning):
    wanted = [scene.frames.copy() for scene in inputs.read_aligned(aligning.params, "panoramas", "train", "dis")]
    first = kept(aligning)[0].parent
    content = (first / "ldr.npy").read_bytes()
    (first / "ldr.npy").write_bytes(content[: len(content) // 2])
    again = inputs.read_aligned(aligning.params, "panoramas", "train", "dis")
    for one, other in zip(wanted, again, strict=True):
        np.testing.assert_array_equal(other.frames, one)


def test_one_process_at_a_time_registers(aligning, monkeypatch):
    """Trainings side by side would replace each other's scenes: the second waits and finds the first one's."""
    calls, move = [], inputs.registered
    monkeypatch.setattr(inputs, "registered", lambda scene, name: calls.append(scene.id) or move(scene, name))
    given = (aligning.params, "panoramas", "train", "dis")
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: inputs.read_aligned(*given), range(2))
    assert sorted(calls) == sorted(scene.id for scene in inputs.read_split(*given[:3]))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.frames, other.frames)


def test_other_code_or_data_registers_afresh(aligning, monkeypatch):
    inputs.read_aligned(aligning.params, "panoramas", "train", "dis")
    before = len(kept(aligning))
    monkeypatch.setitem(DECIDES, "alignment", (*DECIDES["alignment"], "bench/nn/tiling.py"))
    inputs.read_aligned(aligning.params, "panoramas", "train", "dis")
    assert len(kept(aligning)) == 2 * before


def test_frames_as_taken_keep_nothing(aligning):
    found = inputs.read_aligned(aligning.params, "panoramas", "train", "none")
    plain = inputs.read_split(aligning.params, "panoramas", "train")
    for one, other in zip(plain, found, strict=True):
        np.testing.assert_array_equal(other.frames, one.frames)
    assert not kept(aligning)


def test_the_training_stage_uses_them(aligning, monkeypatch):
    seen = []
    stream = train.stream
    monkeypatch.setattr(train, "stream", lambda *given: seen.append(given) or stream(*given))
    aligning.run("train", RUN)
    (scenes,) = [part for part in seen[0] if isinstance(part, list)]
    folders = [path.parent for path in kept(aligning)]  # those of the validation's scenes too
    assert any(np.array_equal(scenes[0].frames, read_scene(folder).frames) for folder in folders)
    assert Path("work/tiny/weights", f"{RUN}.safetensors").exists()
    outs = {path.relative_to("work/tiny").parts[0] for path in Path("work/tiny").rglob("*") if "aligned" in path.name}
    assert not outs


@pytest.mark.parametrize(
    ("register", "wanted"),
    [
        ("none", {"ahdrnet": "none", "kalantari2017": "dis", "deephdr": "homography", "imported": "none"}),
        ("dis", {"ahdrnet": "dis", "kalantari2017": "dis", "deephdr": "homography", "imported": "none"}),
    ],
)
def test_a_methods_own_registration_stays_and_the_profile_decides_for_the_others(site, register, wanted):
    imported = {"method": "ahdrnet", "preset": "published", "weights": "theirs.safetensors"}
    own = {name: {"method": name} for name in wanted if name != "imported"}
    params = site.change(register=register, variants={**own, "imported": imported}).params
    assert {name: registration(params, params.variants[name]) for name in wanted} == wanted


def test_two_methods_of_a_profile_share_registered_scenes(aligning, monkeypatch):
    """And the card of the weights tells that they are registered."""
    place = aligning.change(register="dis")
    place.run("train", RUN)
    found = kept(place)
    assert found
    monkeypatch.setattr(inputs, "registered", lambda *_: pytest.fail("registered again"))
    place.run("train", place.plain)
    assert kept(place) == found
    card = json.loads(Path("work/tiny/weights", f"{place.plain}.json").read_text(encoding="utf-8"))
    assert card["register"] == "dis"


def test_an_evaluation_registers_as_the_profile_says(site, monkeypatch):
    place, seen = site.change(register="dis"), []
    monkeypatch.setattr(predict, "registered", lambda scene, name: seen.append(name) or scene)
    place.run("evaluate", f"{place.plain}--panoramas")
    assert set(seen) == {"dis"}


@pytest.mark.parametrize(
    ("name", "asked", "wanted"),
    [("kalantari2017", "none", "dis"), ("ahdrnet", "none", "none"), ("ahdrnet", "dis", "dis")],
)
def test_a_prediction_sees_them(name, asked, wanted, tiny_scene):
    network = Recording()
    radiance = predictor(methods[name], network, torch.device("cpu"), registration=asked)(tiny_scene)
    torch.testing.assert_close(network.given[0], scene_input(registered(tiny_scene, wanted)), rtol=0, atol=0)
    np.testing.assert_allclose(radiance, tiny_scene.linear[1], rtol=1e-6)


def test_a_comparison_of_tiles_sees_them(aligning, monkeypatch, capsys):
    aligning.run("train", RUN)
    network = Recording()
    monkeypatch.setattr(tiles.networks, "read", lambda params, name: network)
    tiles.run(aligning.params, RUN, tile=32, limit=1)
    scene = inputs.read_split(aligning.params, "panoramas", "test")[0]
    torch.testing.assert_close(network.given[0], scene_input(register(scene, flow)), rtol=0, atol=0)
    assert "largest difference in the mu-law domain 0\n" in capsys.readouterr().out
