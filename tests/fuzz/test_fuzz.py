"""Whatever a file holds, it is read or refused in one sentence: no traceback, no foreign line, no wait, no gigabyte.

The mutants are few here and always the same; `make fuzz` tries a thousand for each reader.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.fuzz import commands, mutators, names
from tests.fuzz.attack import OUTCOMES
from tests.fuzz.fakes import FAKES

ROOT = Path(__file__).resolve().parents[2]

COUNT = 33

READERS = (
    "exr-lines", "exr-tiles", "hdr", "npy", "tiff-float", "tiff", "png", "jpeg", "exif", "linear-frame",
    "exposure-times", "exposure-words", "kalantari-evs", "kalantari-truth", "mask", "tursun", "scene-scene",
    "scene-radiance", "scene-ldr", "safetensors", "pth", "npz", "weights-card", "merge-weights", "parameters",
    "protocol", "plan", "dvc-lock", "scores", "submission", "table", "requirements", "archive", "checksums",
    "download-state", "on-disk-note", "prepared-record",
)  # fmt: skip

BEHIND = (
    "exr-lines", "exr-tiles", "hdr", "npy", "tiff-float", "tiff", "png", "jpeg", "linear-frame", "exif", "pth", "npz",
    "weights-card", "dvc-lock", "scores", "submission", "archive", "checksums",
)  # fmt: skip
"""Readers of files that say so little of themselves that some mutants are sound files."""

SEEDS = 13
"""Cases of a reader that may be sound files: no more are made of one kind."""

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured by Linux' /proc")


def attacked(script, file, *options):
    """Run a program of this folder; return its results by reader, and what it printed.

    A process of its own: what other tests have started, such as threads, would not outlive its forks.
    """
    given = ["--jobs", "1", "--json", str(file), "--keep", str(file.with_name("kept")), *options]
    command = [sys.executable, str(ROOT / "tests/fuzz" / script), *given]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert file.exists(), done.stderr
    found = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        result = json.loads(line)
        found.setdefault(result["attack"], []).append(result)
    return found, done, file.with_name("kept")


def bad(results):
    return [
        f"{one['number']}: {one['outcome']}: {one['said']}"
        for one in results
        if one["outcome"] not in ("read", "sentence")
    ]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return attacked("attack.py", tmp_path_factory.mktemp("fuzz") / "results", "--count", str(COUNT))[0]


@pytest.mark.parametrize("name", READERS)
def test_a_mutant_is_read_or_refused_in_one_sentence(results, name):
    assert len(results[name]) == COUNT
    again = f"python tests/fuzz/attack.py --only {name} --count {COUNT}"
    assert not bad(results[name]), again


@pytest.mark.parametrize("number", range(len(commands.CASES)), ids=map("-".join, commands.CASES))
def test_a_command_refuses_what_is_no_file(results, number):
    assert not bad(results["command-line"][number : number + 1])


@pytest.mark.parametrize("number", range(len(names.CASES)), ids=map("-".join, names.CASES))
def test_a_name_neither_forges_a_line_nor_ends_in_a_traceback(results, number):
    assert not bad(results["names"][number : number + 1])


def test_every_reader_is_attacked(results):
    assert results.keys() == {*READERS, "names", "command-line"}


@pytest.mark.parametrize("name", BEHIND)
def test_mutants_come_behind_the_first_check(results, name):
    assert {one["outcome"] for one in results[name][SEEDS:]} >= {"read", "sentence"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    limits = ("--seconds", "1", "--megabytes", "100")
    return attacked("fakes.py", tmp_path_factory.mktemp("fakes") / "results", *limits)


class TestAttack:
    @pytest.mark.parametrize("name", FAKES)
    def test_it_notices_what_a_reader_does_and_goes_on(self, run, name):
        first, second = run[0][name]
        assert (first["outcome"], second["outcome"]) == (FAKES[name].expected, "read"), first

    def test_it_tells_where_a_reader_stumbled_and_hung(self, run):
        details = {name: run[0][name][0]["detail"] for name in ("stumbles", "waits", "libpng")}
        assert "ValueError: not enough values to unpack" in details["stumbles"]
        assert "fakes.py" in details["waits"] and "in wait" in details["waits"]
        assert details["libpng"] == "libpng error: bad CRC"

    def test_it_prints_a_table_and_fails(self, run):
        done = run[1]
        assert done.returncode == 1
        assert "blow-up: grows 0: " in done.stdout
        last = next(line for line in done.stdout.splitlines() if line.startswith("all "))
        counts = [[fake.expected for fake in FAKES.values()].count(outcome) for outcome in OUTCOMES]
        assert list(map(int, last.split()[1:7])) == [counts[0] + len(FAKES), *counts[1:]]

    def test_it_keeps_the_file_and_the_command_of_what_failed(self, run):
        kept = run[2] / "stumbles/0/failure.txt"
        assert kept.read_text(encoding="utf-8").startswith("again stumbles\n\ntraceback: ValueError")


SOUND = {
    "bytes": bytes(range(256)) * 3,
    "text": b"1/320\n1/80\n",
    "json": b'{"a": [1, 2, {"b": null}], "c": "d"}',
    "yaml": b"a: 1\nb: {c: [d, e]}\n",
    "csv": b"a,b\n1,2\n",
}


@pytest.mark.parametrize("kind", SOUND)
def test_mutants_are_the_same_everywhere_and_nearly_all_are_other(kind):
    def made():
        return [mutators.mutate(kind, [SOUND[kind]], Random(f"{kind} {number}")) for number in range(300)]

    first = made()
    assert first == made()
    assert len({hashlib.sha256(one).digest() for one in first} - {hashlib.sha256(SOUND[kind]).digest()}) > 200
    assert max(map(len, first)) <= mutators.LONGEST
