"""CA-ViT against the authors' network; see golden/README.md."""

import numpy as np
import pytest
import torch

from bench.core.registry import methods

from . import naive, rule

CARD = methods["cavit"]


@pytest.fixture(scope="module")
def public():
    return rule.public_state("ca_vit")


@pytest.fixture(scope="module")
def loaded(public):
    network = CARD.build("published")
    CARD.load_published(network, public)
    return network.eval()


def test_the_naive_function_equals_it_too(public):
    """It is what the speed of ours is compared with."""
    case = rule.case("ca_vit_64x64")
    drawn = [torch.from_numpy(rule.public_frame(index)).double() for index in range(3)]
    out, last = naive.cavit({key: value.double() for key, value in public.items()}, *drawn)
    np.testing.assert_allclose(out.numpy(), case.arrays["out"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(last.numpy(), case.arrays["last_conv"], rtol=0, atol=1e-6)


def test_any_size_is_the_padded_image_cropped(loaded):
    """Theirs fails where windows don't fit; the padding is ours, the reflection of the harness."""
    network, inputs = loaded.double(), rule.frames(17, 23)
    padded = torch.nn.functional.pad(inputs.flatten(1, 2), (0, 1, 0, 7), mode="reflect").unflatten(1, (3, 6))
    out, _ = rule.run(network, inputs)
    np.testing.assert_allclose(out, rule.run(network, padded)[0][..., :17, :23], rtol=0, atol=1e-12)


def test_stochastic_depth_is_drawn_from_the_generator_in_training_only():
    network = CARD.build("smoke", drop=0.9)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    frames = torch.rand(8, 3, 6, 8, 8)
    with torch.no_grad():
        torch.manual_seed(3)
        first, second = network(frames), network(frames)
        torch.manual_seed(3)
        again = network(frames)
        calm = [network.eval()(frames) for _ in range(2)]
    assert torch.equal(first, again) and not torch.equal(first, second) and torch.equal(*calm)
