"""Ways to damage a tiny scene in Kalantari's layout, by name.

Damage that decodes to possible pixels can't be noticed by format alone: flipped bits in uncompressed TIFF rows or in
the mantissas of a Radiance picture. The flips here hit headers, checksums, lengths and run codes.
"""

import shutil
import struct
import zlib

import numpy as np
import tifffile
from PIL import Image

from bench.io.radiance import read_rgbe, write_exr, write_rgbe

from . import builders

FIRST, MIDDLE, LAST = "262A0898.tif", "262A0899.tif", "262A0900.tif"
PIXELS = builders.frame(builders.light(), 4.0)


def cut(name, keep):
    return lambda scene: (scene / name).write_bytes((scene / name).read_bytes()[:keep])


def flip(name, offset, value):
    def damage(scene):
        data = bytearray((scene / name).read_bytes())
        data[offset] = value
        (scene / name).write_bytes(bytes(data))

    return damage


def text(content):
    return lambda scene: (scene / "exposure.txt").write_bytes(content)


def tiff(pixels, name=MIDDLE, **options):
    return lambda scene: tifffile.imwrite(scene / name, pixels, metadata=None, **options)


def remove(*names):
    def damage(scene):
        for name in names:
            (scene / name).unlink()

    return damage


def empty(name):
    return lambda scene: (scene / name).write_bytes(b"")


def huge_tiff(scene):
    """A header that claims 2^31 columns."""
    data = bytearray((scene / MIDDLE).read_bytes())
    entries = struct.unpack_from("<I", data, 4)[0]
    for index in range(struct.unpack_from("<H", data, entries)[0]):
        place = entries + 2 + 12 * index
        if struct.unpack_from("<H", data, place)[0] in (256, 257):
            struct.pack_into("<HII", data, place + 2, 4, 1, 2**31 - 1)
    (scene / MIDDLE).write_bytes(bytes(data))


def huge_hdr(scene):
    data = (scene / "HDRImg.hdr").read_bytes()
    (scene / "HDRImg.hdr").write_bytes(data.replace(b"-Y 48 +X 64", b"-Y 999999 +X 999999"))


def run_length(scene):
    """A run longer than its scanline."""
    data = bytearray((scene / "HDRImg.hdr").read_bytes())
    begin = data.index(b"+X 64\n") + len(b"+X 64\n")
    data[begin + 4] = 255
    (scene / "HDRImg.hdr").write_bytes(bytes(data))


def other_format(suffix, write):
    """Replace the scene by one of `folder` whose middle frame is of another kind, then damage that."""

    def prepare(scene):
        for path in list(scene.iterdir()):
            path.unlink()
        for number, time in enumerate((1.0, 4.0, 16.0)):
            frame = builders.frame(builders.light(), time)
            if suffix == ".exr":
                write_exr(scene / f"{number}.exr", (frame / 65535).astype(np.float32))
            else:
                Image.fromarray((frame // 257).astype(np.uint8)).save(scene / f"{number}{suffix}")
        (scene / "exposure.txt").write_text("0\n2\n4\n")
        write(scene / f"1{suffix}")

    return prepare


def halved(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def wrong_crc(path):
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 8] ^= 0xFF
    path.write_bytes(bytes(data))


def huge_png(path):
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", 2**30, 2**30)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    path.write_bytes(bytes(data))


def exr_magic(path):
    data = bytearray(path.read_bytes())
    data[1] ^= 0xFF
    path.write_bytes(bytes(data))


def link_out(name):
    def damage(scene):
        outside = scene.parents[2] / "elsewhere"
        outside.mkdir(exist_ok=True)
        shutil.move(scene / name, outside / name)
        (scene / name).symlink_to(outside / name)

    return damage


def scene_link(scene):
    outside = scene.parents[2] / "elsewhere"
    shutil.move(scene, outside)
    scene.symlink_to(outside)


def folder_for(name):
    def damage(scene):
        (scene / name).unlink()
        (scene / name).mkdir()

    return damage


def scaled(factor):
    def damage(scene):
        write_rgbe(scene / "HDRImg.hdr", np.asarray(factor * read_rgbe(scene / "HDRImg.hdr"), np.float32))

    return damage


def moved(change):
    def damage(scene):
        write_rgbe(scene / "HDRImg.hdr", np.ascontiguousarray(change(read_rgbe(scene / "HDRImg.hdr"))))

    return damage


def reordered(scene):
    (scene / FIRST).rename(scene / "x.tif")
    (scene / LAST).rename(scene / FIRST)
    (scene / "x.tif").rename(scene / LAST)


def twelve_bits(scene):
    for name in (FIRST, MIDDLE, LAST):
        tifffile.imwrite(scene / name, tifffile.imread(scene / name) >> 4, photometric="rgb", metadata=None)


def palette(scene):
    other_format(".png", lambda path: Image.open(path).convert("P").save(path))(scene)


def alpha(scene):
    other_format(".png", lambda path: Image.open(path).convert("RGBA").save(path))(scene)


GREY, RGBA = PIXELS[..., 0], np.concatenate([PIXELS, PIXELS[..., :1]], -1)

MALFORMED = {
    # damaged headers and bodies
    "tiff-header-cut": cut(MIDDLE, 6),
    "tiff-header-flipped": flip(MIDDLE, 0, 0x00),
    "tiff-body-cut": cut(MIDDLE, 4000),
    "tiff-claims-2^31-columns": huge_tiff,
    "hdr-header-cut": cut("HDRImg.hdr", 12),
    "hdr-header-flipped": flip("HDRImg.hdr", 0, 0x00),
    "hdr-body-cut": cut("HDRImg.hdr", 5000),
    "hdr-run-too-long": run_length,
    "hdr-claims-10^12-pixels": huge_hdr,
    "png-body-cut": other_format(".png", halved),
    "png-checksum-wrong": other_format(".png", wrong_crc),
    "png-claims-2^60-pixels": other_format(".png", huge_png),
    "jpeg-body-cut": other_format(".jpg", halved),
    "jpeg-header-cut": other_format(".jpg", lambda path: path.write_bytes(path.read_bytes()[:3])),
    "exr-body-cut": other_format(".exr", halved),
    "exr-header-flipped": other_format(".exr", exr_magic),
    # channels, types, sizes
    "one-channel": tiff(GREY),
    "alpha-channel": tiff(RGBA, photometric="rgb", extrasamples=["unassalpha"]),
    "palette": palette,
    "png-alpha": alpha,
    "float-frame": tiff((PIXELS / 65535).astype(np.float32), photometric="rgb"),
    "signed-frame": tiff(PIXELS.astype(np.int32), photometric="rgb"),
    "another-bit-depth": tiff((PIXELS // 257).astype(np.uint8), photometric="rgb"),
    "another-size": tiff(PIXELS[:40], photometric="rgb"),
    "two-pages": tiff(np.stack([PIXELS, PIXELS]), photometric="rgb"),
    "twelve-bits-in-sixteen": twelve_bits,
    # exposure files
    "exposures-letters": text(b"low\nmid\nhigh\n"),
    "exposures-two": text(b"0\n2\n"),
    "exposures-four": text(b"0\n2\n4\n6\n"),
    "exposures-equal": text(b"0\n2\n2\n"),
    "exposures-fall": text(b"4\n2\n0\n"),
    "exposures-nan": text(b"0\nnan\n4\n"),
    "exposures-1e9": text(b"0\n2\n1e9\n"),
    "exposures-latin1": text(b"0\n2\n4\n\xb1"),
    "exposures-of-another-scene": text(b"-3\n0\n3\n"),
    # missing, extra and misplaced files
    "no-exposures": remove("exposure.txt"),
    "no-truth": remove("HDRImg.hdr"),
    "no-middle-frame": remove(MIDDLE),
    "no-frames": remove(FIRST, MIDDLE, LAST),
    "four-frames": lambda scene: shutil.copy(scene / LAST, scene / "262A0901.tif"),
    "frames-in-wrong-order": reordered,
    "truth-off-by-four": scaled(4),
    "truth-by-its-maximum": scaled(1.45),
    "truth-black": scaled(0),
    "truth-red-and-blue-exchanged": moved(lambda truth: truth[..., ::-1]),
    "truth-green-and-blue-exchanged": moved(lambda truth: truth[..., [0, 2, 1]]),
    "truth-channels-in-another-order": moved(lambda truth: truth[..., [2, 0, 1]]),
    "truth-upside-down": moved(lambda truth: truth[::-1]),
    "truth-mirrored": moved(lambda truth: truth[:, ::-1]),
    "truth-shifted": moved(lambda truth: np.roll(truth, (0, 2), (0, 1))),
    # zero bytes, links, folders
    "empty-frame": empty(MIDDLE),
    "empty-truth": empty("HDRImg.hdr"),
    "empty-exposures": empty("exposure.txt"),
    "frame-is-a-link-out": link_out(MIDDLE),
    "truth-is-a-link-out": link_out("HDRImg.hdr"),
    "scene-is-a-link-out": scene_link,
    "folder-called-like-a-frame": folder_for(MIDDLE),
    "folder-called-like-the-truth": folder_for("HDRImg.hdr"),
    "folder-called-like-the-exposures": folder_for("exposure.txt"),
}
