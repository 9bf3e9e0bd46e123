"""The base of every part of the parameter file."""

import re
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
    """Return what a model found, at most five faults, in sentences for who writes YAML, with the dotted path of each.

    where : path of the part that was checked; a fault of the whole, without one, has no path.
    """
    found: dict[str, list[Any]] = {}
    for fault in error.errors():
        place = ".".join([*([where] if where else []), *(str(key) for key in fault["loc"] if not _is_tag(key))])
        found.setdefault(place, []).append(fault)
    # Of several kinds that a value may be, the one that it fits best knows the place within it.
    deepest = [place for place in found if not any(other.startswith(f"{place}.") for other in found)]
    told = [f"{place}: {_sentence(found[place])}" if place else _sentence(found[place]) for place in deepest[:5]]
    return "; ".join(shown(one) for one in told)


EXPECTED = {
    **dict.fromkeys(("dict_type", "mapping_type", "model_type"), "a mapping such as {name: value}"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "an integer such as 3"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number such as 0.5"),
}
"""pydantic's fault -> what YAML would have to hold."""

BEGINNINGS = {
    "Input should be greater": "a number greater", "Input should be less": "a number less", "Input should be ": "",
    "String should have ": "", "String should match pattern": "text that matches",
}  # fmt: skip
"""Beginning of pydantic's sentence -> that of ours, which continues "expected"; the first that fits."""


def _is_tag(key: Any) -> bool:
    """Tell whether a part of a fault's place is none of the file's: which of several kinds was tried."""
    return isinstance(key, str) and bool(re.fullmatch(r"(tuple|dict|literal)?\[.*\]|constrained-\w+|float|bool", key))


def _sentence(faults: list[Any]) -> str:
    """Return what is wrong at one place: of a value that may be of several kinds, each kind's fault is among them."""
    wanted = dict.fromkeys(expected for fault in faults if (expected := _expected(fault)))
    if wanted:
        given = faults[0]["input"]
        return f"expected {' or '.join(wanted)}, got {repr(given) if isinstance(given, str) else _as_yaml(given)}"
    kind, said = faults[0]["type"], str(faults[0]["msg"])
    if kind == "extra_forbidden":
        return "unknown key; remove it or check its spelling"
    return "missing" if kind == "missing" else said.removeprefix("Value error, ")


def _expected(fault: Any) -> str:
    """Return what was expected, "" for a fault that isn't told so."""
    kind, said, given = fault["type"], str(fault["msg"]), fault["input"]
    single = isinstance(given, str | int | float)
    if kind in ("tuple_type", "list_type"):
        return f"a list such as [{_as_yaml(given)}]" if single else "a list such as [a, b]"
    if kind == "string_type":
        return f"text such as {str(given)!r}" if single else "text"
    if kind in ("too_long", "too_short"):
        least, most = fault["ctx"].get("min_length"), fault["ctx"].get("max_length")
        return f"at least {least} in the list" if most is None else f"at most {most} in the list"
    if kind in EXPECTED:
        return EXPECTED[kind]
    return next((ours + said.removeprefix(start) for start, ours in BEGINNINGS.items() if said.startswith(start)), "")


def _as_yaml(value: Any) -> str:
    """Return a value as YAML has it, "nothing" for null."""
    if isinstance(value, bool):
        return str(value).lower()
    return "nothing" if value is None else str(value)
