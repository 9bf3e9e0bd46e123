"""A submission's file while several processes write it: no rows are lost, and none are replaced unasked."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bench.core import layout
from bench.core.errors import UsageError
from bench.io.tables import ScoreRow, read_scores
from bench.stages.own_files import score as stage
from bench.stages.reporting import submission_log


def rows(protocol, value=1.0, scenes=("a", "b")):
    return [
        ScoreRow("tiny", "submitted", "mine", "", None, "hall", scene, "psnr-mu", value, protocol) for scene in scenes
    ]


def keep(scored, force):
    """Keep rows as a submission of theirs."""
    first = scored[0]
    entry = submission_log.Submission(
        "mine", submission_log.SELF_REPORTED, "2026-11-30", first.profile, first.dataset, (first.protocol,), {}, "",
        submission_log.digest(scored),
    )  # fmt: skip
    return stage._keep(entry, scored, force)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The protocols of the file's rows."""
    monkeypatch.chdir(tmp_path)
    return lambda: sorted(read_scores([layout.submissions() / "mine.csv"])["protocol"])


def test_of_several_at_once_none_is_lost(kept, monkeypatch):
    real = stage._kept

    def slow(path):
        found = real(path)
        time.sleep(0.05)  # time for another to write what this one hasn't seen
        return found

    monkeypatch.setattr(stage, "_kept", slow)
    names = [f"protocol-{number}@1" for number in range(4)]
    threads = [threading.Thread(target=keep, args=(rows(name), False)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept() == sorted(2 * names)
    assert sorted(entry.protocols[0] for entry in submission_log.read(layout.submissions())) == names


HOLDS = """
import sys, time
from pathlib import Path
from bench.io.lock import alone
with alone(Path(sys.argv[1]), ""):
    print("held", flush=True)
    time.sleep(0.5)
    Path("done").touch()
"""


def test_another_process_that_writes_is_waited_for_and_stdout_stays_clean(kept, capsys):
    environment = {"PYTHONPATH": str(Path(stage.__file__).parents[3])}
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(stage.LOCK)], stdout=subprocess.PIPE, text=True, env=environment
    ) as other:
        assert other.stdout.readline() == "held\n"
        keep(rows("x@1"), False)
        assert Path("done").exists()
    assert kept() == ["x@1"] * 2
    said = capsys.readouterr()
    assert not said.out and "another process writes reports/submissions" in said.err


def test_what_another_has_written_meanwhile_is_replaced_only_with_force(kept):
    keep(rows("x@1"), False)
    keep(rows("y@1"), False)
    before = (layout.submissions() / "mine.csv").read_bytes()
    with pytest.raises(UsageError, match=r"already holds scores on hall under x@1; .*--force"):
        keep(rows("x@1", 2.0), False)
    assert (layout.submissions() / "mine.csv").read_bytes() == before
    keep(rows("x@1", 2.0), True)
    assert read_scores([layout.submissions() / "mine.csv"])["value"].tolist() == [2.0, 2.0, 1.0, 1.0]
