"""Work that one process at a time does."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.core import progress
from bench.io.lock import alone

ROOT = Path(__file__).resolve().parents[2]

HOLDS = """
import sys, time
from pathlib import Path
from bench.io.lock import alone
with alone(Path(sys.argv[1]), "waiting"):
    print("held", flush=True)
    time.sleep(1)
    Path(sys.argv[2]).write_text("done")
"""


@pytest.fixture
def held(tmp_path):
    """A lock that another process holds for a second; the file `done` is written at the end of it."""
    command = [sys.executable, "-c", HOLDS, str(tmp_path / "new" / ".lock"), str(tmp_path / "done")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        yield tmp_path


def test_others_wait_and_say_so(held, capsys):
    with alone(held / "new" / ".lock", "waiting"):
        assert (held / "done").read_text() == "done"
    assert capsys.readouterr().out == "waiting\n"


def test_a_quiet_process_waits_in_silence(held, capsys, monkeypatch):
    monkeypatch.setattr(progress, "quiet", True)
    with alone(held / "new" / ".lock", "waiting"):
        assert (held / "done").exists()
    assert not capsys.readouterr().out


def test_a_lock_is_free_again_after_a_failure(tmp_path, capsys):
    with pytest.raises(ZeroDivisionError), alone(tmp_path / ".lock", "waiting"):
        raise ZeroDivisionError
    begin = time.monotonic()
    with alone(tmp_path / ".lock", "waiting"):
        pass
    assert time.monotonic() - begin < 1 and not capsys.readouterr().out
