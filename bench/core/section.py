"""The base of every part of the parameter file."""

import re
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from bench.core.reading import is_number, shown

LARGEST = 2**53
"""The largest number of a parameter file. Up to it tables hold integers exactly, also in a column with gaps."""


def as_written(model: type[BaseModel], value: Any, info: ValidationInfo) -> Any:
    """Refuse what pydantic would turn into the field's type without a word: see `need_kind`; a validator of fields."""
    need_kind(value, model.model_fields[str(info.field_name)].annotation)
    return value


def need_kind(value: Any, kind: Any) -> None:
    """Raise ValueError for true, text or 3.0 where an annotation has integers, for 1 or "yes" where it has booleans.

    Where it has fractions, text that is a number passes: YAML 1.1 reads 1e-3, without a point, as text. Looked for at
    any depth of lists and mappings; whatever else doesn't fit, pydantic tells.
    """
    kinds = list(_alternatives(kind))
    if isinstance(value, Mapping | list | tuple):
        for container in kinds:
            inner = [one for one in get_args(container) if one is not Ellipsis]
            if isinstance(value, Mapping) and get_origin(container) in (dict, Mapping):
                for one in value.values():
                    need_kind(one, inner[1])
            elif not isinstance(value, Mapping) and get_origin(container) is tuple:
                for one, its in zip(value, inner if len(inner) > 1 else inner * len(value), strict=False):
                    need_kind(one, its)
        return
    plain = {one for one in (int, float, bool) if one in kinds}
    words = [word for one in kinds for word in _words(one)]
    taken = {one for one in (str, Any) if one in kinds} or value in words
    if not plain or taken or type(value) in plain or not isinstance(value, int | float | str):
        return
    whole = type(value) is int or (isinstance(value, str) and is_number(value))
    if float not in plain or not whole:
        expected = " or ".join([*(NAMES[one] for one in NAMES if one in plain), *map(repr, words)])
        raise ValueError(f"expected {expected}, got {value!r}")


NAMES = {int: "an integer such as 3", float: "a number such as 0.5", bool: "true or false"}


def _alternatives(kind: Any) -> Iterator[Any]:
    """Yield the types that an annotation allows, without what limits them."""
    if get_origin(kind) is Annotated:
        yield from _alternatives(get_args(kind)[0])
    elif get_origin(kind) in (Union, UnionType):
        for one in get_args(kind):
            yield from _alternatives(one)
    else:
        yield kind


def _words(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) is Literal else ()


class Section(BaseModel):
    """A part of the parameter file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    _as_written = field_validator("*", mode="before")(classmethod(as_written))

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
    if kind in ("tuple_type", "list_type", "sequence_str", "is_instance_of"):  # the last two: of a Sequence
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
