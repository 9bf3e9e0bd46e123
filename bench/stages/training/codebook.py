"""Codebook: stage 1 of the OLC method on one dataset."""

import time
from collections.abc import Callable
from dataclasses import asdict

from torch import Tensor

from bench.core import layout
from bench.core.errors import unknown_name
from bench.core.params import Params
from bench.core.registry import methods
from bench.core.seeding import derive
from bench.nn.losses import Fidelity
from bench.nn.vgg import VggFeatures
from bench.stages.training import environment, inputs, networks, outputs
from bench.stages.training.observation import observer
from bench.train.loop import fit, seed_parameters, trainable
from bench.train.parallel import processes
from bench.train.patches import stream
from methods.olc.discriminator import DISCRIMINATORS
from methods.olc.stage1 import CodebookLearner, alone
from methods.olc.vqgan import VQGAN


def run(params: Params, name: str, minutes: float | None = None, peak: outputs.Peak = outputs.unknown) -> None:
    """Train codebook `name`, by all processes that torchrun started; writes weights, card and learning curve.

    Pauses after `minutes`; `peak` serves the MFU that is printed.
    """
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    if name not in params.codebook_runs:
        raise unknown_name("codebook", name, params.codebook_runs)
    entry, settings = params.codebook_runs[name], params.stage1_of(name)
    if settings.weight_adversarial > 0:
        kind = settings.discriminator
        params.patches.need(DISCRIMINATORS[kind].least, f"codebook {name}", f"the discriminator {kind}")
    with processes() as group:
        device = environment.start(params)
        scenes = inputs.read_split(params, entry.trainset, "train")
        inputs.need_bracket("a network", scenes)
        patches = stream(params.patches, scenes, entry.seed, "stage1")

        # The VQGAN, its losses and discriminator, and what is measured on held-out images meanwhile.
        features = networks.backbone(params, settings.weight_perceptual, entry.seed, device)
        trained = learner(params, name, features, group.gather)
        for network in trained.networks.values():
            environment.to_device(network, device)
        trained.held_out = observer(params, name, trained.vqgan)

        # Everything that decides the weights.
        card = asdict(entry) | environment.numerics(params, device) | {
            "codebook": name, "options": dict(params.codebooks[entry.codebook].options), "preset": params.preset,
            "settings": outputs.as_json(settings),
            "patches": outputs.as_json(params.patches), "perceptual": features.origin if features else "none",
            "data": inputs.data_digest(params, entry.trainset, "train"), "device": environment.device_name(device),
        }  # fmt: skip
        checkpoint = outputs.checkpoint(params, f"codebook-{name}", card, "methods/olc")

        options = outputs.run_options(
            params, "codebook", name, deadline=deadline, device=device, peak=peak, patches=len(patches)
        )
        curve = fit(
            trained, patches, settings, checkpoint, label=f"codebook {name}", device=device,
            precision=params.precision, group=group, options=options,
        )  # fmt: skip

        if group.leads:
            path = layout.codebook(params, name)
            outputs.write_curve(path.with_suffix(".csv"), curve)
            sizes = {"parameters": trainable([trained.vqgan]), "processes": group.world}
            outputs.write_weights(path, trained.vqgan, card | sizes)
            checkpoint.remove()


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


def learner(
    params: Params, name: str, features: VggFeatures | None, gather: Callable[[Tensor], Tensor] = alone
) -> CodebookLearner:
    """Build what codebook `name` trains, on the CPU; its initial weights depend on the seed, not on the segments.

    gather : see CodebookLearner.
    """
    seed, settings = params.codebook_runs[name].seed, params.stage1_of(name)
    vqgan = build(params, name)
    seed_parameters(vqgan, derive(seed, "stage1"))
    fidelity = Fidelity(features, settings.weight_perceptual, settings.weight_reconstruction)
    made = CodebookLearner(vqgan, settings, fidelity, derive(seed, "stage1"), gather=gather)
    if "discriminator" in made.networks:
        seed_parameters(made.networks["discriminator"], derive(seed, "discriminator"))
    return made
