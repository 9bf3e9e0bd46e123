"""Train: one HDR network, whatever its method."""

from collections.abc import Mapping

import torch

from bench.core.optimisation import Stage2
from bench.core.params import Params
from bench.core.registry import methods
from bench.core.runs import Run
from bench.core.seeding import derive
from bench.nn.vgg import VggFeatures
from bench.stages import layout
from bench.stages.training import networks, recipes, training
from bench.train.learner import Learner
from bench.train.loop import fit, seed_parameters, trainable
from bench.train.parallel import processes


def run(params: Params, name: str, minutes: float | None = None, peak: training.Peak = training.unknown) -> None:
    """Train run `name`, by all processes that torchrun started; writes weights, card and learning curve.

    Pauses after `minutes`; `peak` serves the MFU that is printed. N processes equal one to rounding, unless the network
    has batch norms (DeepHDR, NHDRRNet), whose statistics are each process's; nor do parts of a batch (`accumulate`)
    equal the whole one with these, or with stochastic depth (CA-ViT, SCTNet), which is drawn part by part.
    """
    entry, limits = networks.find_run(params, name), training.Limits(minutes, peak)
    with processes() as group:
        device = training.start(params)
        scenes = training.read_aligned(params, entry.trainset, "train", methods[params.variants[entry.variant].method])
        patches = training.stream(recipes.patches(params, entry), scenes, entry.seed, "stage2")
        settings = recipes.settings(params, entry, len(patches))
        features = training.backbone(params, settings.weight_perceptual, entry.seed, device)
        made = _learner(params, entry, settings, features, device)
        network = next(iter(made.networks.values()))
        networks.load_prior(params, entry, network)
        torch.manual_seed(derive(entry.seed, "stage2", "draws"))  # stochastic depth
        card = _card(params, name, entry, settings, features) | training.numerics(params, device)
        card |= {"device": training.device_name(device)}
        checkpoint = training.checkpoint(params, name, card, entry.code)
        curve = fit(
            made, patches, settings, checkpoint, label=name, device=device, precision=params.precision,
            group=group, call=limits.call(params, "train", name, device, len(patches)),
        )  # fmt: skip
        if group.leads:
            _write(params, name, network, card | {"processes": group.world}, curve)
            checkpoint.remove()


def learner(params: Params, name: str, device: torch.device, count: int) -> Learner:
    """Build what run `name` trains, with its initial weights; a prior's aren't loaded. An epoch has `count` patches."""
    entry = networks.find_run(params, name)
    settings = recipes.settings(params, entry, count)
    features = training.backbone(params, settings.weight_perceptual, entry.seed, device)
    return _learner(params, entry, settings, features, device)


def _learner(
    params: Params, entry: Run, settings: Stage2, features: VggFeatures | None, device: torch.device
) -> Learner:
    network = networks.build(params, entry)
    seed_parameters(network, derive(entry.seed, "stage2"))
    made = recipes.learner(params, entry, training.place(network, device), settings, features)
    for phase, other in list(made.networks.items())[1:]:  # a discriminator
        seed_parameters(other, derive(entry.seed, phase))
        training.place(other, device)
    return made


def _write(
    params: Params, name: str, network: torch.nn.Module, card: Mapping[str, object], curve: list[dict[str, float]]
) -> None:
    training.write_curve(layout.curve(params, name), curve)
    size = {"parameters": trainable([network]), "parameters_frozen": _frozen(network)}
    macs = {"macs_per_pixel": networks.multiply_adds(network)}
    training.write_weights(layout.weights(params, name), network, {**card, **size, **macs})


def _card(params: Params, name: str, entry: Run, settings: Stage2, features: VggFeatures | None) -> dict[str, object]:
    """Everything that decides the weights, in words a reader of a table understands."""
    variant = params.variants[entry.variant]
    book = layout.codebook(params, entry.codebook) if entry.codebook else None
    return {
        "run": name,
        "variant": entry.variant,
        "trainset": entry.trainset,
        "seed": entry.seed,
        "method": variant.method,
        "label": methods[variant.method].label,
        "preset": variant.preset,
        "options": dict(variant.options),
        "head": networks.head(params, variant),
        "recipe": recipes.kind(params, entry),
        "settings": training.as_json(settings),
        "steps": settings.steps,
        "batch": settings.batch,
        "patches": training.as_json(recipes.patches(params, entry)),
        "codebook": entry.codebook,
        "codebook_sha256": training.file_digest(book) if book else None,
        "stage1": training.as_json(params.stage1_of(entry.codebook)) if entry.codebook else None,
        "data": training.data_digest(params, entry.trainset, "train"),
        "perceptual": features.origin if features else "none",
    }


def _frozen(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters() if not p.requires_grad)
