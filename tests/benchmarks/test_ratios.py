"""The comparison of speed ratios with the accepted ones; `ratios.py` of this folder is a script."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from . import ratios

HERE = Path(__file__).parent

TIMED = """
import pytest

@pytest.mark.parametrize("times", [3.0, 2.0], ids=["three", "two"])
def test_quick(times, ratio):
    ratio(times)
    assert times > 2.5

def test_without_a_ratio():
    pass
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The JUnit report of two tests with ratios, of which one fails, and of one without."""
    folder = tmp_path_factory.mktemp("timed")
    shutil.copy(HERE / "conftest.py", folder)
    (folder / "test_tiny_speed.py").write_text(TIMED, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir", str(folder), "--junitxml=report.xml", "."]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert answer.returncode == 1, answer.stdout
    return folder / "report.xml"


@pytest.fixture
def compare(tmp_path, report, capsys):
    """Compare what the report holds, without its failure, with accepted ratios; return exit code and verdicts."""

    def run(accepted):
        sound = tmp_path / "sound.xml"
        sound.write_text(report.read_text(encoding="utf-8").replace("<failure", "<kept").replace("failure>", "kept>"))
        file = tmp_path / "accepted.json"
        file.write_text(json.dumps({"AVX9": accepted, "AVX1": {THREE: 9.0}}), encoding="utf-8")
        code = ratios.main([str(sound), "--accepted", str(file), "--processor", "AVX9"])
        rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[4:]]
        return code, {name: verdict for name, _, _, verdict in rows}

    return run


THREE, TWO = "tiny_speed: test_quick[three]", "tiny_speed: test_quick[two]"


def test_the_report_of_the_timed_tests_is_read(report):
    assert ratios.read(report) == ratios.Measured({THREE: 3.0, TWO: 2.0}, {TWO})


@pytest.mark.parametrize(
    ("accepted", "code", "verdict"),
    [
        (2.0, 0, "as accepted"),
        (2.59, 0, "as accepted"),
        (2.61, 1, "worse by more than 1.3"),
        (1.5, 0, "better: accept it to hold it"),
        (None, 0, "new: not accepted yet"),
    ],
)
def test_a_ratio_may_be_worse_by_the_factor(compare, accepted, code, verdict):
    given = {THREE: 3.0} if accepted is None else {THREE: 3.0, TWO: accepted}
    assert compare(given) == (code, {THREE: "as accepted", TWO: verdict})


def test_a_ratio_that_is_gone_or_no_number_fails(compare):
    code, verdicts = compare({THREE: 3.0, TWO: 2.0, "old_speed: test_gone": 9.0})
    assert (code, verdicts["old_speed: test_gone"]) == (1, "gone: not measured")
    lost = ratios.Measured({THREE: float("nan")}, set())
    assert ratios.judge(THREE, lost, {THREE: 3.0}).startswith("worse")


def test_a_failed_test_fails_and_is_not_accepted(report, tmp_path, capsys):
    file = tmp_path / "accepted.json"
    assert ratios.main([str(report), "--accept", "--accepted", str(file)]) == 1
    assert not file.exists()
    file.write_text(json.dumps({"AVX9": {THREE: 3.0, TWO: 2.0}}), encoding="utf-8")
    assert ratios.main([str(report), "--accepted", str(file), "--processor", "AVX9"]) == 1
    assert f"| {TWO} | 2.00 | 2.00 | failed |" in capsys.readouterr().out


def test_what_was_accepted_passes(compare, tmp_path):
    compare({})
    file = tmp_path / "new.json"
    words = [str(tmp_path / "sound.xml"), "--accept", "--accepted", str(file)]
    assert ratios.main([*words, "--processor", "AVX9"]) == ratios.main(words) == 0
    accepted = json.loads(file.read_text(encoding="utf-8"))
    assert set(accepted) == {"AVX9", ratios.processor()}, "those of another kind stay"
    assert compare(accepted["AVX9"]) == (0, dict.fromkeys((THREE, TWO), "as accepted"))


def test_without_accepted_ratios_all_are_new(report, tmp_path, capsys):
    assert ratios.main([str(report), "--accepted", str(tmp_path / "none.json")]) == 1
    assert f"| {THREE} | - | 3.00 | new: not accepted yet |" in capsys.readouterr().out


def test_no_report_is_a_mistake(tmp_path, capsys):
    assert ratios.main([str(tmp_path / "none.xml")]) == 2
    assert capsys.readouterr().err.startswith("error: no ratios in")


def test_accepted_ratios_are_of_tests_that_are_there():
    if not ratios.ACCEPTED.exists():
        pytest.skip("no ratios are accepted yet; on a quiet machine: make ratios accept-ratios")
    accepted = json.loads(ratios.ACCEPTED.read_text(encoding="utf-8"))
    assert accepted
    for name, ratio in ((name, ratio) for kind in accepted.values() for name, ratio in kind.items()):
        file, _, test = name.partition(": ")
        text = (HERE / f"test_{file}.py").read_text(encoding="utf-8")
        assert f"def {test.partition('[')[0]}(" in text and "pytest.mark.timed" in text
        assert ratio > 0
