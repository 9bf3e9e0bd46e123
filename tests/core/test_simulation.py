"""The engine's settings refuse what would leak or can't be made."""

import pytest
from pydantic import ValidationError

from bench.core.simulation import Simulation


def test_the_default_uses_every_panorama_once() -> None:
    settings = Simulation()
    assert len({*settings.train, *settings.test}) == len(settings.train) + len(settings.test) == 8


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Simulation.model_fields.values())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"test": ("city", "forest")}, "views of one place must stay in one split"),
        ({"test": ("forest",)}, "test needs two panoramas or more"),
        ({"train": ("city", "city")}, "names a panorama twice"),
        ({"mid_saturated": (0.4, 0.1)}, "mid_saturated is a range and must rise"),
        ({"bit_depths": (9,)}, "bit_depths"),
        ({"wdith": 3}, "Extra inputs are not permitted"),
    ],
)
def test_contradictions_are_refused(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        Simulation(**change)
