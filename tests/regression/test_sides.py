"""BASE and NEW by their names: folders, files, revisions of a git repository."""

import hashlib
import shutil
import subprocess

import pytest
import yaml

from bench.core.errors import UsageError
from bench.io.tables import write_scores
from bench.regression.comparison import compare
from bench.regression.sides import read_side

from .conftest import lock
from .test_planted import changed, names

IDENTITY = ("-c", "user.name=tester", "-c", "user.email=tester@example.org", "-c", "commit.gpgsign=false")

CARD = '@metric("psnr-mu", unit="dB", better="{}", domain="mu")\ndef psnr_mu():\n    pass\n'


def commit(folder, rows, better="higher", **md5):
    """Commit a state of a project: scores of its demo profile, their lock file, and one metric's card."""
    scores = folder / "reports/demo/scores.csv"
    write_scores(scores, rows)
    made = lock(**md5)
    made["stages"]["summarize"]["outs"][0]["md5"] = hashlib.md5(scores.read_bytes()).hexdigest()
    (folder / "dvc.lock").write_text(yaml.safe_dump(made), encoding="utf-8")
    (folder / "dvc.yaml").touch()
    (folder / "bench/metrics").mkdir(parents=True, exist_ok=True)
    (folder / "bench/metrics/fidelity.py").write_text(CARD.format(better), encoding="utf-8")
    for words in (["add", "-A"], ["commit", "-q", "-m", "state"]):
        subprocess.run(["git", *IDENTITY, *words], cwd=folder, check=True)


@pytest.fixture
def repository(tmp_path, rows):
    """A repository with two commits: in the second, one scene is worse and a metric's code differs."""
    folder = tmp_path / "project"
    folder.mkdir()
    subprocess.run(["git", "init", "-q", "."], cwd=folder, check=True)
    commit(folder, rows)
    commit(
        folder,
        changed(rows, lambda value: value - 0.05),
        "lower",
        **{"evaluate@ahdrnet--panoramas--s0--panoramas__bench/metrics": "new"},
    )
    return folder


def read(folder, text, reports="reports/demo"):
    return read_side(text, folder, folder, reports)


@pytest.mark.parametrize(
    ("base", "new"),
    [
        ("HEAD~1", "HEAD"),
        ("HEAD~1:reports/demo", "HEAD:reports/demo/"),
        ("HEAD~1", "HEAD:reports/demo/scores.csv"),
        ("HEAD~1", "reports/demo"),
        ("HEAD~1", "reports/demo/scores.csv"),
    ],
)
def test_revisions_and_folders(repository, base, new):
    found = compare(read(repository, base), read(repository, new))
    assert found.failed
    assert sorted(names(found)) == ["direction", "worse"]
    change = next(change for change in found.changes if change.name == "worse")
    assert change.key.scene == "forest-01"
    assert change.cause == (("evaluate@ahdrnet--panoramas--s0--panoramas", ("code bench/metrics",)),)


def test_a_revision_is_clean_against_itself(repository):
    found = compare(read(repository, "HEAD~1"), read(repository, "HEAD^"), "rerun")
    assert not found.changes
    assert not found.notes


def test_a_profile_has_its_own_lock(repository, rows):
    study = repository / "reports/study/scores.csv"
    write_scores(study, [row._replace(profile="study") for row in rows])
    assert read(repository, "reports/study").remark == "dvc.lock tells of other scores"
    made = lock()
    made["stages"]["summarize"]["outs"] = [
        {"path": "reports/study/scores.csv", "md5": hashlib.md5(study.read_bytes()).hexdigest()}
    ]
    (repository / "profiles/study").mkdir(parents=True)
    (repository / "profiles/study/dvc.lock").write_text(yaml.safe_dump(made), encoding="utf-8")
    assert read(repository, "reports/study").lock is not None


def test_a_folder_outside_of_any_checkout(repository, tmp_path):
    shutil.copytree(repository / "reports/demo", tmp_path / "elsewhere")
    side = read(tmp_path, "elsewhere")
    assert side.remark == "no dvc.lock is with it"
    assert not side.better
    assert names(compare(read(repository, "HEAD~1"), side)) == ["worse"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("reports/dmeo", "'reports/dmeo' is no folder, no file and no git revision"),
        ("-HEAD", "'-HEAD' is no folder"),
        ("HEAD:reports/study", "HEAD:reports/study: there is no reports/study/scores.csv"),
        ("bench", "bench: there is no bench/scores.csv"),
        ("dvc.yaml", "columns are absent"),
    ],
)
def test_a_side_that_cannot_be_read_is_one_sentence(repository, text, message):
    with pytest.raises(UsageError) as error:
        read(repository, text)
    assert message in str(error.value)


def test_a_damaged_row_is_named_with_its_place(repository):
    (repository / "reports/demo/scores.csv").write_text(
        (repository / "reports/demo/scores.csv").read_text(encoding="utf-8") + "demo,x\n", encoding="utf-8"
    )
    with pytest.raises(UsageError, match=r"^reports/demo: .*scores.csv, line 34: 2 cells, expected 10"):
        read(repository, "reports/demo")


def test_no_rows_are_no_side(repository):
    write_scores(repository / "reports/demo/scores.csv", [])
    with pytest.raises(UsageError, match="holds no score rows"):
        read(repository, "reports/demo")
