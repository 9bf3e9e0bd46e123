"""ADNet against the authors' network.

golden/adnet_64x64*.npz: output and last convolution of the public class (liuzhen03/ADNet, full size) in float64 on CPU,
with weights and input that follow the rule of rule.py; in the stress case offsets are 16 times as large, many samples
outside the image. Tolerance: the stored copy rounds float64 results to float32; in float32 the authors' own differs
from their float64 result by up to 2e-6.
"""

import numpy as np
import pytest
import torch

from bench.core.registry import methods

from . import rule

CASES = ("adnet_64x64", "adnet_64x64_stress")
PRECISION = {torch.float64: 1e-6, torch.float32: 5e-5}


def load(gain=None):
    network = methods["adnet"].build("published")
    methods["adnet"].load_published(network, rule.public_state("adnet", gain))
    return network


@pytest.mark.parametrize("dtype", PRECISION)
@pytest.mark.parametrize("name", CASES)
def test_it_equals_the_authors_network(name, dtype):
    case = rule.case(name)
    network = load(case.gain).to(dtype)
    out, last = rule.run(network, rule.frames(*case.size, dtype=dtype), network.head.last)
    np.testing.assert_allclose(out, case.arrays["out"], rtol=0, atol=PRECISION[dtype])
    np.testing.assert_allclose(last, case.arrays["last_conv"], rtol=0, atol=PRECISION[dtype])


def test_other_sizes_are_reflected_to_multiples_of_four():
    """70 x 50 lies in 72 x 52 with the rows and columns before the border after it."""
    network, frames = load().double(), rule.frames(70, 50)
    padded = torch.nn.functional.pad(frames.flatten(1, 2), (0, 2, 0, 2), mode="reflect").view(1, 3, 6, 72, 52)
    out, wanted = (rule.run(network, given)[0] for given in (frames, padded))
    np.testing.assert_array_equal(out, wanted[..., :70, :50])


def test_it_starts_without_offsets():
    network = methods["adnet"].build("smoke")
    assert all(not p.any() for name, p in network.named_parameters() if ".steering." in name)
