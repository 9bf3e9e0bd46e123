"""Colours of other primaries: converted to BT.709 by whoever reads other people's files, and said once."""

import numpy as np
import OpenEXR
import pytest
import tifffile

from bench.core.errors import UsageError
from bench.io.primaries import BT709, XYZ, is_bt709, is_linear, profile_name
from bench.io.radiance import read_exr, write_rgbe
from bench.io.submission import read_radiance

PIXELS = np.random.default_rng(0).random((6, 9, 3), np.float32)

TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
"""BT.709 to XYZ, as tables have it."""

TO_AP0 = np.array(
    [[0.4396330, 0.3829887, 0.1773783], [0.0897764, 0.8134395, 0.0967841], [0.0175412, 0.1115465, 0.8709123]]
)
"""BT.709 to ACES2065-1, Bradford, as the Academy's transforms have it."""

TO_2020 = np.array(
    [[0.6274039, 0.3292830, 0.0433131], [0.0690973, 0.9195404, 0.0113623], [0.0163914, 0.0880133, 0.8955953]]
)
"""BT.709 to BT.2020 (ITU-R BT.2087)."""

OTHERS = {
    "XYZ": ((*XYZ, 1 / 3, 1 / 3), TO_XYZ),
    "ACES": ((0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767), TO_AP0),
    "BT.2020": ((0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290), TO_2020),
}


def with_chromaticities(path, pixels, chromaticities):
    channels = {"RGB": np.ascontiguousarray(pixels, np.float32)}
    OpenEXR.File({"chromaticities": tuple(map(float, chromaticities))}, channels).write(str(path))


@pytest.mark.parametrize(("chromaticities", "matrix"), OTHERS.values(), ids=OTHERS)
def test_exr_of_other_primaries_is_converted_and_told(tmp_path, chromaticities, matrix):
    with_chromaticities(tmp_path / "a.exr", PIXELS @ matrix.T, chromaticities)
    told = []
    np.testing.assert_allclose(read_radiance(tmp_path / "a.exr", told), PIXELS, atol=5e-4)
    (said,) = told
    assert said.startswith("its colours have other primaries (") and said.endswith("converted to BT.709.")
    np.testing.assert_allclose(read_exr(tmp_path / "a.exr"), PIXELS @ matrix.T, rtol=1e-6)


def with_tags(path, pixels, chromaticities):
    """A float TIFF whose tags state primaries and, but for D65, white."""
    ratios = [number for value in chromaticities for number in (round(value * 10**6), 10**6)]
    tags = [(319, 5, 6, ratios[:12], True)]
    if chromaticities[6:] != BT709[6:]:
        tags.append((318, 5, 2, ratios[12:], True))
    tifffile.imwrite(path, np.asarray(pixels, np.float32), photometric="rgb", extratags=tags)


@pytest.mark.parametrize(("chromaticities", "matrix"), [OTHERS["BT.2020"], (OTHERS["XYZ"][0], TO_XYZ)])
def test_so_is_tiff(tmp_path, chromaticities, matrix):
    with_tags(tmp_path / "a.tif", PIXELS @ matrix.T, chromaticities)
    told = []
    np.testing.assert_allclose(read_radiance(tmp_path / "a.tif", told), PIXELS, atol=5e-4)
    assert told[0].startswith("its colours have other primaries (")


@pytest.mark.parametrize("value", [(0,) * 12, (1, 0) * 6])
def test_tags_that_state_nothing_are_not_taken(tmp_path, value):
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb", extratags=[(319, 5, 6, value, True)])
    np.testing.assert_array_equal(read_radiance(tmp_path / "a.tif", told := []), PIXELS)
    assert not told


@pytest.mark.parametrize("rounded", [BT709, (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.313, 0.329)])
def test_bt709_stays_to_the_bit_and_nothing_is_said(tmp_path, rounded):
    with_chromaticities(tmp_path / "a.exr", PIXELS, rounded)
    told = []
    np.testing.assert_array_equal(read_radiance(tmp_path / "a.exr", told), PIXELS)
    assert told == []


@pytest.mark.parametrize(
    "impossible",
    [(0,) * 8, (0.3, 0.3) * 4, (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3, 0), (np.nan,) * 8, (np.inf,) * 8],
    ids=["zeros", "one point", "dark white", "NaN", "infinite"],
)
def test_primaries_that_span_nothing_are_refused(tmp_path, impossible):
    with_chromaticities(tmp_path / "a.exr", PIXELS, impossible)
    with pytest.raises(UsageError, match=r"a\.exr: its primaries and white \(.*\) span no colours"):
        read_radiance(tmp_path / "a.exr")


def test_chromaticities_of_another_type_are_damage(tmp_path):
    with_chromaticities(tmp_path / "a.exr", PIXELS, OTHERS["ACES"][0])
    data = (tmp_path / "a.exr").read_bytes()
    (tmp_path / "a.exr").write_bytes(data.replace(b"chromaticities\0chromaticities", b"chromaticities\0chromaticitXes"))
    with pytest.raises(UsageError, match=r"a\.exr: this OpenEXR file is damaged"):
        read_radiance(tmp_path / "a.exr")


def test_primaries_of_radiance_pictures_are_converted_in_the_same_words(tmp_path):
    write_rgbe(tmp_path / "a.hdr", (PIXELS @ TO_2020.T).astype(np.float32))
    data = (tmp_path / "a.hdr").read_bytes()
    line = b"PRIMARIES=0.708 0.292 0.170 0.797 0.131 0.046 0.3127 0.3290"
    (tmp_path / "b.hdr").write_bytes(data.replace(b"\n\n", b"\n" + line + b"\n\n", 1))
    told = []
    assert np.abs(read_radiance(tmp_path / "b.hdr", told) - PIXELS).max() < 1 / 64
    assert told[0].startswith("its colours have other primaries (0.708 0.292")
    (tmp_path / "b.hdr").write_bytes(data.replace(b"\n\n", b"\nPRIMARIES=0 0 0 0 0 0 0 0\n\n", 1))  # Photoshop
    np.testing.assert_array_equal(read_radiance(tmp_path / "b.hdr", told), read_radiance(tmp_path / "a.hdr"))
    assert len(told) == 1


def test_profiles_without_a_readable_name_have_one_of_their_own():
    assert profile_name(b"") == ""
    assert profile_name(b"junk") == profile_name(b"junk") != profile_name(b"other")


NAMES = {
    "": (True, False), "sRGB IEC61966-2.1": (True, False), "Rec709-elle-V4-rec709.icc": (True, False),
    "Linear sRGB": (True, True), "sRGB linear (g=1.0)": (True, True), "sRGB-elle-V2-g10.icc": (True, True),
    "Rec. 709 gamma 1": (True, True), "lin_srgb": (True, True), "nonlinear sRGB": (True, False),
    "sRGB g=1.8": (True, False), "sRGB g18": (True, False), "HP-sRGB": (True, False), "e-sRGB": (False, False),
    "bg-sRGB": (False, False), "Adobe RGB (1998)": (False, False), "Linear Rec2020": (False, True),
}  # fmt: skip


@pytest.mark.parametrize(("name", "meant"), NAMES.items())
def test_names_of_profiles(name, meant):
    assert (is_bt709(name), is_linear(name)) == meant


@pytest.mark.parametrize("suffix", [".exr", ".hdr"])
def test_colours_beyond_bt709_have_no_negative_values(tmp_path, suffix):
    path, wide = tmp_path / f"a{suffix}", OTHERS["BT.2020"][0]
    pixels = PIXELS.copy()
    pixels[0, :2] = [[0, 1, 0], [1, 0, 0]]
    if suffix == ".exr":
        pixels[0, 2] = [-0.5, 1, 0]  # what was negative may stay so
        with_chromaticities(path, pixels, wide)
    else:
        write_rgbe(path, pixels)
        line = "PRIMARIES=" + " ".join(map(str, wide))
        path.write_bytes(path.read_bytes().replace(b"\n\n", f"\n{line}\n\n".encode(), 1))
    told = []
    found = read_radiance(path, told)
    assert found[0, 0, 0] == found[0, 1, 1] == 0
    assert (found[0, 2].min() < 0) == (suffix == ".exr")
    found[0, 2] = 0
    assert found.min() == 0
    assert "converted to BT.709; " in told[0] and told[0].endswith("that it can't hold, were below 0: set to 0.")
