"""The base of every part of the parameter file."""

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
    taken = {one for one in (str, Any) if one in kinds} or value in [word for one in kinds for word in _words(one)]
    if not plain or taken or type(value) in plain or not isinstance(value, int | float | str):
        return
    whole = type(value) is int or (isinstance(value, str) and is_number(value))
    if float not in plain or not whole:
        expected = " or ".join(NAMES[one] for one in NAMES if one in plain)
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
