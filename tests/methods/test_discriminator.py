"""The discriminators of stage 1: sizes, independence of the batch, and when spectral norm's state moves."""

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from bench.core.errors import UsageError
from bench.core.optimisation import Stage1
from bench.nn.losses import Fidelity
from bench.train.loop import seed_parameters
from methods.olc.discriminator import DISCRIMINATORS, PatchGAN, SpectralConv2d, UNet, discriminator
from methods.olc.stage1 import CodebookLearner
from methods.olc.vqgan import VQGAN
from tests.train.tiny import same


def count(module):
    return sum(p.numel() for p in module.parameters())


def convolution(inputs, outputs, size=3):
    return inputs * outputs * size**2 + outputs


def small(kind):
    made = discriminator(kind, 8)
    seed_parameters(made, 0)
    return made


def images(*sizes):
    return torch.rand(*sizes, generator=torch.Generator().manual_seed(0))


def buffers(module):
    return {name: value.clone() for name, value in module.named_buffers()}


def test_the_patch_discriminator_has_the_usual_parameters():
    """pix2pix's 2.77 M: 4x4 convolutions 3-64-128-256-512-1, the middle three without bias but with a norm."""
    wanted = convolution(3, 64, 4) + convolution(512, 1, 4)
    wanted += sum(16 * a * b + 2 * b for a, b in ((64, 128), (128, 256), (256, 512)))
    with torch.device("meta"):
        assert count(discriminator("patchgan", 64)) == wanted == 2_765_633


def test_the_u_net_has_real_esrgans_parameters():
    """4.38 M: three 4x4 convolutions down, three 3x3 up, two at full size, all without bias, and both ends with."""
    downs = sum(16 * a * b for a, b in ((64, 128), (128, 256), (256, 512)))
    rest = 9 * (512 * 256 + 256 * 128 + 128 * 64 + 2 * 64 * 64)
    with torch.device("meta"):
        assert (
            count(discriminator("unet-sn", 64)) == convolution(3, 64) + downs + rest + convolution(64, 1) == 4_376_897
        )


def test_the_patch_discriminator_sees_70_pixels():
    patches = PatchGAN(8).double()
    for module in patches.modules():
        if isinstance(module, nn.GroupNorm):  # its statistics would reach beyond the convolutions
            module.forward = lambda x: x
    image = torch.rand(1, 3, 256, 256, dtype=torch.float64, requires_grad=True)
    logits = patches(image)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    seen = image.grad.abs().sum((0, 1)).nonzero()
    assert (seen.max(0).values - seen.min(0).values + 1).tolist() == [70, 70]


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (64, 40)])
def test_images_of_any_size_from_32_pixels_on_are_judged(size):
    assert small("unet-sn")(images(2, 3, *size)).shape == (2, 1, *size)
    logits = small("patchgan")(images(2, 3, *size))
    assert logits.shape[:2] == (2, 1) and min(logits.shape[2:]) >= 1


@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_an_image_is_judged_alike_in_any_batch(kind):
    """So that N processes equal one; to float32's rounding, since a convolution may sum a batch in another order."""
    network, batch = small(kind).eval(), images(4, 3, 40, 48)
    with torch.no_grad():
        alone = torch.cat([network(image[None]) for image in batch])
        torch.testing.assert_close(network(batch), alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_evaluation_mode_changes_no_state(kind):
    network = small(kind).eval()
    before = buffers(network)
    first = network(images(2, 3, 32, 32))
    first.sum().backward()
    assert same(buffers(network), before)
    assert torch.equal(network(images(2, 3, 32, 32)), first)


def test_a_forward_in_training_mode_makes_one_power_iteration_whatever_the_images():
    one, other = small("unet-sn"), small("unet-sn")
    start = buffers(one)
    one(images(2, 3, 32, 32))
    other(images(1, 3, 40, 32) * 3)
    assert same(buffers(one), buffers(other))
    assert start and all(not torch.equal(value, start[name]) for name, value in buffers(one).items())
    by_hand = small("unet-sn")
    for module in by_hand.modules():
        if isinstance(module, SpectralConv2d):
            module.iterate()
    assert same(buffers(one), buffers(by_hand))


def test_two_forwards_of_a_step_go_into_one_gradient():
    """The second forward's power iteration must not touch what the first one's gradient needs."""
    network = small("unet-sn")
    (network(images(1, 3, 32, 32)).mean() - network(images(1, 3, 40, 40)).mean()).backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


@pytest.mark.parametrize("training", [True, False])
def test_spectral_norm_is_the_frameworks(training):
    """Output and gradient against torch's parametrization, given the same weight and singular vectors."""
    torch.manual_seed(0)
    ours = SpectralConv2d(5, 7, 4, 2)
    with torch.no_grad():
        ours.weight.mul_(3)
    theirs = spectral_norm(nn.Conv2d(5, 7, 4, 2, 1, bias=False))
    norm = theirs.parametrizations.weight
    with torch.no_grad():
        norm.original.copy_(ours.weight)
        norm[0]._u.copy_(ours.left)
        norm[0]._v.copy_(ours.right)
    features = images(2, 5, 12, 10)
    outputs = [module.train(training)(features) for module in (ours, theirs)]
    torch.testing.assert_close(*outputs)
    for output in outputs:
        output.square().sum().backward()
    torch.testing.assert_close(ours.weight.grad, norm.original.grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.left, norm[0]._u)


def test_the_used_weights_largest_singular_value_is_one():
    """After 200 iterations the estimate is exact but for rounding, whatever the weight's scale."""
    torch.manual_seed(1)
    module = SpectralConv2d(6, 8, 3)
    with torch.no_grad():
        module.weight.mul_(50)
    module.iterate(200)
    used = module.eval()(torch.eye(54).view(54, 6, 3, 3))[:, :, 1, 1].detach()
    assert float(torch.linalg.matrix_norm(used, 2)) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_a_seed_decides_every_value(kind):
    made = []
    for noise in range(2):
        torch.manual_seed(noise)
        network = discriminator(kind, 8)
        seed_parameters(network, 5)
        made.append(network.state_dict())
    assert same(*made)
    seed_parameters(network, 6)
    assert not torch.equal(next(reversed(network.state_dict().values())), next(reversed(made[0].values())))


@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_the_parameters_choose_the_discriminator(kind):
    settings = Stage1(steps=1, batch=2, discriminator=kind, discriminator_width=8, adversarial_from=0)
    vqgan = VQGAN(channels=4, codes=16, segments="olc", encoder_blocks=1, decoder_blocks=1, middle_blocks=0)
    learner = CodebookLearner(vqgan, settings, Fidelity(None, 0.0), 0)
    assert isinstance(learner.networks["discriminator"], {"patchgan": PatchGAN, "unet-sn": UNet}[kind])
    given = images(2, 3, 6, 32, 32), images(2, 3, 32, 32)
    learner.losses("generator", *given, 0, slice(0, 2))["adversarial"].backward()
    assert vqgan.decoder.exit[1].weight.grad.abs().sum() > 0


def test_an_unknown_kind_is_answered_with_the_known_ones():
    with pytest.raises(UsageError, match=r"no discriminator is called 'resnet'\. Known: patchgan, unet-sn"):
        discriminator("resnet", 8)


@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_the_least_image_is_the_smallest_that_works(kind):
    made = small(kind)
    assert made(images(1, 3, made.least, made.least)).isfinite().all()
    with pytest.raises(RuntimeError):
        made(images(1, 3, made.least - 1, made.least))
