"""ADNet: padding and the start of training; test_published.py compares it with the authors' network."""

import numpy as np
import torch

from bench.core.registry import methods

from . import rule


def test_other_sizes_are_reflected_to_multiples_of_four():
    """70 x 50 lies in 72 x 52 with the rows and columns before the border after it."""
    network, frames = methods["adnet"].build("published").double(), rule.frames(70, 50)
    padded = torch.nn.functional.pad(frames.flatten(1, 2), (0, 2, 0, 2), mode="reflect").view(1, 3, 6, 72, 52)
    out, wanted = (rule.run(network, given)[0] for given in (frames, padded))
    np.testing.assert_array_equal(out, wanted[..., :70, :50])


def test_it_starts_without_offsets():
    network = methods["adnet"].build("smoke")
    assert all(not p.any() for name, p in network.named_parameters() if ".steering." in name)
