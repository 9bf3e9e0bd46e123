"""Codebook: stage 1 of the OLC method on one dataset."""

from bench.core.errors import unknown_name
from bench.core.params import Params
from bench.core.registry import methods
from bench.core.seeding import derive
from bench.nn.losses import Fidelity
from bench.nn.vgg import VggFeatures
from bench.stages import layout, training
from bench.train.loop import fit, seed_parameters, trainable
from methods.olc.stage1 import CodebookLearner
from methods.olc.vqgan import VQGAN


def build(params: Params, name: str) -> VQGAN:
    """Build the VQGAN of a codebook run at the profile's width; its weights are not set."""
    entry, settings, preset = params.codebooks[name], params.stage1_of(name), methods["olc"].presets[params.olc_preset]
    sizes = {
        key: preset[key] for key in ("channels", "encoder_blocks", "decoder_blocks", "middle_blocks") if key in preset
    }
    return VQGAN(
        **sizes, codes=entry.codes, segments=entry.segments, network=settings.network,
        encoder_domain=settings.encoder_domain,
    )  # fmt: skip


def run(params: Params, name: str) -> None:
    """Train codebook `name`; writes weights, card and learning curve."""
    if name not in params.codebooks:
        raise unknown_name("codebook", name, params.codebooks)
    entry, settings, device = params.codebooks[name], params.stage1_of(name), training.start(params)
    patches = training.stream(params, training.read_split(params, entry.trainset, "train"), entry.seed, "stage1")
    features = training.backbone(params, settings.weight_perceptual, entry.seed, device)
    learner = _learner(params, name, features)
    for network in learner.networks.values():
        training.place(network, device)
    card = training.as_json(entry) | {
        "codebook": name, "preset": params.olc_preset, "settings": training.as_json(settings),
        "patches": training.as_json(params.patches), "perceptual": features.origin if features else "none",
        "data": training.data_digest(params, entry.trainset, "train"), "device": training.device_name(device),
    }  # fmt: skip
    checkpoint = training.checkpoint(params, f"codebook-{name}", card, "methods/olc")
    label = f"codebook {name}"
    curve = fit(learner, patches, settings, checkpoint, label=label, device=device, precision=params.precision)
    path = layout.codebook(params, name)
    training.write_curve(path.with_suffix(".csv"), curve)
    training.write_weights(path, learner.vqgan, card | {"parameters": trainable([learner.vqgan])})
    checkpoint.remove()


def _learner(params: Params, name: str, features: VggFeatures | None) -> CodebookLearner:
    """Build the networks with initial weights that depend on the seed, not on the book's segments."""
    seed, settings = params.codebooks[name].seed, params.stage1_of(name)
    vqgan = build(params, name)
    seed_parameters(vqgan, derive(seed, "stage1"))
    fidelity = Fidelity(features, settings.weight_perceptual, settings.weight_reconstruction)
    learner = CodebookLearner(vqgan, settings, fidelity, derive(seed, "stage1"))
    if "discriminator" in learner.networks:
        seed_parameters(learner.networks["discriminator"], derive(seed, "discriminator"))
    return learner
