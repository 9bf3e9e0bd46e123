"""Repeat a training step that failed, to see where it stops being finite."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.core.errors import UsageError
from bench.core.optimisation import Optimisation
from bench.core.params import Params
from bench.core.reading import need_regular
from bench.stages.training import codebook, environment, networks, train
from bench.train.failure import read_dump
from bench.train.learner import Learner
from bench.train.loop import to_inputs
from bench.train.optimiser import only
from bench.train.precision import autocast, products


def run(path: Path) -> None:
    """Print the loss terms of the failed step in the dump `path`, and the first module whose output isn't finite.

    The step runs as it did, on the whole batch in this process, part by part. Rounding may differ from the run's where
    several processes shared it, or where this machine has another device.
    """
    saved = read_dump(need_regular(path))
    origin = json.loads(saved["origin"])
    if origin.get("verb") not in ("train", "codebook"):
        raise UsageError(f"{path} doesn't say which training it is from; only dumps of train and codebook can run.")
    params = Params.model_validate(origin["params"])
    device = environment.start(params)
    settings, learner = _training(params, origin, device)
    _fill(learner, saved, device)
    print(f"{origin['verb']} {origin['name']}, {saved['phase']}: {saved['sentence']}")
    batch = to_inputs([saved["batch"][name] for name in ("frames", "times", "truth")], device)
    _say_finite("batch", {"frames": batch[0], "truth": batch[1]})
    for name, network in learner.networks.items():
        _say_finite(f"weights of {name}", dict(network.named_parameters()))
    size = settings.batch // settings.accumulate // saved["processes"]
    trained = {name: [p for p in n.parameters() if p.requires_grad] for name, n in learner.networks.items()}
    for phase in learner.networks:
        only(trained, phase)
        if phase == saved["phase"]:
            _fill(learner, saved, device)
        for start in range(0, settings.batch, size):
            own = slice(start, start + size)
            with products(params.precision), autocast(params.precision, device):
                _repeat(learner, phase, (batch[0][own], batch[1][own]), saved["step"], own)
        if phase == saved["phase"]:
            break


def _training(params: Params, origin: Mapping[str, Any], device: torch.device) -> tuple[Optimisation, Learner]:
    name = str(origin["name"])
    if origin["verb"] == "codebook":
        stage1, seed = params.stage1_of(name), params.codebook_runs[name].seed
        features = networks.backbone(params, stage1.weight_perceptual, seed, device)
        made = codebook.learner(params, name, features)
        for network in made.networks.values():
            environment.to_device(network, device)
        return stage1, made
    run = networks.find_run(params, name)
    settings = params.stage2_of(run, int(origin.get("patches", 1)))
    features = networks.backbone(params, settings.weight_perceptual, run.seed, device)
    return settings, train.learner(params, run, settings, features, device)


def _fill(learner: Learner, saved: Mapping[str, Any], device: torch.device) -> None:
    for name, network in learner.networks.items():
        network.load_state_dict(saved["networks"][name])
    learner.load_state({name: value.to(device) for name, value in saved["learner"].items()})


def _repeat(learner: Learner, phase: str, batch: tuple[Tensor, Tensor], step: int, samples: slice) -> None:
    """Run one part of a phase, and print what it gives."""
    network, found = learner.networks[phase], list[str]()
    hooks = [
        module.register_forward_hook(_watch(found, f"{label}.{name}".rstrip(".")))
        for label, other in learner.networks.items()
        for name, module in other.named_modules()
    ]
    terms = learner.losses(phase, *batch, step, samples)
    for hook in hooks:
        hook.remove()
    print(f"{phase}, samples {samples.start} to {samples.stop - 1}:")
    for name, term in terms.items():
        print(f"  {name:<16} {float(term.detach()):.6g}")
    if found:
        print(f"  first module whose output isn't finite: {found[0]}")
    if terms:
        network.zero_grad(set_to_none=True)
        torch.autograd.backward(torch.stack(list(terms.values())).sum())
        gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
        _say_finite("  gradient", gradients)


def _watch(found: list[str], name: str) -> Any:
    def hook(module: nn.Module, given: Any, output: Any) -> None:
        values = output if isinstance(output, (tuple, list)) else [output]
        if any(isinstance(v, Tensor) and v.is_floating_point() and not v.isfinite().all() for v in values):
            found.append(name)

    return hook


def _say_finite(what: str, tensors: Mapping[str, Tensor]) -> None:
    bad = [name for name, value in tensors.items() if not value.isfinite().all()]
    print(f"{what}: {'finite' if not bad else 'not finite in ' + ', '.join(bad[:5])}{' ...' if len(bad) > 5 else ''}")
