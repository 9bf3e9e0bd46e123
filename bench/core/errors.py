"""Mistakes and failures that end a command with a sentence instead of a traceback."""

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST = 2000
"""Characters of a line of a message; the longest of ours, with many names, has some hundred."""


def printable(text: str) -> str:
    """Return the text with escapes in the place of what can't be printed, line breaks too."""
    return "".join(c if c.isprintable() and not 0xD800 <= ord(c) < 0xE000 else ascii(c)[1:-1] for c in text)


class BenchError(Exception):
    """A failure whose message says what was wrong, where, what was expected and what to do next."""

    exit_code = 1

    def __str__(self) -> str:
        """Return the message with lines that can be printed and are not endless, whatever a file has put into them."""
        lines = (printable(line) for line in str(self.args[0] if self.args else "").split("\n"))
        half = LONGEST // 2
        return "\n".join(line if len(line) <= LONGEST else f"{line[:half]}...{line[-half:]}" for line in lines)


class UsageError(BenchError):
    """The user's input is at fault: a file, a name, a parameter."""

    exit_code = 2


class CodeFault(UsageError):
    """A file of a method, dataset or metric isn't Python, or its card is at fault: not what named it, nor its file."""


class DiskFull(UsageError):
    """A file couldn't be written for lack of space: no fault of the scene at hand, and the next one would fail too."""


class Incomplete(UsageError):
    """Files of a dataset are missing; a caller that knows the profile adds the command that fetches them."""


class CheckFailed(UsageError):
    """A scene contradicts its dataset's description; `check` is the name in `bench.data.checks.CHECKS`."""

    def __init__(self, message: str, check: str) -> None:
        """Take the sentence and the name of the check."""
        super().__init__(message, check)
        self.check = check


class TrainingFailed(BenchError):
    """A training can't go on: a loss or a gradient is not finite."""


class TrainingPaused(BenchError):
    """A training's time is up, by --max-minutes or SIGTERM: its state is saved, its results aren't written."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: try the same again


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a sentence with the known names that are nearest to `name`, with all of them if none is near."""
    names = sorted(known)
    near = get_close_matches(name[:200], names, n=3, cutoff=0.5)  # its time grows with the square of the length
    if near:
        return f"Did you mean {' or '.join(repr(n) for n in near)}?"
    # Some come from files: a table's columns. What can't be printed is escaped; bench.core.reading imports this module.
    return f"Known: {', '.join(n if n.isprintable() else repr(n) for n in names)}."


def unknown_name(noun: str, name: str, known: Iterable[str]) -> UsageError:
    """Return the error for a name that no registry or parameter file holds, with the nearest known names."""
    return UsageError(f"no {noun} is called {name!r}. {nearest(name, known)}")


def not_python(error: Exception, where: str) -> CodeFault:
    """Return the error for a source, called `where`, that Python can't read; with the line where `error` knows it."""
    line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
    reason = error.msg if isinstance(error, SyntaxError) else str(error) or "nested too deeply"
    return CodeFault(f"{where}{line}: this isn't Python ({reason}); correct the file, or move it away.")
