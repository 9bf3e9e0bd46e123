"""The base of every part of the parameter file."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A part of the parameter file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def silent(value: Any, reason: str, **limits: Any) -> Any:
    """Declare a field on which the paper is silent, with our default and the reason for it."""
    return Field(default=value, json_schema_extra={"decided": reason}, **limits)
