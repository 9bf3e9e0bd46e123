import pytest

from bench.launch.repro import Message, parse

SMOKE = "profiles/smoke/dvc.yaml:train@a--s0"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"Running stage '{SMOKE}':\n", Message("running", (SMOKE,))),
        ("Stage 'prepare' didn't change, skipping\n", Message("restored", ("prepare",))),
        ("Stage 'x@1' is cached - skipping run, checking out outputs\n", Message("restored", ("x@1",))),
        ("Updating lock file 'profiles/smoke/dvc.lock'\n", Message("recorded")),
        ("WARNING: failed to run: python -m bench train a, exited with 75\n", Message("exited", code=75)),
        ("WARNING: failed to run: python -m bench train a, exited with -9\n", Message("exited", code=-9)),
        ("ERROR: failed to reproduce 'train@a'\n", Message("failed", ("train@a",))),
        ("ERROR: failed to reproduce stages: 'train@a', 'b' and 'c'\n", Message("failed", ("train@a", "b", "c"))),
        ("ERROR: Unable to acquire lock. Most likely another DVC process is running\n", Message("busy")),
    ],
)
def test_lines_of_dvc_are_understood(line, message):
    assert parse(line) == message


@pytest.mark.parametrize("line", ["", "\n", "> python stage.py", "step 100/400, loss 0.1", "see Running stage 'x':"])
def test_other_lines_tell_nothing(line):
    assert parse(line) is None
