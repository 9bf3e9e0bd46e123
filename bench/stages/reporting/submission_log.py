"""The log of submissions, `reports/submissions/log.jsonl`: who handed in what, and who has scored it again.

One line of JSON an event, only ever added to: a later line about the same submission is what holds.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.core.errors import UsageError
from bench.core.reading import read_text, shown
from bench.io.files import write_text_atomic
from bench.io.tables import ScoreRow

SELF_REPORTED, RESCORED = "self-reported", "rescored"

LONGEST_LINK = 300


@dataclass(frozen=True)
class Submission:
    """One event.

    kind        : self-reported by whoever made the predictions, or rescored by somebody else from the same files.
    date        : UTC, such as 2026-11-30.
    predictions : scene -> sha256 of the file that was scored.
    truth       : sha256 of the scenes that it was scored on, as provenance.json calls it; "" for files of --truth.
    scores      : sha256 of the score rows.
    link        : where the method is described, "" for nowhere.
    files       : address of a zip archive of the predictions, "" for none.
    """

    name: str
    kind: str
    date: str
    profile: str
    dataset: str
    protocols: tuple[str, ...]
    predictions: Mapping[str, str]
    truth: str
    scores: str
    link: str = ""
    files: str = ""


def today() -> str:
    """Return the date, UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%d")


def need_link(link: str, option: str = "--link", example: str = "a paper's") -> None:
    """Refuse a link that isn't one: it stands in tables and on the page, or files are fetched from there."""
    parts = urlsplit(link) if re.fullmatch(r"[!-~]*", link) else None
    if link and (
        parts is None or parts.scheme not in ("http", "https") or not parts.netloc or len(link) > LONGEST_LINK
    ):
        raise UsageError(f"{option} {shown(link)}: expected an address that begins with https://, such as {example}.")


def need_files(files: str) -> None:
    """Refuse an address of predictions that isn't one."""
    need_link(files, "--files", "an archive's")


def path(folder: Path) -> Path:
    """Return the log's file in the folder of submissions."""
    return folder / "log.jsonl"


def read(folder: Path) -> list[Submission]:
    """Return all events, oldest first; UsageError with the line's number for a damaged one."""
    file = path(folder)
    if not file.exists():
        return []
    entries = []
    for number, line in enumerate(read_text(file).splitlines(), 1):
        if line.strip():
            entries.append(_entry(line, f"{shown(file)}, line {number}"))
    return entries


def _entry(line: str, where: str) -> Submission:
    try:
        told = json.loads(line)
        found = Submission(**{**told, "protocols": tuple(told["protocols"])})
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UsageError(f"{where}, is no entry of the log: {shown(error)}. Restore the line from git.") from error
    texts = [found.name, found.kind, found.date, found.profile, found.dataset, found.truth, found.scores]
    texts += [found.link, found.files, *found.protocols]
    if not all(isinstance(text, str) for text in texts) or not isinstance(found.predictions, dict):
        raise UsageError(f"{where}, is no entry of the log: a field is of another kind. Restore the line from git.")
    need_link(found.link)
    need_files(found.files)
    return found


def add(folder: Path, entry: Submission) -> None:
    """Write one event below the others; the caller holds the lock of submissions."""
    file = path(folder)
    before = read_text(file) if file.exists() else ""
    write_text_atomic(file, before + json.dumps(asdict(entry), sort_keys=True, ensure_ascii=False) + "\n")


def latest(entries: Sequence[Submission], name: str, profile: str, dataset: str, protocol: str) -> Submission | None:
    """Return the newest event about a submission's rows in a profile on a data set under a protocol's id, or None."""
    wanted = name, profile, dataset
    found = [one for one in entries if (one.name, one.profile, one.dataset) == wanted and protocol in one.protocols]
    return found[-1] if found else None


def said(entry: Submission) -> str:
    """Return what tables say of a submission."""
    return f"{entry.kind} {entry.date}" + (f", {entry.link}" if entry.link else "")


def digest(rows: Sequence[ScoreRow]) -> str:
    """Return the sha256 of score rows in a fixed order, each value in full."""
    from bench.report.trace.digests import of_bytes

    return of_bytes("".join(f"{','.join(map(_cell, row))}\n" for row in sorted(rows, key=repr)).encode())


def _cell(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)
