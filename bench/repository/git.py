"""Calls of git."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bench.core.errors import UsageError


def ask(
    root: Path, *words: str, given: str = "", environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run git in `root`, with `given` as its input and `environ` added to the environment.

    UsageError if git isn't installed; the caller judges the exit code.
    """
    environment = {**os.environ, **(environ or {})}
    try:
        return subprocess.run(
            ["git", *words], cwd=root, input=given.encode(), env=environment, capture_output=True, check=False
        )
    except FileNotFoundError as error:
        raise UsageError("git isn't installed; install it, as commits are what results are traced to.") from error


def output(root: Path, *words: str, given: str = "", environ: Mapping[str, str] | None = None) -> str:
    """Return git's output in `root`; UsageError with its message if it fails."""
    answer = ask(root, *words, given=given, environ=environ)
    if answer.returncode:
        said = " ".join(answer.stderr.decode(errors="replace").split())
        raise UsageError(f"git {' '.join(words)} failed in {root}: {said}")
    return answer.stdout.decode()


def paths(said: str) -> list[str]:
    """Split the output of git's option -z."""
    return [path for path in said.split("\0") if path]
