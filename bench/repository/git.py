"""Questions to git."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bench.core.errors import UsageError


def ask(
    root: Path, *words: str, given: str = "", environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run git in `root`, with `given` on its input and `environ` added to the environment.

    UsageError if there is no git; what an exit code means is for the caller to say.
    """
    environment = {**os.environ, **(environ or {})}
    try:
        return subprocess.run(
            ["git", *words], cwd=root, input=given.encode(), env=environment, capture_output=True, check=False
        )
    except FileNotFoundError as error:
        raise UsageError("git isn't installed; install it, as commits are what results are traced to.") from error


def output(root: Path, *words: str, given: str = "", environ: Mapping[str, str] | None = None) -> str:
    """Return what git prints in `root`; UsageError with its own words if it fails."""
    answer = ask(root, *words, given=given, environ=environ)
    if answer.returncode:
        raise UsageError(f"git {' '.join(words)} failed in {root}: {answer.stderr.decode(errors='replace').strip()}")
    return answer.stdout.decode()


def paths(said: str) -> list[str]:
    """Split what git prints with its option -z."""
    return [path for path in said.split("\0") if path]
