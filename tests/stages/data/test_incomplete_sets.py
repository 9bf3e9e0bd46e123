"""Sets that aren't there, or in part: fetch, prepare and doctor say how many of the published scenes there are."""

import json
import shutil

import pytest

from bench.cli import doctor
from bench.core import layout
from bench.core.errors import UsageError
from bench.stages.data import fetch, prepare
from tests.data import builders

SAID = "kalantari/test: 1 of 15 scenes; numbers from them don't compare with the whole set's."


@pytest.fixture
def mine(tmp_path):
    builders.kalantari(tmp_path / "mine" / "Test" / "PAPER" / "A")
    return tmp_path / "mine"


@pytest.mark.parametrize("name", ["kalantari", "tel2023", "challenge123", "hu", "tursun", "folder"])
@pytest.mark.parametrize("how", ["--root", "on_disk"])
def test_an_empty_folder_is_refused_with_what_was_expected_and_not_remembered(dataset_params, tmp_path, name, how):
    (tmp_path / "empty").mkdir()
    params = dataset_params(name, {"on_disk": str(tmp_path / "empty")} if how == "on_disk" else {})
    with pytest.raises(UsageError, match=rf"(?s){name}.*no scenes under .*empty.*By hand"):
        fetch.run(params, name, root=tmp_path / "empty" if how == "--root" else None)
    assert not layout.raw(params, name).exists() and not (tmp_path / "store" / name / "on-disk.txt").exists()


def test_fetch_and_prepare_say_how_many_are_there(dataset_params, mine, capsys):
    params = dataset_params("kalantari")
    fetch.run(params, "kalantari", root=mine)
    said = capsys.readouterr().out
    assert f"note: {SAID}" in said and "note: kalantari/train: 0 of 74 scenes" in said
    prepare.run(params, "kalantari", ["test"])
    assert f"note: {SAID}" in capsys.readouterr().out


def test_a_set_without_a_published_number_is_never_incomplete(dataset_params, mine, capsys):
    params = dataset_params("folder")
    fetch.run(params, "folder", root=mine / "Test" / "PAPER")
    prepare.run(params, "folder")
    assert "note" not in (said := capsys.readouterr().out) and "folder/train" not in said


class TestDoctor:
    @pytest.mark.parametrize("how", ["--root", "on_disk"])
    def test_it_agrees_with_fetch(self, dataset_params, mine, how):
        params = dataset_params("kalantari", {"on_disk": str(mine)} if how == "on_disk" else {})
        fetch.run(params, "kalantari", root=mine if how == "--root" else None)
        finding = doctor.source(params, "kalantari")
        assert finding.state == "note" and f"kalantari at {mine}: 1 test. " in finding.detail and SAID in finding.detail

    def test_a_folder_of_ones_own_is_found(self, dataset_params, mine):
        params = dataset_params("folder")
        assert doctor.source(params, "folder").state == "fail"
        fetch.run(params, "folder", root=mine / "Test" / "PAPER")
        assert doctor.source(params, "folder")[::2] == ("ok", f"folder at {mine / 'Test' / 'PAPER'}: 1 test.")

    def test_what_is_gone_or_empty_fails(self, dataset_params, mine):
        params = dataset_params("kalantari")
        fetch.run(params, "kalantari", root=mine)
        shutil.rmtree(mine / "Test")
        assert doctor.source(params, "kalantari").state == "fail"
        shutil.rmtree(mine)
        assert doctor.source(params, "kalantari").detail == f"kalantari at {mine}: not found"


class TestTwins:
    """The same place twice in `folder`."""

    @pytest.fixture
    def site(self, dataset_params, tmp_path):
        params = dataset_params("folder")
        builders.kalantari(tmp_path / "mine" / "a")
        (layout.raw(params, "folder")).mkdir(parents=True)
        (layout.raw(params, "folder") / "on_disk.json").write_text(json.dumps({"folder": str(tmp_path / "mine")}))
        return params

    def test_with_and_without_truth_is_no_test_on_what_was_trained_on(self, site, tmp_path):
        (builders.kalantari(tmp_path / "mine" / "b") / "HDRImg.hdr").unlink()
        prepare.run(site, "folder")
        assert layout.scenes(site, "folder", "no-truth").exists()

    def test_trained_and_tested_on_is_refused(self, site, tmp_path):
        builders.kalantari(tmp_path / "mine" / "train" / "b")
        with pytest.raises(UsageError, match=r"train/b and test/a show the same.*trained on means nothing"):
            prepare.run(site, "folder")


def test_long_names_of_scenes_are_prepared(dataset_params, tmp_path):
    name = "\u6771" * 66  # 198 bytes
    builders.kalantari(tmp_path / "mine" / name)
    params = dataset_params("folder")
    fetch.run(params, "folder", root=tmp_path / "mine")
    prepare.run(params, "folder")
    assert (layout.scenes(params, "folder", "test") / name / "scene.json").exists()
