"""What is kept of costs, against counts anew at full size."""

import pytest

from bench.cli.settings import profiles
from bench.core.params import load
from bench.nn import windows
from bench.stages.cost import counts
from tests.stages.cost.test_counting import TRANSFORMERS, plain_attention, step_of


@pytest.mark.parametrize("method", TRANSFORMERS)
def test_published_attention_is_counted_at_once(method, monkeypatch):
    one, four = (step_of(method, "published", batch=batch, size=128) for batch in (1, 4))
    assert four.operators <= one.operators and four.traffic <= 4 * one.traffic
    if method == "sctnet":  # a count by others
        assert (one.operators, four.operators) == pytest.approx((23_760, 23_728), rel=0.02)
        assert (one.traffic, four.traffic) == pytest.approx((112e9, 376e9), rel=0.02)
    monkeypatch.setattr(windows, "_attend_at_once", plain_attention)
    assert one.traffic == pytest.approx(step_of(method, "published", batch=1, size=128).traffic, rel=0.1)


def test_the_file_is_what_is_counted_today():
    """Also where the hash of the code says so."""
    wanted = counts._all([load(path) for path in profiles().values()])
    assert {key: counts._count(one) for key, one in wanted.items()} == {
        key: counts._cost(counts._kept()[key]) for key in wanted
    }
