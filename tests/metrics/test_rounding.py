"""Rounding to file formats against the files themselves."""

import cv2
import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.metrics.rounding import png16, rgbe

POSITIVE = st.floats(0, 2.0**20, width=32)


def through_a_file(image):
    """Write an .hdr with OpenCV and read it back: (H, W, 3) float32."""
    fine, buffer = cv2.imencode(".hdr", np.ascontiguousarray(image[..., ::-1]))
    assert fine
    return cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)[..., ::-1]


@settings(max_examples=100, deadline=None)
@given(arrays(np.float32, (4, 9, 3), elements=POSITIVE))
def test_rgbe_is_what_opencv_writes_and_reads(image):
    np.testing.assert_array_equal(rgbe(torch.from_numpy(image)).numpy(), through_a_file(image))


def test_rgbe_at_its_edges():
    pixels = [[1e-33, 0, 0], [1e-31, 2e-32, 0], [0.999, 0.998, 1], [255.9, 256, 3e5], [0.9999999, 0.5, 0.25], [0, 0, 0]]
    image = np.array([pixels], np.float32)
    np.testing.assert_array_equal(rgbe(torch.from_numpy(image)).numpy(), through_a_file(image))
    assert rgbe(torch.tensor([-1.0, 0.5, -0.1])).tolist() == [0, 0.5, 0]


@settings(max_examples=50, deadline=None)
@given(arrays(np.float64, (3, 4, 3), elements=st.floats(0, 1000)))
def test_rgbe_cuts_off_and_is_stable(image):
    values = torch.from_numpy(image)
    rounded = rgbe(values)
    assert bool((rounded <= values).all())
    assert bool((values - rounded <= values.amax(-1, keepdim=True) / 128 + 1e-32).all())
    assert torch.equal(rgbe(rounded), rounded)


@settings(max_examples=50, deadline=None)
@given(arrays(np.float32, (3, 4, 3), elements=st.floats(-1, 100, width=32)))
def test_png16_is_within_half_a_code_of_the_values(image):
    values = torch.from_numpy(image)
    rounded = png16(values)
    largest = float(values.max())
    if largest <= 0:
        assert not rounded.any()
        return
    assert float((rounded - values.clamp(min=0)).abs().max()) <= largest / 65535 * 0.5001 + 1e-7 * largest
    assert float(rounded.max()) == largest
    codes = np.rint(np.maximum(image, 0).astype(np.float64) * (65535 / largest)).astype(np.uint16)
    fine, buffer = cv2.imencode(".png", codes)
    assert fine
    read = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED).astype(np.float64) * (largest / 65535)
    np.testing.assert_allclose(rounded.numpy(), read, rtol=1e-6)
