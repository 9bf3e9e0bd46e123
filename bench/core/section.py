"""The base of every part of the parameter file."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from bench.core.reading import shown

LARGEST = 2**53
"""The largest number of a parameter file. Up to it tables hold integers exactly, also in a column with gaps."""


class Section(BaseModel):
    """A part of the parameter file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*")
    @classmethod
    def _numbers(cls, value: Any) -> Any:
        """Refuse what isn't finite or is too large to be computed with, however deep it stands."""
        need_numbers(value)
        return value


def need_numbers(value: Any) -> None:
    """Raise ValueError if `value`, or anything in its lists and mappings, is a number above `LARGEST` or not finite."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for inner in value:
            need_numbers(inner)
    elif isinstance(value, int | float) and not abs(value) <= LARGEST:  # also of NaN
        number = f"{value}" if isinstance(value, float) else f"an integer of {value.bit_length()} bits"
        raise ValueError(f"{number} is too large or no number; expected a finite one of at most {LARGEST:,}")


def silent(value: Any, reason: str, **limits: Any) -> Any:
    """Declare a field on which the paper is silent, with our default and the reason for it."""
    return Field(default=value, json_schema_extra={"decided": reason}, **limits)


def faults(error: ValidationError, where: str = "") -> str:
    """Return what a model found, at most five faults, in sentences that begin with the field's dotted path.

    where : path of the part that was checked; a fault of the file as a whole, without one, is told of "file".
    """
    return "; ".join(shown(f"{_place(where, one)}: {_sentence(one)}") for one in error.errors()[:5])


def _place(where: str, fault: Any) -> str:
    return ".".join([*([where] if where else []), *map(str, fault["loc"])]) or "file"


def _sentence(fault: Any) -> str:
    if fault["type"] == "extra_forbidden":
        return "unknown key; remove it or check its spelling"
    return str(fault["msg"]).removeprefix("Value error, ")
