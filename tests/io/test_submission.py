"""Other people's files: which belongs to which scene, and what can be read."""

import contextlib

import numpy as np
import OpenEXR
import pytest
import tifffile

from bench.core.errors import UsageError
from bench.io.radiance import write_exr, write_rgbe
from bench.io.submission import match, names, read_radiance

PIXELS = np.random.default_rng(0).random((5, 7, 3), np.float32)


@pytest.fixture
def folder(tmp_path):
    """Make a folder of empty files."""

    def make(*files):
        for file in files:
            (tmp_path / file).touch()
        return tmp_path

    return make


def test_files_are_matched_by_name(folder):
    matched = match(folder("b.exr", "a.npy", "c.TIF", "notes.txt", ".b.exr", "._a.npy"), ["a", "b", "c", "d"])
    assert {scene: path.name for scene, path in matched.files.items()} == {"a": "a.npy", "b": "b.exr", "c": "c.TIF"}
    assert list(matched.files) == ["a", "b", "c"]
    assert matched.missing == ("d",)
    assert matched.extra == () and matched.spare == {}


def test_case_may_differ_unless_it_tells_scenes_apart(folder):
    made = folder("barbequeday.exr", "HALL.exr")
    assert match(made, ["BarbequeDay", "hall", "Hall"]).files == {"BarbequeDay": made / "barbequeday.exr"}
    assert match(made, ["BarbequeDay", "hall", "Hall"]).extra == (made / "HALL.exr",)


@pytest.mark.parametrize(("stored", "wanted"), [("caf\u00e9", "cafe\u0301"), ("cafe\u0301", "Caf\u00e9")])
def test_composed_and_decomposed_accents_are_one_name(folder, stored, wanted):
    made = folder(f"{stored}.exr")
    matched = match(made, [wanted])
    assert matched.files == {wanted: made / f"{stored}.exr"} and not matched.extra
    assert match(made, [wanted, stored]).files == {stored: made / f"{stored}.exr"}


def test_of_two_kinds_the_first_in_the_list_is_taken_and_the_other_named(folder):
    made = folder("a.hdr", "a.npy", "a.exr")
    matched = match(made, ["a"])
    assert matched.files == {"a": made / "a.exr"}
    assert matched.spare == {made / "a.hdr": made / "a.exr", made / "a.npy": made / "a.exr"}


@pytest.mark.parametrize("exact", ["forest-01.EXR", "forest-01.npy"])
def test_a_file_of_exactly_the_scene_s_name_is_taken_before_others(folder, exact):
    made = folder("FOREST-01.exr", exact)
    matched = match(made, ["forest-01"])
    assert matched.files == {"forest-01": made / exact}
    assert matched.spare == {made / "FOREST-01.exr": made / exact}


def test_what_no_scene_asks_for_is_extra_unless_known(folder):
    made = folder("a.exr", "z.exr", "quiet.exr", "a.png", "photo.jpg", "a.mat", "network.mat", "quiet.npz")
    matched = match(made, ["a"], known={"quiet"})
    assert {path.name for path in matched.extra} == {"z.exr", "a.png", "photo.jpg", "a.mat"}


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(UsageError, match="is no folder"):
        match(tmp_path / "none", [])
    with pytest.raises(UsageError, match="holds no radiance file"):
        names(tmp_path)


def test_names_are_sorted_and_unique(folder):
    assert names(folder("b.exr", "a.hdr", "a.exr", "x.txt", ".c.exr")) == ["a", "b"]


def planar(path, pixels):
    tifffile.imwrite(path, np.moveaxis(pixels, -1, 0), photometric="rgb", planarconfig="separate")


def with_alpha(path, pixels):
    tifffile.imwrite(path, np.concatenate([pixels, pixels[..., :1]], -1), photometric="rgb", extrasamples=[2])


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.exr", write_exr),
        ("a.npy", np.save),
        ("a.npy", lambda path, pixels: np.save(path, pixels.astype(np.float64))),
        ("a.npy", lambda path, pixels: np.save(path, np.asfortranarray(pixels))),
        ("a.tif", lambda path, pixels: tifffile.imwrite(path, pixels, photometric="rgb")),
        ("a.TIFF", lambda path, pixels: tifffile.imwrite(path, pixels, photometric="rgb", compression="zlib")),
        ("a.tiff", planar),
        ("a.tif", with_alpha),
    ],
    ids=["exr", "npy", "float64", "fortran", "tif", "deflate", "planar", "alpha"],
)
def test_every_kind_reads_back_to_the_bit(tmp_path, name, write):
    write(tmp_path / name, PIXELS)
    read = read_radiance(tmp_path / name)
    assert read.dtype == np.float32 and read.flags.c_contiguous
    np.testing.assert_array_equal(read, PIXELS)


def translucent_exr(path, pixels, alpha):
    OpenEXR.File({}, {"RGBA": np.dstack([pixels, alpha])}).write(str(path))


def translucent_tiff(path, pixels, alpha):
    tifffile.imwrite(path, np.dstack([pixels, alpha]), photometric="rgb", extrasamples=[1])


@pytest.mark.parametrize(("name", "write"), [("a.exr", translucent_exr), ("a.tif", translucent_tiff)])
def test_an_alpha_that_is_not_one_is_told(tmp_path, name, write):
    """Colours may have been multiplied by it: nobody can tell from the file."""
    alpha = np.ones(PIXELS.shape[:2], np.float32)
    write(tmp_path / name, PIXELS, alpha)
    told = []
    np.testing.assert_array_equal(read_radiance(tmp_path / name, told), PIXELS)
    assert not told
    alpha[1, 2:5] = 0.7
    write(tmp_path / name, PIXELS, alpha)
    np.testing.assert_array_equal(read_radiance(tmp_path / name, told), PIXELS)
    assert told[0].startswith(f"its alpha isn't 1 on 3 of {alpha.size} pixels; it is dropped")


@pytest.mark.parametrize(("gamma", "tables"), [(2.2, 1), (2.2, 3), (1.8, 1), (1.0, 3)])
def test_a_tiff_of_floats_that_says_they_are_encoded_is_told(tmp_path, gamma, tables):
    """The tag TransferFunction, as frames of integers have it."""
    table = np.rint(65535 * np.linspace(0, 1, 4096) ** gamma).astype(np.uint16).tolist() * tables
    tags = [(301, "H", len(table), table, True)]
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb", metadata=None, extratags=tags)
    told = []
    np.testing.assert_array_equal(read_radiance(tmp_path / "a.tif", told), PIXELS)
    said = f"its tag TransferFunction says that values are encoded (gamma {gamma:.3g}); it isn't applied"
    assert [line.startswith(said) for line in told] == [True] * (gamma != 1)


@pytest.mark.parametrize(
    "tag", [("s", 4, "nine"), ("B", 1, 7), ("d", 4, [np.inf] * 4), ("d", 2, [np.nan] * 2), ("H", 4, [9, 9, 9, 0])]
)
def test_what_such_a_tag_holds_instead_of_a_table_is_not_taken(tmp_path, tag):
    tags = [(301, *tag, True)]
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb", metadata=None, extratags=tags)
    told = []
    np.testing.assert_array_equal(read_radiance(tmp_path / "a.tif", told), PIXELS)
    assert not told


def test_rgbe_reads_to_its_precision(tmp_path):
    write_rgbe(tmp_path / "a.hdr", PIXELS)
    assert np.abs(read_radiance(tmp_path / "a.hdr") - PIXELS).max() < 1 / 128


def test_what_float32_cannot_hold_is_infinite_and_no_warning(tmp_path):
    np.save(tmp_path / "a.npy", np.full((2, 2, 3), 1e300))
    assert np.isinf(read_radiance(tmp_path / "a.npy")).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_signalling_nan_is_read_without_a_warning(tmp_path, dtype):
    """Damaged files hold it; pytest makes NumPy's warning an error."""
    pixels = np.ones((2, 2, 3), dtype)
    words = {2: (np.uint16, 0x7D00), 4: (np.uint32, 0x7FA00000), 8: (np.uint64, 0x7FF4 << 48)}
    kind, signalling = words[pixels.itemsize]
    pixels.view(kind)[0, 0, 0] = signalling
    np.save(tmp_path / "a.npy", pixels)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb")
    if dtype != np.float64:
        import OpenEXR

        OpenEXR.File({}, {"RGB": pixels}).write(str(tmp_path / "a.exr"))
    for path in tmp_path.iterdir():
        assert np.isnan(read_radiance(path)).sum() == 1


def archive(keep):
    """Write the first part of an archive of arrays under the name of an array."""

    def write(path):
        with path.open("wb") as file:
            np.savez(file, PIXELS)
        path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])

    return write


def in_header(old, new):
    """Write an array whose header has other bytes, padded to its length."""

    def write(path):
        np.save(path, PIXELS)
        data = path.read_bytes()
        end = data.index(b"\n") + 1
        path.write_bytes(data[:end].replace(old, new).rstrip().ljust(end - 1)[: end - 1] + b"\n" + data[end:])

    return write


@pytest.mark.parametrize(
    ("name", "write", "words"),
    [
        ("a.tif", lambda p: tifffile.imwrite(p, PIXELS.astype(np.uint8), photometric="rgb"), "uint8.*linear float32"),
        ("a.tif", lambda p: tifffile.imwrite(p, PIXELS.astype(np.uint16), photometric="rgb"), "uint16.*linear float32"),
        ("a.tif", lambda p: tifffile.imwrite(p, PIXELS[..., 0]), r"1 channel\(s\); expected three"),
        ("a.tif", lambda p: p.write_bytes(b"II*\0junk"), "damaged or cut short"),
        ("a.npy", lambda p: np.save(p, PIXELS.astype(np.uint8)), "uint8.*expected floats"),
        ("a.npy", lambda p: np.save(p, np.array([{"a": 1}])), "isn't a readable .npy file"),
        ("a.npy", lambda p: p.touch(), "isn't a readable .npy file"),
        ("a.npy", lambda p: np.save(p, PIXELS[:0]), "expected floats of shape"),
        ("a.exr", lambda p: p.write_bytes(b"P6 4 4 255"), "not an OpenEXR file"),
        ("a.hdr", lambda p: p.write_bytes(b"P6 4 4 255"), "not a Radiance picture"),
        ("a.png", lambda p: p.touch(), "no kind of radiance file"),
        ("a.npy", lambda p: None, "can't be read .No such file"),
        ("a.npy", archive(0.5), "isn't a readable .npy file"),
        ("a.npy", archive(1), "is an archive of arrays"),
        ("a.npy", in_header(b"(5,", b"(5["), "isn't a readable .npy file"),
        ("a.npy", in_header(b"(5, 7, 3)", b"(5999999, 7999999, 3)"), "its header is damaged, or it is cut"),
        ("a.npy", lambda p: p.write_bytes(b"\x93NUMPY\x01\x00\xff\xff" + b" " * 65535), "its header is damaged"),
    ],
    ids=[
        "8 bits", "16 bits", "grey", "junk", "integers", "pickle", "empty", "no pixels", "exr", "hdr", "png", "gone",
        "cut archive", "archive", "flipped", "TiB", "long header",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_sentence(tmp_path, name, write, words):
    write(tmp_path / name)
    with pytest.raises(UsageError, match=words) as caught:
        read_radiance(tmp_path / name)
    assert name in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("bit", range(8))
def test_no_flipped_bit_of_a_header_is_another_error(tmp_path, bit):
    np.save(tmp_path / "a.npy", PIXELS)
    whole = (tmp_path / "a.npy").read_bytes()
    for place in range(whole.index(b"\n") + 1):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << bit
        (tmp_path / "a.npy").write_bytes(damaged)
        with contextlib.suppress(UsageError):
            read_radiance(tmp_path / "a.npy")
