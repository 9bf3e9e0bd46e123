"""Messages: whatever a file has put into one, its lines can be printed and are not endless."""

import pytest

from bench.core.errors import LONGEST, BenchError, CheckFailed, UsageError


@pytest.mark.parametrize("kind", [BenchError, UsageError, lambda said: CheckFailed(said, "steps")])
def test_lines_stay_and_what_cannot_be_printed_is_escaped(kind):
    assert str(kind("one \x1b[31m\ud800 two\nthree\r")) == "one \\x1b[31m\\ud800 two\nthree\\r"
    assert str(kind("größe, 写真.png")) == "größe, 写真.png"


def test_a_long_line_is_cut_in_its_middle():
    said = str(UsageError(f"here: {'[' * 100_000}; do this instead\nand a short line"))
    first, second = said.split("\n")
    assert len(first) == LONGEST + 3 and first.startswith("here: [") and first.endswith("[; do this instead")
    assert second == "and a short line"
