"""Registration: the frames of a bracket moved onto the reference frame, by optical flow or by one motion of the camera.

Motions are found between grey pictures of one exposure: of a pair of frames, the darker is raised to what the brighter
one's exposure would have stored, clipped where that would have clipped. Everything runs on one thread, since OpenCV's
results depend on their number.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.color.exposure import encode, linearise
from bench.core.errors import unknown_name
from bench.core.scene import Array, Scene

Grey = NDArray[np.uint8]
"""(H, W) uint8, gamma-encoded, 255 is saturated."""

Positions = NDArray[np.float32]
"""(H, W, 2) float32: x (column) and y (row), in pixels of the other frame, of what each reference pixel shows."""

Motion = Callable[[Grey, Grey], Positions]
"""Reference and other frame, grey and of one exposure, to positions in the other frame."""

SMALLEST = 32
"""Pixels a side that the flow works on at least; smaller pictures are extended by their borders."""

HOMOGRAPHY, SIMILARITY = 12, 8
"""Pairs of features that must agree on a homography (eight unknowns), or on a similarity (four)."""

CORRELATION = 0.5
"""Least correlation coefficient of pictures that show the same."""


def re_expose(frame: Array, time: float, target: float) -> Array:
    """Return stored values (any shape, uint8 or uint16) of exposure `time` as an exposure of `target` stores them.

    code^2.2 times target / time, clipped to the full range, gamma-encoded and rounded to the same dtype.
    """
    full = int(np.iinfo(frame.dtype).max)
    levels = np.arange(full + 1) / full
    table = np.rint(full * encode(linearise(levels, time), target)).astype(frame.dtype)
    return np.asarray(table[frame])


def matched(scene: Scene, index: int) -> tuple[Grey, Grey]:
    """Return the reference and frame `index`, grey, at the longer of their two exposure times."""
    reference, other = exposed_alike(scene, index)
    return grey(reference), grey(other)


def exposed_alike(scene: Scene, index: int) -> tuple[Array, Array]:
    """Return the reference and frame `index`, (H, W, 3) each, at the longer of their two exposure times."""
    times = scene.times[scene.reference], scene.times[index]
    reference, other = scene.frames[scene.reference], scene.frames[index]
    return re_expose(reference, times[0], max(times)), re_expose(other, times[1], max(times))


def unmatched(scene: Scene, index: int) -> tuple[Grey, Grey]:
    """Return the reference and frame `index`, grey, as they are."""
    return grey(scene.frames[scene.reference]), grey(scene.frames[index])


def grey(frame: Array) -> Grey:
    """Mean of the channels of a frame (H, W, 3), uint8 or uint16, in 8 bits."""
    shares = frame.mean(axis=-1, dtype=np.float32) / np.float32(np.iinfo(frame.dtype).max)
    return np.asarray(np.rint(255 * shares), np.uint8)


def register(scene: Scene, motion: Motion, pairs: Callable[[Scene, int], tuple[Grey, Grey]] = matched) -> Scene:
    """Return the scene with every frame moved onto the reference; they keep their dtype.

    Pixels that lie outside a frame take what its exposure would have stored of the reference. `pairs` makes the
    pictures that the motion is found between.
    """
    frames = np.array(scene.frames)
    for index in range(len(frames)):
        if index != scene.reference:
            warped, inside = warp(scene.frames[index], motion(*pairs(scene, index)))
            frames[index] = np.where(inside[..., None], warped, mapped(scene, index))
    return replace(scene, frames=frames)


REGISTRATIONS: Mapping[str, Callable[[Scene], Scene]] = {
    "none": lambda scene: scene,
    "homography": lambda scene: register(scene, homography),
    "dis": lambda scene: register(scene, flow),
}
"""Registrations by the names that parameters and cards of methods give them; "none" leaves a scene as it is."""


def registered(scene: Scene, name: str) -> Scene:
    """Return the scene with its frames registered as `name`, a key of `REGISTRATIONS`, says; UsageError for others."""
    if name not in REGISTRATIONS:
        raise unknown_name("registration", name, REGISTRATIONS)
    return REGISTRATIONS[name](scene)


def mapped(scene: Scene, index: int) -> Array:
    """Return the reference (H, W, 3) as frame `index` would have stored it, in the scene's dtype."""
    return re_expose(scene.frames[scene.reference], float(scene.times[scene.reference]), float(scene.times[index]))


def warp(frame: Array, positions: Positions) -> tuple[Array, NDArray[np.bool_]]:
    """Return what of a frame (H, W, 3) lies at the positions, bicubic, and whether they are inside the frame (H, W)."""
    cv2 = _opencv()

    height, width = frame.shape[:2]
    x, y = positions[..., 0], positions[..., 1]
    slack = 1e-3  # an exact border pixel stays inside whatever the rounding
    inside = (x >= -slack) & (x <= width - 1 + slack) & (y >= -slack) & (y <= height - 1 + slack)  # false for NaN
    where = np.where(inside[..., None], positions, np.float32(0))
    with _one_thread():
        moved = cv2.remap(np.ascontiguousarray(frame), where, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved).reshape(frame.shape), inside


def still(height: int, width: int) -> Positions:
    """Return the positions of a frame that did not move."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([columns, rows], -1)


def flow(reference: Grey, other: Grey) -> Positions:
    """Dense motion by inverse search (DIS, Kroeger et al. 2016): OpenCV's preset "medium", down to single pixels."""
    cv2 = _opencv()

    height, width = reference.shape
    more = [(0, max(SMALLEST - side, 0)) for side in (height, width)]
    extended = (np.pad(picture, more, mode="edge") for picture in (reference, other))
    with _one_thread():
        search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        search.setFinestScale(0)
        found = np.asarray(search.calc(*extended, None))[:height, :width]
    return np.asarray(still(height, width) + found)


def homography(reference: Grey, other: Grey) -> Positions:
    """Motion of the camera from matched features (`find_homography`); none where they don't agree on one."""
    return project(find_homography(reference, other), *reference.shape)


def ecc(reference: Grey, other: Grey) -> Positions:
    """Motion of the camera that correlates the pictures best (Evangelidis and Psarakis 2008); none without a result."""
    return project(find_ecc(reference, other), *reference.shape)


def mtb(reference: Grey, other: Grey) -> Positions:
    """Shift by whole pixels that agrees best in what lies above and below the median (Ward 2003; OpenCV).

    It needs pictures as they are (`unmatched`): raised ones may be clipped where the median is.
    """
    cv2 = _opencv()
    height, width = reference.shape
    bits = min(6, int(np.log2(min(height, width))) - 3)  # shifts below 2^bits; eight pixels a side must be left
    if bits < 1 or np.ptp(reference) == 0 or np.ptp(other) == 0:
        return still(height, width)
    with _one_thread():
        shift = cv2.createAlignMTB(max_bits=bits).calculateShift(reference, other)
    return still(height, width) - np.asarray(shift, np.float32)


def project(matrix: Array, height: int, width: int) -> Positions:
    """Return where a homography (3, 3) takes every pixel (x, y, 1); NaN or infinite on its horizon."""
    points = np.concatenate([still(height, width), np.ones((height, width, 1), np.float32)], -1) @ matrix.T
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(points[..., :2] / points[..., 2:], dtype=np.float32)


def find_homography(reference: Grey, other: Grey) -> NDArray[np.float64]:
    """Return the homography (3, 3) from reference pixels (x, y, 1) to the other frame's: SIFT, ratio test, RANSAC.

    Where the features that agree on one are few, cover less than a third of the picture, or where it isn't
    `plausible`, it is the similarity that most agree on, else the identity.
    """
    cv2 = _opencv()
    with _one_thread():
        cv2.setRNGSeed(0)
        start, end = _matches(reference, other)
        if len(start) < SIMILARITY:
            return np.eye(3)
        options = {"ransacReprojThreshold": 2.0, "maxIters": 5000, "confidence": 0.999}
        matrix, agree = cv2.findHomography(start, end, cv2.RANSAC, **options)
        if matrix is not None and int(agree.sum()) >= HOMOGRAPHY:
            hull = cv2.convexHull(start[agree[:, 0] > 0].astype(np.float32))
            if cv2.contourArea(hull) >= reference.size / 3 and plausible(matrix, *reference.shape):
                return np.asarray(matrix, np.float64)
        matrix, agree = cv2.estimateAffinePartial2D(start, end, method=cv2.RANSAC, **options)
    found = np.eye(3)
    if matrix is not None and int(agree.sum()) >= SIMILARITY:
        found[:2] = matrix
    return found if plausible(found, *reference.shape) else np.eye(3)


def _matches(reference: Grey, other: Grey) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the places (M, 2), x and y, of features in one picture and of the clearly nearest ones in the other."""
    cv2 = _opencv()
    sift = cv2.SIFT_create(nfeatures=4000)
    (points, one), (others, two) = (sift.detectAndCompute(picture, None) for picture in (reference, other))
    if min(len(points), len(others)) < 2:
        return np.empty((0, 2)), np.empty((0, 2))
    nearest = cv2.BFMatcher(cv2.NORM_L2).knnMatch(one, two, k=2)
    good = [first for first, second in nearest if first.distance < 0.75 * second.distance]
    start = [points[match.queryIdx].pt for match in good]
    end = [others[match.trainIdx].pt for match in good]
    return np.array(start, np.float64).reshape(-1, 2), np.array(end, np.float64).reshape(-1, 2)


def find_ecc(reference: Grey, other: Grey) -> NDArray[np.float64]:
    """Return the homography (3, 3) that maximises the enhanced correlation coefficient, from coarse to fine.

    A shift at the coarsest scale (short side of about `SMALLEST`), a rotation too at all, all eight unknowns at the
    finest. Both pictures are clipped at one level, so clipped pixels count like others. Steps that don't converge, or
    not to a `plausible` motion and a correlation of `CORRELATION`, are left out.
    """
    cv2 = _opencv()
    matrix = np.eye(3)
    levels = max(int(np.log2(min(reference.shape) / SMALLEST)), 0)
    for level in range(levels, -1, -1):
        scale = np.diag([0.5**level, 0.5**level, 1])
        size = [max(side >> level, 1) for side in reference.shape[::-1]]
        with _one_thread():
            pair = [cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in (reference, other)]
        kinds = [cv2.MOTION_TRANSLATION] if level == levels else []
        for kind in [*kinds, cv2.MOTION_EUCLIDEAN, *([] if level else [cv2.MOTION_HOMOGRAPHY])]:
            try:
                rho, found = _climb(pair[0], pair[1], scale @ matrix @ np.linalg.inv(scale), kind)
            except cv2.error:  # it has left the picture, or there is nothing to correlate
                continue
            found = np.linalg.inv(scale) @ found @ scale
            if rho >= CORRELATION and plausible(found, *reference.shape):
                matrix = found
    return matrix


def _climb(reference: Grey, other: Grey, matrix: Array, kind: int) -> tuple[float, NDArray[np.float64]]:
    """Return the correlation reached by OpenCV's ECC from a homography (3, 3), and the improved one, at one scale.

    Raises cv2.error where the search fails.
    """
    cv2 = _opencv()
    start = np.ascontiguousarray(matrix if kind == cv2.MOTION_HOMOGRAPHY else matrix[:2], np.float32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-5)
    with _one_thread():
        rho, found = cv2.findTransformECC(reference, other, start, kind, stop, None, 5)
    out = np.eye(3)
    out[: len(found)] = found
    return float(rho), np.asarray(out / out[2, 2])


def plausible(matrix: Array, height: int, width: int) -> bool:
    """Tell whether a homography (3, 3) is a motion between handheld frames.

    It moves no corner by over a quarter of the diagonal, scales by 0.9 to 1.1, and is nearly a similarity: the corners
    are within a fiftieth of the diagonal of where the nearest one takes them.
    """
    corners = np.array([[0, 0, 1], [width - 1, 0, 1], [0, height - 1, 1], [width - 1, height - 1, 1]], np.float64)
    ends = corners @ np.asarray(matrix, np.float64).T
    if not np.isfinite(ends).all() or (ends[:, 2] <= 0).any():
        return False
    # Points as complex numbers: a similarity is scale * z + shift, with a complex scale.
    begin, end = (points[:, 0] + 1j * points[:, 1] for points in (corners, ends[:, :2] / ends[:, 2:]))
    design = np.stack([begin, np.ones_like(begin)], 1)
    similarity = np.linalg.lstsq(design, end, rcond=None)[0]
    diagonal, rest = np.hypot(height, width), np.abs(design @ similarity - end).max()
    far, factor = np.abs(end - begin).max(), abs(similarity[0])
    return bool(far <= diagonal / 4 and rest <= diagonal / 50 and 0.9 <= factor <= 1.1)


@contextmanager
def _one_thread() -> Iterator[None]:
    cv2 = _opencv()

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _opencv() -> Any:
    """Import OpenCV on its first use; its type information covers neither all functions nor empty arguments."""
    import cv2

    return cv2
