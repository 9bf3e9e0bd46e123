"""Pictures for people to look at: tone mappings of radiance, exposure fusion, and what of EXIF goes with them.

Nothing here is ever scored.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.color.tonemap import for_display
from bench.core.errors import UsageError, unknown_name
from bench.core.reading import shown
from bench.core.scene import Radiance, Scene
from bench.data.panorama import LUMINANCE
from bench.io.camera import EXIF_FOLDER
from bench.io.decoding import quiet
from bench.io.files import check_destination, replacing
from bench.io.ldr import exif
from bench.io.submission import read_radiance
from bench.stages.own_files.curves import eight_bits

Picture = NDArray[np.uint8]
"""(H, W, 3) sRGB."""

WHITE_PERCENTILE = 99.5
"""Of the values: the radiance that global curves show as white."""

MIDDLE = 0.18
"""What the mean of log luminance is shown as, in linear light (Reinhard et al. 2002, eq. 1 and 2)."""

FUSION = "exposure-fusion"
"""The method of `merge` that makes no radiance: Mertens, Kautz and Van Reeth 2007."""


def _mu_law(radiance: Radiance) -> Picture:
    white = max(float(np.percentile(radiance, WHITE_PERCENTILE)), 1e-6)
    return for_display(radiance, white)


def _reinhard(radiance: Radiance) -> Picture:
    """Global operator of Reinhard et al. 2002, eq. 1, 2 and 4, in luminance; white is a percentile of it."""
    luminance = np.maximum(radiance @ LUMA, 1e-9)
    key = MIDDLE / float(np.exp(np.log(luminance).mean()))
    scaled = luminance * key
    white = max(float(np.percentile(scaled, WHITE_PERCENTILE)), 1.0)
    return _encoded(radiance * (key * (1 + scaled / white**2) / (1 + scaled))[..., None])


def _local(radiance: Radiance) -> Picture:
    """Durand and Dorsey 2002: a bilateral filter parts log luminance into base and detail, the base is compressed."""
    import cv2

    luminance = np.maximum(radiance @ LUMA, 1e-6).astype(np.float32)
    log = np.log10(luminance)
    # The spatial width is 2 % of the picture, as published: so wide a filter needs a copy of some 160 pixels alone.
    step = max(1, round(min(log.shape) / 160))
    small = cv2.resize(log, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)
    base = cv2.bilateralFilter(small, -1, 0.4, 0.02 * max(small.shape))
    base = _upsampled(base, small, log)
    low, high = np.percentile(base, [1, WHITE_PERCENTILE])
    compression = min(BASE_RANGE / max(float(high - low), 1e-6), 1.0)
    shown = 10 ** ((base - high) * compression + (log - base))
    return _encoded(radiance * (shown / luminance)[..., None])


def _upsampled(base: Any, small: Any, log: Any) -> Any:
    """Guided upsampling (He and Sun 2015): the base as a local line of the log luminance, so that edges stay sharp."""
    import cv2

    window, epsilon = (5, 5), 0.002  # with 0.02 the base strays 1.4 times as far from the filter at full size
    mean, other = cv2.blur(small, window), cv2.blur(base, window)
    slope = (cv2.blur(small * base, window) - mean * other) / (cv2.blur(small * small, window) - mean**2 + epsilon)
    # Offsets belong to the slopes of their own windows: taken from averaged slopes they leave a halo around all edges.
    offset = cv2.blur(other - slope * mean, window)
    size = log.shape[::-1]
    return cv2.resize(cv2.blur(slope, window), size) * log + cv2.resize(offset, size)


BASE_RANGE = 1.3
"""Decades that the base is shown in: some 4 EV."""

LUMA = np.array(LUMINANCE, np.float32)


def _drago(radiance: Radiance) -> Picture:
    import cv2

    return _of_opencv(radiance, cv2.createTonemapDrago(2.2, 1.0, 0.85))


def _mantiuk(radiance: Radiance) -> Picture:
    import cv2

    return _of_opencv(radiance, cv2.createTonemapMantiuk(2.2, 0.8, 1.0))


def _of_opencv(radiance: Radiance, operator: Any) -> Picture:
    if radiance.min() == radiance.max():  # without any contrast its equations have no solution
        return _reinhard(radiance)
    shown = np.nan_to_num(operator.process(np.ascontiguousarray(radiance[..., ::-1]))[..., ::-1])
    return np.asarray(np.rint(255 * np.clip(shown, 0, 1)), np.uint8)


TONEMAPS: Mapping[str, Callable[[Radiance], Picture]] = {
    "local": _local, "reinhard": _reinhard, "drago": _drago, "mantiuk": _mantiuk, "mu-law": _mu_law,
}  # fmt: skip
"""Name -> what makes a picture of radiance; drago and mantiuk are OpenCV's."""


def tone_mapped(radiance: Radiance, name: str) -> Picture:
    """Return radiance (H, W, 3), finite and >= 0, as a picture, by the operator of this name."""
    if name not in TONEMAPS:
        raise unknown_name("tone mapping", name, TONEMAPS)
    if not np.isfinite(radiance).all():
        raise UsageError("NaN and infinite values can't be shown.")
    largest = float(radiance.max())
    if largest <= 0:
        return np.zeros(radiance.shape, np.uint8)
    return TONEMAPS[name](np.maximum(radiance / largest, 0).astype(np.float32))


def _encoded(linear: Any) -> Picture:
    """Encode linear BT.709 for an sRGB display (IEC 61966-2-1)."""
    x = np.clip(linear, 0, 1)
    shown = np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 1e-9) ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * shown), np.uint8)


def fused(scene: Scene) -> Picture:
    """Fuse frames by contrast, saturation and exposedness (Mertens, Kautz and Van Reeth 2007, by OpenCV)."""
    import cv2

    with quiet():
        found = cv2.createMergeMertens().process([*eight_bits(scene.frames)])
    return np.asarray(np.rint(255 * np.clip(np.nan_to_num(found), 0, 1)), np.uint8)


JPEGS = (".jpg", ".jpeg")
PICTURES = (".png", *JPEGS)
"""Endings of the pictures that are written."""

KEPT = (0x010F, 0x0110, 0x0132)
"""EXIF tags of a picture: make, model, date."""
KEPT_INSIDE = (0x829D, 0x8827, 0x9003, 0x9004, 0x920A, 0xA405, 0xA433, 0xA434)
"""Those of its EXIF folder: f-number, ISO, dates, focal lengths, lens. Places, owners, serial numbers and notes of the
maker aren't among them, nor is the exposure time: a merged picture has none, and would be taken for a frame."""


def about(source: Path) -> bytes:
    """Return what of a photograph's EXIF goes with a picture made of it: shot and camera, no name or place."""
    from PIL import Image

    found, made = exif(source), Image.Exif()
    for tag in KEPT:
        if tag in found:
            made[tag] = found[tag]
    inside = {tag: found[tag] for tag in KEPT_INSIDE if tag in found}
    if inside:
        made.get_ifd(EXIF_FOLDER).update(inside)
    try:
        return made.tobytes() if made else b""
    except (ValueError, TypeError, OverflowError):  # a value that no file can hold: a picture without it is as good
        return b""


def write_picture(path: Path, picture: Picture, tags: bytes = b"") -> None:
    """Write a picture as PNG or, by its name, as JPEG."""
    from PIL import Image

    options: dict[str, Any] = {"exif": tags} if tags else {}
    if path.suffix.lower() in JPEGS:
        options["quality"] = 95
    with replacing(path) as part:
        Image.fromarray(picture).save(part, format="JPEG" if path.suffix.lower() in JPEGS else "PNG", **options)


def view(file: Path, out: Path, tonemap: str, force: bool = False) -> None:
    """Write a radiance file's picture. UsageError for what isn't radiance, or a destination that can't be written."""
    if out.suffix.lower() not in PICTURES:
        raise UsageError(f"-o {shown(out)}: expected a name that ends in {' or '.join(PICTURES)}.")
    if tonemap not in TONEMAPS:
        raise unknown_name("tone mapping", tonemap, TONEMAPS)
    if out.is_file() and not force:
        raise UsageError(f"-o {shown(out)} exists; choose another name, or replace it with --force.")
    check_destination("-o", out)
    radiance = read_radiance(file)
    if not np.isfinite(radiance).all():
        lost = int((~np.isfinite(radiance)).sum())
        print(f"note: {lost} NaN or infinite of {radiance.size} values are shown as black")
        radiance = np.where(np.isfinite(radiance), radiance, 0)
    write_picture(out, tone_mapped(radiance, tonemap))
    print(f"{out}: {radiance.shape[1]}x{radiance.shape[0]}, {tonemap}")
