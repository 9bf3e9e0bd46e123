"""Inspection of codebooks and their measurement during training, on a tiny VQGAN and a tiny bracket."""

import json

import numpy as np
import pytest
import torch

from bench.core.errors import UsageError
from bench.core.optimisation import HELD_OUT
from bench.core.params import Params
from bench.core.scene import IMAGE_KINDS, Scene
from bench.metrics import psnr_l, psnr_mu
from bench.stages.inspection.inspect import examine
from bench.stages.training import observation
from bench.stages.training.observation import held_out, look, measure, observer, tensors
from bench.train.loop import seed_parameters
from methods.olc.vqgan import VQGAN

SIZE = 16


def network(segments="olc"):
    vqgan = VQGAN(channels=4, codes=SIZE, segments=segments, encoder_blocks=1, decoder_blocks=1, middle_blocks=0)
    seed_parameters(vqgan, 0)
    with torch.no_grad():  # codes of the encoder's scale, so that several are chosen
        vqgan.codebook.weight.normal_(0, 0.5, generator=torch.Generator().manual_seed(0))
    return vqgan.eval()


@pytest.fixture(scope="module")
def scenes(tiny_scene):
    """The bracket, and another of a size that isn't a multiple of 8, without a bright place."""
    dim = Scene("dim", tiny_scene.frames[:, :20, :21] // 4, tiny_scene.times, 1, tiny_scene.radiance[:20, :21] / 20)
    return [tiny_scene, dim]


@pytest.fixture(scope="module")
def examined(scenes):
    return {segments: examine(network(segments), scenes, 0) for segments in ("olc", "vanilla")}


def test_vectors_are_those_of_the_padded_images(examined):
    facts, arrays = examined["olc"]
    number = 5 * 7 + 3 * 3
    assert facts["vectors"] == number
    assert arrays["histograms"].shape == (4, SIZE)
    assert (arrays["histograms"].sum(1) == number).all()
    assert sum(zone["vectors"] for zone in facts["zones"]["zones"].values()) == number
    assert (arrays["codes"].shape, arrays["atlas"].shape) == ((SIZE, 32), (SIZE, 16, 16, 3))


def test_statistics_follow_from_the_indices(examined, scenes):
    facts, arrays = examined["olc"]
    vqgan = network()
    for kind, label in enumerate(IMAGE_KINDS):
        looks = [look(vqgan, *tensors(scene), kind) for scene in scenes]
        indices = np.concatenate([one.indices.ravel() for one in looks])
        errors = np.concatenate([one.errors.ravel() for one in looks])
        found = facts["kinds"][label]
        assert found["used"] == len(set(indices.tolist())) / SIZE
        # A mean of float32 values in float64, in another order of summation.
        assert found["quantisation_error"] == pytest.approx(errors.mean(), rel=1e-5)
        quarter = indices // (SIZE // 4)
        for q in range(4):
            mine = errors[quarter == q]
            assert (found["quarters_error"][q] is None) == (len(mine) == 0)
            assert len(mine) == 0 or found["quarters_error"][q] == pytest.approx(mine.mean(), rel=1e-5)
        assert arrays["histograms"][kind].tolist() == np.bincount(indices, minlength=SIZE).tolist()


def test_a_look_is_what_the_network_does(scenes):
    vqgan = network()
    frames, truth = tensors(scenes[1])
    one = look(vqgan, frames, truth, 3)
    with torch.no_grad():
        features = vqgan.encode(truth)
    codes = vqgan.codebook.weight.detach()[torch.from_numpy(one.indices)].permute(2, 0, 1)
    expected = (features[0] - codes).square().mean(0).numpy()
    np.testing.assert_allclose(one.errors, expected, rtol=1e-5)  # float32, another order of summation
    with torch.no_grad():
        pair = (vqgan(truth, 3).radiance[0].permute(1, 2, 0), truth[0].permute(1, 2, 0))
    # Both in float64, summed in another order.
    assert one.psnr_mu == pytest.approx(float(psnr_mu(*pair)), abs=1e-9)
    assert one.psnr_l == pytest.approx(float(psnr_l(*pair)), abs=1e-9)


def test_segments_are_kept_and_overlap_shows_them(examined):
    overlap = {name: np.array(facts["overlap"]["jaccard"]) for name, (facts, _) in examined.items()}
    assert overlap["olc"][0, 2] == 0
    for matrix in overlap.values():
        np.testing.assert_array_equal(matrix, matrix.T)
        np.testing.assert_array_equal(np.diag(matrix), 1)
    assert examined["olc"][0]["zones"]["sharers"]["mass"]["L1+L3"] == 0
    # HDR images may use the whole book either way.
    np.testing.assert_array_equal(examined["olc"][1]["histograms"][3], examined["vanilla"][1]["histograms"][3])


def test_the_bright_spot_is_the_saturated_zone(examined):
    zones = examined["olc"][0]["zones"]["zones"]
    assert zones["saturated"]["vectors"] > 0
    assert zones["saturated"]["half"]["frame"] == "L1"
    assert zones["mid"]["vectors"] > zones["saturated"]["vectors"]


def test_facts_are_json_and_repeat(examined, scenes):
    facts, arrays = examined["olc"]
    again, more = examine(network(), scenes, 0)
    assert json.dumps(facts, allow_nan=False, sort_keys=True) == json.dumps(again, allow_nan=False, sort_keys=True)
    assert all((arrays[name] == more[name]).all() for name in arrays)


class TestDuringTraining:
    @pytest.fixture
    def params(self, small_params):
        small_params["stage1"] |= {"observe_every": 100}
        return Params.model_validate(small_params)

    def test_columns_and_their_agreement_with_inspection(self, examined, scenes):
        vqgan = network().train()
        found = measure(vqgan, [tensors(scene) for scene in scenes])
        assert vqgan.training
        facts = ("used", "perplexity", "quantisation-error", "psnr-mu")
        assert set(found) == {f"{HELD_OUT}{fact}_{kind}" for fact in facts for kind in IMAGE_KINDS}
        for kind, reported in examined["olc"][0]["kinds"].items():
            for fact in facts:
                assert found[f"{HELD_OUT}{fact}_{kind}"] == pytest.approx(reported[fact.replace("-e", "_e")])

    def test_nothing_random_is_drawn_and_no_weight_moves(self, scenes):
        vqgan = network()
        before, state = {name: value.clone() for name, value in vqgan.state_dict().items()}, torch.get_rng_state()
        measure(vqgan, [tensors(scene) for scene in scenes])
        assert torch.equal(torch.get_rng_state(), state)
        assert all(torch.equal(value, before[name]) for name, value in vqgan.state_dict().items())
        assert all(parameter.grad is None for parameter in vqgan.parameters())

    def test_few_crops_of_scenes_far_apart(self, params, tiny_scene, monkeypatch):
        wide = [
            Scene(
                f"s{i}",
                np.zeros((3, 8, 8, 3), np.uint8),
                np.array([1.0, 4.0, 16.0]),
                1,
                np.zeros((8, 8, 3), np.float32),
            )
            for i in range(9)
        ]
        frames = np.zeros((3, 160, 141, 3), np.uint8)
        wide[0] = Scene("s0", frames, wide[0].times, 1, np.zeros((160, 141, 3), np.float32))
        seen, shapes = [], []
        monkeypatch.setattr(observation.inputs, "read_split", lambda *_: wide)
        monkeypatch.setattr(observation, "tensors", lambda scene: (seen.append(scene.id), tensors(scene))[1])
        monkeypatch.setattr(
            observation, "measure", lambda _, images: shapes.extend(one.shape for pair in images for one in pair) or {}
        )
        observe = observer(params, "olc-64--panoramas--s0", network())
        assert observe() == observe() == {}
        assert seen == ["s0", "s3", "s5", "s8"]
        assert shapes[:2] == [(1, 3, 6, 128, 128), (1, 3, 128, 128)]
        assert shapes[2] == (1, 3, 6, 8, 8)

    def test_off_by_default(self, small_params):
        assert observer(Params.model_validate(small_params), "olc-64--panoramas--s0", network())() == {}

    def test_a_data_set_without_held_out_truth_is_refused(self, params, tiny_scene, monkeypatch):
        blind = Scene("blind", tiny_scene.frames, tiny_scene.times, 1)
        monkeypatch.setattr(observation.inputs, "read_split", lambda *_: [blind])
        assert held_out(params, "panoramas") == []
        with pytest.raises(UsageError, match="no test scene with truth"):
            observer(params, "olc-64--panoramas--s0", network())

    @pytest.mark.parametrize(("splits", "looked_at"), [(["validation"], "validation"), ([], "test")])
    def test_validation_scenes_are_looked_at_where_there_are_any(
        self, params, tiny_scene, monkeypatch, splits, looked_at
    ):
        asked = []
        monkeypatch.setattr(observation, "validation", lambda *_: splits)
        monkeypatch.setattr(
            observation.inputs, "read_split", lambda _, data, split: asked.append((data, split)) or [tiny_scene]
        )
        observer(params, "olc-64--panoramas--s0", network())
        assert asked == [("panoramas", looked_at)]
