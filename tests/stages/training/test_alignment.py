"""Methods that want registered frames get them wherever their network runs: in training, prediction and tiles."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench.color.registration import flow, register
from bench.core.fingerprint import DECIDES
from bench.core.method import MethodCard
from bench.core.registry import methods
from bench.io.container import read_scene
from bench.nn.frames import scene_input
from bench.stages.scoring.predict import predictor
from bench.stages.tools import tiles
from bench.stages.training import inputs

CARD = methods["kalantari2017"]
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
    """A workshop with a run of a method that aligns."""
    return site.change(
        variants={"kalantari2017": {"method": "kalantari2017", "preset": "smoke"}},
        head="published",
    )


def kept(place):
    return sorted(Path("runs", place.params.profile).glob(f"aligned-{CARD.name}--panoramas/*/*/scene.json"))


def test_training_reads_registered_frames(aligning):
    plain = inputs.read_split(aligning.params, "panoramas", "train")
    found = inputs.read_aligned(aligning.params, "panoramas", "train", CARD)
    assert [scene.id for scene in found] == [scene.id for scene in plain]
    assert any((one.frames != other.frames).any() for one, other in zip(plain, found, strict=True))
    for one, other in zip(plain, found, strict=True):
        np.testing.assert_array_equal(other.frames, register(one, flow).frames)
        np.testing.assert_array_equal(other.radiance, one.radiance)
        assert isinstance(other.frames, np.memmap) and other.reference == one.reference
    assert len(kept(aligning)) == len(plain)


def test_scenes_are_registered_once(aligning, monkeypatch):
    inputs.read_aligned(aligning.params, "panoramas", "train", CARD)
    monkeypatch.setattr(MethodCard, "align", lambda self, scene: pytest.fail("registered again"))
    inputs.read_aligned(aligning.params, "panoramas", "train", CARD)


def test_a_damaged_scene_is_registered_again(aligning):
    wanted = [scene.frames.copy() for scene in inputs.read_aligned(aligning.params, "panoramas", "train", CARD)]
    first = kept(aligning)[0].parent
    content = (first / "ldr.npy").read_bytes()
    (first / "ldr.npy").write_bytes(content[: len(content) // 2])
    again = inputs.read_aligned(aligning.params, "panoramas", "train", CARD)
    for one, other in zip(wanted, again, strict=True):
        np.testing.assert_array_equal(other.frames, one)


def test_one_process_at_a_time_registers(aligning, monkeypatch):
    """Trainings side by side would replace each other's scenes: the second waits and finds the first one's."""
    calls, align = [], MethodCard.align
    monkeypatch.setattr(MethodCard, "align", lambda self, scene: calls.append(scene.id) or align(self, scene))
    given = (aligning.params, "panoramas", "train", CARD)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: inputs.read_aligned(*given), range(2))
    assert sorted(calls) == sorted(scene.id for scene in inputs.read_split(*given[:3]))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.frames, other.frames)


def test_other_code_or_data_registers_afresh(aligning, monkeypatch):
    inputs.read_aligned(aligning.params, "panoramas", "train", CARD)
    before = len(kept(aligning))
    monkeypatch.setitem(DECIDES, "alignment", (*DECIDES["alignment"], "bench/nn/tiling.py"))
    inputs.read_aligned(aligning.params, "panoramas", "train", CARD)
    assert len(kept(aligning)) == 2 * before


def test_methods_that_take_frames_as_they_are_keep_nothing(site):
    found = inputs.read_aligned(site.params, "panoramas", "train", methods["ahdrnet"])
    plain = inputs.read_split(site.params, "panoramas", "train")
    for one, other in zip(plain, found, strict=True):
        np.testing.assert_array_equal(other.frames, one.frames)
    assert not kept(site)


def test_the_training_stage_uses_them(aligning, monkeypatch):
    seen = []
    stream = inputs.stream
    monkeypatch.setattr(inputs, "stream", lambda *given: seen.append(given) or stream(*given))
    aligning.run("train", RUN)
    (scenes,) = [part for part in seen[0] if isinstance(part, list)]
    folder = kept(aligning)[0].parent
    np.testing.assert_array_equal(scenes[0].frames, read_scene(folder).frames)
    assert Path("work/tiny/weights", f"{RUN}.safetensors").exists()
    outs = {path.relative_to("work/tiny").parts[0] for path in Path("work/tiny").rglob("*") if "aligned" in path.name}
    assert not outs


@pytest.mark.parametrize("name", ["kalantari2017", "ahdrnet"])
def test_a_prediction_sees_them(name, tiny_scene):
    network = Recording()
    radiance = predictor(methods[name], network, torch.device("cpu"))(tiny_scene)
    wanted = register(tiny_scene, flow) if name == "kalantari2017" else tiny_scene
    torch.testing.assert_close(network.given[0], scene_input(wanted), rtol=0, atol=0)
    np.testing.assert_allclose(radiance, tiny_scene.linear[1], rtol=1e-6)


def test_a_comparison_of_tiles_sees_them(aligning, monkeypatch, capsys):
    aligning.run("train", RUN)
    network = Recording()
    monkeypatch.setattr(tiles.networks, "read", lambda params, name: network)
    tiles.run(aligning.params, RUN, tile=32, limit=1)
    scene = inputs.read_split(aligning.params, "panoramas", "test")[0]
    torch.testing.assert_close(network.given[0], scene_input(register(scene, flow)), rtol=0, atol=0)
    assert "largest difference in the mu-law domain 0 " in capsys.readouterr().out
