"""Killed at any time and robbed of any files, `dvc repro` ends where an undisturbed run ends, to the byte.

Processes are killed with SIGKILL, with all that they started, as a machine that goes down would do it. `make test-slow`
runs it; set the variable SEED to draw other moments and other files.
"""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

SEED = int(os.environ.get("SEED", "0"))
KILLS, ROUNDS, FILES = 4, 3, 20

GATHERING = {"summarize", "report"}
"""Stages that gather all cells, in seconds: git keeps their outputs and DVC's cache doesn't, so they run again."""


@pytest.fixture(scope="module")
def calm(project):
    """The project after one undisturbed run, and the seconds that this took."""
    made, start = project("calm"), time.monotonic()
    made.repro()
    return made, time.monotonic() - start


@pytest.fixture(scope="module")
def stormy(project, calm):
    """Another copy, its first run killed at random moments and started again, until it comes to its end."""
    made, rng = project("stormy"), np.random.default_rng(SEED)
    hit = [killed(made, share * calm[1]) for share in rng.uniform(0.05, 0.5, KILLS)]
    assert sum(hit) >= 2, "it was done before it could be killed: raise KILLS or choose another SEED"
    made.repro()
    return made, rng


def killed(project, seconds):
    """Run `dvc repro` and kill it and its stage after `seconds`; tell whether it was still running."""
    process = project.start("dvc", "repro")
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return True
    assert process.returncode == 0 or project.mended(), said
    return False


def results(project):
    """What the pipeline leaves; scores that were computed before are kept for speed's sake and are no output."""
    files = project.files("work", "reports/slow")
    return {name: content for name, content in files.items() if "score_cache" not in Path(name).parts}


def differing(project, reference):
    found, wanted = results(project), results(reference)
    return sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))


def executed(said):
    """Names of the stages that DVC ran."""
    return set(re.findall(r"^Running stage '([^']+)'", said, re.MULTILINE))


def restored(said):
    """Names of the stages whose outputs DVC took from its cache."""
    return set(re.findall(r"^Stage '([^']+)' is cached - skipping run", said, re.MULTILINE))


def robbed(project, rng):
    """Delete random files of work/ and return the stages whose outputs these were."""
    lock = yaml.safe_load((project.folder / "dvc.lock").read_text(encoding="utf-8"))
    outs = [(name, Path(out["path"])) for name, stage in lock["stages"].items() for out in stage["outs"]]
    owners = {name: [s for s, out in outs if Path(name).is_relative_to(out)] for name in sorted(results(project))}
    candidates = [name for name, owner in owners.items() if owner and name.startswith("work/")]
    gone = rng.choice(candidates, FILES, replace=False)
    for name in gone:
        (project.folder / name).unlink()
    return {owner for name in gone for owner in owners[name]}


def test_every_kind_of_stage_was_there(calm):
    lock = yaml.safe_load((calm[0].folder / "dvc.lock").read_text(encoding="utf-8"))
    groups = yaml.safe_load((calm[0].folder / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert {name.split("@")[0] for name in lock["stages"]} == set(groups)


def test_killed_runs_end_as_an_undisturbed_one(calm, stormy):
    assert differing(stormy[0], calm[0]) == []


@pytest.mark.parametrize("number", range(ROUNDS))
def test_deleted_files_come_back_and_nothing_else_is_touched(calm, stormy, number):
    project, rng = stormy
    owners = robbed(project, rng)
    said = project.repro()
    assert (executed(said), restored(said)) == (set(), owners)
    assert differing(project, calm[0]) == []


@pytest.mark.parametrize("number", range(ROUNDS))
def test_deleted_files_come_back_though_their_restoring_is_killed(calm, stormy, number):
    """A kill may cut dvc.lock short, and not always so that DVC sees it: then the last stages are no longer in it."""
    project, rng = stormy
    lock = project.folder / "dvc.lock"
    text = lock.read_text(encoding="utf-8")
    robbed(project, rng)
    for share in rng.uniform(0, 0.3, 2):
        killed(project, share * calm[1])
    whole = lock.exists() and lock.read_text(encoding="utf-8") == text
    assert executed(project.repro()) <= (set() if whole else GATHERING)
    assert yaml.safe_load(lock.read_text(encoding="utf-8")) == yaml.safe_load(text)
    assert differing(project, calm[0]) == []


def test_what_the_cache_lost_too_is_computed_again(calm, stormy):
    project, _ = stormy
    lock = yaml.safe_load((project.folder / "dvc.lock").read_text(encoding="utf-8"))
    name = next(name for name in lock["stages"] if name.startswith("evaluate@olc-16"))
    (scores,) = (out for out in lock["stages"][name]["outs"] if out["path"].startswith("work/slow/scores/"))
    (project.folder / ".dvc/cache/files/md5" / scores["md5"][:2] / scores["md5"][2:]).unlink()
    (project.folder / scores["path"]).unlink()
    assert executed(project.repro()) == {name}
    assert differing(project, calm[0]) == []


@pytest.mark.parametrize("share", [0, 0.5])
def test_a_lock_file_that_a_kill_cut_short_is_deleted_and_nothing_long_is_computed_again(calm, stormy, share):
    project, _ = stormy
    lock = project.folder / "dvc.lock"
    text = lock.read_text(encoding="utf-8")
    lock.write_text(text[: int(share * len(text))], encoding="utf-8")
    assert executed(project.repro()) <= GATHERING
    assert yaml.safe_load(lock.read_text(encoding="utf-8")) == yaml.safe_load(text)
    assert differing(project, calm[0]) == []
