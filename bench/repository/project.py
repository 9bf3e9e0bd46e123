"""The project as DVC opens it: a git checkout that can be written to."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.errors import UsageError
from bench.io.files import FULL

if TYPE_CHECKING:
    from dvc.repo import Repo


def need_checkout(root: Path) -> None:
    """Raise UsageError unless `root` is a git checkout of its own, which neither a zip download nor a subfolder is."""
    if not (root / ".git").exists():
        raise UsageError(
            f"{root} is no git checkout (a zip download is none); DVC and launch need one, while score, merge and "
            "single stages run without. Clone the project with git, or begin one here: "
            "git init && git add --all && git commit -m start"
        )


@contextmanager
def opened(root: Path, task: str = "open the project", hint: str = "") -> Iterator["Repo"]:
    """Let DVC open the project in `root` for the `with` block; where it can't, or fails in the block, UsageError.

    task : what it shall do, and `hint` a sentence on what to try, for the message.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    need_checkout(root)
    try:
        with Repo(str(root)) as repo:
            yield repo
    except DvcException as error:
        raise UsageError(f"DVC can't {task}: {error}.{hint}") from error
    except OSError as error:
        if error.errno in FULL:  # told where every command's full disk is
            raise
        where = f" {error.filename}" if error.filename else ""
        raise UsageError(
            f"DVC can't {task}: {error.strerror or error}{where}. It writes to .dvc: work in a checkout that can be "
            "written to."
        ) from error
