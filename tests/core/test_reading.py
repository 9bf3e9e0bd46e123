"""What comes from outside: regular files of bounded size, and one sentence for whatever is wrong with a text."""

import os
import socket

import pytest
import yaml

from bench.core import reading
from bench.core.errors import UsageError


@pytest.fixture
def no_file(tmp_path):
    """What has a name and is no file to be read: kind -> path, and the words for it."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    (tmp_path / "dangling").symlink_to("nothing")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "socket"))
    words = {
        "pipe": "a named pipe",
        "link": "a device",
        "/dev/urandom": "a device",
        "socket": "a socket",
        ".": "a folder",
        "dangling": r"can't be read \(No such file",
        "none": r"can't be read \(No such file",
        "x" * 300: r"can't be read \(File name too long",
        "a\0b": "can't be read",
    }
    return {name: (tmp_path / name, said) for name, said in words.items()}


@pytest.mark.parametrize("read", [reading.read_bytes, reading.read_text, reading.read_json, reading.read_yaml])
def test_what_is_no_regular_file_is_never_opened(read, no_file):
    for path, said in no_file.values():
        with pytest.raises(UsageError, match=said) as caught:
            read(path)
        assert str(caught.value).isprintable()


def test_a_size_is_bounded(tmp_path):
    (tmp_path / "x").write_bytes(bytes(11))
    assert reading.read_bytes(tmp_path / "x", 11) == bytes(11)
    with pytest.raises(UsageError, match=r"has 11 bytes, more than the 10 that are read"):
        reading.read_bytes(tmp_path / "x", 10)
    with pytest.raises(UsageError, match="has more than the 10 bytes"):
        reading.read_bytes("/proc/self/status", 10)  # has no size beforehand


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe{", r"not UTF-8 text \(byte 0\)"),
        (b"[]", "expected a JSON object .*, got a list"),
        (b"null", "got nothing"),
        (b"3", "got the value 3"),
        (b"{", "not valid JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"", "not valid JSON"),
    ],
    ids=range(8),
)
def test_what_is_no_json_object_is_a_sentence(content, said, tmp_path):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(UsageError, match=rf"x\.json: .*{said}"):
        reading.read_json(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: !!float x", "a value that can't be read"),
        ("a: !!bool x", "a value that can't be read"),
        ("a: !!python/object:os.system x", "could not determine a constructor"),
        ("a: !!binary aGk=", "of the kind binary"),
        ("a: !!set {b}", "of the kind set"),
        ("a: {[b]: 1}", "a key is no text or number"),
        ("{a: 1}: 2", "a key is no text or number"),
        ("a: *b", "undefined alias"),
        ("a: &a {b: *a}", "stands within what it stands for"),
        ("1: a\n1: b", "the key 1 is given twice"),
        ("a: [{b: {c: 1, d: 2, c: 3}}]", "the key 'c' is given twice .line 1, column 22"),
        ("a: &a {b: 1, b: 2}\nc: {<<: *a}", "the key 'b' is given twice"),
        ("a: &a {b: 1}\nc: {<<: *a, d: 1, d: 1}", "the key 'd' is given twice"),
        ("a: &a {b: 1}\nc: {<<: {<<: *a, d: 1, d: 1}}", "the key 'd' is given twice"),
        ("a: {<<: 5}", "expected a mapping or list of mappings for merging"),
        ("a: \0", "not valid YAML"),
        ("a: 1\n---\nb: 2", "not valid YAML"),
        ("- " * 100 + "a", "nested more than 50 levels deep"),
        ("5", "holds the value 5; expected a mapping"),
    ],
    ids=range(19),
)
def test_yaml_that_no_settings_need_is_a_sentence(text, said):
    with pytest.raises(UsageError, match=rf"^x\.yaml: .*{said}") as caught:
        reading.parse_yaml(text, "x.yaml")
    assert str(caught.value).isprintable()


def test_yaml_is_read_as_before():
    text = "a: {b: [1, 2.5, null, true, 'x']}\nbase: &base {c: 1, d: 2}\nown: {<<: *base, d: 3}\nempty:\n"
    assert reading.parse_yaml(text, "x") == yaml.safe_load(text)
    assert reading.parse_yaml(text, "x")["own"] == {"c": 1, "d": 3}


@pytest.mark.parametrize(
    "text",
    [
        "b1: &b1 {x: 0, y: 2}\na: {deep: {inner: &b2 {<<: *b1, x: 1}}}\nc: {<<: *b2}",
        "b1: &b1 {x: 0}\nb2: &b2 {<<: *b1, x: 1}\nb3: &b3 {<<: *b2, x: 2}\nc: [{<<: *b3, x: 3}, *b2]",
        "b1: &b1 {x: 0}\nb2: &b2 {x: 1}\nl: &l [*b1, *b2]\nc: &c {<<: [*b1, *b2]}\nd: {e: {<<: [*c, *b2], x: 5}}",
        "a: {i: &i {<<: {x: 1}, x: 2}}\nb: {j: &j {<<: *i, x: 3}}\nc: {<<: *j}\nd: {<<: *j, y: 1}",
    ],
    ids=["deep", "chain", "lists", "inline"],
)
def test_merges_of_merges_are_sound(text):
    assert reading.parse_yaml(text, "x") == yaml.safe_load(text)


@pytest.mark.parametrize("text", ["0.25", "1e-3", "1/250", "3", ".5", "+2"])
def test_numbers_as_people_write_them(text):
    assert reading.positive_number(text) > 0


@pytest.mark.parametrize(
    "text", ["1e999999999", "1e999", "1/0", "0", "-1", "nan", "inf", "1_0", "٣", "1" * 41, "", "1/1e9"]
)
def test_numbers_that_would_be_computed_without_end_or_are_none(text):
    with pytest.raises(ValueError, match=r"no number|no finite number|not a positive"):
        reading.positive_number(text)


def test_a_name_that_no_file_system_takes_is_nothing(tmp_path):
    (tmp_path / "there").mkdir()
    assert reading.is_folder(tmp_path / "there") and reading.exists(tmp_path / "there")
    for name in ("a" * 300, "a/" * 3000, "a\0b"):
        assert not reading.is_folder(tmp_path / name) and not reading.exists(tmp_path / name)


def test_names_are_shown_without_what_a_terminal_obeys():
    assert reading.shown("a\x1b[31m\nb\ud800\u202e") == r"a\x1b[31m\nb\ud800\u202e"
    assert len(reading.shown("x" * 10_000)) < 300 and reading.shown("é (1)") == "é (1)"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("9" * 6000, "a number has 6,000 digits, more than the 1,000 that are read"),
        ("-" + "0x" + "f" * 6000, "a number has 6,003 digits"),
        ("1:30", "a value is 1:30, base 60 to some programs; put it in quotes if text is meant"),
        ("-190:20:30.15", "a value is -190:20:30.15, base 60"),
    ],
)
def test_numbers_that_two_programs_read_differently_are_refused_with_their_line(value, said):
    with pytest.raises(UsageError, match=r"x: not valid YAML: .*\(line 2, column 4\)") as caught:
        reading.parse_yaml(f"a: 1\nb: {value}\n", "x")
    assert said in str(caught.value)
    assert reading.parse_yaml(f"a: '{value[:50]}'", "x") == {"a": value[:50]}


def test_long_numbers_in_json_are_told_in_our_words(tmp_path):
    (tmp_path / "a.json").write_text(f'{{"a": {"9" * 6000}}}')
    with pytest.raises(UsageError, match=r"a\.json: not valid JSON \(a number has thousands of digits\)"):
        reading.read_json(tmp_path / "a.json")


@pytest.mark.parametrize(
    "text", ["6_6.6", "\u0663", "\uff11", "nan", "inf", "1e999", "0x10", "1 2", "", "1/2", "9" * 2000]
)
def test_what_only_python_takes_for_a_number_is_none(text):
    with pytest.raises(ValueError, match="is no number"):
        reading.number(text)


@pytest.mark.parametrize("text", ["-0.25", "1e-3", "+2.", " .5 ", "6.6E+2"])
def test_numbers_are_read_as_python_reads_them(text):
    assert reading.number(text) == float(text)


@pytest.mark.parametrize("text", ["6_6", "6_6.6", "\u0663", "\u0663/2", "1_0/2"])
def test_fractions_have_plain_digits_too(text):
    with pytest.raises(ValueError, match="is no number"):
        reading.positive_number(text)


@pytest.mark.parametrize("value", ["1_000", "6_6.6", "0x1_0"])
def test_numbers_with_underscores_differ_between_yaml_readers(value):
    with pytest.raises(UsageError, match=f"a value is {value}, a number to some programs; leave the underscores out"):
        reading.parse_yaml(f"a: {value}", "a.yaml")
