"""Speed and memory of the search for the nearest code, against the bare product of all vectors and codes."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from methods.olc.codebook import SCORES_CPU, Codebook, nearest

VECTORS, CODES, WIDTH = (8, 32, 32), 1024, 256


class Largest(TorchDispatchMode):
    """Remembers the number of elements of the largest tensor that an operator returns."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        sizes = [tensor.numel() for tensor in tree_leaves(out) if isinstance(tensor, torch.Tensor)]
        self.elements = max([self.elements, *sizes])
        return out


@pytest.fixture
def given():
    stream = torch.Generator().manual_seed(0)
    vectors = torch.randn(8 * 32 * 32, WIDTH, generator=stream)
    return vectors, torch.randn(CODES, WIDTH, generator=stream)


@pytest.mark.timed
@pytest.mark.usefixtures("one_thread")
def test_the_search_takes_at_most_half_as_long_again_as_the_product(given, race, ratio):
    vectors, book = given
    ours, product = race(lambda: nearest(vectors, book), lambda: vectors @ book.T, rounds=6)
    print(f"\nnearest of {CODES}: {1e3 * ours:.0f} ms, bare product {1e3 * product:.0f} ms: {ours / product:.2f} times")
    ratio(product / ours)
    assert ours <= 1.5 * product


def test_the_found_codes_are_those_of_plain_float32_distances(given):
    """Only where two codes are as near as float32 can tell may the index be another."""
    vectors, book = given
    indices = nearest(vectors, book)
    exact = torch.cdist(vectors.double(), book.double())
    found = exact.gather(1, indices[:, None])[:, 0]
    torch.testing.assert_close(found, exact.amin(1), rtol=1e-6, atol=0)
    assert (indices == exact.argmin(1)).double().mean() > 0.999


@pytest.mark.parametrize("kinds", [3, torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])], ids=["batch", "sample"])
def test_no_tensor_of_all_differences_is_made(kinds):
    """The largest tensor is the features themselves: 2 Mi elements, where the differences would be 2 Gi."""
    book = Codebook(CODES, WIDTH, "olc")
    features = torch.randn(VECTORS[0], WIDTH, *VECTORS[1:])
    with Largest() as seen:
        book(features, kinds)
    assert seen.elements == features.numel()
    assert seen.elements > SCORES_CPU


@pytest.mark.usefixtures("one_thread")
def test_speed(given, benchmark):
    benchmark(nearest, *given)
