"""HDR-VDP-3.0.7 once more, in plain float64 NumPy and SciPy: slow, line by line, with the product's spectra alone.

The pyramid's taps come from a library (pyrtools), `imresize` from the slow program of HDR-VDP-2.
"""

from pathlib import Path

import numpy as np
from pyrtools.pyramids.filters import parse_filter
from scipy import ndimage, special

from tests.metrics.hdrvdp2.oracle import correlate, frequencies, imresize

with np.load(Path(__file__).parents[3] / "bench" / "metrics" / "hdrvdp3" / "spectra.npz") as _tables:
    SPECTRA = dict(_tables)
NM = np.linspace(360, 780, 420)

TO_XYZ = {
    "srgb-display": [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]],
    "rgb-bt.709": [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]],
    "rgb-bt.2020": [[0.6370, 0.1446, 0.1689], [0.2627, 0.6780, 0.0593], [0.0000, 0.0281, 1.0610]],
    "xyz": np.eye(3),
}
CSF_L = [0.0002, 0.002, 0.02, 0.2, 2, 20, 150]
CSF_P = [
    [1.26181, 0.893585, 0.84864, 0.699243, 0.530826, 0.459297, 0.312626],
    [4.27832, 4.27832, 3.57253, 3.94545, 4.25337, 3.78765, 4.15264],
    [0.361902, 0.361902, 0.530355, 0.68608, 0.866916, 0.981028, 0.952367],
    [3.11914, 2.18938, 3.12486, 4.41846, 4.65117, 4.33546, 3.22389],
]
PARAMETERS = {  # sensitivity, self, across bands, across orientations, q, p, slope, sigma
    "quality": (0.203943775672, 1.41846291721, 0.136877512403, -50, 0.108934275615, 0.3424, 0.34, -0.502280453708),
    "flicker": (
        0.359225308021 + 0.14178269059, 1.48041073222, 0.00886149078207, -50, 0.11339123107, 0.3424, 0.591472024776,
        -0.511779476487,
    ),
    "detection": (-1, 1.73128, -50, 0.816109, 0.290256, np.log10(2.2), np.log10(3.5), -0.000502005),
}  # fmt: skip
PARAMETERS["side-by-side"] = PARAMETERS["quality"]


def first_step(image, encoding):
    if encoding == "luma-display":
        return 99 * image**2.2 + 1
    if encoding == "srgb-display":
        image = np.where(np.isnan(image), 0, image)
        linear = np.where(image <= 0.04045, image / 12.92, ((np.maximum(image, 0.04045) + 0.055) / 1.055) ** 2.4)
        return 99 * linear + 1
    return image


def emission(encoding, display, channels):
    name = display or {"rgb-bt.2020": "oled", "xyz": "oled"}.get(encoding, "led-lcd-srgb" if channels == 3 else "d65")
    return SPECTRA[name] if channels == 3 else SPECTRA[name].sum(0)[None]


def native(image, encoding, spectra):
    if encoding not in TO_XYZ:
        return image
    a = np.array([[np.trapezoid(cmf * e, NM) for e in spectra] for cmf in SPECTRA["observer"]])
    matrix = np.linalg.inv(a / a[1].sum()) @ TO_XYZ[encoding]
    image = image @ matrix.T
    return np.fmax(image, 1e-6) if np.nanmin(image) < 1e-6 else image


def mtf(rho, kind, age):
    if kind == "none":
        return np.ones_like(rho)
    if kind == "hdrvdp":
        s, t = 0.9972737002377707, 0.061466549455263
        a = [0.426 * s, 0.574 * s, (1 - s) * t, (1 - s) * (1 - t)]
        return sum(a_k * np.exp(-b_k * rho) for a_k, b_k in zip(a, [0.028, 0.37, 37, 360], strict=True))
    w = 2 * np.pi * np.asarray(rho, dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(w < 1e-4, 1, cie(w, age) / cie(1e-4, age))


def cie(w, age):
    p, g, k0, k1 = 0.5, (age / 70) ** 4, special.k0, special.k1
    first = p * (1 + 1.6 * g) * (2 * 0.1 * 0.8 * k0(0.1 * w) + 2 * 0.1**2 * 1300 * w * k1(0.1 * w))
    second = 2 * 9.2e6 * 0.0046**2 * w * k1(0.0046 * w) + 2 * 1.5e5 * 0.045**2 * w * k1(0.045 * w)
    third = 400 * 0.1 * np.pi * np.exp(-0.1 * w) * (1.6 * g + 1)
    return (first + (1 - 0.08 * g) * second + third) / (p * (0.0417 + 0.055 * g) + 1)


def optics(plane, ppd, around, kind, age):
    if kind == "none":
        return plane
    h, w = plane.shape
    if around is None:
        padded = np.pad(plane, ((0, h), (0, w)), mode="symmetric")
    else:
        padded = np.full((2 * h, 2 * w), around)
        padded[:h, :w] = plane
    response = mtf(frequencies(2 * h, 2 * w, ppd), kind, age)
    return np.clip(np.fft.ifft2(np.fft.fft2(padded) * response).real[:h, :w], 1e-5, 1e10)


def lmsr(spectra, age):
    c = 0.02 * (age - 32) if age <= 60 else 0.56 + 0.0667 * (age - 60)
    tau = 10 ** (-c * SPECTRA["lens"])
    m = np.array([[np.trapezoid(s * e * tau, NM) for s in SPECTRA["receptors"]] for e in spectra])
    return m / m[:, :2].sum()


def gauss(plane, sigma, edge):
    h, w = plane.shape
    if sigma < 4.3:
        n = round(6 * sigma)
        n += n % 2 == 0
        x = np.arange(n) - n // 2
        kernel = np.exp(-(x[:, None] ** 2 + x[None] ** 2) / (2 * sigma**2))
        return ndimage.correlate(plane, kernel / kernel.sum(), mode="nearest" if edge == "repeated" else "constant")
    padded = np.zeros((2 * h, 2 * w))
    padded[:h, :w] = plane
    if edge == "repeated":
        padded = np.pad(plane, ((0, h), (0, w)), mode="edge")
    k = [2 * np.pi * np.fft.fftfreq(2 * n) for n in (h, w)]
    response = np.exp(-(k[0][:, None] ** 2 + k[1][None] ** 2) * sigma**2 / 2)
    return np.fft.ifft2(np.fft.fft2(padded) * response).real[:h, :w]


def receptor_tables(sensitivity):
    grid = np.linspace(-5, 5, 2048)
    c = 10**grid
    joint = 315.98 * ((6.7977 / c) ** 1.6008 + 1) ** -0.25534
    bright = c > 1.1732
    e, width = np.where(bright, 2.9899, 1.095), np.where(bright, 0.5547, 1.32)
    rod = 10**1.8 * np.exp(-(np.abs(np.log10(c / 1.1732)) ** e) / width)
    cone = 0.5 * np.interp(np.minimum(2 * c, c[-1]), c, np.maximum(joint - rod, 1e-3))
    return grid, *(
        10**sensitivity * np.concatenate([[0], np.cumsum((f[1:] + f[:-1]) / 2 * np.diff(grid))])
        for f in (cone * np.log(10), rod * np.log(10))
    )


def pupil(luminance, area, age):
    u = (luminance * area / 846) ** 0.41
    d = 7.75 - 5.75 * u / (u + 2)
    return d + (np.clip(age, 20, 83) - 28.58) * (0.02132 - 0.009562 * d)


def filters(task):
    name = "sp3_filters" if task == "detection" else "sp0_filters"
    taps = parse_filter(name, normalize=False)
    bands = np.asarray(taps["bfilts"]).reshape(81, -1)
    return taps["lo0filt"], taps["hi0filt"], taps["lofilt"], [b.reshape(9, 9, order="F") for b in bands.T]


def levels(shape, ppd, smallest):
    def most(h, w):
        return 0 if min(h, w) < smallest else 1 + most(h // 2, w // 2)

    return max(0, min(int(np.ceil(np.log2(ppd))) - 2, most(*shape)))


def pyramid(plane, taps, height):
    lo0, hi0, lo, oriented = taps
    bands, low = [[correlate(plane, hi0)]], correlate(plane, lo0)
    for _ in range(height):
        bands.append([correlate(low, kernel) for kernel in oriented])
        low = correlate(low, lo)[::2, ::2]
    bands = [[part / 2**b for part in band] for b, band in enumerate([*bands, [low]])]
    bands[-1][0] = bands[-1][0] - bands[-1][0].mean()
    return bands


def rebuild(bands, taps):
    lo0, hi0, lo, oriented = taps
    low = bands[-1][0]
    for band in reversed(bands[1:-1]):
        stuffed = np.zeros(band[0].shape)
        stuffed[::2, ::2] = low
        low = ndimage.convolve(stuffed, lo, mode="mirror")
        low += sum(ndimage.convolve(b, k, mode="mirror") for b, k in zip(band, oriented, strict=True))
    return ndimage.convolve(low, lo0, mode="mirror") + ndimage.convolve(bands[0][0], hi0, mode="mirror")


def csf(rho, logs, kind, age):
    p1, p2, p3, p4 = (np.interp(logs, np.log10(CSF_L), row) for row in CSF_P)
    if rho <= 1e-4:
        return np.zeros_like(p1)
    curve = p4 / np.sqrt((1 + (p1 * rho) ** p2) / (1 - np.exp(-((rho / 7) ** 2))) ** p3) / mtf(np.array(rho), kind, age)
    return curve * 10 ** (-(10**-2.711) * np.log2(rho + 10**-0.125539) * max(0, age - 24))


def see(image, ppd, around, kind, age, matrix, sensitivity):
    image = np.where(np.isnan(image), 1e-5, image)
    light = [optics(image[..., c], ppd, around[c], kind, age) for c in range(image.shape[-1])]
    r = [np.clip(sum(x * row[k] for x, row in zip(light, matrix, strict=True)), 1e-8, 1e10) for k in range(3)]
    adapt = np.exp(gauss(np.log(np.maximum(r[0] + r[1], 1e-6)), 10**-0.781367 * ppd, "repeated"))
    mean, area = np.exp(np.log(adapt).mean()), r[0].size / ppd**2
    r = [x * (pupil(mean, area, age) / pupil(mean, area, 28)) ** 2 for x in r]
    grid, cone, rod = receptor_tables(sensitivity)
    logs = [np.log10(x) for x in r]
    return adapt, np.interp(logs[0], grid, cone) + np.interp(logs[1], grid, cone) + np.interp(logs[2], grid, rod)


def strongest(difference, frequency):
    spectrum = np.abs(np.fft.fft2(difference))
    spectrum[0, 0] = 0
    if not spectrum.any():
        return 0.0
    rho = frequencies(*difference.shape, 4 * frequency)
    return rho.flatten(order="F")[spectrum.flatten(order="F").argmax()]


def oracle(test, reference, encoding, ppd, task="quality", display=None, age=24.0, surround=None, kind="hdrvdp"):
    """Compare two images (H, W, channels); return Q, Q_JOD, P_det, C_max and both maps."""
    encoding = encoding.lower()
    test, reference = first_step(test, encoding), first_step(reference, encoding)
    channels = test.shape[-1]
    around = [surround] * channels
    if surround == "mean":
        around = [np.exp(np.log(reference[..., c]).mean()) for c in range(channels)]
    spectra = emission(encoding, display, channels)
    test, reference = native(test, encoding, spectra), native(reference, encoding, spectra)
    with np.errstate(divide="ignore", invalid="ignore"):
        changed = (np.abs(test - reference) / reference > 0.001).any(-1).astype(float)
    sensitivity, k_self, k_xn, k_xo, q, p, slope, sigma = PARAMETERS[task]
    matrix = lmsr(spectra, age)
    (adapt_t, p_t), (adapt_r, p_r) = (see(x, ppd, around, kind, age, matrix, sensitivity) for x in (test, reference))
    taps = filters(task)
    height = levels(p_t.shape, ppd, len(taps[2]))
    t, r = pyramid(p_t, taps, height), pyramid(p_r, taps, height)
    ell = np.log10(np.clip((adapt_t + adapt_r) / 2, 1e-5, 1e5))
    masks = [
        [ndimage.uniform_filter(np.minimum(abs(x), abs(y)), 3, mode="constant") for x, y in zip(a, b, strict=True)]
        for a, b in zip(t, r, strict=True)
    ]
    p, q, last, error, maps = 10**p, 10**q, len(t) - 1, 0.0, []
    for b in range(len(t)):
        maps.append([])
        shape = t[b][0].shape
        logs, counted, f = np.clip(imresize(ell, shape), -5, 5), imresize(changed, shape), ppd / 2 / 2**b
        if b < last:
            grid = np.linspace(-5, 5, 256)
            s = np.interp(logs, grid, csf(f, grid, kind, age))
        else:
            s = csf(strongest(t[b][0] - r[b][0], f), logs.mean(), kind, age)
        for o in range(len(t[b])):
            m = masks[b][o]
            x_o = np.maximum(sum(masks[b]) - m, 0) if len(t[b]) > 1 else np.zeros(shape)
            x_n = np.zeros(shape)
            pick = [c for c in (b - 1, b + 1) if c >= 0 and c <= last and not (c == last and b == last - 1)]
            for c in pick if k_xn > -10 else []:
                x_n = x_n + np.maximum(imresize(masks[c][min(o, len(masks[c]) - 1)], shape), 0)
            n_m = 10**k_self * m**q + 10**k_xo * x_o**q + 10**k_xn * x_n**q
            d = t[b][o] - r[b][o]
            with np.errstate(divide="ignore"):
                noise = 1 / s
            d = np.sign(d) * np.abs(d) ** p / np.sqrt(noise ** (2 * p) + n_m**2)
            error += np.mean(np.abs(d * counted) ** 0.8) ** 1.25 / len(t)
            maps[b].append(np.sign(d) * np.abs(d) ** (10**slope / p) * 2**b)
    result = {"Q": 6 - np.log(np.exp(-4) + error)}
    result["Q_JOD"] = 10 - 0.52 * np.maximum(10 - result["Q"], 0) ** 1.2812
    return result | visibility(np.abs(rebuild(maps, taps)), task, ppd, 10**sigma * ppd)


def visibility(s, task, ppd, sigma):
    if task == "detection":
        s = s * s.sum() / (s.max() + 1e-12)
        return {"P_map": 1 - 0.5**s, "C_map": s, "P_det": (1 - 0.5**s).max(), "C_max": s.max()}
    p = 1 - np.exp(gauss(np.log(0.5**s + 1e-4), sigma, "zero"))
    return {
        "P_map": p,
        "C_map": s,
        "P_det": gauss(p, 0.25 * ppd, "zero").max(),
        "C_max": gauss(s, 0.25 * ppd, "zero").max(),
    }
