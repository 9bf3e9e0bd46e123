"""A network on validation places while it trains: the whole pictures' PSNR-mu, and no say in the training."""

import numpy as np
import pytest
import torch

from bench.color.transfer import mu_law
from bench.core.errors import UsageError
from bench.core.registry import methods
from bench.stages.training import inputs
from bench.stages.training.validation import network_observer, validation


class Reference(torch.nn.Module):
    """Answers with the reference's radiance."""

    def __init__(self):
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, frames):
        assert not self.training
        return frames[:, 1, 3:]


def observer(site, every=4, registration="none"):
    network = Reference().train()
    return network, network_observer(site.params, "panoramas", network, methods["olc"], registration, every)


def test_it_is_the_mean_psnr_mu_of_the_validation_scenes(site):
    assert validation(site.params, "panoramas") == ["validation"]
    network, observe = observer(site)
    scenes = inputs.read_split(site.params, "panoramas", "validation")
    errors = [mu_law(np.clip(scene.linear[1], 0, 1)) - mu_law(scene.radiance) for scene in scenes]
    wanted = np.mean([-10 * np.log10((error.astype(np.float64) ** 2).mean()) for error in errors])
    found = observe()
    assert set(found) == {"held_out_psnr-mu"}
    assert found["held_out_psnr-mu"] == pytest.approx(wanted, abs=1e-3)
    assert network.training


def test_nothing_is_measured_unless_asked_for(site):
    assert observer(site, every=0)[1]() == {}


def test_a_set_without_validation_places_is_refused(site, monkeypatch):
    monkeypatch.setattr("bench.stages.training.validation.validation", lambda *_: [])
    with pytest.raises(UsageError, match=r"panoramas has no scenes for validation\. Set stage2\.observe_every to 0"):
        observer(site)
