"""`.ci/rescore.py`: what a pull request adds to the log of submissions is confirmed from the files that it leads to."""

import importlib.util
import shutil
import zipfile

import pytest

from bench.cli.settings import find_profile
from bench.core import layout
from bench.core.registry import ROOT
from bench.stages.reporting import submission_log
from tests.data.server import Server


@pytest.fixture
def server():
    running = Server()
    yield running
    running.close()


@pytest.fixture
def script(site, main_in, monkeypatch):
    """The script, whose verbs run here; scenes are prepared already. `ran` is what it asked for."""
    spec = importlib.util.spec_from_file_location("rescore", ROOT / ".ci/rescore.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.ran = []

    def run(words):
        module.ran.append(words[2])
        return main_in(site, *words[2:]) if words[2] == "score" else 0

    monkeypatch.setattr(module, "run", run)
    monkeypatch.setattr(module, "find_profile", lambda profile: site.params.params_file)
    return module


@pytest.fixture
def submitted(score, ours, server, tmp_path):
    """Submissions of a pull request: what `--submit` writes, taken out of the checkout; the zip of its files is served.

    Returns its folder.
    """
    with zipfile.ZipFile(tmp_path / "files.zip", "w") as bundle:
        for path in ours[0].iterdir():
            bundle.write(path, f"results/{path.name}")
    server.files["/files.zip"] = (tmp_path / "files.zip").read_bytes()
    words = ("--submit", "mine", "--link", "https://example.org/paper", "--files", server.url("/files.zip"))
    assert score(ours[0], *words) == 0
    return shutil.move(layout.submissions(), tmp_path / "theirs")


def test_a_sound_submission_is_confirmed_and_keeps_its_link(script, submitted, capsys):
    assert script.main(submitted) == 0
    assert "mine on panoramas under whole-float@1 (profile tiny): confirmed." in capsys.readouterr().out
    assert script.ran == ["fetch", "prepare", "score"]
    first, second = submission_log.read(layout.submissions())
    assert [first] == submission_log.read(submitted) and second.kind == "rescored"
    assert (second.link, second.files, second.predictions) == (first.link, first.files, first.predictions)
    assert script.main(submitted) == 2, "what is in the log already is added by nobody"


@pytest.mark.parametrize("fault", ["other files", "other scores", "no files", "no profile"])
def test_what_does_not_come_out_again_is_not_confirmed(script, submitted, server, capsys, fault, monkeypatch):
    if fault == "other files":
        log = submission_log.path(submitted)
        digest = next(iter(submission_log.read(submitted)[0].predictions.values()))
        log.write_text(log.read_text().replace(digest, "0" * 64))
    elif fault == "other scores":
        rows = (submitted / "mine.csv").read_text()
        (submitted / "mine.csv").write_text(rows.replace(",psnr-mu,", ",psnr-mu,1"))
    elif fault == "no files":
        server.files.clear()
    else:
        log = submission_log.path(submitted)
        log.write_text(log.read_text().replace('"profile": "tiny"', '"profile": "huge"'))
        monkeypatch.setattr(script, "find_profile", find_profile)
    assert script.main(submitted) == 1
    told = capsys.readouterr()
    said = {
        "other files": "not the files that", "other scores": "doesn't hold the scores that",
        "no files": "predictions.zip couldn't be downloaded", "no profile": "no profile is called 'huge'",
    }  # fmt: skip
    assert said[fault] in told.err + told.out and "NOT confirmed: " in told.out
    assert len(submission_log.read(layout.submissions())) == 1


def test_a_line_without_files_is_named_and_no_failure(script, score, ours, tmp_path, capsys):
    assert score(ours[0], "--submit", "mine") == 0
    assert script.main(shutil.move(layout.submissions(), tmp_path / "theirs")) == 0
    assert "names no archive of its files (--files)" in capsys.readouterr().out and not script.ran


@pytest.mark.parametrize("line", ["", "{}"])
def test_a_log_that_changes_what_stood_in_it_is_refused(script, submitted, capsys, line):
    shutil.copytree(submitted, layout.submissions())
    before = submission_log.path(layout.submissions()).read_bytes()
    submission_log.path(submitted).write_text(f"{line}\n")
    assert script.main(submitted) == 2
    assert "the log is only added to" in capsys.readouterr().err
    assert submission_log.path(layout.submissions()).read_bytes() == before


def test_a_name_is_no_path(script, submitted, capsys):
    log = submission_log.path(submitted)
    log.write_text(log.read_text().replace('"name": "mine"', '"name": "../mine"'))
    assert script.main(submitted) == 2
    assert "'../mine'" in capsys.readouterr().err


def test_an_address_of_files_is_one(refused, site, ours):
    said = refused(site, "score", str(ours[0]), "--dataset", "panoramas", "--submit", "mine", "--files", "files.zip")
    assert "--files files.zip: expected an address that begins with https://, such as an archive's." in said
