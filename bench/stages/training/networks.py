"""Networks of the profile's runs: built from their variant, filled from their files; the perceptual backbone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn

from bench.color.registration import REGISTRATIONS
from bench.core import layout
from bench.core.errors import UsageError, unknown_name
from bench.core.method import MethodCard
from bench.core.params import Params, Variant
from bench.core.reading import exists, need_regular, read_json, shown
from bench.core.registry import methods
from bench.core.runs import BASES, RULE, Run, head
from bench.nn.checkpoints import LARGEST, fit, load
from bench.nn.vgg import VggFeatures

CODES = "vqgan.codebook.weight"
"""Name of a network's codebook, (K, channels), among its weights."""


def find_run(params: Params, name: str) -> Run:
    """Return the run called `name`, or raise UsageError with near names."""
    if name not in params.runs:
        raise unknown_name("run", name, params.runs)
    return params.runs[name]


def build(params: Params, run: Run) -> nn.Module:
    """Build a run's network with the profile's head and its recipe's options; its weights are not set."""
    variant, recipe = params.variants[run.variant], params.published(run)
    made = {**(recipe.options if recipe else {}), **options(params, variant, run)}
    _check_prior(run, made)
    return methods[variant.method].build(variant.preset, **made)


def options(params: Params, variant: Variant, run: Run | None) -> dict[str, Any]:
    """Return what a variant's network is built with besides its preset: its options, the head, and a run's codebook."""
    options = dict(variant.options)
    if (chosen := head(params, variant)) is not None:
        options["head"] = chosen
    if run is not None and run.codebook is not None:
        book, settings = params.codebook_runs[run.codebook], params.stage1_of(run.codebook)
        options["vqgan"] = {
            "codes": book.codes, "segments": book.segments, "network": settings.network,
            "encoder_domain": settings.encoder_domain,
        }  # fmt: skip
    return options


def _check_prior(run: Run, options: Mapping[str, Any]) -> None:
    """Refuse a prior whose weights would silently come from elsewhere than the parameters say."""
    wanted, where = options.get("prior_weights", "trained"), f"variant {run.variant!r}, seed {run.seed}"
    if run.codebook is not None and options.get("prior") == "none":
        raise UsageError(
            f"{where}: prior: none would not use codebook {run.codebook!r}. Give the variant no "
            "`codebook`, or another prior."
        )
    if run.codebook is not None and wanted == "random":
        raise UsageError(
            f"{where}: prior_weights: random would not use codebook {run.codebook!r}. Give the variant no "
            "`codebook`, and in options.vqgan its codes and segments."
        )
    if run.codebook is None and "vqgan" in options and wanted != "random":
        raise UsageError(
            f"{where}: options.vqgan describes a VQGAN, but no trained one is named. Give the variant a "
            "`codebook`, or set prior_weights: random."
        )


def read(params: Params, name: str) -> nn.Module:
    """Build the network of run `name` and load its trained weights, in evaluation mode."""
    network, path = build(params, find_run(params, name)), layout.weights(params, name)
    weights_card(path)  # refuses what was trained on another base
    fill(params, network, path, f"train {name}")
    return network.eval()


def read_foreign(params: Params, variant: str) -> nn.Module:
    """Build the network of a variant with weights from elsewhere and load them, in evaluation mode.

    They are others' weights, converted, or those of a run of another profile: their card says what the network is built
    with, and the variant's own options come on top.
    """
    entry, path = params.variants[variant], Path(params.variants[variant].weights or "")
    verb = f"import-weights {entry.method} FILE --preset {entry.preset} --name {shown(path.stem)}"
    if not exists(path):
        raise UsageError(
            f"{shown(path)} doesn't exist. Convert the authors' file with: {layout.command(params, verb)}. If it is "
            "what another profile trains, run that profile's pipeline first."
        )
    if not path.with_suffix(".json").exists():
        raise UsageError(
            f"{shown(path)} has no card ({shown(path.stem)}.json) beside it; without it nobody knows its network."
        )
    card, told = methods[entry.method], weights_card(path)
    if told.get("method", card.name) != card.name:
        raise UsageError(
            f"variants.{variant}: {shown(path)} holds weights of {shown(told['method'])}, not of {card.name}."
        )
    made = {**built_with(card, told, _codes(need_regular(path, LARGEST))), **entry.options}
    network = card.build(entry.preset, **made)
    fill(params, network, path, verb)
    return network.eval()


TOLD: Mapping[str, tuple[type, str]] = {
    "method": (str, "a name"), "preset": (str, "a name"), "head": (str, "a name"), "base": (str, "a name"),
    "register": (str, "a name"), "options": (dict, "a mapping"), "stage1": (dict, "a mapping"),
}  # fmt: skip
"""Fields of a card that a network is built by: what each may be, besides null, and in words."""

MOST = 1 << 16
"""The largest number among a network's options; codebooks of other work have as many codes."""


def weights_card(path: Path) -> dict[str, Any]:
    """Read the card beside a weight file, {} if there is none; fields that are null are left out.

    UsageError for a damaged one, and for that of a network that was trained on another base of its head than today's:
    its weights would load without a word, and give other pictures.
    """
    beside = path.with_suffix(".json")
    if not exists(beside):
        return {}
    told = {name: value for name, value in read_json(beside).items() if value is not None}
    for name, (kind, words) in TOLD.items():
        if name in told and not isinstance(told[name], kind):
            found = shown(repr(told[name]))
            raise UsageError(f"{shown(beside)}, the card of the weights, is damaged: {name} is {found}, not {words}.")
    for option, value in told.get("options", {}).items():
        if isinstance(value, int) and abs(value) > MOST:
            raise UsageError(f"{shown(beside)}: options.{shown(option)} is {value:,}, more than a network here has.")
    if (way := told.get("register", "none")) not in ("none", *REGISTRATIONS):
        raise UsageError(f"{shown(beside)}: {unknown_name('registration', shown(way), REGISTRATIONS)}")
    base = BASES.get(told.get("head", ""))
    if base == RULE and told.get("base") != base:
        raise UsageError(
            f"{shown(path)} was trained with the head {told['head']} on {shown(told.get('base', 'an older base'))}, "
            f"and networks with it are now built on {base}; train it again."
        )
    return told


def built_with(card: MethodCard, told: Mapping[str, Any], codes: int | None) -> dict[str, Any]:
    """Return what a network is built with to predict, besides its preset: options and head, as its weights' card says.

    codes : of the codebook among the weights, None without one. How its encoder and segments were doesn't matter to a
            prediction.
    """
    made: dict[str, Any] = dict(told.get("options", {}))
    if card.heads:
        made["head"] = told.get("head") or card.heads[0]
    if codes is not None:
        book = told.get("stage1") or made.get("vqgan")  # of a trained VQGAN, or of the control's random one
        book = book if isinstance(book, Mapping) else {}
        made["vqgan"] = {
            "codes": codes, "segments": "olc", "network": book.get("network", "A"), "encoder_domain": "linear",
        }  # fmt: skip
    return made


def _codes(path: Path) -> int | None:
    try:
        with safe_open(path, framework="pt") as file:
            return int(file.get_slice(CODES).get_shape()[0]) if CODES in file.keys() else None  # noqa: SIM118 - no mapping
    except Exception:  # said where the weights are loaded
        return None


def load_prior(params: Params, run: Run, network: Any) -> None:
    """Load the VQGAN of a run that needs a codebook; then set the scale of its features, also of random ones.

    Call it once the network's own weights are drawn.
    """
    if run.codebook is not None:
        fill(params, network.vqgan, layout.codebook(params, run.codebook), f"codebook {run.codebook}")
    if hasattr(network, "calibrate"):
        network.calibrate()


def fill(params: Params, network: nn.Module, path: Path, verb: str) -> None:
    """Load a weight file, strictly; one that is missing, damaged or of another network raises UsageError.

    `verb` is the command that makes the file, such as "train x".
    """
    again = f"Delete it, then make it with: {layout.remake(params, verb)}"
    layout.need(params, path, verb)
    try:
        fit(network, load(path), path)
    except UsageError as error:
        raise UsageError(f"{error} {again}") from error
    except RuntimeError as error:  # what torch raises for names and shapes that differ
        raise UsageError(
            f"{shown(path)} holds the weights of another network than the parameters name. {again}"
        ) from error


def backbone(params: Params, weight: float, seed: int, device: torch.device) -> VggFeatures | None:
    """Return the perceptual backbone, or None where it has no weight or is switched off."""
    if params.perceptual.backbone == "none" or weight == 0:
        return None
    if params.perceptual.backbone == "random-vgg16":
        return VggFeatures(None, seed=seed).to(device)
    file = layout.need(params, layout.backbone(params) / layout.VGG, "backbone")
    try:
        state, card = load(file), read_json(file.with_name("card.json"))
        return VggFeatures(state, source=str(card["sha256"])).to(device)
    except (ValueError, KeyError, RuntimeError, UsageError) as error:
        again = layout.remake(params, "backbone")
        raise UsageError(f"{file} is damaged ({error}). Delete its folder, then make it with: {again}") from error


@torch.no_grad()
def multiply_adds(network: nn.Module, edge: int = 64) -> int:
    """Count multiply-adds of convolutions and matrix products for one pixel, on an input of `edge` x `edge`.

    It leaves the network in evaluation mode: in training mode the forward would move the averages of batch norms.
    """
    from torch.utils.flop_counter import FlopCounterMode

    device = next(network.parameters()).device
    with FlopCounterMode(display=False) as counted:
        network.eval()(torch.zeros(1, 3, 6, edge, edge, device=device))
    return int(counted.get_total_flops() // 2 // edge**2)
