"""Faults of a submitted prediction that make its scores meaningless, each said in a sentence."""

import math
import warnings
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.color import likeness
from bench.core.errors import UsageError
from bench.core.scene import Array
from bench.metrics.encoding import Fit, misfit, order

FAINT = 0.5
"""Largest value of a truth up to which it is told: half of the peak that protocols assume is 6 dB of PSNR-l."""

GUESSABLE = 0.01
"""Share of negative values up to which a scale or tone curve is looked for: neither makes values negative."""


class FileFinding(NamedTuple):
    """Something that a check found.

    kind   : "missing", "extra", "unreadable", "size", "not-finite", "zero", "negative", "colour", "scale",
             "tone-mapped", "turned", "scene", "twins", "truth" or "refused"; "spare" for a file passed over, "unsuited"
             for a protocol that can't be applied to such a scene, whatever is predicted, "range" for a truth whose peak
             isn't 1, "shifted" for what lies off the truth by whole pixels, and "converted" for what isn't taken as
             stored: these are no faults of a file.
    said   : one sentence, without the file's name.
    scored : whether the file is scored all the same.
    """

    kind: str
    said: str
    scored: bool = False

    @property
    def bad(self) -> bool:
        """True for a fault, False for what is just worth knowing."""
        return self.kind not in ("spare", "unsuited", "range", "shifted", "converted")


def examine(prediction: Array, truth: Array, trusted: bool = False) -> list[FileFinding]:
    """Check a prediction against the truth, both (H, W, 3) linear relative radiance.

    trusted : leave out what is a judgement (turned, colours exchanged, wrong scale, tone-mapped) and not a fact.
    Returns nothing for a sound prediction. A fault that hides the others is returned alone.
    """
    # In this order: NumPy warns of signalling NaN, which damaged files hold, where others than the first two meet it.
    first = _size(prediction, truth) or _not_finite(prediction) or _zero(prediction)
    if first:
        return [first]
    negative = _negative(prediction)
    judged = not trusted and float((prediction < 0).mean()) <= GUESSABLE
    found = [negative, *(_judged(prediction, truth) if judged else ())]
    return [finding for finding in found if finding]


def need_sound(prediction: Array, truth: Array) -> None:
    """Raise UsageError for what makes scores meaningless in a pair (H, W, 3) of equal shape, finite.

    A truth that is zero everywhere, has values below 0 or above 1, and the faults that `examine` finds in the
    prediction. What is no fault (a truth far below 1, a shift) is a warning.
    """
    low, high = float(truth.min()), float(truth.max())
    wrong = f"holds values below 0, down to {low:.4g}; no light is negative" if low < 0 else ""
    wrong = "is 0 everywhere; nothing can be compared with it" if low == high == 0 else wrong
    if high > 1:
        wrong = f"goes up to {high:.4g}; protocols take 1 as its peak: divide both images by the same number"
    if wrong:
        sound = float(prediction.min()) >= 0 and float(prediction.max()) <= 1 and prediction.any()
        swapped = " Or are the two exchanged? The prediction comes first." if sound else ""
        raise UsageError(f"the truth {wrong} (if it is meant so, add trusted=True).{swapped}")
    told = [f"the truth {said}"] if (said := off_peak(truth)) else []
    for finding in examine(prediction, truth):
        said = finding.said.replace("score it with --trust", "add trusted=True")
        if not finding.bad:
            told.append(f"the prediction {said}")
            continue
        if finding.kind in ("negative", "zero"):
            said += " If they are meant so, add trusted=True."
        raise UsageError(f"the prediction: {said}")
    for said in told:
        warnings.warn(said, stacklevel=4)  # of whoever calls `Protocol.evaluate`


def off_peak(truth: Array) -> str:
    """Say, behind the word truth, how far the largest value of a truth (H, W, 3) is from 1; "" for a usual one."""
    high = float(truth.max())
    if high > 1:
        return f"goes up to {high:.4g}, and protocols take 1 as its peak."
    if 0 < high < FAINT:
        gain = -20 * math.log10(high)
        return f"goes up to {high:.4g} only, and protocols take 1 as its peak: PSNR-l reads {gain:.1f} dB higher by it."
    return ""


def _size(prediction: Array, truth: Array) -> FileFinding | None:
    if prediction.shape == truth.shape:
        return None
    ours, theirs = prediction.shape[:2], truth.shape[:2]
    said = f"{ours[0]}x{ours[1]} pixels (rows x columns), the truth has {theirs[0]}x{theirs[1]}"
    if ours == theirs[::-1]:
        return FileFinding("size", f"{said}: rows and columns are swapped; transpose it.")
    if where := _cropped(prediction, truth):
        return FileFinding("size", f"{said}: it is cropped ({where}); predict the whole picture.")
    ratios = [mine / true for mine, true in zip(ours, theirs, strict=True)]
    if abs(ratios[0] / ratios[1] - 1) < 0.01:
        return FileFinding(
            "size", f"{said}: it is {math.sqrt(ratios[0] * ratios[1]):.3g} times as large; undo the resize."
        )
    return FileFinding("size", f"{said}; write the prediction at the truth's size.")


def _cropped(prediction: Array, truth: Array) -> str:
    """Tell which part of the truth a smaller prediction shows: "" if none of the usual ones."""
    rows, columns = prediction.shape[:2]
    down, across = truth.shape[0] - rows, truth.shape[1] - columns
    if min(down, across) < 0:
        return ""
    places = {
        "the centre is left": (down // 2, across // 2), "the upper left part is left": (0, 0),
        "the lower right part is left": (down, across), "the lower left part is left": (down, 0),
        "the upper right part is left": (0, across),
    }  # fmt: skip
    fits = {
        name: likeness.correlation(prediction, truth[top : top + rows, left : left + columns])
        for name, (top, left) in places.items()
    }
    best = max(fits, key=lambda name: fits[name])
    return best if fits[best] >= likeness.AGREES else ""


def _not_finite(prediction: Array) -> FileFinding | None:
    bad: NDArray[np.bool_] = ~np.isfinite(prediction)
    if not bad.any():
        return None
    row, column, channel = np.unravel_index(int(bad.argmax()), bad.shape)
    nans = int(np.isnan(prediction).sum())
    parts = [f"{count} {name}" for count, name in ((nans, "NaN"), (int(bad.sum()) - nans, "infinite")) if count]
    where = f"the first in row {row}, column {column}, {'RGB'[channel]}"
    return FileFinding(
        "not-finite", f"{' and '.join(parts)} of {bad.size} values, {where}; only finite ones are scored."
    )


def _zero(prediction: Array) -> FileFinding | None:
    return None if prediction.any() else FileFinding("zero", "every value is 0; nothing was predicted or written.")


def _negative(prediction: Array) -> FileFinding | None:
    if (low := float(prediction.min())) >= 0:
        return None
    count = int((prediction < 0).sum())
    share = f"{count / prediction.size:.2%} of its values are"
    if share.startswith("0.00%"):
        share = f"{count} of its {prediction.size} values {'is' if count == 1 else 'are'}"
    said = f"{share} below 0, down to {low:.4g}"
    if 2 * count >= prediction.size:
        return FileFinding("negative", f"{said}: this is no linear radiance; write what light each pixel shows.")
    return FileFinding("negative", f"{said}; set them to 0.", scored=True)


def _judged(prediction: Array, truth: Array) -> Iterator[FileFinding | None]:
    if turn := likeness.turned(prediction, truth):
        yield FileFinding("turned", f"looks {turn}; turn it back (if it is meant so, score it with --trust).")
        return
    yield _shifted(prediction, truth)
    places = order(prediction, truth)
    if places in likeness.ORDERS:
        said = f"{likeness.ORDERS[places]} look exchanged: write channels in the order RGB"
        yield FileFinding("colour", f"{said} (if they are, score it with --trust).")
        prediction = prediction[..., places]
    yield _encoding(prediction, truth)


def _shifted(prediction: Array, truth: Array) -> FileFinding | None:
    by = likeness.shift(prediction, truth)
    if by == (0, 0):
        return None
    said = f"lies {likeness.direction(by)} of its truth, as after a crop or a border; it is scored as it is."
    return FileFinding("shifted", said, scored=True)


KNOWN: Mapping[float, str] = {
    255.0: ", as 8-bit code values would be",
    65535.0: ", as 16-bit code values would be",
    4000.0: ", as cd/m2 at 4000 for 1 would be",
}


def _encoding(prediction: Array, truth: Array) -> FileFinding | None:
    fit = misfit(prediction, truth)
    if fit is None:
        return None
    if fit.curve:
        unit = f" and division by {fit.factor:g}" if fit.factor != 1 else ""
        said = f"looks tone-mapped: it fits the truth far better after the inverse of {fit.curve}{unit}; write linear"
        return FileFinding("tone-mapped", f"{said} radiance (if it is linear, score it with --trust).")
    said = f"looks mis-scaled: about {fit.factor:.4g} times the truth{_reason(fit, prediction, truth)}"
    return FileFinding("scale", f"{said}; divide by it (if it is meant so, score it with --trust).")


def _reason(fit: Fit, prediction: Array, truth: Array) -> str:
    return next(_reasons(fit, prediction, truth), "")


def _reasons(fit: Fit, prediction: Array, truth: Array) -> Iterator[str]:
    yield from (words for factor, words in KNOWN.items() if abs(fit.factor / factor - 1) < 0.03)
    if abs(float(prediction.max()) - 1) < 1e-3 and abs(fit.factor * float(truth.max()) - 1) < 0.1:
        yield ", as after division by its own maximum"
