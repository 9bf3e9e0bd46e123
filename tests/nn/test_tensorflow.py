"""Variables of TensorFlow graphs to parameters of ours."""

import numpy as np
import pytest
import torch
from torch import nn

from bench.core.errors import UsageError
from bench.nn.published import fill_tensorflow, variable


def test_a_kernel_turns_so_that_the_convolution_is_the_same():
    """By hand: TensorFlow's kernel [row, column, in, out] correlates without flipping."""
    kernel, image = np.random.default_rng(0).random((3, 3, 2, 4)), np.random.default_rng(1).random((5, 6, 2))
    wanted = np.array(
        [[np.tensordot(image[r : r + 3, c : c + 3], kernel, 3) for c in range(4)] for r in range(3)]
    ).transpose(2, 0, 1)
    found = nn.functional.conv2d(torch.from_numpy(image).permute(2, 0, 1)[None], variable(kernel))
    np.testing.assert_allclose(found[0].numpy(), wanted, rtol=1e-12)


def test_a_row_becomes_a_vector_and_a_vector_stays():
    assert variable(np.arange(3.0)[None]).shape == (3,)
    assert variable(torch.arange(3.0)).shape == (3,)


def test_filling_takes_listed_names_and_nothing_of_the_training():
    network, kernel = nn.Conv2d(2, 4, 3), np.ones((3, 3, 2, 4), np.float32)
    names = {"weight": "scope/w", "bias": "scope/b"}
    state = {"scope/w:0": kernel, "scope/b:0": torch.zeros(4), "scope/w/Adam:0": kernel, "global_step:0": 3}
    fill_tensorflow(network, names, state, label="X")
    assert (network.weight == 1).all() and (network.bias == 0).all()
    with pytest.raises(UsageError, match=r"not X's published weights: missing \[\], left over \['judge/w'\]"):
        fill_tensorflow(network, names, state | {"judge/w:0": kernel}, label="X")
    fill_tensorflow(network, names, state | {"judge/w:0": kernel}, label="X", ignored="judge/")


def test_shapes_of_another_network_are_refused_before_anything_changes():
    network = nn.Conv2d(2, 4, 3)
    before, names = network.weight.clone(), {"weight": "w", "bias": "b"}
    with pytest.raises(UsageError, match=r"b \(bias here\) is \[5\], expected \[4\]"):
        fill_tensorflow(network, names, {"w": np.ones((3, 3, 2, 4), np.float32), "b": np.zeros(5)}, label="X")
    assert torch.equal(network.weight, before)
