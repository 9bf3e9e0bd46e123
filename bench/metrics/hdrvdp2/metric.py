"""HDR-VDP-2.2.2: predicts whether people see a difference between two images, and how much it disturbs them.

Mantiuk, Kim, Rempel, Heidrich, "HDR-VDP-2", ACM TOG 30(4), 2011; quality weights of Narwaria, Mantiuk, Perreira Da
Silva, Le Callet, J. Electronic Imaging 24(1), 2015. Q is that of releases 2.2.1 and 2.2.2; that of 2.2.0 is another.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from ..errors import UsageError
from . import display, pyramid
from .inputs import Expected, Image, channels, exactly, number, tensors
from .pooling import older_mos, pooled, visibility
from .vision import Viewing, bands, seen

Precision = Literal["fast", "double"]
DTYPES: dict[str, torch.dtype] = {"fast": torch.float32, "double": torch.float64}


@dataclass(frozen=True)
class Hdrvdp2Result:
    """Output of HDR-VDP-2 for a pair.

    q     : quality correlate; 100 for identical images, lower is worse, without a lower bound.
    p_map : (H, W) probability in [0, 1] that the difference is seen there; None without maps.
    c_map : (H, W) difference in units of the detection threshold, >= 0; None without maps.
    p_det : probability that the difference is seen anywhere, the largest of p_map.
    c_max : the largest of c_map.
    Maps are NumPy arrays or tensors, as the test image was.

    >>> Hdrvdp2Result(q=70.0).p_map is None
    True
    """

    q: float
    p_map: Any = None
    c_map: Any = None
    p_det: float | None = None
    c_max: float | None = None


def hdrvdp2(
    test: Image,
    reference: Image,
    *,
    color_encoding: str,
    pixels_per_degree: float,
    surround_l: float = 1e-5,
    rgb_display: str | None = None,
    maps: bool = True,
    precision: Precision = "fast",
) -> Hdrvdp2Result:
    """Compare a test image with its reference by HDR-VDP-2.2.2.

    test, reference   : (H, W, 3), or (H, W) for the encodings of one channel; NumPy arrays or tensors, computed on the
                        device of the test image. At least 17 pixels a side.
    color_encoding    : `luminance` (cd/m2), `luma-display` (99 V^2.2 + 1 cd/m2), `sRGB-display` (sRGB on a display of
                        1 to 100 cd/m2), `rgb-bt.709` (linear, cd/m2) or `XYZ`; upper and lower case are one.
    pixels_per_degree : of the visual angle; see `pixels_per_degree`.
    surround_l        : luminance around the image in cd/m2; -1 takes the geometric mean of each reference channel.
    rgb_display       : emission spectra, `ccfl-lcd` (default for three channels), `led-lcd` or `crt`.
    maps              : False computes Q only, in less time and memory.
    precision         : "double" is float64 throughout; "fast" has float32 after optics and receptors, which moves Q by
                        less than 1e-4 (2.2e-5 at most on the 35 golden cases).

    Pixels aren't clipped. Behind the optics light is kept within [1e-5, 1e10] cd/m2; receptors and sensitivities end at
    1e-5 and 1e5. NaN pixels count as 1e-5 cd/m2, after the display model. Infinite light, unequal or small images and
    unknown names raise UsageError. Values that should be cd/m2 and don't exceed 1, or that should lie in [0, 1] and
    exceed 10, give a warning. Q depends on the size of the image: it doesn't compare between crops and whole images.

    >>> reference = torch.linspace(1, 100, 20 * 24 * 3).reshape(20, 24, 3)  # cd/m2
    >>> result = hdrvdp2(reference * 0.8, reference, color_encoding="rgb-bt.709", pixels_per_degree=30)
    >>> result.q < 100, tuple(result.p_map.shape)
    (True, (20, 24))
    """
    viewing = _viewing(color_encoding, pixels_per_degree, surround_l, rgb_display, precision)
    with torch.no_grad(), exactly(test):
        view = seen(*_pair(test, reference, viewing), viewing)
        found = pooled(bands(view, viewing), view, maps)
        if not maps:
            return Hdrvdp2Result(float(found.q))
        drawn = visibility(found.bands)
        p_det, c_max = float(drawn.probability.max()), float(drawn.contrast.max())
    shown = [plane if isinstance(test, Tensor) else plane.numpy() for plane in drawn]
    return Hdrvdp2Result(float(found.q), shown[0], shown[1], p_det, c_max)


def older_q_mos(
    test: Image,
    reference: Image,
    *,
    color_encoding: str,
    pixels_per_degree: float,
    surround_l: float = 1e-5,
    rgb_display: str | None = None,
    precision: Precision = "fast",
) -> float:
    """Return Q_MOS of release 2.2.0, 0 to 100, the higher the better; arguments as in `hdrvdp2`.

    A logistic function of a Q that later releases don't have: it compares with no number of theirs.

    >>> image = torch.linspace(1, 100, 20 * 24).reshape(20, 24)
    >>> worse = older_q_mos(image * 0.5, image, color_encoding="luminance", pixels_per_degree=30)
    >>> 0 < worse < older_q_mos(image, image, color_encoding="luminance", pixels_per_degree=30)
    True
    """
    viewing = _viewing(color_encoding, pixels_per_degree, surround_l, rgb_display, precision)
    with torch.no_grad(), exactly(test):
        view = seen(*_pair(test, reference, viewing), viewing)
        return float(older_mos(bands(view, viewing), view))


def hdrvdp2_batch(pairs: Iterable[tuple[Image, Image]], **settings: Any) -> Iterator[Hdrvdp2Result]:
    """Yield the result of each (test, reference) pair, one after the other, with the settings of `hdrvdp2`.

    Pairs of one size share what depends on size and viewing conditions only. One pair at a time is held.

    >>> image = torch.full((20, 24), 10.0)
    >>> results = hdrvdp2_batch([(image, image)], color_encoding="luminance", pixels_per_degree=30, maps=False)
    >>> [result.q for result in results]
    [100.0]
    """
    return (hdrvdp2(test, reference, **settings) for test, reference in pairs)


def hdrvdp2_loss(
    test: Tensor,
    reference: Tensor,
    *,
    color_encoding: str,
    pixels_per_degree: float,
    surround_l: float = 1e-5,
    rgb_display: str | None = None,
    precision: Precision = "fast",
) -> Tensor:
    """Return 100 - Q as a tensor without dimension (float64) that can be differentiated; settings as in `hdrvdp2`.

    test : (H, W, 3) or (H, W), in the unit of the colour encoding; gradients are finite everywhere, and 0 where both
           images are identical. They also reach the reference.
    Not smooth: where a pixel's difference crosses 0.1 % (the set of changed pixels counts as constant); where the
    absolute values of both images are equal in a band; at the nodes of the tabulated functions; at the clamps of
    luminance. At identical images the loss has the slope of a logarithm at 1e-12: it drops by tens within a millionth.

    >>> reference = torch.linspace(1, 100, 20 * 24).reshape(20, 24)
    >>> test = (reference * 0.8).requires_grad_()
    >>> hdrvdp2_loss(test, reference, color_encoding="luminance", pixels_per_degree=30).backward()
    >>> bool(test.grad.isfinite().all())
    True
    """
    viewing = _viewing(color_encoding, pixels_per_degree, surround_l, rgb_display, precision)
    with exactly(test):
        view = seen(*_pair(test, reference, viewing), viewing)
        return 100 - pooled(bands(view, viewing), view, maps=False).q


def _viewing(encoding: str, ppd: float, surround: float, rgb_display: str | None, precision: str) -> Viewing:
    for name, value in (("color_encoding", encoding), ("rgb_display", rgb_display or "")):
        if not isinstance(value, str):
            raise UsageError(f"{name} is {value!r}; expected a name.")
    numbers = (number("pixels_per_degree", ppd), number("surround_l", surround))
    name = display.encoding(encoding)
    display.spectral_matrix(name, rgb_display)
    if not 0 < numbers[0] < math.inf:
        raise UsageError(f"HDR-VDP-2 at {ppd} pixels per degree; expected a positive number, such as 30.")
    if not (numbers[1] == -1 or 0 <= numbers[1] < math.inf):
        raise UsageError(f"a surround of {surround} cd/m2; expected a luminance, or -1 for the reference's mean.")
    if precision not in DTYPES:
        raise UsageError(f"precision {precision!r}; expected 'fast' or 'double'.")
    return Viewing(name, *numbers, rgb_display, DTYPES[precision])


def _pair(test: Image, reference: Image, viewing: Viewing) -> tuple[list[Tensor], list[Tensor]]:
    """Return the light of both images, lists of channels (H, W) in cd/m2, float64, on the test image's device."""
    known = display.ENCODINGS[viewing.color_encoding]
    first, second = tensors(
        test, reference, Expected("HDR-VDP-2", viewing.color_encoding, known.channels, pyramid.SMALLEST)
    )
    return _light(first, "test", viewing), _light(second, "reference", viewing)


def _light(image: Tensor, role: str, viewing: Viewing) -> list[Tensor]:
    planes = channels(image, role, "HDR-VDP-2", stacklevel=5)
    light = display.emitted(planes, viewing.color_encoding)
    if not all(math.isfinite(float(plane.detach().sum())) for plane in light):
        raise UsageError(f"the {role} image holds infinite or far too large values; HDR-VDP-2 compares finite light.")
    encoding = viewing.color_encoding
    display.warn_of_scale(planes, encoding, display.ENCODINGS[encoding].absolute)
    return light
