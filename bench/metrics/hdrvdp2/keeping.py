"""Cache of what depends only on sizes and settings."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

import torch

Given = ParamSpec("Given")
Made = TypeVar("Made")


def kept(most: int) -> Callable[[Callable[Given, Made]], Callable[Given, Made]]:
    """Keep the last `most` results of a function by its arguments, which must be hashable.

    Results are made outside `torch.inference_mode`, whose tensors no gradient can pass: a kept one would break the loss
    for the rest of the process.
    """

    def decorate(function: Callable[Given, Made]) -> Callable[Given, Made]:
        @lru_cache(maxsize=most)
        @wraps(function)
        def made(*arguments: Given.args, **options: Given.kwargs) -> Made:
            with torch.inference_mode(False), torch.no_grad():
                return function(*arguments, **options)

        return made  # type: ignore[return-value]

    return decorate
