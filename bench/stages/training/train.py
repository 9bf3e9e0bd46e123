"""Train: one HDR network, whatever its method."""

import time

import torch
from torch import nn

from bench.core import layout
from bench.core.optimisation import Stage2
from bench.core.params import Params
from bench.core.registry import methods
from bench.core.runs import BASES, Run, head, registration
from bench.core.seeding import derive
from bench.nn.losses import Fidelity
from bench.nn.vgg import VggFeatures
from bench.stages.training import environment, inputs, networks, outputs
from bench.stages.training.validation import network_observer
from bench.train.learner import HdrLearner, Learner
from bench.train.loop import fit, seed_parameters, trainable
from bench.train.parallel import processes
from bench.train.patches import stream


def run(params: Params, name: str, minutes: float | None = None, peak: outputs.Peak = outputs.unknown) -> None:
    """Train run `name`, by all processes that torchrun started; writes weights, card and learning curve.

    Pauses after `minutes`; `peak` serves the MFU that is printed. N processes equal one to rounding, unless the network
    has batch norms (DeepHDR, NHDRRNet), whose statistics are each process's; nor do parts of a batch (`accumulate`)
    equal the whole one with these, or with stochastic depth (CA-ViT, SCTNet, AFUNet), which is drawn part by part.
    """
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    entry = networks.find_run(params, name)
    variant = params.variants[entry.variant]
    method = methods[variant.method]
    with processes() as group:
        device = environment.start(params)

        # The scenes as the variant's network takes them, and the patches that are cut from them.
        cut = params.patches_of(entry)
        scenes = inputs.read_aligned(params, entry.trainset, "train", registration(params, variant))
        inputs.need_bracket("a network", scenes)
        patches = stream(cut, scenes, entry.seed, "stage2")

        # Steps, batch, learning rate and the like; an epoch's length decides them where a publication counts in epochs.
        settings = params.stage2_of(entry, len(patches))

        # The network with its losses. The codebook comes last: what is frozen must not be drawn over.
        features = networks.backbone(params, settings.weight_perceptual, entry.seed, device)
        trained = learner(params, entry, settings, features, device)
        network = next(iter(trained.networks.values()))
        if isinstance(trained, HdrLearner):
            trained.held_out = network_observer(
                params, entry.trainset, network, method, registration(params, variant), settings.observe_every
            )
        networks.load_prior(params, entry, network)
        torch.manual_seed(derive(entry.seed, "stage2", "draws"))  # stochastic depth

        # Everything that decides the weights, in words a reader of a table understands.
        book = layout.codebook(params, entry.codebook) if entry.codebook else None
        card = {
            "run": name, "variant": entry.variant, "trainset": entry.trainset, "seed": entry.seed,
            "method": variant.method, "label": method.label, "preset": variant.preset,
            "options": dict(variant.options), "head": head(params, variant),
            "base": BASES.get(head(params, variant) or ""),
            "register": registration(params, variant),
            "recipe": params.kind_of(entry), "settings": outputs.as_json(settings), "steps": settings.steps,
            "batch": settings.batch, "patches": outputs.as_json(cut), "codebook": entry.codebook,
            "codebook_sha256": outputs.file_digest(book) if book else None,
            "stage1": outputs.as_json(params.stage1_of(entry.codebook)) if entry.codebook else None,
            "data": inputs.data_digest(params, entry.trainset, "train"),
            "perceptual": features.origin if features else "none",
            **environment.numerics(params, device), "device": environment.device_name(device),
        }  # fmt: skip
        checkpoint = outputs.checkpoint(params, name, card, entry.code)

        options = outputs.run_options(
            params, "train", name, deadline=deadline, device=device, peak=peak, patches=len(patches)
        )
        curve = fit(
            trained, patches, settings, checkpoint, label=name, device=device, precision=params.precision,
            group=group, options=options,
        )  # fmt: skip

        if group.leads:
            outputs.write_curve(layout.curve(params, name), curve)
            sizes = {
                "processes": group.world,
                "parameters": trainable([network]),
                "parameters_frozen": sum(p.numel() for p in network.parameters() if not p.requires_grad),
                "macs_per_pixel": networks.multiply_adds(network),
            }
            outputs.write_weights(layout.weights(params, name), network, card | sizes)
            checkpoint.remove()


def learner(params: Params, run: Run, settings: Stage2, features: VggFeatures | None, device: torch.device) -> Learner:
    """Build what a run trains, with its initial weights, on the device; the weights of a codebook aren't loaded.

    A published recipe's initialisation is for networks as published: with a head of ours they start as that needs.
    """
    recipe, own_head = params.published(run), head(params, params.variants[run.variant]) not in (None, "published")
    initialisation = recipe.initialisation if recipe and not own_head else ""
    network = networks.build(params, run)
    seed_parameters(network, derive(run.seed, "stage2"), initialisation)
    made = learner_of(params, run, environment.to_device(network, device), settings, features)
    for phase, other in list(made.networks.items())[1:]:  # a discriminator
        seed_parameters(other, derive(run.seed, phase), initialisation)
        environment.to_device(other, device)
    return made


def learner_of(params: Params, run: Run, network: nn.Module, settings: Stage2, features: VggFeatures | None) -> Learner:
    """Return what the training loop trains: `network`, first, with the losses of its recipe.

    A network that has its own learner, such as a GAN's with a discriminator, brings it under its published recipe only;
    so does one with `published_losses`. `features` is the perceptual backbone, or None. UsageError for patches smaller
    than the `least_patch` of a network with a learner.
    """
    as_published, own = params.published(run) is not None, getattr(network, "learner", None)
    if not as_published or own is None:
        return HdrLearner(network, settings, features, as_published=as_published)
    why = "its published recipe's discriminator"
    params.patches_of(run).need(getattr(network, "least_patch", 0), f"variant {run.variant!r}", why)
    made: Learner = own(settings, Fidelity(features, settings.weight_perceptual))
    return made
