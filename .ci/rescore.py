"""Score anew what a pull request submits.

python .ci/rescore.py FOLDER : its `reports/submissions`. All else is the checkout that this runs in, of the branch that
the request is for: nobody brings the code that judges their scores.

Each line that it adds to the log is confirmed by `score --rescore` on the files that its `files` leads to; a line
without is named. Exit codes: 0 all are confirmed or named, 1 some aren't confirmed, 2 the log isn't one.
"""

import subprocess
import sys
from pathlib import Path

from bench.cli.settings import find_profile
from bench.core import layout
from bench.core.errors import BenchError, UsageError
from bench.core.reading import need_name, read_bytes, read_text
from bench.data.archive import unpack
from bench.data.download import Checksums, RemoteFile, download
from bench.stages.reporting import submission_log
from bench.stages.reporting.submission_log import Submission

WORK = Path("work/rescored")


def added(folder: Path) -> list[Submission]:
    """Return the events that a folder of submissions adds to ours; UsageError unless its log only grew."""
    ours, theirs = (_lines(place) for place in (layout.submissions(), folder))
    if theirs[: len(ours)] != ours:
        raise UsageError(f"{submission_log.path(folder)} changes or drops earlier lines; the log is only added to.")
    return submission_log.read(folder)[len(submission_log.read(layout.submissions())) :]


def _lines(folder: Path) -> list[str]:
    file = submission_log.path(folder)
    return [line for line in read_text(file).splitlines() if line.strip()] if file.exists() else []


def take(folder: Path, entries: list[Submission]) -> None:
    """Copy the log and the scores of these events into our folder of submissions."""
    names = {f"{need_name(entry.name, 'submission')}.csv" for entry in entries}
    for name in (submission_log.path(folder).name, *sorted(names)):
        layout.submissions().mkdir(parents=True, exist_ok=True)
        (layout.submissions() / name).write_bytes(read_bytes(folder / name))


def fetch(entry: Submission, place: Path) -> Path:
    """Return the folder below `place` that holds the predictions of an event, fetched and unpacked."""
    source = RemoteFile("predictions.zip", (entry.files,))
    archive = download(source, place, Checksums(place / "checksums.json", entry.name))
    folder = place / "files"
    unpack(archive, folder)
    while len(inner := list(folder.iterdir())) == 1 and inner[0].is_dir():
        folder = inner[0]
    return folder


def confirm(entry: Submission, place: Path) -> None:
    """Let the verb score an event's files again; BenchError where a command fails, which has said why."""
    params = str(find_profile(entry.profile))
    protocols = [word for one in entry.protocols for word in ("--protocol", one.partition("@")[0])]
    score = ["score", str(fetch(entry, place)), "--dataset", entry.dataset, "--rescore", entry.name, *protocols]
    for words in (["fetch", entry.dataset], ["prepare", entry.dataset], score):
        if run(["--params", params, *words]):
            raise BenchError(f"`{words[0]}` failed, see above.")


def run(words: list[str]) -> int:
    """Run a verb; return its exit code."""
    return subprocess.run([sys.executable, "-m", "bench", *words], check=False).returncode


def main(folder: Path) -> int:
    """Confirm what a folder of submissions adds; return the exit code."""
    try:
        entries = [entry for entry in added(folder) if entry.kind == submission_log.SELF_REPORTED]
        take(folder, entries)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    failed = 0
    for number, entry in enumerate(entries):
        what = f"{entry.name} on {entry.dataset} under {', '.join(entry.protocols)} (profile {entry.profile})"
        if not entry.files:
            print(f"{what}: names no archive of its files (--files), so nobody can score it again.", flush=True)
            continue
        try:
            confirm(entry, WORK / str(number))
            print(f"{what}: confirmed.", flush=True)
        except BenchError as error:
            failed += 1
            print(f"{what}: NOT confirmed: {error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
