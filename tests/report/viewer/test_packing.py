import numpy as np
import pytest

from bench.color.transfer import MU
from bench.core.seeding import generator
from bench.report.viewer import packing
from tests.report.viewer.reading import radiance, to_bytes, unpack


def pictures(count, height=20, width=28, name="pictures"):
    """Radiance of pictures that share their noise, as methods on the same frames do."""
    rng = generator(3, name)
    y, x = np.mgrid[0:height, 0:width]
    scene = np.exp(-((x - 9) ** 2 + (y - 6) ** 2) / 40)[..., None] * (1.0, 0.8, 0.5) + 0.002
    noise = rng.normal(1, 0.1, scene.shape)
    return [
        np.clip(scene * (noise if index else 1) + 0.003 * index, 0, None).astype(np.float32) for index in range(count)
    ]


def header(packed):
    return packed.header(), packed.body


def test_decoded_radiance_is_as_near_as_stated():
    light = pictures(3)
    light[2][4, 5] = (0.0, 1.0, 1.7)
    packed = packing.pack([packing.codes(one) for one in light])
    for one, found in zip(light, radiance(unpack(*header(packed), 20, 28)), strict=True):
        assert np.all(np.abs(found - one) <= np.expm1(packing.ROUNDING + 1e-6) * (one + 1 / MU))
    assert 0.01 < packing.ROUNDING < 0.014


@pytest.mark.parametrize("bins", [1, 8])
@pytest.mark.parametrize("channels", [1, 3])
def test_codes_come_back_unchanged(channels, bins):
    rng = generator(4, "codes")
    noise = [rng.integers(0, packing.HIGHEST + 1, (7, 9, channels)).astype(np.int32) for _ in range(3)]
    flat = [np.full((7, 9, channels), packing.HIGHEST, np.int32)] * 2  # equal planes have no one best weight
    for made in (noise, flat, noise[:1]):
        packed = packing.pack(made, bins)
        assert np.array_equal(unpack(*header(packed), 7, 9), np.stack(made))


def test_what_cannot_be_shown_is_dark_or_the_brightest():
    found = packing.codes(np.array([[[np.nan, -1.0, np.inf]]], np.float32))
    assert found.tolist() == [[[0, 0, packing.HIGHEST]]]


def test_pictures_of_the_same_frames_cost_less_together():
    made = [packing.codes(one) for one in pictures(4, 60, 80)]
    together = len(packing.pack(made).body)
    assert together < 0.8 * sum(len(packing.pack([one]).body) for one in made)
    again = len(packing.pack([*made, made[-1]]).body) - together
    assert again < 0.06 * together  # a method that returns the reference frame costs its weights


def test_equal_pictures_give_equal_bytes():
    first, second = ([packing.codes(one) for one in pictures(3)] for _ in range(2))
    assert packing.pack(first) == packing.pack(second)


@pytest.mark.parametrize("length", range(9))
def test_text_comes_back_as_bytes(length):
    body = bytes((37 * index + length) % 256 for index in range(length))
    escaped = packing.as_text(body)
    assert to_bytes(escaped.encode().decode("unicode_escape") if "\\" in escaped else escaped) == body


def test_text_is_fit_for_a_string_in_a_script():
    body = generator(5, "text").bytes(20_000)
    text = packing.as_text(body)
    assert not {"\0", "\n", "\r"} & set(text)
    assert '"' not in text.replace('\\"', "")
    assert len(text.encode()) < 1.2 * len(body)
