"""What metrics raise. Inside the benchmark `bench/metrics/errors.py` stands here."""

from collections.abc import Iterable
from difflib import get_close_matches


class UsageError(ValueError):
    """The caller's input is at fault; the message says what was wrong, and what was expected."""


def unknown_name(noun: str, name: str, known: Iterable[str]) -> UsageError:
    """Return the error for a name that isn't among the known ones, with the nearest of them."""
    names = sorted(known)
    near = get_close_matches(name[:200], names, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else f"Known: {', '.join(names)}."
    return UsageError(f"no {noun} is called {name!r}. {hint}")
