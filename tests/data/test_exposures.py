"""Exposures as people and cameras write them, within bounds, and a sentence with the line for the rest."""

import math
import os
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from bench.core.errors import UsageError
from bench.data import exposures
from bench.data.exposures import EV_FILE, TIME_FILE, from_exif, given, is_told, of_frames
from bench.io.camera import EXIF_FOLDER
from tests.data import builders

THREE = ("a.jpg", "b.jpg", "c.jpg")
HUGE = ("1e999999999", "1e-999999999", "9" * 5000, "1/" + "9" * 5000, "1e999999999/3", "0x" + "f" * 5000)
"""Numbers that must not be spelled out."""


def frames(folder, text, names=THREE, file=TIME_FILE, encoding="utf-8"):
    (folder / file).write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return [folder / name for name in names]


def parse(word):
    """The value of an exposure on the command line; two, since a comma alone would part them."""
    return given(f"{word};{word}", [Path("a.jpg"), Path("b.jpg")]).values[0]


def lines(*values, names=THREE, gap=" "):
    return "".join(f"{name}{gap}{value}\n" for name, value in zip(names, values, strict=True))


@pytest.mark.parametrize("word", [*HUGE, "2e999999999ev", "-1e999999999ev", "9" * 5000 + "ev"])
def test_numbers_are_bounded_before_they_are_computed(tmp_path, word):
    begin = time.monotonic()
    with pytest.raises(UsageError, match=r"neither seconds|isn't possible"):
        parse(word)
    with pytest.raises(UsageError, match="--exposures: exposure"):
        given(f"{word},1,2", frames(tmp_path, ""))
    for file in (TIME_FILE, EV_FILE):
        paths = frames(tmp_path, lines(1, word, 2), file=file)
        with pytest.raises(UsageError, match=rf"{file}: line 2"):
            of_frames(paths)
        (tmp_path / file).unlink()
    assert time.monotonic() - begin < 1


@pytest.mark.parametrize("word", HUGE)
def test_numbers_of_a_tursun_description_are_bounded(tmp_path, word):
    from bench.core.registry import datasets

    folder = builders.tursun(tmp_path / "Cafe", frames=3, step=2.0)
    builders.settings(folder / "2.txt", word)
    with pytest.raises(UsageError, match=r'scene "Cafe" of tursun: 2\.txt holds .* for ExposureTime') as caught:
        list(datasets["tursun"].scenes(tmp_path, "no-truth"))
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("word", "wanted"),
    [("1/320", 1 / 320), ("1/320s", 1 / 320), ("1/320 s", 1 / 320), ("1/320 sec", 1 / 320), (" 1 / 320 ", 1 / 320),
     ("0.5 seconds", 0.5), ('4"', 4), ("3.125 ms", 0.003125), ("1/1.6", 0.625), ("1e-3", 0.001), (".5", 0.5), ("5.", 5),
     ("2ev", 4), ("-1 EV", 0.5), ("\u22121ev", 0.5), ("+0.5ev", math.sqrt(2)), ("0ev", 1), ("0,5", 0.5)],
)  # fmt: skip
def test_words(word, wanted):
    assert parse(word) == pytest.approx(wanted)


SECONDS = {
    "comment lines": "# file time\n" + lines("1/320", "1/80", "1/20"),
    "a heading": "Name;Time\n" + lines("1/320", "1/80", "1/20", gap=";"),
    "a comment behind": lines("1/320 # dark", "1/80  // was 5", "1/20"),
    "colons": lines("1/320", "1/80", "1/20", gap=": "),
    "a blank before s": lines("1/320 s", "1/80 s", "1/20 s"),
    "sec": lines("1/320 sec", "1/80 sec.", "1/20 seconds"),
    "decimal commas": lines("0,003125", "0,0125", "0,05"),
    "decimal commas in a table": lines("0,003125", "0,0125", "0,05", gap=";"),
    "tabs and quotes": lines("1/320", "1/80", "1/20", names=('"a.jpg"', "'b.jpg'", "c.jpg"), gap="\t"),
    "folders": lines("1/320", "1/80", "1/20", names=("x/a.jpg", "C:\\x y\\b.jpg", "./c")),
    "another case": lines("1/320", "1/80", "1/20", names=("A.JPG", "B", "c.Jpg")),
    "other files": "z.jpg 7\n" + lines("1/320", "1/80", "1/20"),
    "a value a line": "1/320\n1/80\n1/20\n",
    "arrows": lines("1/320", "1/80", "1/20", gap=" -> "),
    "typography": lines("1\u2044320", "1\u204480\u2033", "1/20\u00a0s", names=("\u201ca.jpg\u201d", "b.jpg", "c.jpg")),
    "decimal commas alone": "0,003125\n0,0125\n0,05\n",
    "one line": "1/320 1/80 1/20",
    "one line with commas": "1/320, 1/80, 1/20",
    "one line with units": "1/320 s, 1/80 s, 1/20 s",
    "one line with semicolons": "0,003125; 0,0125; 0,05",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("kind", SECONDS)
def test_files_as_people_write_them(tmp_path, kind, encoding):
    text = SECONDS[kind].replace("\n", "\r\n")
    told = of_frames(frames(tmp_path, text, encoding=encoding))
    np.testing.assert_allclose(told.values, [1 / 320, 1 / 80, 1 / 20])


@pytest.mark.parametrize(
    "names",
    [("IMG 1.jpg", "IMG 2.jpg", "IMG 3.jpg"), ("1.png", "2.png", "3.png"), ("n\u00e4.jpg", "2 (2).jpg", "x,y.jpg")],
)
@pytest.mark.parametrize("gap", [" ", ";", ": ", "\t"])
def test_names_with_blanks_and_of_digits(tmp_path, names, gap):
    written = [name.replace("\u00e4", "a\u0308") for name in names]  # as other systems compose it
    for shown in (written, [name.rpartition(".")[0] for name in written]):
        told = of_frames(frames(tmp_path, lines("1/320", "1/80", "1/20", names=shown, gap=gap), names))
        np.testing.assert_allclose(told.values, [1 / 320, 1 / 80, 1 / 20])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a.jpg 1/320\nb.jpg one\nc.jpg 1/20", r"line 2, 'b\.jpg one', tells no exposure; expected '<name> <seconds>'"),
        ("a.jpg f/4 1/320 iso\nb.jpg 1\nc.jpg 2", r"line 1, 'a\.jpg f/4 1/320 iso', tells no exposure"),
        ("a.jpg\nb.jpg 1\nc.jpg 2", r"line 1, 'a\.jpg', tells no exposure"),
        ("a.jpg 1\n2\nc.jpg 3", r"line 2, '2', tells no exposure"),
        ("a.jpg 1\nb.jpg 2", r"no line for c\.jpg"),
        ("a.jpg 1\nb.jpg 2\nc.jpg 3\nA.JPG 4", r"lines 1 and 4 tell different exposures of a\.jpg"),
        ("a.jpg 1/0\nb.jpg 1\nc.jpg 2", r"line 1: exposure '1/0'"),
        ("a.jpg 1\nb.jpg -1\nc.jpg 2", r"line 2: exposure '-1'"),
        ("a.jpg 1/320\nb.jpg 2ev\nc.jpg 1", r"holds seconds and EVs \(1/320, 2ev, 1\)"),
        ("1\n2", r"holds 2 value\(s\) for 3 frames \(a\.jpg, b\.jpg, c\.jpg\)"),
        ("", r"holds 0 value\(s\) for 3 frames"),
        (b"a.jpg 1\n\xff\n", "not UTF-8"),
        (b"\xff\xfea", "not UTF-8|truncated"),
        ("a.jpg 1\x1b[31m\nb.jpg 2\nc.jpg 3", r"line 1, 'a\.jpg 1\\x1b\[31m'|no line"),
    ],
)
def test_the_line_that_cannot_be_read_is_shown_with_the_file(tmp_path, text, said):
    with pytest.raises(UsageError, match=said) as caught:
        of_frames(frames(tmp_path, text))
    assert TIME_FILE in str(caught.value) and str(caught.value).isprintable()


def test_seconds_in_the_file_of_evs_are_told_where_they_belong(tmp_path):
    with pytest.raises(UsageError, match=rf"line 1: exposure '1/320' is no EV; seconds go into {TIME_FILE}"):
        of_frames(frames(tmp_path, "1/320\n1/80\n1/20", file=EV_FILE))
    assert of_frames(frames(tmp_path, "-2\n0\n+2", file=EV_FILE)).values == [0.25, 1, 4]


def test_long_lines_take_no_time(tmp_path):
    begin = time.monotonic()
    for text in (
        "1 " * 60_000,
        "a" + " " * 60_000 + "1",
        "1" * 60_000,
        " #" * 30_000,
        "a.jpg " * 10_000,
        ",;" * 30_000,
    ):
        with pytest.raises(UsageError):
            of_frames(frames(tmp_path, text))
    assert time.monotonic() - begin < 3


def test_what_was_read_from_where_is_said(tmp_path):
    assert of_frames(frames(tmp_path, "# x\n" + lines(1, 2, 4))).said[2] == f"4 ({TIME_FILE}, line 4)"
    assert given("1,2,4", frames(tmp_path, "")).said == ["1 (--exposures)", "2 (--exposures)", "4 (--exposures)"]


def test_decimal_commas_on_the_command_line_need_semicolons(tmp_path):
    assert given("0,5; 1,5; 2", frames(tmp_path, "")).values == [0.5, 1.5, 2]


def photo(path, **tags):
    exif = Image.Exif()
    exif.get_ifd(EXIF_FOLDER).update({getattr(exposures, name): value for name, value in tags.items()})
    Image.new("RGB", (8, 8)).save(path, exif=exif)
    return path


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({}, "no exposure time is stored in the file"),
        ({"TIME": IFDRational(0, 1)}, r"the exposure time that is stored, 0/1, can't be right"),
        ({"TIME": IFDRational(1, 0)}, r"the exposure time that is stored, 1/0, can't be right"),
        (
            {"APEX_TIME": IFDRational(2_000_000_000, 1)},
            r"the shutter speed \(APEX\) that is stored, 2000000000/1, can't be right",
        ),
    ],
)
def test_a_stored_time_that_cannot_be_is_told_with_its_frames(tmp_path, tags, said):
    paths = [photo(tmp_path / "a.jpg", TIME=0.5), photo(tmp_path / "b.jpg", **tags), photo(tmp_path / "c.jpg", **tags)]
    with pytest.raises(UsageError, match=rf"^b\.jpg, c\.jpg: {said}\. Write the times to {TIME_FILE}"):
        from_exif(paths)


@pytest.mark.parametrize(("at", "value"), [(4, b"\xff\xff\xff\x7f"), (0, b"JUNK")])
def test_damaged_exif_is_told(tmp_path, at, value):
    path = photo(tmp_path / "a.jpg", TIME=0.5)
    data = bytearray(path.read_bytes())
    begin = data.find(b"Exif\0\0") + 6 + at
    data[begin : begin + len(value)] = value
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"a\.jpg: the EXIF data is damaged\. Write"):
        from_exif([path])


@pytest.mark.parametrize("file", [TIME_FILE, EV_FILE])
def test_a_file_of_exposures_that_is_none_is_not_passed_over(tmp_path, file):
    photo(tmp_path / "a.jpg", TIME=0.5)
    for make, kind in (
        (Path.mkdir, "a folder"),
        (os.mkfifo, "a named pipe"),
        (lambda p: p.symlink_to("/dev/zero"), "a device"),
    ):
        path = tmp_path / file
        make(path)
        with pytest.raises(UsageError, match=f"{file}: this is {kind}; expected a file"):
            of_frames([tmp_path / "a.jpg"])
        path.rmdir() if path.is_dir() else path.unlink()


@pytest.mark.parametrize(
    ("text", "number"),
    [("1\ninf\n2\n", 2), ("1\n2\n-\n", 3), ("nan\n1\n2\n", 1), ("\u2153\n1\n2\n", 1), ("Bulb\n1\n2\n", 1),
     ("--\n1\n2\n", 1),
     ("\u0661\n1\n2\n", 1), ("\u00bd s\n1\n2\n", 1)],
)  # fmt: skip
def test_the_line_that_is_no_number_is_shown_and_no_heading(tmp_path, text, number):
    with pytest.raises(UsageError, match=f"{TIME_FILE}: line {number}, "):
        of_frames(frames(tmp_path, text))


def test_a_heading_is_told_where_a_value_lacks(tmp_path):
    assert of_frames(frames(tmp_path, "exposure times\n1\n2\n4\n")).values == [1, 2, 4]
    with pytest.raises(UsageError, match=r"holds 2 value\(s\) for 3 .* Line 1, 'hello', is taken for a heading"):
        of_frames(frames(tmp_path, "hello\n1\n2\n"))


class TestApex:
    def test_shutter_and_aperture_are_read_where_the_plain_tags_lack(self, tmp_path):
        paths = [
            photo(tmp_path / "a.jpg", APEX_TIME=IFDRational(8, 1), APEX_APERTURE=IFDRational(4, 1), SPEED=100),
            photo(tmp_path / "b.jpg", TIME=IFDRational(1, 64), APERTURE=4.0, SPEED=100),
            photo(tmp_path / "c.jpg", APEX_TIME=IFDRational(-2, 1), APEX_APERTURE=IFDRational(6, 1), SPEED=100),
        ]
        told = from_exif(paths)
        np.testing.assert_allclose(np.log2(np.array(told.values) / told.values[0]), [0, 2, 8])
        assert told.said[0] == "1/256 s, f/4, ISO 100 (EXIF)" and told.said[2] == "4 s, f/8, ISO 100 (EXIF)"
        assert is_told(paths[0])

    @pytest.mark.parametrize("value", [IFDRational(0, 0), IFDRational(2**31 - 1, 1), IFDRational(-(2**31), 1)])
    def test_values_that_cannot_be_are_none(self, tmp_path, value):
        with pytest.raises(UsageError, match=r"a\.jpg: the shutter speed \(APEX\) that is stored, .*, can't be"):
            from_exif([photo(tmp_path / "a.jpg", APEX_TIME=value)])

    def test_what_is_stored_beats_what_is_derived(self, tmp_path):
        (value,) = from_exif([photo(tmp_path / "a.jpg", TIME=0.5, APEX_TIME=IFDRational(3, 1))]).values
        assert value == 0.5

    def test_an_iso_beyond_the_tags_range_stands_elsewhere(self, tmp_path):
        exif = Image.Exif()
        exif.get_ifd(EXIF_FOLDER).update({exposures.TIME: 0.5, exposures.SPEED: 65535, 34866: 102400})
        Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg", exif=exif)
        assert exposures.read_exif(tmp_path / "a.jpg").speed == 102400


def test_only_a_command_with_the_option_advises_it(tmp_path):
    path = tmp_path / "a.jpg"
    Image.new("RGB", (8, 8)).save(path)
    with pytest.raises(UsageError, match="Give the times with --exposures") as caught:
        of_frames([path], "--exposures")
    with pytest.raises(UsageError, match=rf"Write the times to {TIME_FILE} beside the frames") as other:
        of_frames([path])
    assert "--exposures" in str(caught.value) and "--exposures" not in str(other.value)


def test_exact_fractions_stay_what_they_were():
    for word in ("1/320", "1/1250", "0.05", "1/3"):
        assert parse(word) == float(Fraction(word))


def test_two_text_files_that_contradict_each_other_are_refused(tmp_path):
    frames(tmp_path, lines("1/60", "1/15", "1/4"))
    paths = frames(tmp_path, lines(0, 2, 4), file=EV_FILE)
    assert of_frames(paths).values == [1, 4, 16]  # a camera's 1/60 s is 1/64
    frames(tmp_path, lines(0, 2, 5), file=EV_FILE)
    said = (
        r"exposure\.txt and exposure_times\.txt contradict each other: c\.jpg is 5 EV from a\.jpg by the one, 3\.91 EV"
    )
    with pytest.raises(UsageError, match=said):
        of_frames(paths)
