"""What is kept of costs, against counts anew at full size."""

import pytest
import torch

from bench.cli.settings import profiles
from bench.core.params import load
from bench.core.registry import methods
from bench.nn import windows
from bench.stages.cost import counting, counts
from bench.train.learner import HdrLearner
from tests.stages.cost.test_counting import STAGE2, TRANSFORMERS, plain_attention, step_of


@pytest.mark.parametrize("method", TRANSFORMERS)
def test_published_attention_is_counted_at_once(method, monkeypatch):
    one, four = (step_of(method, "published", batch=batch, size=128) for batch in (1, 4))
    assert four.operators <= 1.05 * one.operators and four.traffic <= 4 * one.traffic
    monkeypatch.setattr(windows, "_attend_at_once", plain_attention)
    assert four.traffic == pytest.approx(step_of(method, "published", batch=4, size=128).traffic, rel=0.1)


def test_fake_tensors_pass_by_as_real_ones():
    """SCTNet as published: 3,416 operators and 31.4 GB for 128x128 pixels, Adam's apart, whatever tensors are."""
    found = step_of("sctnet", "published", batch=1, size=128)
    learner = HdrLearner(methods["sctnet"].build("published"), STAGE2, None)
    frames, truth = torch.rand(1, 3, 6, 128, 128), torch.rand(1, 3, 128, 128)
    with counting._as_on_a_gpu(), counting._Counter() as passed:
        torch.stack(list(learner.losses("network", frames, truth, 0, slice(0, 1)).values())).sum().backward()
    assert (found.operators, found.flops) == (passed.operators, passed.flops)
    assert found.traffic == passed.traffic + counting.ADAM * found.trainable
    assert (passed.operators, passed.traffic) == pytest.approx((3416, 31.4e9), rel=0.02)


def test_the_file_is_what_is_counted_today():
    """Also where the hash of the code says so."""
    wanted = counts._all([load(path) for path in profiles().values()])
    assert {key: counts._count(one) for key, one in wanted.items()} == {
        key: counts._cost(counts._kept()[key]) for key in wanted
    }
