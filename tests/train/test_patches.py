"""Training patches: the field's count, every one once an epoch, and nothing that depends on history."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench.core.errors import UsageError
from bench.core.scene import Scene
from bench.nn.frames import scene_input, to_network
from bench.train.patches import PatchStream, dihedral, grid, shares


def stream(*scenes, size=16, stride=8, augment=False, seed=0, per_scene=0):
    return PatchStream(scenes, size=size, stride=stride, augment=augment, seed=seed, per_scene=per_scene)


def test_kalantaris_training_set_gives_17760_patches():
    """12 rows by 20 columns of 256 pixels at stride 64 in each of 74 images of 1000x1500."""
    assert len(grid(1000, 1500, 256, 64)) == 240
    frames = np.broadcast_to(np.uint16(0), (3, 1000, 1500, 3))
    scenes = [SimpleNamespace(frames=frames)] * 74
    assert len(stream(*scenes, size=256, stride=64)) == 17_760


def test_patches_lie_inside_the_image_and_reach_as_far_as_the_stride_allows():
    corners = grid(40, 56, 16, 8)
    assert corners[0] == (0, 0) and corners[-1] == (24, 40)
    assert grid(16, 16, 16, 8) == [(0, 0)]
    assert grid(15, 40, 16, 8) == []


def test_every_patch_is_drawn_once_an_epoch(tiny_scene):
    patches = stream(tiny_scene, tiny_scene)
    assert len(patches) == 2 * 4 * 6
    for epoch in range(3):
        drawn = [patches[number].truth.tobytes() for number in range(epoch * 48, (epoch + 1) * 48)]
        wanted = [tiny_scene.radiance[top : top + 16, left : left + 16].tobytes() for top, left in grid(40, 56, 16, 8)]
        assert sorted(drawn) == sorted(2 * wanted)


def test_patches_of_no_grid_lie_anywhere_and_as_many_of_each_scene_in_every_epoch(tiny_scene):
    """A place is found by its truth, which is different everywhere."""
    other = replace(tiny_scene, id="other", radiance=1 - tiny_scene.radiance)
    patches, places = stream(tiny_scene, other, per_scene=30), {}
    for index, scene in enumerate((tiny_scene, other)):
        for top, left in itertools.product(range(25), range(41)):
            places[scene.radiance[top : top + 16, left : left + 16].tobytes()] = index, top, left
    assert len(patches) == 60
    for epoch in range(2):
        drawn = [places[patches[number].truth.tobytes()] for number in range(60 * epoch, 60 * (epoch + 1))]
        assert [index for index, _, _ in drawn].count(0) == 30
        assert sum(top % 8 > 0 or left % 8 > 0 for _, top, left in drawn) > 50
    assert patches[5].truth.tobytes() == stream(tiny_scene, other, per_scene=30)[5].truth.tobytes()


def test_a_patch_anywhere_in_a_scene_of_its_size_is_the_whole(tiny_scene):
    whole = replace(tiny_scene, frames=tiny_scene.frames[:, :16, :16], radiance=tiny_scene.radiance[:16, :16])
    assert stream(whole, per_scene=3)[2].truth.tobytes() == np.ascontiguousarray(whole.radiance).tobytes()
    with pytest.raises(UsageError, match="no 24x24 patch fits into any of the 1 training scenes"):
        stream(whole, size=24, per_scene=3)


def test_epochs_are_shuffled_differently(tiny_scene):
    patches = stream(tiny_scene)
    orders = [[patches[epoch * 24 + i].truth.tobytes() for i in range(24)] for epoch in range(2)]
    assert orders[0] != orders[1]


def test_a_sample_does_not_depend_on_what_was_drawn_before(tiny_scene):
    fresh = stream(tiny_scene, augment=True)
    numbers = [70, 3, 500, 24, 23, 3, 0]
    drawn = [fresh[number] for number in numbers]
    for number, patch in zip(numbers, drawn, strict=True):
        again = stream(tiny_scene, augment=True)[number]
        assert patch.frames.tobytes() == again.frames.tobytes()
        assert patch.truth.tobytes() == again.truth.tobytes()


def test_another_seed_gives_another_order(tiny_scene):
    orders = [[stream(tiny_scene, seed=seed)[i].truth.tobytes() for i in range(24)] for seed in (0, 1)]
    assert orders[0] != orders[1] and sorted(orders[0]) == sorted(orders[1])


def test_frames_and_truth_are_turned_alike(tiny_scene):
    """A scene whose frames equal its truth must give patches whose frames equal their truth."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 65536, (24, 24, 3)).astype(np.uint16)
    same = Scene("same", np.stack([codes] * 3), np.array([1.0, 1, 1]), 1, (codes / 65535).astype(np.float32))
    patches, plain = stream(same, augment=True), stream(same, augment=False)
    turned = 0
    for number in range(32):
        patch = patches[number]
        np.testing.assert_allclose(patch.frames / 65535, np.stack([patch.truth] * 3), rtol=1e-6)
        turned += not np.array_equal(patch.truth, plain[number].truth)
    assert turned > 16


def test_the_eight_symmetries_are_different_and_keep_the_values():
    image = np.arange(27.0).reshape(3, 3, 3)
    images = [dihedral(image, symmetry) for symmetry in range(8)]
    assert np.array_equal(images[0], image)
    assert all(not np.array_equal(a, b) for a, b in itertools.combinations(images, 2))
    assert all(np.array_equal(np.sort(i.reshape(3, -1)), np.sort(image.reshape(3, -1))) for i in images)


@pytest.mark.parametrize(
    ("augment", "flips", "shares"),
    [
        (True, {}, dict.fromkeys(range(8), 1 / 8)),
        ("flips", {2: (-2, -1), 4: (-1,), 6: (-2,)}, dict.fromkeys((0, 2, 4, 6), 1 / 4)),
        ("one-flip", {4: (-1,), 6: (-2,)}, {0: 1 / 2, 4: 1 / 4, 6: 1 / 4}),
        (False, {}, {0: 1}),
    ],
)
def test_symmetries_are_drawn_by_their_shares(tiny_scene, augment, flips, shares):
    patches, plain = stream(tiny_scene, augment=augment), stream(tiny_scene)
    pairs = [[np.moveaxis(drawn[n].truth, -1, 0) for drawn in (plain, patches)] for n in range(160)]
    seen = [next(s for s in range(8) if np.array_equal(dihedral(one, s), other)) for one, other in pairs]
    assert set(seen) == set(shares)
    assert all(abs(seen.count(symmetry) / 160 - share) < 0.1 for symmetry, share in shares.items())
    assert all(np.array_equal(dihedral(pairs[0][0], s), np.flip(pairs[0][0], axes)) for s, axes in flips.items())


@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535)])
def test_the_networks_input_is_ldr_then_linear(dtype, top):
    codes = np.random.default_rng(0).integers(0, top + 1, (3, 4, 5, 3)).astype(dtype)
    frames = scene_input(Scene("s", codes, np.array([1.0, 4, 16]), 1))[0].numpy()
    assert frames.shape == (3, 6, 4, 5) and frames.dtype == np.float32
    ldr = np.moveaxis(codes / top, -1, 1)
    np.testing.assert_allclose(frames[:, :3], ldr, rtol=1e-6)
    np.testing.assert_allclose(
        frames[:, 3:], ldr**2.2 / np.array([1, 4, 16])[:, None, None, None], rtol=1e-5, atol=1e-9
    )


def test_patches_are_copies_of_what_is_stored(tiny_scene):
    patch = stream(tiny_scene, augment=True)[0]
    assert patch.frames.shape == (3, 16, 16, 3) and patch.truth.shape == (16, 16, 3)
    assert (patch.frames.dtype, patch.times.dtype, patch.truth.dtype) == (np.uint16, np.float32, np.float32)
    assert patch.times.tolist() == tiny_scene.times.tolist()
    patch.truth[:] = -1
    assert tiny_scene.radiance.min() >= 0


def test_a_batch_holds_what_its_samples_hold(tiny_scene):
    patches, numbers = stream(tiny_scene, tiny_scene, augment=True), [5, 90, 5, 0]
    batch = patches.__getitems__(numbers)
    for place, number in enumerate(numbers):
        assert all(np.array_equal(part[place], alone) for part, alone in zip(batch, patches[number], strict=True))


def test_eight_bit_scenes_give_the_same_input(tiny_scene):
    """257 * v / 65535 is v / 255, in float32 too."""
    codes = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3)).astype(np.uint8)
    truth = np.zeros((16, 16, 3), np.float32)
    patch = stream(Scene("eight", codes, np.array([1.0, 4, 16]), 1, truth))[0]
    stored, times = torch.from_numpy(patch.frames)[None], torch.from_numpy(patch.times)[None]
    whole = scene_input(Scene("eight", codes, np.array([1.0, 4, 16]), 1))
    assert torch.equal(to_network(stored, times), whole)


@pytest.mark.parametrize("world", [1, 2, 4])
def test_processes_draw_together_what_one_draws(world):
    """In every step, whatever it starts from; and no sample twice."""
    whole = np.reshape(shares(8, 3, 10), (7, 8))
    assert whole[0].tolist() == list(range(24, 32))
    parts = [np.reshape(shares(8, 3, 10, rank=rank, world=world), (7, -1)) for rank in range(world)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(UsageError, match="a batch of 8 can't be shared by 3 processes; make it a multiple of 3"):
        shares(8, 0, 1, world=3)


def test_brackets_of_different_lengths_are_refused(tiny_scene):
    shorter = Scene("two", tiny_scene.frames[:2], tiny_scene.times[:2], 0, tiny_scene.radiance)
    with pytest.raises(UsageError, match=r"scene '.*' has . frames, another of its batch .; a training set needs"):
        stream(tiny_scene, shorter).__getitems__(range(16))


def test_too_small_scenes_are_refused(tiny_scene):
    with pytest.raises(UsageError, match="no 64x64 patch fits into any of the 1 training scenes"):
        stream(tiny_scene, size=64)


def test_scenes_without_truth_are_refused(tiny_scene):
    blind = Scene("blind", tiny_scene.frames, tiny_scene.times, 1)
    with pytest.raises(UsageError, match=r"scene 'blind' has no truth"):
        stream(blind)[0]
