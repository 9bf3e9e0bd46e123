"""TIFFs: one set of checks for frames and for radiance, and each kind called what it is."""

import numpy as np
import pytest
import tifffile

from bench.core.errors import UsageError
from bench.io.ldr import facts, need_alike, read_frame
from bench.io.submission import read_radiance

PIXELS = np.random.default_rng(0).random((20, 37, 3), np.float32)

READERS = {"radiance": (read_radiance, PIXELS), "frame": (read_frame, (PIXELS * 65535).astype(np.uint16))}


def changed(path, tag, *values):
    """Overwrite the first values of a tag in place."""
    with tifffile.TiffFile(path) as file:
        found = file.pages[0].tags[tag]
        size = {3: 2, 4: 4, 16: 8}[int(found.dtype)]
    with path.open("r+b") as file:
        file.seek(found.valueoffset)
        file.write(b"".join(value.to_bytes(size, "little") for value in values))


LAYOUTS = {
    "strips": {"rowsperstrip": 4},
    "one strip": {"rowsperstrip": 20},
    "tiles": {"tile": (16, 16)},
    "deflated strips": {"rowsperstrip": 4, "compression": "zlib"},
    "deflated tiles": {"tile": (16, 16), "compression": "zlib"},
    "big": {"rowsperstrip": 4, "bigtiff": True},
}


@pytest.mark.parametrize("value", [0, 4])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("tag", ["Offsets", "ByteCounts"])
@pytest.mark.parametrize("reader", READERS)
def test_a_part_that_was_never_written_is_not_black(tmp_path, reader, tag, layout, value):
    read, pixels = READERS[reader]
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", **layout)
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), pixels)
    changed(tmp_path / "a.tif", ("Tile" if "tile" in layout else "Strip") + tag, value)
    with pytest.raises(UsageError, match=r"a\.tif: damaged or cut short \(") as caught:
        read(tmp_path / "a.tif")
    if value == 0:
        assert "a part of its pixels was never written" in str(caught.value)


@pytest.mark.parametrize("reader", READERS)
def test_parts_outside_the_file_or_in_one_place_are_damage(tmp_path, reader):
    read, pixels = READERS[reader]
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", rowsperstrip=4)
    whole = (tmp_path / "a.tif").read_bytes()
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        second = file.pages[0].dataoffsets[1]
    for value, words in ((len(whole) - 10, "its pixels are cut short"), (second, "parts of its pixels overlap")):
        (tmp_path / "a.tif").write_bytes(whole)
        changed(tmp_path / "a.tif", "StripOffsets", value)
        with pytest.raises(UsageError, match=words):
            read(tmp_path / "a.tif")


COLOURS = [
    ("SEPARATED", "CMYK"), ("CIELAB", "CIELAB"), ("MINISWHITE", "grey, 0 being white"), ("LOGLUV", "LogLuv"),
    ("PALETTE", "a palette"), ("CFA", "a camera's raw mosaic"),
]  # fmt: skip


@pytest.mark.parametrize(("colours", "words"), COLOURS)
@pytest.mark.parametrize("reader", READERS)
def test_other_colours_are_called_what_they_are(tmp_path, reader, colours, words):
    read, pixels = READERS[reader]
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb")
    changed(tmp_path / "a.tif", "PhotometricInterpretation", int(tifffile.PHOTOMETRIC[colours]))
    with pytest.raises(UsageError, match=rf"a\.tif: colours are stored as {words}.*; expected RGB. Convert it"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
@pytest.mark.parametrize("reader", READERS)
def test_turned_rows_are_refused(tmp_path, reader, orientation):
    read, pixels = READERS[reader]
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extratags=[(274, 3, 1, orientation, True)])
    with pytest.raises(UsageError, match=rf"stored turned \(TIFF orientation {orientation}\); turn the pixels"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize("reader", READERS)
def test_several_pages_are_counted(tmp_path, reader):
    read, pixels = READERS[reader]
    tifffile.imwrite(tmp_path / "a.tif", np.stack([pixels] * 3), photometric="rgb")
    with pytest.raises(UsageError, match="holds 3 pictures; expected a TIFF of one"):
        read(tmp_path / "a.tif")


def pages(path, *kinds):
    """Write pages; `kinds` are pixels and NewSubfileType of each."""
    with tifffile.TiffWriter(path) as file:
        for pixels, kind in kinds:
            file.write(pixels, photometric="rgb", subfiletype=kind)


@pytest.mark.parametrize("reader", READERS)
def test_thumbnails_and_overviews_are_no_pictures(tmp_path, reader):
    read, pixels = READERS[reader]
    pages(tmp_path / "a.tif", (pixels, 0), (pixels[::2, ::2], 1), (pixels[::4, ::4], 1))
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), pixels)
    pages(tmp_path / "a.tif", (pixels[::2, ::2], 1), (pixels, 0))
    with pytest.raises(UsageError, match="begins with a reduced copy of its picture; expected the picture first"):
        read(tmp_path / "a.tif")
    pages(tmp_path / "a.tif", (pixels, 0), (pixels[::2, ::2], 1), (pixels, 0))
    with pytest.raises(UsageError, match="holds 2 pictures; expected a TIFF of one"):
        read(tmp_path / "a.tif")
    pages(tmp_path / "a.tif", (pixels, 1))
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), pixels)


@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("reader", READERS)
def test_a_last_strip_that_is_counted_as_long_as_the_others_is_whole(tmp_path, reader, planes):
    read, pixels = READERS[reader]
    path, stored = tmp_path / "a.tif", pixels[:10, :8] if planes == "contig" else np.moveaxis(pixels[:10, :8], -1, 0)
    tifffile.imwrite(path, stored, photometric="rgb", rowsperstrip=4, planarconfig=planes)
    with tifffile.TiffFile(path) as file:
        counts = file.pages[0].databytecounts
    changed(path, "StripByteCounts", *[counts[0]] * len(counts))
    np.testing.assert_array_equal(read(path), pixels[:10, :8])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UsageError, match="its pixels are cut short"):
        read(path)


def test_the_logarithms_that_opencv_writes_by_default_are_named(tmp_path):
    import cv2

    cv2.imwrite(str(tmp_path / "a.tif"), PIXELS, [cv2.IMWRITE_TIFF_COMPRESSION, 34676])
    with pytest.raises(UsageError, match=r"colours are stored as LogLuv \(logarithms"):
        read_radiance(tmp_path / "a.tif")


def test_differences_of_floats_are_named_and_deflate_alone_is_not_advised(tmp_path):
    bits = PIXELS.view(np.int32)  # whose SampleFormat is written; unsigned is what a file without it means
    tifffile.imwrite(tmp_path / "a.tif", bits, photometric="rgb", compression="zlib", predictor=True)
    changed(tmp_path / "a.tif", "Predictor", 3)
    changed(tmp_path / "a.tif", "SampleFormat", 3, 3, 3)
    with pytest.raises(UsageError, match=r"differences \(predictor 3, floating point\).*Deflate and no predictor"):
        read_radiance(tmp_path / "a.tif")


def test_a_part_that_inflates_beyond_its_picture_is_refused(tmp_path, monkeypatch):
    import zlib

    from bench.io import tiff

    monkeypatch.setattr(tiff, "UNASKED", 1 << 20)
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb", compression="zlib", rowsperstrip=20)
    bomb = zlib.compress(bytes(4 << 20))
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(data + bomb)
    changed(tmp_path / "a.tif", "StripOffsets", len(data))
    changed(tmp_path / "a.tif", "StripByteCounts", len(bomb))
    with pytest.raises(UsageError, match="a part of its pixels is larger than the header says"):
        read_radiance(tmp_path / "a.tif")


@pytest.mark.parametrize("profile", ["Adobe RGB (1998)", "sRGB built-in"])
def test_a_profile_of_other_colours_is_told(tmp_path, monkeypatch, profile):
    from PIL import ImageCms

    monkeypatch.setattr(ImageCms, "getProfileDescription", lambda _: f"{profile}\n")
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb", iccprofile=icc)
    told: list[str] = []
    np.testing.assert_array_equal(read_radiance(tmp_path / "a.tif", told), PIXELS)
    wide = "it has the colour profile Adobe RGB (1998); it isn't applied, its values are taken for linear BT.709."
    assert told == ([wide] if "Adobe" in profile else [])


@pytest.mark.parametrize("reader", READERS)
def test_a_part_of_gigabytes_is_not_read(tmp_path, reader):
    read, pixels = READERS[reader]
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", compression="zlib", rowsperstrip=20)
    with (tmp_path / "a.tif").open("r+b") as file:
        file.truncate(1 << 34)  # a hole: no byte of it is stored
    changed(tmp_path / "a.tif", "StripByteCounts", 4_000_000_000)
    with pytest.raises(UsageError, match="longer than pixels can be"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize("formats", [(1, 3, 3), (3, 3, 1)])
@pytest.mark.parametrize("read", [read_frame, read_radiance])
def test_channels_of_several_sample_formats_are_told(tmp_path, read, formats):
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb")
    changed(tmp_path / "a.tif", "SampleFormat", *formats)
    with pytest.raises(UsageError, match=r"a\.tif: its channels have different sample formats") as caught:
        read(tmp_path / "a.tif")
    assert "damaged" not in str(caught.value)


FRAME = READERS["frame"][1]
CODES = np.arange(1 << 16) / 65535


def curve(gamma):
    """The tag TransferFunction of 16 bits: code values to light."""
    return 301, "H", 1 << 16, np.rint(65535 * CODES**gamma).astype(np.uint16).tolist(), True


def primaries(*corners):
    """The tag PrimaryChromaticities."""
    return 319, "2I", 6, [number for value in corners for number in (round(1000 * value), 1000)], True


STATED = {
    "nothing": ([], ""),
    "gamma 2.2": ([curve(2.2)], ""),
    "linear": ([curve(1.0)], "gamma 1"),
    "1.8": ([curve(1.8)], "gamma 1.8"),
    "BT.709": ([primaries(0.64, 0.33, 0.30, 0.60, 0.15, 0.06)], ""),
    "BT.2020": ([primaries(0.708, 0.292, 0.170, 0.797, 0.131, 0.046)], "other primaries"),
}


@pytest.mark.parametrize("name", STATED)
def test_what_the_tags_of_a_frame_state_of_its_colours_is_told(tmp_path, name):
    tags, words = STATED[name]
    tifffile.imwrite(tmp_path / "a.tif", FRAME, photometric="rgb", metadata=None, extratags=tags)
    found = facts(tmp_path / "a.tif").profile
    assert words in found and bool(found) == bool(words)


def test_a_bracket_of_tiffs_with_other_colours_is_told_and_a_mixture_refused(tmp_path):
    for name, tags in (("a", STATED["linear"][0]), ("b", STATED["linear"][0]), ("c", [])):
        tifffile.imwrite(tmp_path / f"{name}.tif", FRAME, photometric="rgb", metadata=None, extratags=tags)
    paths = [tmp_path / f"{name}.tif" for name in "abc"]
    (note,) = need_alike(paths[:2], "the bracket", upright=True)
    assert "TransferFunction" in note and "it says that values are linear, but they are decoded with gamma 2.2" in note
    with pytest.raises(UsageError, match=r"the colour profile of c\.tif is none, that of a\.tif is of its tags"):
        need_alike(paths, "the bracket", upright=True)
