"""VGG-16 features: torchvision's weights give what torchvision computes, and others are refused."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.errors import UsageError
from bench.nn.vgg import TAPS, VggFeatures, used_layers

PLAN = [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512]
"""torchvision's configuration D as far as relu4_3; every convolution is followed by a ReLU in its layer list."""

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    stream, position, inputs = torch.Generator().manual_seed(1), 0, 3
    entries = {"classifier.6.bias": torch.zeros(1000)}
    for width in PLAN:
        if isinstance(width, int):
            weight = torch.randn(width, inputs, 3, 3, generator=stream) * (2 / (9 * inputs)) ** 0.5
            entries |= {f"features.{position}.weight": weight}
            entries |= {f"features.{position}.bias": 0.1 * torch.randn(width, generator=stream)}
            inputs, position = width, position + 2
        else:
            position += 1
    return entries


@pytest.fixture(scope="module")
def random_vgg() -> VggFeatures:
    return VggFeatures(None, seed=3)


def forward(state: State, images: Tensor) -> list[Tensor]:
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    features = ((images.movedim(1, -1) - mean) / deviation).movedim(-1, 1)
    taps, position = [], 0
    for index, width in enumerate([*PLAN, "M"]):
        if width == "M":
            taps.append(features)
            features, position = F.max_pool2d(features, 2), position + 1
        else:
            weight, bias = state[f"features.{position}.weight"], state[f"features.{position}.bias"]
            features, position = F.relu(F.conv2d(features, weight, bias, padding=1)), position + 2
        assert index < 14
    return taps


def test_weights_give_the_features_of_an_independent_forward(state):
    vgg, images = (
        VggFeatures(state, source="0123456789abcdef0"),
        torch.rand(2, 3, 24, 32, generator=torch.Generator().manual_seed(0)),
    )
    taps = vgg(images)
    assert [tuple(tap.shape[1:]) for tap in taps] == [(64, 24, 32), (128, 12, 16), (256, 6, 8), (512, 3, 4)]
    assert len(taps) == len(TAPS)
    for ours, theirs in zip(taps, forward(state, images), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    assert vgg.origin == "vgg16 sha256:0123456789abcdef"


def test_random_weights_are_a_function_of_the_seed(random_vgg):
    again, other = VggFeatures(None, seed=3), VggFeatures(None, seed=4)
    pairs = list(zip(random_vgg.parameters(), again.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(next(random_vgg.parameters()), next(other.parameters()))
    assert random_vgg.origin == "random-vgg16 (seed 3)"


def test_random_weights_keep_the_scale_of_the_signal(random_vgg):
    taps = random_vgg(torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert all(0.1 < float(tap.std()) < 10 for tap in taps)


def test_the_backbone_is_frozen_and_the_target_gets_no_gradient(random_vgg):
    images, targets = (torch.rand(1, 3, 16, 16, requires_grad=True) for _ in range(2))
    random_vgg.distance(images, targets).backward()
    assert images.grad is not None and images.grad.abs().sum() > 0
    assert targets.grad is None
    assert not any(p.requires_grad for p in random_vgg.parameters()) and not random_vgg.training


def test_the_distance_sums_the_taps_means(random_vgg):
    images, targets = torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16)
    wanted = sum(float((a - b).abs().mean()) for a, b in zip(random_vgg(images), random_vgg(targets), strict=True))
    assert float(random_vgg.distance(images, targets)) == pytest.approx(wanted, rel=1e-5)
    assert float(random_vgg.distance(images, images)) == 0


@pytest.mark.parametrize("size", [1, 3, 7])
def test_tiny_images_have_all_taps_too(random_vgg, size):
    assert len(random_vgg(torch.rand(1, 3, size, size))) == 4


def test_other_weights_are_refused(state):
    with pytest.raises(UsageError, match=r"no VGG-16: layer features\.10 is missing or of another shape"):
        VggFeatures({name: value for name, value in state.items() if name != "features.10.bias"})
    with pytest.raises(UsageError, match=r"no VGG-16: layer features\.0 is missing or of another shape"):
        VggFeatures(state | {"features.0.weight": torch.zeros(64, 1, 3, 3)})


def test_only_the_layers_in_use_are_kept(state):
    kept = used_layers(state | {"features.24.weight": torch.zeros(512, 512, 3, 3)})
    assert set(kept) == set(state) - {"classifier.6.bias"}
    assert all(value.dtype == torch.float32 for value in kept.values())
