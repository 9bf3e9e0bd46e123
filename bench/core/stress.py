"""Settings of the stress test: what makes a bracket hard, knob by knob, and the values that each is turned to."""

from typing import NamedTuple, Self

from pydantic import Field, model_validator

from bench.core.section import Section

NEUTRAL = "neutral"
"""Name of a view's take with no knob turned."""

BETWEEN = "--"
"""Stands in a scene's name between its view and how that was taken."""


class Knob(NamedTuple):
    """A knob: what it is in words, its values' unit, and whether an axis of them is logarithmic."""

    title: str
    unit: str
    logarithmic: bool = False


KNOBS = {
    "step": Knob("EV between frames", "EV"),
    "speed": Knob("motion of objects from frame to frame", "px"),
    "rotation": Knob("rotation of the camera between frames", "degrees"),
    "translation": Knob("translation of the camera between frames", "m"),
    "electrons": Knob("electrons of a pixel that just saturates", "e-", logarithmic=True),
    "saturated": Knob("saturated pixels of the reference frame", "%", logarithmic=True),
}
"""Every knob, in the order of tables and figures; each is a field of `Stress`."""

Values = tuple[float, ...]


class Take(NamedTuple):
    """One way to take a view.

    name   : behind `BETWEEN` in its scene's name: a knob and the number of its value from 1, or `NEUTRAL`.
    knob   : the one that is turned, "" for none.
    values : of every knob.
    """

    name: str
    knob: str
    values: dict[str, float]


class Stress(Section):
    """Values of each knob from the easiest to the hardest, and where it stands while another is turned."""

    step: Values = Field(default=(1, 1.5, 2, 3, 4), min_length=2, description="the reference's exposure stays")
    speed: Values = Field(default=(0, 5, 10, 20, 40), min_length=2, description="pixels from one frame to the next")
    rotation: Values = Field(default=(0, 0.5, 1, 2, 4), min_length=2, description="deviation about each axis, degrees")
    translation: Values = Field(default=(0, 0.03, 0.06, 0.1, 0.15), min_length=2, description="metres")
    electrons: Values = Field(
        default=(100_000, 20_000, 5_000, 1_500, 500), min_length=2, description="sets the shot noise"
    )
    saturated: Values = Field(
        default=(2, 5, 10, 20, 40), min_length=2, description="percent of the reference frame, wanted"
    )
    neutral: dict[str, float] = Field(
        default={"step": 2, "speed": 10, "rotation": 0.5, "translation": 0.03, "electrons": 20_000, "saturated": 5},
        description="knob -> the one of its values that it has while another is turned",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        for knob in KNOBS:
            values = self.values(knob)
            if list(values) not in (sorted(set(values)), sorted(set(values), reverse=True)):
                raise ValueError(f"{knob}: values go from easy to hard, each once; got {list(values)}")
            if min(values) < 0 or (knob in ("step", "electrons", "saturated") and min(values) == 0):
                raise ValueError(f"{knob}: values must be positive; got {list(values)}")
            if self.neutral.get(knob) not in values:
                raise ValueError(f"neutral.{knob} must be one of the knob's values, {list(values)}")
        if max(self.saturated) >= 100:
            raise ValueError("saturated: percent of the reference frame, below 100")
        if unknown := sorted(set(self.neutral) - set(KNOBS)):
            raise ValueError(f"neutral names {', '.join(unknown)}, which is no knob; known: {', '.join(KNOBS)}")
        return self

    def values(self, knob: str) -> Values:
        """Return the values of a knob, from easy to hard."""
        found: Values = getattr(self, knob)
        return found

    def take(self, knob: str, number: int) -> str:
        """Return the name of the take with a knob at its value `number`, from 1: the neutral one where it stands so."""
        return NEUTRAL if self.values(knob)[number - 1] == self.neutral[knob] else f"{knob}-{number}"

    def takes(self) -> list[Take]:
        """List the ways to take each view: neutrally, then with one knob turned, value by value."""
        found = [Take(NEUTRAL, "", dict(self.neutral))]
        for knob in KNOBS:
            for number, value in enumerate(self.values(knob), 1):
                if (name := self.take(knob, number)) != NEUTRAL:
                    found.append(Take(name, knob, {**self.neutral, knob: value}))
        return found
