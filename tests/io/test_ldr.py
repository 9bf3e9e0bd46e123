"""Frames: RGB order, both bit depths, every container, and sentences for what isn't a frame."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from bench.core.errors import UsageError
from bench.io.ldr import read_frame, write_tiff16


def noise(dtype: type, height: int = 12, width: int = 17) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (height, width, 3), dtype, endpoint=True)


def test_tiff_round_trip_is_exact_and_bytes_repeat(tmp_path: Path) -> None:
    frame = noise(np.uint16)
    for name in ("a.tif", "b.tif"):
        write_tiff16(tmp_path / name, frame)
    np.testing.assert_array_equal(read_frame(tmp_path / "a.tif"), frame)
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "a.tif"), cv2.IMREAD_UNCHANGED)[..., ::-1], frame)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_keeps_its_bit_depth(tmp_path: Path, dtype: type) -> None:
    frame = noise(dtype)
    cv2.imwrite(str(tmp_path / "a.png"), frame[..., ::-1])
    np.testing.assert_array_equal(read_frame(tmp_path / "a.png"), frame)


@pytest.mark.parametrize("compression", [1, 5, 8, 32773], ids=["none", "lzw", "deflate", "packbits"])
def test_tiff_compressions_of_other_writers_are_read(tmp_path: Path, compression: int) -> None:
    frame = noise(np.uint16)
    cv2.imwrite(str(tmp_path / "a.tif"), frame[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, compression])
    np.testing.assert_array_equal(read_frame(tmp_path / "a.tif"), frame)


@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("order", ["<", ">"])
def test_deflate_is_read_exactly(tmp_path: Path, dtype: type, predictor: bool, order: str) -> None:
    frame = noise(dtype)
    tifffile.imwrite(
        tmp_path / "a.tif", frame, photometric="rgb", compression="zlib", predictor=predictor, byteorder=order
    )
    np.testing.assert_array_equal(read_frame(tmp_path / "a.tif"), frame)


def planar(path: Path, frame: np.ndarray, **kind: Any) -> Path:
    planes = np.ascontiguousarray(np.moveaxis(frame, -1, 0))
    tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate", **kind)
    return path


@pytest.mark.parametrize("kind", [{}, {"compression": "zlib"}, {"compression": "zlib", "predictor": True}])
@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_planes_stored_one_after_the_other_are_read(tmp_path: Path, dtype: type, tile: Any, kind: Any) -> None:
    frame = noise(dtype, 20, 37)
    np.testing.assert_array_equal(read_frame(planar(tmp_path / "a.tif", frame, tile=tile, **kind)), frame)


def retagged(path: Path, tag: str, value: int, at: int = 0) -> Path:
    """Overwrite one value of a tag of 16-bit numbers."""
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        start = file.pages[0].tags[tag].valueoffset + 2 * at
    data[start : start + 2] = value.to_bytes(2, "little")
    path.write_bytes(data)
    return path


def test_planes_that_no_reader_decodes_are_refused(tmp_path: Path) -> None:
    path = retagged(planar(tmp_path / "a.tif", noise(np.uint16), compression="zlib"), "Compression", 5)
    with pytest.raises(UsageError, match=r"a\.tif: can't be decoded here \(LZW, 16 bits, planes SEPARATE\).*Write it"):
        read_frame(path)


def test_a_plane_that_was_never_written_is_not_taken_as_black(tmp_path: Path) -> None:
    path = retagged(planar(tmp_path / "a.tif", noise(np.uint16), compression="zlib"), "StripByteCounts", 0, at=1)
    with pytest.raises(UsageError, match=r"damaged or cut short .*never written"):
        read_frame(path)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_ycbcr_becomes_rgb(tmp_path: Path, compression: str) -> None:
    frame = noise(np.uint8)
    Image.fromarray(frame).convert("YCbCr").save(tmp_path / "a.tif", compression=compression)
    assert np.abs(read_frame(tmp_path / "a.tif").astype(int) - frame).max() <= 4


@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_three_channels_of_no_named_colours_are_rgb(tmp_path: Path, planes: str, compression: Any) -> None:
    frame = noise(np.uint16)
    stored = frame if planes == "contig" else np.ascontiguousarray(np.moveaxis(frame, -1, 0))
    kind = {"photometric": "minisblack", "planarconfig": planes, "compression": compression}
    tifffile.imwrite(tmp_path / "a.tif", stored, **kind)
    np.testing.assert_array_equal(read_frame(tmp_path / "a.tif"), frame)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
@pytest.mark.parametrize(
    ("mode", "sentence"),
    [
        ("L", r"1 channel\(s\); expected three"),
        ("LA", r"2 channel\(s\); expected three"),
        ("RGBA", r"4 channel\(s\); expected three"),
        ("CMYK", "colours are stored as CMYK; expected RGB"),
        ("I;16", r"1 channel\(s\); expected three"),
        ("1", "pixels are bool"),
        ("LAB", "colours are stored as CIELAB; expected RGB"),
    ],
)
def test_tiffs_of_other_colours_are_not_called_damaged(
    tmp_path: Path, mode: str, compression: str, sentence: str
) -> None:
    Image.new(mode, (9, 8)).save(tmp_path / "a.tif", compression=compression)
    with pytest.raises(UsageError, match=rf"a\.tif: {sentence}"):
        read_frame(tmp_path / "a.tif")


def test_jpeg_is_read_as_rgb(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16), (250, 10, 10)).save(tmp_path / "red.jpg")
    assert read_frame(tmp_path / "red.jpg")[..., 0].min() > 240


@pytest.mark.parametrize(
    ("pixels", "sentence"),
    [
        (np.zeros((8, 8, 3), np.float32), "pixels are float32; expected 8 or 16 bits unsigned"),
        (np.zeros((8, 8, 3), np.int16), "pixels are int16"),
        (np.zeros((8, 8), np.uint16), r"1 channel\(s\); expected three"),
        (np.zeros((8, 8, 4), np.uint16), r"4 channel\(s\); expected three"),
    ],
)
def test_other_tiffs_are_refused(tmp_path: Path, pixels: np.ndarray, sentence: str) -> None:
    kind = "rgb" if pixels.ndim == 3 else "minisblack"
    extra = {"extrasamples": ["unassalpha"]} if pixels.shape[-1] == 4 else {}
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric=kind, **extra)
    with pytest.raises(UsageError, match=sentence):
        read_frame(tmp_path / "a.tif")


@pytest.mark.parametrize(("mode", "sentence"), [("L", "1 channel"), ("RGBA", "4 channel"), ("P", "palette")])
def test_other_pngs_are_refused(tmp_path: Path, mode: str, sentence: str) -> None:
    Image.new(mode, (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(UsageError, match=sentence):
        read_frame(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg"])
def test_damaged_files_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    frame = noise(np.uint8, 64, 64)
    cv2.imwrite(str(path), frame)
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(UsageError, match="damaged or cut short"):
        read_frame(path)
    path.write_text("not an image")
    with pytest.raises(UsageError, match="damaged or cut short"):
        read_frame(path)


def test_missing_and_unknown_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"1\.tif: no such file"):
        read_frame(tmp_path / "1.tif")
    with pytest.raises(UsageError, match=r"1\.psd: unknown kind of frame; expected one of \.tif"):
        read_frame(tmp_path / "1.psd")


def test_only_16_bit_frames_are_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="frame is uint8"):
        write_tiff16(tmp_path / "a.tif", noise(np.uint8))


def test_colours_of_other_pictures_are_named(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8)).save(tmp_path / "a.jpg")
    with pytest.raises(UsageError, match="colours are stored as CMYK; expected RGB of 8 or 16 bits"):
        read_frame(tmp_path / "a.jpg")
    moving = Image.new("RGB", (8, 8), "red")
    moving.save(tmp_path / "a.png", save_all=True, append_images=[Image.new("RGB", (8, 8))])
    with pytest.raises(UsageError, match="holds 2 pictures; expected one"):
        read_frame(tmp_path / "a.png")


@pytest.mark.parametrize("kind", ["EPS", "GIF", "BMP", "PPM", "WEBP"])
def test_only_what_the_name_says_is_decoded(tmp_path: Path, kind: str) -> None:
    """Pillow would hand a page of PostScript to Ghostscript, whatever its file is called."""
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", format=kind)
    with pytest.raises(UsageError, match=r"a\.png: damaged or cut short \(no JPEG or PNG\)"):
        read_frame(tmp_path / "a.png")


@pytest.mark.parametrize("keep", [0.3, 0.95, 0.999])
def test_a_cut_png_of_16_bits_is_refused_and_nothing_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], keep: float
) -> None:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), noise(np.uint16, 64, 64))
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(UsageError, match="damaged or cut short"):
        read_frame(path)
    assert tuple(capfd.readouterr()) == ("", "")
