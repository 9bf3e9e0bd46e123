"""The rehearsal's pipeline process: its exit code comes back, and Ctrl-C lets it end by itself."""

import os
import signal
import sys
import threading
import time

import pytest

from bench.stages.tools.rehearse import supervise

pytestmark = pytest.mark.usefixtures("signals_as_at_a_terminal")

TIDY = """
import os, sys, time
from pathlib import Path
try:
    Path(sys.argv[1], "pid").write_text(str(os.getpid()))
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(0.8)  # longer than subprocess.run would wait before it kills
    Path(sys.argv[1], "tidied").touch()
"""

STUBBORN = """
import os, signal, sys, time
from pathlib import Path
signal.signal(signal.SIGINT, signal.SIG_IGN)
Path(sys.argv[1], "pid").write_text(str(os.getpid()))
time.sleep(60)
"""


def interrupt(folder):
    """Press Ctrl-C once the command runs: the terminal sends it to both processes."""
    while not (folder / "pid").exists() or not (folder / "pid").read_text():
        time.sleep(0.02)
    time.sleep(0.1)
    os.kill(int((folder / "pid").read_text()), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)


def supervised(script, folder, grace):
    threading.Thread(target=interrupt, args=(folder,), daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        supervise([sys.executable, "-c", script, str(folder)], grace)
    pid = int((folder / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_exit_code_is_the_commands():
    assert supervise([sys.executable, "-c", "raise SystemExit(7)"]) == 7


def test_an_interrupted_pipeline_ends_by_itself(tmp_path):
    supervised(TIDY, tmp_path, grace=20)
    assert (tmp_path / "tidied").exists()


def test_one_that_does_not_end_is_told_to(tmp_path):
    begin = time.monotonic()
    supervised(STUBBORN, tmp_path, grace=0.3)
    assert time.monotonic() - begin < 15
