"""The learner of HDR networks: what is compiled is what the losses call."""

import pytest
import torch

from bench.core.optimisation import Stage2
from bench.core.registry import methods
from bench.train.learner import HdrLearner

TRAINED = [name for name, card in methods.items() if card.trains and not card.unavailable]


@pytest.mark.parametrize("as_published", [False, True], ids=["common", "published"])
@pytest.mark.parametrize("name", TRAINED)
def test_the_losses_call_what_was_compiled(name, as_published, monkeypatch):
    calls = []

    def counting(target, **options):
        assert options["mode"] == "default"
        return lambda *given: calls.append(name) or target(*given)

    monkeypatch.setattr(torch, "compile", counting)
    options = {"prior": "none"} if name == "olc" else {}
    network = methods[name].build("smoke", **options)
    learner = HdrLearner(network, Stage2(steps=1), None, as_published=as_published)
    learner.compile("default")
    learner.losses("network", torch.rand(2, 3, 6, 32, 32), torch.rand(2, 3, 32, 32), 0, slice(0, 2))
    assert calls == [name]
