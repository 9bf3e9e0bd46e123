"""Tiny valid scenes in every layout, as builders that tests take apart."""

from pathlib import Path

import numpy as np
import tifffile

from bench.color.exposure import encode
from bench.io.ldr import write_tiff16
from bench.io.radiance import write_rgbe

HEIGHT, WIDTH = 48, 64


def light(seed=0, height=HEIGHT, width=WIDTH):
    """Radiance (H, W, 3) float32 in [0, 1] with coloured patches from dark to bright; 1 saturates the short frame."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((height // 8, width // 8, 3)) ** 4
    return np.clip(coarse.repeat(8, 0).repeat(8, 1) * rng.uniform(0.9, 1.1, (height, width, 3)), 0, 1).astype(
        np.float32
    )


def frame(radiance, time):
    """What a noiseless camera stores of it, 16 bits."""
    return np.rint(65535 * encode(radiance, time)).astype(np.uint16)


def bracket(folder, names, exposures, truth, evs=(0, 2, 4), seed=0, origin=0, shift=0):
    """Write frames called `names`, an exposure file and a truth; `shift` pixels of motion to the right."""
    radiance = np.roll(light(seed), shift, axis=1)
    for name, ev in zip(names, evs, strict=True):
        write_tiff16(folder / name, frame(radiance, 2.0 ** (ev - evs[0])))
    (folder / exposures).write_text("".join(f"{ev + origin:.1f}\n" for ev in evs))
    write_rgbe(folder / truth, radiance)
    return folder


def kalantari(folder, **options):
    return bracket(folder, ("262A0898.tif", "262A0899.tif", "262A0900.tif"), "exposure.txt", "HDRImg.hdr", **options)


def challenge123(folder, **options):
    """Three moments of one scene, of which `folder`, xxx_2, is the middle one; every moment has all three exposures."""
    names = ("ldr_img_1.tif", "ldr_img_2.tif", "ldr_img_3.tif")
    for moment, shift in ((1, -4), (2, 0), (3, 4)):
        place = folder.with_name(f"{folder.name.removesuffix('_2')}_{moment}")
        bracket(place, names, "exposure.txt", "hdr_img.hdr", shift=shift, **options)
    return folder


def oxford(folder, **options):
    names = [f"input_{number}_aligned.tif" for number in (1, 2, 3)]
    (folder).mkdir(parents=True, exist_ok=True)
    (folder / "ref_exp.txt").write_text("0\n2\n4\n")
    for number in (1, 2, 3):
        write_tiff16(folder / f"ref_{number}_aligned.tif", np.zeros((HEIGHT, WIDTH, 3), np.uint16))
    return bracket(folder, names, "input_exp.txt", "ref_hdr_aligned.hdr", **options)


def hu(folder, **options):
    oxford(folder, **options)
    (folder / "ref_hdr_aligned.hdr").rename(folder / "ref_hdr_aligned_linear.hdr")
    tifffile.imwrite(folder / "ldr_visualize.tif", np.zeros((4, 4, 3), np.uint8), photometric="rgb")
    (folder / "ldr_visualize.tif").rename(folder / "ldr_visualize.png")
    return folder


def tursun(folder, frames=9, step=1.0, seed=0, shortest=4098):
    """Frames `step` EV apart, each with its camera settings."""
    radiance = light(seed)
    for number in range(1, frames + 1):
        time = 2.0 ** (step * (number - 1))
        write_tiff16(folder / f"{number}.tiff", frame(radiance, time))
        settings(folder / f"{number}.txt", f"{time / shortest:.9f}" if number > 1 else f"1/{shortest}")
    return folder


def settings(path: Path, time, iso="1600", number="5.0"):
    path.write_bytes(f"ExposureTime: {time}\r\nISO: {iso}\r\nFNumber: {number}\r\n".encode())
