"""Train: one HDR network, whatever its method."""

import torch

from bench.core.params import Params, Run
from bench.core.registry import methods
from bench.core.seeding import derive
from bench.nn.vgg import VggFeatures
from bench.stages import layout, networks, training
from bench.train.hdr import HdrLearner
from bench.train.loop import fit, seed_parameters, trainable


def run(params: Params, name: str) -> None:
    """Train run `name`; writes weights, card and learning curve."""
    entry, settings = networks.find_run(params, name), params.stage2
    device = training.start(params)
    patches = training.stream(params, training.read_split(params, entry.trainset, "train"), entry.seed, "stage2")
    network = networks.build(params, entry)
    seed_parameters(network, derive(entry.seed, "stage2"))
    networks.load_prior(params, entry, network)
    training.place(network, device)
    features = training.backbone(params, settings.weight_perceptual, entry.seed, device)
    learner = HdrLearner(network, settings, features)
    card = _card(params, name, entry, features) | {"device": training.device_name(device)}
    checkpoint = training.checkpoint(params, name, card, entry.code)
    curve = fit(learner, patches, settings, checkpoint, label=name, device=device, precision=params.precision)
    training.write_curve(layout.curve(params, name), curve)
    size = {"parameters": trainable([network]), "parameters_frozen": _frozen(network)}
    macs = {"macs_per_pixel": networks.multiply_adds(network)}
    training.write_weights(layout.weights(params, name), network, card | size | macs)
    checkpoint.remove()


def _card(params: Params, name: str, entry: Run, features: VggFeatures | None) -> dict[str, object]:
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
        "head": params.head,
        "settings": training.as_json(params.stage2),
        "steps": params.stage2.steps,
        "batch": params.stage2.batch,
        "patches": training.as_json(params.patches),
        "codebook": entry.codebook,
        "codebook_sha256": training.file_digest(book) if book else None,
        "stage1": training.as_json(params.stage1_of(entry.codebook)) if entry.codebook else None,
        "data": training.data_digest(params, entry.trainset, "train"),
        "perceptual": features.origin if features else "none",
    }


def _frozen(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters() if not p.requires_grad)
