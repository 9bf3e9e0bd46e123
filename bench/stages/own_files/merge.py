"""Merge: one bracket of anyone's photographs in, one HDR picture out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.color.merging import NotThree
from bench.color.registration import registered
from bench.core.errors import UsageError, unknown_name
from bench.core.method import MethodCard
from bench.core.params import Params
from bench.core.reading import is_folder, need_regular, shown
from bench.core.registry import methods
from bench.core.scene import Scene
from bench.data import checks
from bench.data.exposures import Told, from_exif, given, is_told, of_frames
from bench.data.user_bracket import covering, list_frames, read_bracket
from bench.io.camera import RAW_SUFFIXES, need_reader
from bench.io.files import check_destination
from bench.io.radiance import write_exr, write_rgbe
from bench.io.submission import READERS
from bench.nn.checkpoints import fit, load
from bench.stages.own_files import curves, display
from bench.stages.scoring.predict import predictor
from bench.stages.training import environment, inputs, networks

OPTION = "--exposures"


@dataclass(frozen=True)
class MergeRequest:
    """Frames to merge, method, and files to write.

    out       : .exr or .hdr; of exposure-fusion .png or .jpg.
    exposures : "exif", a comma-separated list (seconds or EVs, one for each frame), or "" for whatever there is.
    weights   : a file that `train` wrote, with its card beside it; None for methods without training.
    preset    : of a method without training; else the network's size, only needed for weights without a card.
    tile      : edge of inference tiles in pixels, 0 for the whole picture at once.
    curve     : what frames are encoded with: gamma, srgb, or estimate.
    tonemap   : name of the preview's operator.
    force     : whether existing files may be replaced.
    """

    frames: tuple[Path, ...]
    method: str
    out: Path
    exposures: str = ""
    weights: Path | None = None
    preset: str = ""
    preview: Path | None = None
    tile: int = 0
    curve: str = curves.GAMMA_CURVE
    tonemap: str = "local"
    force: bool = False


def run(params: Params, request: MergeRequest) -> None:
    """Write the merged radiance (1 saturates the shortest frame) and, if asked for, a preview; or a fused picture.

    Everything that can be checked is checked before the network runs. UsageError, with one sentence, otherwise.
    """
    if request.curve not in curves.CURVES:
        raise unknown_name("curve", request.curve, curves.CURVES)
    if request.tonemap not in display.TONEMAPS:
        raise unknown_name("tone mapping", request.tonemap, display.TONEMAPS)
    if request.method == display.FUSION:
        _fuse(request)
        return
    if request.method not in methods:
        raise unknown_name("method", request.method, (*methods, display.FUSION))
    card = methods[request.method]
    if request.preset and not card.presets:
        raise UsageError(f"{card.label} has no presets; leave --preset out.")
    if request.preset and request.preset not in card.presets:
        raise unknown_name(f"preset of {card.name}", request.preset, card.presets)
    _check_destinations(request)
    network, registration = _network(params, request, card)
    scene, told = _scene(request)
    if card.trains and len(scene.frames) != inputs.FRAMES:
        raise _not_three(card, scene)
    _print_notes(request, scene, told)
    device = environment.start(params)
    try:
        radiance = predictor(card, network, device, request.tile, request.preset, registration=registration)(scene)
    except NotThree as error:  # of a method that isn't trained, and says itself what it takes
        raise _not_three(card, scene) from error
    if lost := int((~np.isfinite(radiance)).sum()):
        raise UsageError(
            f"the result holds {lost} NaN or infinite of {radiance.size} values, so nothing is written: these weights "
            "can't be right, or belong to another preset."
        )
    if request.out.suffix.lower() == ".exr":
        write_exr(request.out, radiance)
    else:
        write_rgbe(request.out, np.maximum(radiance, 0))
    if request.preview is not None:
        picture = display.tone_mapped(radiance, request.tonemap)
        display.write_picture(request.preview, picture, display.about(_reference(request, scene)))
    print(f"{request.out}: {radiance.shape[1]}x{radiance.shape[0]}, {card.label}, radiance up to {radiance.max():.4g}")


def _scene(request: MergeRequest) -> tuple[Scene, Told]:
    """Read the frames, print which is which, and write them anew under gamma 2.2 where they have another curve."""
    told = _exposures(request)
    _print_pairs(request.frames, told)  # before anything is refused for its exposure
    scene = read_bracket("the bracket", request.frames, told.values, upright=True)
    if request.curve == curves.GAMMA_CURVE:
        return scene, told
    if any(path.suffix.lower() in RAW_SUFFIXES or path.suffix.lower() in READERS for path in request.frames):
        raise UsageError("raw and radiance files are linear and have no curve; leave --curve out.")
    curve = curves.curve_of(scene, request.curve)
    print(f"curve: {curves.told(request.curve, curve)}")
    return curves.recoded(scene, curve), told


def _print_notes(request: MergeRequest, scene: Scene, told: Told) -> None:
    outcome = checks.check_steps(scene, "the frames")
    for note in [*told.notes, *scene.metadata.get("notes", ()), *([outcome] if outcome != checks.PASSED else [])]:
        doubted = note is outcome and "curve" in note and request.curve == curves.GAMMA_CURVE
        hint = "; colours will be wrong: run the same with --curve estimate" if doubted else ""
        print(f"note: {note.removeprefix(checks.NOTED)}{hint}")


def _fuse(request: MergeRequest) -> None:
    """Write frames fused for display; nothing of it is radiance."""
    if request.weights is not None or request.preset or request.preview is not None or request.tile:
        raise UsageError(
            f"{display.FUSION} makes a picture by itself; leave --weights, --preset, --preview, --tile out."
        )
    _check_destinations(request)
    scene, told = _scene(request)
    _print_notes(request, scene, told)
    picture = display.fused(registered(scene, "homography"))
    display.write_picture(request.out, picture, display.about(_reference(request, scene)))
    print(f"{request.out}: {picture.shape[1]}x{picture.shape[0]}, exposure fusion, for display only: no radiance in it")


def _reference(request: MergeRequest, scene: Scene) -> Path:
    """Return the file of the reference frame."""
    name = scene.metadata["frames"][scene.reference]
    return next(path for path in request.frames if path.name == name)


def _check_destinations(request: MergeRequest) -> None:
    ends = display.PICTURES if request.method == display.FUSION else (".exr", ".hdr")
    for option, path, suffixes in (("-o", request.out, ends), ("--preview", request.preview, display.PICTURES)):
        if path is None:
            continue
        if path.suffix.lower() not in suffixes:
            raise UsageError(f"{option} {path}: expected a name that ends in {' or '.join(suffixes)}.")
        if path.is_file() and not request.force:
            raise UsageError(f"{option} {path} exists; choose another name, or replace it with --force.")
        if path.resolve() in {frame.resolve() for frame in request.frames}:
            raise UsageError(f"{option} {path} is one of the frames; choose another name.")
        check_destination(option, path)


def _exposures(request: MergeRequest) -> Told:
    """Return the frames' exposures; UsageError where one is lacking, and for files that aren't there."""
    for path in request.frames:
        if not path.exists():
            raise UsageError(f"{shown(path)}: no such file; name the frames of one bracket.")
        need_regular(path)
        need_reader(path)  # before its exposure is looked for
    if not request.exposures:
        return of_frames(request.frames, OPTION)
    if request.exposures.lower() == "exif":
        return from_exif(request.frames, OPTION)
    return given(request.exposures, request.frames)


def _print_pairs(frames: Sequence[Path], told: Told) -> None:
    """Print which exposure each frame was given, short to long, where it stands, and which is the reference."""
    order = sorted(range(len(frames)), key=lambda index: told.values[index])
    for place, index in enumerate(order):
        steps = math.log2(told.values[index] / told.values[order[0]])
        reference = ", the reference" if place == (len(order) - 1) // 2 else ""
        print(f"{shown(frames[index].name)}: {steps:+.2f} EV{reference}: {told.said[index]}")


def _not_three(card: MethodCard, scene: Scene) -> UsageError:
    """Return what to say of a bracket that isn't of three frames: of more, which cover its range."""
    count = len(scene.frames)
    if count < inputs.FRAMES:
        return UsageError(f"{card.label} needs {inputs.FRAMES} frames of different exposure; {count} were given.")
    chosen = covering(scene)
    names = [shown(scene.metadata["frames"][index]) for index in chosen]
    evs = [f"{math.log2(scene.times[index]):+.2f}" for index in chosen]
    share = float((scene.frames[chosen[0]].max(axis=-1) == np.iinfo(scene.frames.dtype).max).mean())
    return UsageError(
        f"{card.label} takes {inputs.FRAMES} frames, {count} were given. These cover the range: {' '.join(names)} "
        f"({' '.join(evs)} EV; {share:.2%} of the first is saturated); pass them alone."
    )


def _network(params: Params, request: MergeRequest, card: MethodCard) -> tuple[nn.Module | None, str]:
    """Return the network, if the method has one, and how its frames were registered in its training."""
    if not card.trains:
        if request.weights is not None:
            raise UsageError(f"{card.label} has no weights; leave --weights out.")
        return None, "none"
    if request.weights is None:
        raise UsageError(
            f"{card.label} is a network and needs --weights: a .safetensors file that `python -m bench train` wrote, "
            f"such as work/{params.profile}/weights/<run>.safetensors."
        )
    state, options = _read(request, card)
    preset, registration = str(options.pop("preset")), str(options.pop("register"))
    network = card.build(preset, **options)
    try:
        fit(network, state, request.weights)
    except RuntimeError as error:
        raise UsageError(
            f"{request.weights} doesn't fit {card.label}, preset {preset!r}; name the preset that it was trained with."
        ) from error
    return network, registration


def _read(request: MergeRequest, card: MethodCard) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return the weights and what the network is built with, as their card says."""
    path = request.weights or Path()
    try:
        state = load(path)
    except UsageError as error:
        raise UsageError(f"--weights {error} The command train writes such files.") from error
    found = networks.weights_card(path)
    if found.get("method", card.name) != card.name:
        raise UsageError(
            f"{shown(path)} holds weights of {shown(found['method'])}, not of {card.name}; pass --method "
            f"{shown(found['method'])}."
        )
    preset = request.preset or found.get("preset")
    if preset is None:
        raise UsageError(
            f"{path} has no card ({path.stem}.json) beside it; say its size: --preset {'|'.join(card.presets)}."
        )
    book = state.get(networks.CODES)
    made = networks.built_with(card, found, None if book is None else len(book))
    return state, {"preset": preset, "register": found.get("register", "none"), **made}


def frames_of(words: Sequence[Path], written: Sequence[Path | None] = ()) -> tuple[Path, ...]:
    """Return the frames that the words name: files as they are, and of a folder every file that may be a frame.

    A truth in a folder is none, nor is what is `written`, unless its exposure is told: then it is a frame that would be
    lost.
    """
    frames: list[Path] = []
    for word in words:
        if is_folder(word):
            ours = [path for path in written if path is not None and path.parent.resolve() == word.resolve()]
            frames += list_frames(word, {path.name for path in ours if not is_told(path)})
        else:
            frames.append(word)
    return tuple(frames)
