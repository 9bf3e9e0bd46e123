"""Networks of the profile's runs: built from their variant, filled from their files; the perceptual backbone."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from bench.core.errors import UsageError, unknown_name
from bench.core.method import MethodCard
from bench.core.params import Params, Variant
from bench.core.registry import methods
from bench.core.runs import Run, head
from bench.nn.vgg import VggFeatures
from bench.stages import layout

CODES = "vqgan.codebook.weight"
"""Name of a network's codebook, (K, channels), among its weights."""


def find_run(params: Params, name: str) -> Run:
    """Return the run called `name`, or raise UsageError with near names."""
    if name not in params.runs:
        raise unknown_name("run", name, params.runs)
    return params.runs[name]


def build(params: Params, run: Run) -> nn.Module:
    """Build a run's network with the profile's head; its weights are not set."""
    variant = params.variants[run.variant]
    made = options(params, variant, run)
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
    network = build(params, find_run(params, name))
    fill(params, network, layout.weights(params, name), f"train {name}")
    return network.eval()


def read_foreign(params: Params, variant: str) -> nn.Module:
    """Build the network of a variant with weights from elsewhere and load them, in evaluation mode.

    They are others' weights, converted, or those of a run of another profile: their card says what the network is built
    with, and the variant's own options come on top.
    """
    entry, path = params.variants[variant], Path(params.variants[variant].weights or "")
    verb = f"import-weights {entry.method} FILE --preset {entry.preset} --name {path.stem}"
    if not path.exists():
        raise UsageError(
            f"{path} doesn't exist. Convert the authors' file with: {layout.command(params, verb)}. If it is what "
            "another profile trains, run that profile's pipeline first."
        )
    if not path.with_suffix(".json").exists():
        raise UsageError(f"{path} has no card ({path.stem}.json) beside it; without it nobody knows its network.")
    card, told = methods[entry.method], weights_card(path)
    if told.get("method", card.name) != card.name:
        raise UsageError(f"variants.{variant}: {path} holds weights of {told['method']}, not of {card.name}.")
    made = {**built_with(card, told, _codes(path)), **entry.options}
    network = card.build(entry.preset, **made)
    fill(params, network, path, verb)
    return network.eval()


def weights_card(path: Path) -> dict[str, Any]:
    """Read the card beside a weight file, {} if there is none; a damaged one raises UsageError."""
    beside = path.with_suffix(".json")
    try:
        found: dict[str, Any] = json.loads(beside.read_text(encoding="utf-8")) if beside.exists() else {}
    except ValueError as error:
        raise UsageError(f"{beside}, the card of the weights, is damaged ({error}).") from error
    return found


def built_with(card: MethodCard, told: Mapping[str, Any], codes: int | None) -> dict[str, Any]:
    """Return what a network is built with to predict, besides its preset: options and head, as its weights' card says.

    codes : of the codebook among the weights, None without one. How its encoder and segments were doesn't matter to a
            prediction.
    """
    made: dict[str, Any] = dict(told.get("options", {}))
    if card.heads:
        made["head"] = told.get("head") or card.heads[0]
    if codes is not None:
        book = told.get("stage1") or made.get("vqgan") or {}  # of a trained VQGAN, or of the control's random one
        made["vqgan"] = {
            "codes": codes, "segments": "olc", "network": book.get("network", "A"), "encoder_domain": "linear",
        }  # fmt: skip
    return made


def _codes(path: Path) -> int | None:
    try:
        with safe_open(path, framework="pt") as file:
            return len(file.get_tensor(CODES)) if CODES in file.keys() else None  # noqa: SIM118 - it is no mapping
    except SafetensorError:  # said where the weights are loaded
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
    try:
        network.load_state_dict(load_file(layout.need(params, path, verb)))
    except SafetensorError as error:
        raise UsageError(f"{path} is damaged ({error}). {again}") from error
    except RuntimeError as error:  # what torch raises for names and shapes that differ
        raise UsageError(f"{path} holds the weights of another network than the parameters name. {again}") from error


def backbone(params: Params, weight: float, seed: int, device: torch.device) -> VggFeatures | None:
    """Return the perceptual backbone, or None where it has no weight or is switched off."""
    if params.perceptual.backbone == "none" or weight == 0:
        return None
    if params.perceptual.backbone == "random-vgg16":
        return VggFeatures(None, seed=seed).to(device)
    file = layout.need(params, layout.backbone(params) / layout.VGG, "backbone")
    try:
        state, card = load_file(file), json.loads(file.with_name("card.json").read_text(encoding="utf-8"))
        return VggFeatures(state, source=str(card["sha256"])).to(device)
    except (OSError, ValueError, KeyError, SafetensorError, UsageError) as error:
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
