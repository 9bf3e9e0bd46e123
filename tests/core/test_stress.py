"""Settings of the stress test: which ways to take a view they give, and which they refuse."""

import pytest
from pydantic import ValidationError

from bench.core.stress import KNOBS, NEUTRAL, Stress

SHORT = {
    "step": (2, 3), "speed": (0, 8), "rotation": (0, 1), "translation": (0, 0.05), "electrons": (9000, 900),
    "saturated": (5, 20),
    "neutral": {"step": 2, "speed": 0, "rotation": 1, "translation": 0, "electrons": 9000, "saturated": 5},
}  # fmt: skip


def test_each_take_turns_one_knob_and_the_neutral_one_none():
    settings = Stress()
    takes = {take.name: take for take in settings.takes()}
    assert len(takes) == len(settings.takes()) == 1 + sum(len(settings.values(knob)) - 1 for knob in KNOBS)
    assert takes[NEUTRAL].values == settings.neutral and takes[NEUTRAL].knob == ""
    for name, take in takes.items():
        turned = [knob for knob in KNOBS if take.values[knob] != settings.neutral[knob]]
        assert turned == ([] if name == NEUTRAL else [take.knob])


def test_five_values_of_each_knob_span_what_the_issue_asks_for():
    settings = Stress()
    assert all(len(settings.values(knob)) == 5 for knob in KNOBS)
    assert (settings.step[0], settings.step[-1]) == (1, 4)
    assert (settings.speed[0], settings.speed[-1]) == (0, 40)
    assert (settings.electrons[0], settings.electrons[-1]) == (100_000, 500)
    assert (settings.saturated[0], settings.saturated[-1]) == (2, 40)


def test_a_knob_at_its_neutral_value_is_the_neutral_take():
    settings = Stress.model_validate(SHORT)
    assert [settings.take("rotation", number) for number in (1, 2)] == ["rotation-1", NEUTRAL]
    assert [take.name for take in settings.takes()] == [
        NEUTRAL, "step-2", "speed-2", "rotation-1", "translation-2", "electrons-2", "saturated-2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"speed": (0, 8, 4)}, "speed: values go from easy to hard"),
        ({"speed": (0, 0)}, "each once"),
        ({"electrons": (900, 0)}, "electrons: values must be positive"),
        ({"rotation": (-1, 1)}, "rotation: values must be positive"),
        ({"speed": (4, 8)}, r"neutral\.speed must be one of the knob's values, \[4\.0, 8\.0\]"),
        ({"saturated": (5, 100)}, "percent of the reference frame, below 100"),
        ({"neutral": {**SHORT["neutral"], "colour": 1}}, "neutral names colour, which is no knob"),
    ],
)
def test_bad_values_are_refused(changes, said):
    with pytest.raises(ValidationError, match=said):
        Stress.model_validate({**SHORT, **changes})
