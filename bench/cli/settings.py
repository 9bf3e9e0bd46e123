"""Options before the verb and options of several verbs, and the surroundings in which a verb runs."""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.core import progress
from bench.core.errors import BenchError, UsageError, unknown_name
from bench.io.files import FULL

if TYPE_CHECKING:
    from bench.core.params import Params

ROOT = Path(__file__).resolve().parents[2]

Json = Annotated[bool, typer.Option("--json", help="Print everything as JSON.")]

DEMO = "demo"
"""The profile whose parameter file lies in the project's root."""


class Interrupted(BenchError):
    """The user pressed Ctrl-C."""

    exit_code = 130


@dataclass(frozen=True)
class Settings:
    """The options before the verb: which parameter file, and whether to be quiet."""

    params_file: Path
    quiet: bool

    def load(self) -> "Params":
        """Read and check the parameter file."""
        from bench.core.params import load

        return load(self.params_file)


def locate(params_file: Path) -> Path:
    """Find a parameter file relative to the current folder, else to the project's root.

    The result is relative to the root where it lies inside, so that messages are the same from everywhere.
    """
    # Not Path.exists, which raises for a name that is too long or a folder that may not be entered.
    path = Path.cwd() / params_file if os.path.lexists(Path.cwd() / params_file) else ROOT / params_file
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def profiles() -> dict[str, Path]:
    """Return the parameter files of all profiles, relative to the root, by the profile's name."""
    files = {path.parent.name: path.relative_to(ROOT) for path in sorted(ROOT.glob("profiles/*/params.yaml"))}
    return {**files, DEMO: Path("params.yaml")}


def find_profile(profile: str) -> Path:
    """Return a profile's parameter file; UsageError with the known names if there is none."""
    files = profiles()
    if profile not in files:
        raise unknown_name("profile", profile, files)
    return files[profile]


@contextlib.contextmanager
def workplace() -> Iterator[None]:
    """Work in the project's root, and turn what a user can cause into one sentence."""
    os.chdir(ROOT)
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted("interrupted; the same command goes on with what isn't finished.") from error
    except OSError as error:
        if error.errno not in FULL:
            raise
        where = f" while writing {error.filename}" if error.filename else ""
        raise UsageError(f"the disk is full{where}; free some space and run the same command again.") from error


def quietly(settings: Settings, work: Callable[[], None]) -> None:
    """Run `work`; --quiet suppresses its progress and output, but not errors on stderr."""
    progress.quiet = settings.quiet
    with contextlib.ExitStack() as stack:
        if settings.quiet:
            nowhere = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8", errors="backslashreplace"))
            stack.enter_context(contextlib.redirect_stdout(nowhere))
        work()
