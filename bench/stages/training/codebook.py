"""Codebook: stage 1 of the OLC method on one dataset."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from bench.core.errors import unknown_name
from bench.core.params import Params
from bench.core.registry import methods
from bench.core.seeding import derive
from bench.nn.losses import Fidelity
from bench.nn.vgg import VggFeatures
from bench.stages import layout
from bench.stages.training import training
from bench.stages.training.observation import observer
from bench.train.loop import fit, seed_parameters, trainable
from bench.train.parallel import processes
from methods.olc.discriminator import KINDS
from methods.olc.stage1 import CodebookLearner, alone
from methods.olc.vqgan import VQGAN


def build(params: Params, name: str) -> VQGAN:
    """Build the VQGAN of a codebook run at the profile's width; its weights are not set."""
    entry, settings, preset = params.codebook_runs[name], params.stage1_of(name), methods["olc"].presets[params.preset]
    sizes = {
        key: preset[key] for key in ("channels", "encoder_blocks", "decoder_blocks", "middle_blocks") if key in preset
    }
    return VQGAN(
        **sizes, codes=entry.codes, segments=entry.segments, network=settings.network,
        encoder_domain=settings.encoder_domain,
    )  # fmt: skip


def run(params: Params, name: str, minutes: float | None = None, peak: training.Peak = training.unknown) -> None:
    """Train codebook `name`, by all processes that torchrun started; writes weights, card and learning curve.

    Pauses after `minutes`; `peak` serves the MFU that is printed.
    """
    if name not in params.codebook_runs:
        raise unknown_name("codebook", name, params.codebook_runs)
    entry, settings, limits = params.codebook_runs[name], params.stage1_of(name), training.Limits(minutes, peak)
    if settings.weight_adversarial > 0:
        judge = settings.discriminator
        params.patches.need(KINDS[judge].least, f"codebook {name}", f"the discriminator {judge}")
    with processes() as group:
        device = training.start(params)
        patches = training.stream(
            params.patches, training.read_split(params, entry.trainset, "train"), entry.seed, "stage1"
        )
        made = learner(params, name, device, group.gather)
        made.held_out = observer(params, name, made.vqgan)
        card = _card(params, name, made.fidelity.features, device)
        checkpoint = training.checkpoint(params, f"codebook-{name}", card, "methods/olc")
        curve = fit(
            made, patches, settings, checkpoint, label=f"codebook {name}", device=device, precision=params.precision,
            group=group, call=limits.call(params, "codebook", name, device, len(patches)),
        )  # fmt: skip
        if group.leads:
            path, size = layout.codebook(params, name), {"parameters": trainable([made.vqgan])}
            training.write_curve(path.with_suffix(".csv"), curve)
            training.write_weights(path, made.vqgan, card | size | {"processes": group.world})
            checkpoint.remove()


def learner(
    params: Params, name: str, device: torch.device, gather: Callable[[Tensor], Tensor] = alone
) -> CodebookLearner:
    """Build what codebook `name` trains, with its initial weights, on the device; see CodebookLearner for `gather`."""
    features = training.backbone(
        params, params.stage1_of(name).weight_perceptual, params.codebook_runs[name].seed, device
    )  # fmt: skip
    made = _learner(params, name, features, gather)
    for network in made.networks.values():
        training.place(network, device)
    return made


def _card(params: Params, name: str, features: VggFeatures | None, device: torch.device) -> dict[str, Any]:
    """Everything that decides the weights."""
    entry = params.codebook_runs[name]
    options = dict(params.codebooks[entry.codebook].options)
    return asdict(entry) | training.numerics(params, device) | {
        "codebook": name, "options": options, "preset": params.preset,
        "settings": training.as_json(params.stage1_of(name)),
        "patches": training.as_json(params.patches), "perceptual": features.origin if features else "none",
        "data": training.data_digest(params, entry.trainset, "train"), "device": training.device_name(device),
    }  # fmt: skip


def _learner(
    params: Params, name: str, features: VggFeatures | None, gather: Callable[[Tensor], Tensor] = alone
) -> CodebookLearner:
    """Build the networks with initial weights that depend on the seed, not on the book's segments."""
    seed, settings = params.codebook_runs[name].seed, params.stage1_of(name)
    vqgan = build(params, name)
    seed_parameters(vqgan, derive(seed, "stage1"))
    fidelity = Fidelity(features, settings.weight_perceptual, settings.weight_reconstruction)
    made = CodebookLearner(vqgan, settings, fidelity, derive(seed, "stage1"), gather=gather)
    if "discriminator" in made.networks:
        seed_parameters(made.networks["discriminator"], derive(seed, "discriminator"))
    return made
