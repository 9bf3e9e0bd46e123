"""A VQGAN on held-out images: training looks at some of the validation scenes, inspection at all test scenes."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.color.registration import registered
from bench.color.transfer import mu_law
from bench.core.errors import UsageError
from bench.core.optimisation import HELD_OUT
from bench.core.params import Params
from bench.core.scene import IMAGE_KINDS, Scene
from bench.metrics.usage import histogram, perplexity, used_share
from bench.nn.frames import scene_input
from bench.nn.tiling import pad_reflect
from bench.stages.training import inputs
from bench.stages.training.validation import psnr, validation
from methods.olc.stage1 import image_of_kind
from methods.olc.vqgan import VQGAN

CELL = 8
"""Edge in pixels of what one code stands for."""

SCENES, CROP = 4, 128
"""Training looks at no more than this: centre crops of a few scenes, so that a look costs a few steps at most."""


class Look(NamedTuple):
    """One image as a VQGAN encodes and reconstructs it.

    indices : (h, w) int64, the code of each vector.
    errors  : (h, w) float32, mean squared difference of the vector's components and its code's.
    psnr_mu : of the reconstruction after the mu-law, in dB with peak 1, in float64; +inf if it is exact.
    psnr_l  : the same of linear radiance.
    """

    indices: NDArray[np.int64]
    errors: NDArray[np.float32]
    psnr_mu: float
    psnr_l: float


def held_out(params: Params, dataset: str, split: str = "test", registration: str = "none") -> list[Scene]:
    """Return a split's scenes with truth, in the order of their names, frames registered as a network gets them."""
    scenes = [scene for scene in inputs.read_split(params, dataset, split) if scene.radiance is not None]
    inputs.need_bracket("a network", scenes)
    return [registered(scene, registration) for scene in scenes]


def tensors(scene: Scene) -> tuple[Tensor, Tensor]:
    """Return frames (1, N, 6, H, W) and truth (1, 3, H, W) of a scene, padded to multiples of 8."""
    truth = torch.from_numpy(np.array(scene.radiance)).permute(2, 0, 1)[None, None]
    return pad_reflect(scene_input(scene), CELL), pad_reflect(truth, CELL)[:, 0]


@torch.no_grad()
def look(vqgan: VQGAN, frames: Tensor, truth: Tensor, kind: int) -> Look:
    """Encode, quantise and decode the image of `kind` (0..3) of one scene, in fp32; arrays are on the CPU."""
    device = vqgan.codebook.weight.device
    image = image_of_kind(frames, truth, kind).to(device)
    with torch.autocast(device.type, enabled=False):
        result = vqgan(image, kind)
    errors = (result.features - result.quantised.codes).square().mean(1)[0]
    made, wanted = result.radiance.double(), image.double()
    return Look(
        result.quantised.indices[0].cpu().numpy(),
        errors.cpu().numpy(),
        psnr(mu_law(made), mu_law(wanted)),
        psnr(made, wanted),
    )


def measure(vqgan: VQGAN, images: Sequence[tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Measure a VQGAN on images (frames, truth): for each kind, share of the K codes used, perplexity, errors.

    The network is in evaluation mode meanwhile; nothing random is drawn. Keys are columns of the learning curve.
    """
    was_training = vqgan.training
    vqgan.eval()
    facts: dict[str, float] = {}
    for kind, label in enumerate(IMAGE_KINDS):
        looks = [look(vqgan, *pair, kind) for pair in images]
        counts = histogram(np.concatenate([one.indices.ravel() for one in looks]), vqgan.codebook.size)
        errors = np.concatenate([one.errors.ravel() for one in looks])
        facts |= {
            f"{HELD_OUT}used_{label}": used_share(counts),
            f"{HELD_OUT}perplexity_{label}": perplexity(counts),
            f"{HELD_OUT}quantisation-error_{label}": float(errors.mean(dtype=np.float64)),
            f"{HELD_OUT}psnr-mu_{label}": float(np.mean([one.psnr_mu for one in looks])),
        }
    vqgan.train(was_training)
    return facts


def observer(params: Params, name: str, vqgan: VQGAN) -> Callable[[], dict[str, float]]:
    """Return what measures codebook `name` on the same few held-out crops at every call; nothing if it isn't observed.

    They are of validation scenes or, where a dataset has none, of test scenes, evenly spread over the sorted names,
    since neighbours often show one place. They steer nothing: no step, learning rate or stop depends on what is
    measured. A dataset without such scenes raises UsageError.
    """
    every, dataset = params.stage1_of(name).observe_every, params.codebook_runs[name].trainset
    if not every:
        return dict
    split = next(iter(validation(params, dataset)), "test")
    scenes = held_out(params, dataset, split)
    if not scenes:
        raise UsageError(
            f"codebook {name} is to be measured every {every} steps, but {dataset} has no {split} scene with truth. "
            "Set stage1.observe_every to 0."
        )
    chosen = sorted({round(place) for place in np.linspace(0, len(scenes) - 1, min(SCENES, len(scenes)))})
    crops = [tuple(_centre(part) for part in tensors(scenes[i])) for i in chosen]
    images = [(frames, truth) for frames, truth in crops]
    return lambda: measure(vqgan, images)


def _centre(images: Tensor) -> Tensor:
    """Cut the central 128x128 pixels, or all there are, on the grid of the codes."""
    top, left = ((edge - min(edge, CROP)) // 2 // CELL * CELL for edge in images.shape[-2:])
    return images[..., top : top + CROP, left : left + CROP].clone()
