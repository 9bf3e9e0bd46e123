"""Checks of a scene before anything is written: that it is what its dataset says, on the scale that scores assume.

A refusal costs somebody a look at the data; a wrong scale would cost decibels that nobody notices.
"""

import math
from collections.abc import Callable, Collection, Mapping
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from bench.color import likeness
from bench.color.exposure import linearise
from bench.core.errors import CheckFailed, UsageError
from bench.core.reading import shown
from bench.core.scene import Array, Scene

PASSED, NOT_APPLICABLE, NOTED, WAIVED = "passed", "not applicable: ", "noted: ", "waived, "
"""Beginnings of the outcomes of a check."""

WELL_EXPOSED = (0.1, 0.8)
"""Stored values, relative to the full range, that tell the radiance."""

SCALE_BOUNDS = (0.8, 1.25)
"""Accepted median of truth / linearised reference: far from the factor 4 or 8 that a wrong EV origin makes."""

STATIC = 0.35
"""EV by which two frames may differ, once divided by their times, where nothing moves."""

FEWEST = 64
"""With fewer well-exposed values nothing can be measured."""

RATIO_TOLERANCE = 0.75
"""EV between stated and measured exposure steps; a file of another scene is usually off by 1 or more."""

LOWER_BITS = (1023, 4095, 16383)
"""Largest values of 10-, 12- and 14-bit values stored in 16 bits without being spread over the range."""

ALIKE = 4
"""Bits, of 64, by which fingerprints of one picture may differ; those of other scenes differ in 16 or more."""


def run(scene: Scene, dataset: str = "", waived: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the outcome of every check: "passed", "not applicable: <reason>", "noted: <finding>" or "waived, ...".

    waived : check -> why its refusal is overruled, of `WAIVABLE`; what it found is kept in its outcome.
    CheckFailed, with one sentence, at the first that fails.
    """
    what, outcomes = f'scene "{scene.id}"' + (f" of {dataset}" if dataset else ""), {}
    for name, check in CHECKS.items():
        try:
            outcomes[name] = check(scene, what)
        except UsageError as error:
            if name not in WAIVABLE or name not in (waived or {}):
                raise CheckFailed(str(error), name) from error
            outcomes[name] = f"{WAIVED}{(waived or {})[name]}: {error}"
    return outcomes


def check_frames(scene: Scene, what: str) -> str:
    """At least two frames, exposure times that rise from 1."""
    times = scene.times.tolist()
    if len(times) < 2 or times != sorted(set(times)) or not np.isfinite(scene.times).all():
        raise UsageError(f"{what}: exposure times are {times}; expected two or more that rise from 1.")
    return PASSED


def check_range(scene: Scene, what: str) -> str:
    """Values that use the range of their type: 8-bit or 12-bit values in a 16-bit file would look almost black."""
    if scene.frames.dtype == np.uint8:
        return f"{NOT_APPLICABLE}8-bit files have no other range"
    largest = int(scene.frames.max())
    if largest == 0:
        raise UsageError(f"{what}: all frames are black.")
    if largest <= 255 or largest in LOWER_BITS:
        raise UsageError(
            f"{what}: the largest value of all frames is {largest}, of 65535 that 16-bit files hold; these are "
            f"{max(8, largest.bit_length())}-bit values. Spread them over the full range (times {65535 / largest:.6g})."
        )
    return PASSED


def check_steps(scene: Scene, what: str) -> str:
    """Exposure steps measured on the frames against the stated ones; frames that don't brighten are out of order."""
    notes = []
    for shorter, (one, other) in enumerate(pairwise(every_nth(scene, _stride(scene)))):
        stated = math.log2(scene.times[shorter + 1] / scene.times[shorter])
        measured = _step(one, other)
        if measured is None:
            if other.mean() < one.mean():
                raise UsageError(_out_of_order(scene, what, shorter))
            notes.append(f"frames {shorter + 1} and {shorter + 2} have no well-exposed pixels in common")
        elif measured <= 0:
            raise UsageError(_out_of_order(scene, what, shorter))
        elif abs(measured - stated) > RATIO_TOLERANCE:
            said = f"frames {shorter + 1} and {shorter + 2} are {measured:.2f} EV apart where {stated:.2f} is stated"
            if scene.radiance is not None:
                raise UsageError(
                    f"{what}: {said}; the exposures belong to another scene, or the frames aren't gamma 2.2."
                )
            notes.append(f"{said} (another curve than gamma 2.2, or wrong exposures)")
    return NOTED + "; ".join(notes) if notes else PASSED


def check_truth(scene: Scene, what: str) -> str:
    """A truth that is finite, at least 0 and of the frames' size."""
    if scene.radiance is None:
        return f"{NOT_APPLICABLE}no truth"
    bad = int((~np.isfinite(scene.radiance)).sum()), int((scene.radiance < 0).sum())
    if any(bad):
        raise UsageError(f"{what}: the truth holds {bad[0]} non-finite and {bad[1]} negative values; expected >= 0.")
    if scene.radiance.shape != scene.frames.shape[1:]:
        raise UsageError(
            f"{what}: the truth is {scene.radiance.shape}, a frame {scene.frames.shape[1:]}; expected one size."
        )
    return PASSED


def check_scale(scene: Scene, what: str) -> str:
    """A truth on the scale of the shortest frame: median of truth / linearised reference near 1 where nothing moves."""
    factor = scale(scene)
    if factor is None:
        return f"{NOT_APPLICABLE}{'no truth' if scene.radiance is None else 'no well-exposed pixels'}"
    if not SCALE_BOUNDS[0] <= factor <= SCALE_BOUNDS[1]:
        raise UsageError(_scale_sentence(factor, what))
    return PASSED


def check_place(scene: Scene, what: str) -> str:
    """A truth that lies on the reference frame: not turned, mirrored or shifted by whole pixels."""
    if scene.radiance is None:
        return f"{NOT_APPLICABLE}no truth"
    frame, time = scene.frames[scene.reference], float(scene.times[scene.reference])
    reference = linearise(frame / np.float32(np.iinfo(frame.dtype).max))
    truth = np.clip(scene.radiance * np.float32(time), 0, 1)  # what the reference frame could hold of it
    if turn := likeness.turned(truth, reference):
        raise UsageError(f"{what}: the truth is {turn} against the frames; turn it back.")
    if (by := likeness.shift(truth, reference)) != (0, 0):
        raise UsageError(f"{what}: the truth lies {likeness.direction(by)} of the frames; crop both alike.")
    return PASSED


def check_colour(scene: Scene, what: str) -> str:
    """A truth whose channels are in the order of the frames'."""
    found = _pairs(scene)
    if found is None:
        return f"{NOT_APPLICABLE}{'no truth' if scene.radiance is None else 'no well-exposed pixels'}"
    truth, linear = (np.maximum(values, 1e-6) for values in found)
    names = likeness.ORDERS.get(likeness.order(truth, linear))
    if names is not None:
        raise UsageError(f"{what}: {names} of the truth are exchanged against the frames'; read both as RGB.")
    return PASSED


CHECKS: Mapping[str, Callable[[Scene, str], str]] = {
    "frames": check_frames,
    "range": check_range,
    "steps": check_steps,
    "truth": check_truth,
    "place": check_place,
    "colour": check_colour,
    "scale": check_scale,
}
"""Every check by name, in the order in which they run."""

WAIVABLE = ("range", "steps", "place", "colour", "scale")
"""Checks that measure pictures, and that somebody who looked at them may overrule; the others are plain facts."""


def scale(scene: Scene) -> float | None:
    """Median of truth / linearised reference over well-exposed static values: 1 if both are on one scale.

    None without truth, or where too few values are well exposed.
    """
    found = _pairs(scene)
    return None if found is None else float(np.median(found[0] / found[1]))


def _pairs(scene: Scene) -> tuple[Array, Array] | None:
    """Truth and linearised reference, (M, 3) each, of pixels that are well exposed and, where enough are, static."""
    if scene.radiance is None:
        return None
    step, frames = _stride(scene), every_nth(scene, _stride(scene))
    truth, reference = scene.radiance[::step, ::step], frames[scene.reference]
    good = _well_exposed(reference).all(axis=-1)
    if 3 * int(good.sum()) < FEWEST:
        return None
    still = good & _static(scene, frames)
    chosen = still if 3 * int(still.sum()) >= FEWEST else good
    return truth[chosen], linearise(reference[chosen], float(scene.times[scene.reference]))


def _static(scene: Scene, frames: list[NDArray[np.float32]]) -> NDArray[np.bool_]:
    """Where the frame before the reference, brought to its exposure, shows the same: (H, W)."""
    if scene.reference == 0:
        return np.ones(frames[0].shape[:2], bool)
    linear = [linearise(frames[i], float(scene.times[i])).mean(axis=-1) for i in (scene.reference - 1, scene.reference)]
    return np.asarray(np.abs(np.log2(np.maximum(linear[0], 1e-6) / np.maximum(linear[1], 1e-6))) < STATIC)


def _stride(scene: Scene) -> int:
    # A quarter of a million pixels tell a median as well as a million and a half, in a sixth of the time.
    return max(1, round(math.sqrt(scene.frames[0].size / 3 / 250_000)))


def every_nth(scene: Scene, step: int) -> list[NDArray[np.float32]]:
    """Every n-th pixel of the frames as shares of the full range, (H/n, W/n, 3) float32 each."""
    full = np.float32(np.iinfo(scene.frames.dtype).max)
    return [frame[::step, ::step].astype(np.float32) / full for frame in scene.frames]


def _well_exposed(ldr: Array) -> NDArray[np.bool_]:
    return np.asarray((ldr >= WELL_EXPOSED[0]) & (ldr <= WELL_EXPOSED[1]))


def _step(one: Array, other: Array) -> float | None:
    """EV by which `other` is the brighter frame: median over values that are well exposed in both."""
    both = _well_exposed(one) & _well_exposed(other)
    if int(both.sum()) < FEWEST:
        return None
    return float(np.median(np.log2(linearise(other[both]) / linearise(one[both]))))


def _out_of_order(scene: Scene, what: str, shorter: int) -> str:
    names = scene.metadata.get("frames", ())
    one, other = (
        f"frame {n + 1}" + (f" ({shown(names[n])})" if n < len(names) else "") for n in (shorter, shorter + 1)
    )
    return (
        f"{what}: {other} isn't brighter than {one}; expected short to long. Are the frames named in the order of "
        "their exposures? Or are the exposures inverse (320 for 1/320 s, as in lists for OpenCV)?"
    )


def _scale_sentence(factor: float, what: str) -> str:
    if factor <= 0:
        return f"{what}: the truth is black where the reference frame is well exposed; the file belongs elsewhere."
    steps = math.log2(factor)
    near = round(steps)
    cost = 20 * math.log10(2.0**near if near and abs(steps - near) < 0.3 else factor)
    origin = (
        f"That is 2^{near}: most likely the truth counts its EVs from another origin than the shortest frame, or "
        if near and abs(steps - near) < 0.3
        else "Most likely the truth is scaled by its own maximum, or "
    )
    return (
        f"{what}: the truth is {factor:.3g} times the linearised reference frame, expected 1 "
        f"({SCALE_BOUNDS[0]} to {SCALE_BOUNDS[1]}), which alone would cost {abs(cost):.2f} dB of "
        f"PSNR-l. {origin}the exposures belong to another scene."
    )


def fingerprint(scene: Scene) -> str:
    """Perceptual hash of the reference frame, 16 hex digits: signs of its 64 lowest frequencies at 32x32 pixels.

    Equal up to a few bits for pictures that look the same, whatever their size, exposure and noise.
    """
    import cv2

    reference = every_nth(scene, _stride(scene))[scene.reference].mean(axis=-1)
    small = cv2.resize(reference, (32, 32), interpolation=cv2.INTER_AREA)
    frequencies = np.asarray(cv2.dct(small))[:9, :9].ravel()[1:65]  # without the mean, which exposure decides
    bits = frequencies > np.median(frequencies)
    return f"{int(''.join('1' if bit else '0' for bit in bits), 2):016x}"


def same(one: str, other: str) -> bool:
    """Tell whether two fingerprints are of pictures that look the same: they differ in a few bits of 64."""
    return (int(one, 16) ^ int(other, 16)).bit_count() <= ALIKE


def duplicates(splits: Mapping[str, Mapping[str, str]], untrained: Collection[str] = ()) -> list[str]:
    """Name the scenes of different splits that look the same.

    splits    : split -> scene -> fingerprint.
    untrained : splits that nothing is trained or chosen on: two of them may show the same.
    """
    return [
        f"{one}/{first} and {other}/{second} show the same."
        for (one, scenes), (other, others) in combinations(splits.items(), 2)
        if not {one, other} <= set(untrained)
        for first, bits in scenes.items()
        for second, found in others.items()
        if same(bits, found)
    ]
