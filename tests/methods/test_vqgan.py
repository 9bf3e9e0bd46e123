"""The network of stage 1: sizes, shapes and domains of the specification."""

import pytest
import torch

from bench.color.transfer import mu_law
from bench.core.errors import UsageError
from methods.olc.discriminator import PatchGAN
from methods.olc.vqgan import VQGAN


def count(module):
    return sum(p.numel() for p in module.parameters())


def small(**options):
    torch.manual_seed(0)
    return VQGAN(**{"channels": 4, "codes": 16, "segments": "olc", **options})


def convolution(inputs, outputs, size=3):
    return inputs * outputs * size**2 + outputs


def block(inputs, outputs):
    """Two GroupNorms, two 3x3 convolutions, a 1x1 shortcut where the width changes."""
    body = 2 * inputs + convolution(inputs, outputs) + 2 * outputs + convolution(outputs, outputs)
    return body + (convolution(inputs, outputs, 1) if inputs != outputs else 0)


@pytest.fixture(scope="module")
def published():
    with torch.device("meta"):
        return VQGAN(channels=32, codes=1024, segments="olc")


def test_parameters_of_the_published_encoder(published):
    """About 6.0 M (5.94): widths 32-64-128-256, two blocks a level and two in the middle, stride-2 convolutions."""
    levels = [block(32, 32), block(32, 64), block(64, 128), block(128, 256)]
    levels += [block(width, width) for width in (32, 64, 128, 256)] + 2 * [block(256, 256)]
    downs = [convolution(width, width) for width in (32, 64, 128)]
    ends = [convolution(3, 32), 2 * 256, convolution(256, 256)]
    assert count(published.encoder) == sum(levels + downs + ends) == 5_942_752


def test_parameters_of_the_published_decoder(published):
    """About 8.7 M (8.67): three blocks a level, two in the middle, a convolution after each upsampling."""
    levels = [block(256, 256), block(256, 128), block(128, 64), block(64, 32)]
    levels += 2 * [block(width, width) for width in (256, 128, 64, 32)] + 2 * [block(256, 256)]
    ups = [convolution(width, width) for width in (256, 128, 64)]
    ends = [convolution(256, 256), 2 * 32, convolution(32, 3)]
    assert count(published.decoder) == sum(levels + ups + ends) == 8_673_987


def test_the_published_book_holds_1024_codes_of_8c(published):
    assert tuple(published.codebook.weight.shape) == (1024, 256)


def test_the_patch_discriminator_has_the_usual_parameters():
    """pix2pix's 2.77 M: 4x4 convolutions 3-64-128-256-512-1, the middle three without bias but with a norm."""
    wanted = convolution(3, 64, 4) + convolution(512, 1, 4)
    wanted += sum(16 * a * b + 2 * b for a, b in ((64, 128), (128, 256), (256, 512)))
    with torch.device("meta"):
        assert count(PatchGAN(64)) == wanted == 2_765_633


def test_the_patch_discriminator_sees_70_pixels():
    discriminator = PatchGAN(8).double()
    for module in discriminator.modules():
        if isinstance(module, torch.nn.GroupNorm):  # its statistics would reach beyond the convolutions
            module.forward = lambda x: x
    image = torch.rand(1, 3, 256, 256, dtype=torch.float64, requires_grad=True)
    logits = discriminator(image)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    seen = image.grad.abs().sum((0, 1)).nonzero()
    assert (seen.max(0).values - seen.min(0).values + 1).tolist() == [70, 70]


@pytest.mark.parametrize("middle", [0, 2])
def test_shapes_of_codes_and_of_the_decoders_features(middle):
    vqgan = small(middle_blocks=middle)
    result = vqgan(torch.rand(2, 3, 32, 40))
    assert tuple(result.features.shape) == tuple(result.quantised.straight.shape) == (2, 32, 4, 5)
    assert tuple(result.quantised.indices.shape) == (2, 4, 5)
    assert tuple(result.radiance.shape) == (2, 3, 32, 40)
    levels = vqgan.decoder.features(result.quantised.straight)
    assert [tuple(level.shape[1:]) for level in levels] == [(16, 8, 10), (8, 16, 20), (4, 32, 40)]


def test_the_reconstruction_is_radiance():
    radiance = small()(50 * torch.rand(1, 3, 16, 16)).radiance
    assert radiance.isfinite().all() and radiance.min() >= 0 and radiance.max() <= 1


def test_the_encoders_domain_is_a_choice():
    linear, encoded, image = small(), small(encoder_domain="mu-law"), torch.rand(1, 3, 16, 16)
    assert torch.equal(linear.encode(image), linear.encoder(image))
    assert torch.equal(encoded.encode(image), encoded.encoder(mu_law(image)))
    assert torch.equal(encoded.encode(image), linear.encode(mu_law(image)))
    with pytest.raises(UsageError, match="encoder_domain 'log' is unknown; expected linear or mu-law"):
        small(encoder_domain="log")


def test_the_kind_of_image_chooses_the_segment():
    image = torch.rand(1, 3, 32, 32)
    assert small()(image, 0).quantised.indices.max() < 8
    assert small()(image, 2).quantised.indices.min() >= 8
