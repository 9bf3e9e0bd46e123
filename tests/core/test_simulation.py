"""The engine's settings refuse what would leak or can't be made."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from bench.core.simulation import Simulation

PANORAMAS = Path(__file__).resolve().parents[2] / "datasets" / "panoramas"


def test_the_default_uses_every_panorama_once() -> None:
    settings = Simulation()
    used = [name for names in settings.places.values() for name in names]
    assert sorted(used) == sorted(path.stem for path in PANORAMAS.glob("*.exr"))
    assert [len(names) for names in settings.places.values()] == [16, 3, 10]
    assert {*settings.indoors, *settings.roads} <= set(used)
    assert not set(settings.indoors) & set(settings.roads)


def test_what_covers_things_comes_from_the_same_split() -> None:
    settings = Simulation()
    for names in settings.places.values():
        for name in names:
            assert {name, *settings.neighbours(name)} == set(names)


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Simulation.model_fields.values())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"test": ("city", "forest")}, "views of one place must stay in one split"),
        ({"validation": ("city", "dancing_hall")}, "in train and in validation"),
        ({"electrons": (0.0, 10.0)}, "electrons must be above 0"),
        ({"radius": (1.0, 10.0)}, "the camera stands inside the dome"),
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
