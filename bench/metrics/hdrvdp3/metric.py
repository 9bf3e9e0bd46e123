"""HDR-VDP-3.0.7: predicts how good a test image looks beside its reference, and where people see a difference.

Mantiuk, Hammou, Hanji, "HDR-VDP-3: A multi-metric for predicting image differences, quality and contrast distortions in
high dynamic range and regular content", arXiv:2304.13625, 2023. Effects of age: Mantiuk, Ramponi, J. SID 26(12), 2018.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from ..errors import UsageError, unknown_name
from ..hdrvdp2.display import encoding as known_encoding
from ..hdrvdp2.display import warn_of_scale
from ..hdrvdp2.inputs import Expected, Image, channels, exactly, number, tensors
from .display import ENCODINGS, native, need_display, shown
from .optics import MTFS
from .pooling import pooled, visibility
from .tasks import TASKS
from .vision import Conditions, Responses, bands, seen, surroundings

RELEASE = "HDR-VDP-3"
ROLES = ("test", "reference")

TaskName = Literal["quality", "side-by-side", "flicker", "detection"]
Precision = Literal["fast", "double"]
DTYPES: dict[str, torch.dtype] = {"fast": torch.float32, "double": torch.float64}

COARSEST = 2.0
"""Pixels per degree that must be exceeded: below there is no band to look at."""

OLDEST = 120.0
"""Years of age that an observer can have."""


class Hdrvdp3Result(NamedTuple):
    """Output of HDR-VDP-3 for a pair.

    Q     : quality correlate; 10 for identical images, lower is worse, without a lower bound.
    Q_JOD : quality in just-objectionable-differences; 10 for identical images, without a lower bound.
    P_det : probability that a difference is seen; None without maps. The tasks but `detection` give a number slightly
            below 0 where nothing differs.
    C_max : the largest contrast in units of the detection threshold, >= 0, smoothed over 0.25 degrees by the tasks but
            `detection`; None without maps.
    P_map : (H, W) probability that the difference is seen there, in [-1e-4, 1]; None without maps.
    C_map : (H, W) contrast in units of the detection threshold, >= 0; None without maps.
    Maps are NumPy arrays or tensors, as the test image was.

    >>> Hdrvdp3Result(Q=9.0, Q_JOD=9.48).P_map is None
    True
    """

    Q: float
    Q_JOD: float
    P_det: float | None = None
    C_max: float | None = None
    P_map: Any = None
    C_map: Any = None


def hdrvdp3(
    pred: Image,
    truth: Image,
    *,
    encoding: str,
    pixels_per_degree: float,
    task: TaskName = "quality",
    display: str | None = None,
    age: float = 24.0,
    surround: float | Literal["none", "mean"] = "none",
    mtf: Literal["hdrvdp", "cie", "none"] = "hdrvdp",
    options: Mapping[str, Any] | None = None,
    maps: bool = True,
    precision: Precision = "fast",
) -> Hdrvdp3Result:
    """Compare a test image with its reference by HDR-VDP-3.0.7.

    pred, truth       : test and reference, (H, W, 3), or (H, W) for the encodings of one channel; NumPy arrays or
                        tensors, computed on the device of the test image. At least 9 pixels a side, 15 for `detection`.
    encoding          : `luminance` (cd/m2), `luma-display` (99 V^2.2 + 1 cd/m2), `sRGB-display` (sRGB on a display of
                        1 to 100 cd/m2), `rgb-bt.709`, `rgb-bt.2020`, `rgb-native` (of the display) or `XYZ`, all linear
                        and in cd/m2; upper and lower case are one.
    pixels_per_degree : of the visual angle, above 2; see `pixels_per_degree`.
    task              : what the figures were calibrated for: `quality` (`side-by-side` is the same), `flicker` between
                        both images, or `detection` of a difference. All tasks give all results, but only the Q of
                        `quality` means what its name says.
    display           : emission spectra, `led-lcd-srgb` (default), `led-lcd-wcg`, `oled` (default of `rgb-bt.2020` and
                        `XYZ`), `crt` or `ccfl-lcd`. One channel without a display has the spectrum D65.
    age               : of the observer, in years.
    surround          : `none` continues images as their mirror image; a luminance in cd/m2; or `mean`, the geometric
                        mean of each reference channel.
    mtf               : of the eye's optics: `hdrvdp`, `cie` (glare grows with age) or `none`.
    options           : other parameters by the reference's names, see `VisualTask`.
    maps              : False computes Q and Q_JOD only, in less time and memory.
    precision         : "double" is float64 throughout; "fast" has float32 behind the bands, which moves Q and P_det by
                        less than 1e-5 and C_max by less than 0.001 %.

    Q and Q_JOD are two numbers, and the field prints either as HDR-VDP-3: say which. A mean over all pixels is in both,
    so a local ghost hardly moves them (one on 14 % of the pixels leaves Q_JOD at 9.94, where P_det is 0.84), and crops
    don't compare with whole images. The scale of the light matters: the same pair a hundred times as bright can lose a
    whole JOD. More pixels per degree give a higher Q here, in release 2.2.2 a lower one.

    NaN counts as 1e-5 cd/m2 (black for `sRGB-display`) and not as a difference. Infinite light, negative luma, unequal
    or small images and unknown names raise UsageError. Values that should be cd/m2 and don't exceed 1, or that should
    lie in [0, 1] and exceed 10, give a warning.

    >>> import numpy as np
    >>> rows, columns = np.mgrid[:48, :64]
    >>> truth = 100 + 80 * np.sin(rows / 3) * np.cos(columns / 5)
    >>> hdrvdp3(truth, truth, encoding="luminance", pixels_per_degree=30).Q_JOD
    10.0
    >>> ghost = np.where(columns < 20, np.roll(truth, 4, axis=0), truth)
    >>> result = hdrvdp3(ghost, truth, encoding="luminance", pixels_per_degree=30)
    >>> print(f"Q {result.Q:.2f}, Q_JOD {result.Q_JOD:.2f}, P_det {result.P_det:.2f}")
    Q 6.05, Q_JOD 6.97, P_det 0.93
    """
    viewing = _viewing(encoding, pixels_per_degree, task, display, age, surround, mtf, options, precision)
    with torch.no_grad(), exactly(pred):
        view = _seen(pred, truth, viewing)
        found = pooled(bands(view, viewing), view, viewing, maps)
        q, jod = float(found.q), float(to_jod(10 - found.q))
        if not maps:
            return Hdrvdp3Result(q, jod)
        drawn = visibility(found.bands, viewing)
        largest = float(drawn.p_det), float(drawn.c_max)
    planes = [plane.to(viewing.dtype) for plane in (drawn.probability, drawn.contrast)]
    p_map, c_map = planes if isinstance(pred, Tensor) else [plane.numpy() for plane in planes]
    return Hdrvdp3Result(q, jod, *largest, p_map, c_map)


def hdrvdp3_batch(pairs: Iterable[tuple[Image, Image]], **settings: Any) -> Iterator[Hdrvdp3Result]:
    """Yield the result of each (test, reference) pair, one after the other, with the settings of `hdrvdp3`.

    Pairs of one size share what depends on size and viewing conditions only. One pair at a time is held.

    >>> import numpy as np
    >>> pairs = [(np.full((16, 16), 50.0), np.full((16, 16), 50.0))] * 2
    >>> [result.Q for result in hdrvdp3_batch(pairs, encoding="luminance", pixels_per_degree=30, maps=False)]
    [10.0, 10.0]
    """
    return (hdrvdp3(test, reference, **settings) for test, reference in pairs)


def hdrvdp3_loss(
    pred: Tensor,
    truth: Tensor,
    *,
    encoding: str,
    pixels_per_degree: float,
    task: TaskName = "quality",
    display: str | None = None,
    age: float = 24.0,
    surround: float | Literal["none", "mean"] = "none",
    mtf: Literal["hdrvdp", "cie", "none"] = "hdrvdp",
    options: Mapping[str, Any] | None = None,
    precision: Precision = "fast",
) -> Tensor:
    """Return 10 - Q as a tensor without dimension (float64) that can be differentiated; settings as in `hdrvdp3`.

    pred : (H, W, 3) or (H, W), in the unit of the colour encoding; gradients are finite everywhere with the parameters
           of the tasks, and 0 where both images are identical. They also reach the truth.
    Not smooth: where a pixel's difference crosses 0.1 % (the set of changed pixels counts as constant); where the
    absolute values of both images are equal in a band; at the nodes of the tabulated functions; at the clamps of light;
    where another frequency becomes the strongest of the coarsest band.

    >>> import torch
    >>> truth = torch.linspace(1, 200, 400, dtype=torch.float64).reshape(20, 20)
    >>> pred = (truth * 1.2 + 5 * torch.eye(20)).requires_grad_()
    >>> loss = hdrvdp3_loss(pred, truth, encoding="luminance", pixels_per_degree=30)
    >>> loss.backward()
    >>> bool(loss > 0), bool(pred.grad.any())
    (True, True)
    """
    viewing = _viewing(encoding, pixels_per_degree, task, display, age, surround, mtf, options, precision)
    with exactly(pred):
        view = _seen(pred, truth, viewing)
        return 10 - pooled(bands(view, viewing), view, viewing, maps=False).q


def to_jod(loss: Tensor) -> Tensor:
    """Return Q_JOD of what Q lacks: 10 - 0.52 (10 - Q)^1.2812, at most 10.

    >>> round(float(to_jod(torch.tensor(1.0))), 4)
    9.48
    """
    jod: Tensor = 10 - 0.52 * loss.clamp(min=0) ** 1.2812
    return jod


def _viewing(
    encoding: str,
    ppd: float,
    task: str,
    display: str | None,
    age: float,
    surround: float | str,
    mtf: str,
    options: Mapping[str, Any] | None,
    precision: str,
) -> Conditions:
    words = {"encoding": encoding, "task": task, "display": display or "", "mtf": mtf, "precision": precision}
    for name, value in words.items():
        if not isinstance(value, str):
            raise UsageError(f"{name} is {value!r}; expected a name.")
    known = known_encoding(encoding, ENCODINGS)
    if task not in TASKS:
        raise unknown_name("task of HDR-VDP-3", task, TASKS)
    if mtf not in MTFS:
        raise unknown_name("MTF of HDR-VDP-3", mtf, MTFS)
    density, years = number("pixels_per_degree", ppd), number("age", age)
    if not COARSEST < density < math.inf:
        raise UsageError(f"HDR-VDP-3 at {ppd} pixels per degree; expected more than {COARSEST:g}, such as 30.")
    if not 0 < years <= OLDEST:
        raise UsageError(f"an observer of {age} years; expected an age up to {OLDEST:g}.")
    if precision not in DTYPES:
        raise UsageError(f"precision {precision!r}; expected 'fast' or 'double'.")
    figures = TASKS[task].with_options(options or {})
    return Conditions(
        known, density, need_display(display), years, mtf, _surround(surround), figures, DTYPES[precision]
    )


def _surround(surround: float | str) -> float | Literal["mean"] | None:
    if surround == "none":
        return None
    if surround == "mean":
        return "mean"
    if isinstance(surround, str) or not 0 <= (around := number("surround", surround)) < math.inf:
        raise UsageError(f"a surround of {surround!r}; expected a luminance in cd/m2, 'none' or 'mean'.")
    return around


def _seen(test: Image, reference: Image, viewing: Conditions) -> Responses:
    """Look at both images, on the test image's device."""
    expected = Expected(RELEASE, viewing.encoding, ENCODINGS[viewing.encoding].channels, viewing.smallest)
    lights = []
    for role, image in zip(ROLES, tensors(test, reference, expected), strict=True):
        planes = channels(image, role, RELEASE, stacklevel=3)
        warn_of_scale(planes, viewing.encoding, ENCODINGS[viewing.encoding].absolute, RELEASE)
        lights.append(shown(planes, role, viewing.encoding))
    surround = surroundings(lights[1], viewing)
    first, second = (
        native(light, role, viewing.encoding, viewing.display) for role, light in zip(ROLES, lights, strict=True)
    )
    return seen(first, second, surround, viewing)
