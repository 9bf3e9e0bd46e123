"""A set that is read in place: `fetch` says so, what it follows from, and how to take it back."""

import shutil

import pytest
import yaml

from bench.core.errors import BenchError, UsageError
from bench.core.params import load
from bench.stages.data import fetch
from tests.data import builders

NOTE = "store/kalantari/on-disk.txt"


@pytest.fixture
def params(tmp_path, monkeypatch, small_params):
    """Write parameters with options of the Kalantari set, which lies in `mine`; the current folder."""
    monkeypatch.chdir(tmp_path)
    builders.kalantari(tmp_path / "mine" / "Training" / "001")
    builders.kalantari(tmp_path / "mine" / "Test" / "7", seed=1)
    small_params |= {"train": {}, "variants": {"proposed": {"method": "olc"}}}
    small_params["downloads"] = {"folder": "store", "checksums": "checksums.json"}

    def write(**use):
        small_params["datasets"] = {"kalantari": {**use}}
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(small_params))
        return load(tmp_path / "params.yaml")

    return write


def test_a_folder_named_once_is_said_each_time(params, tmp_path, capsys):
    said = f"kalantari: read in place from {tmp_path / 'mine'} ({NOTE}; delete it to download)\n"
    fetch.run(params(), "kalantari", root=tmp_path / "mine")
    assert capsys.readouterr().out == said
    fetch.run(params(), "kalantari", accept_licence=True)
    assert capsys.readouterr().out == said
    with pytest.raises(BenchError):  # two scenes of 89
        fetch.check(params(), "kalantari")
    assert capsys.readouterr().out.startswith(said)
    (tmp_path / NOTE).unlink()
    with pytest.raises(UsageError, match="If you accept it, say so once"):
        fetch.run(params(), "kalantari")


def test_a_folder_that_is_gone_comes_with_what_names_it(params, tmp_path):
    fetch.run(params(), "kalantari", root=tmp_path / "mine")
    shutil.rmtree(tmp_path / "mine")
    with pytest.raises(UsageError, match=rf"mine' \({NOTE}; delete it to download\), which is no folder"):
        fetch.run(params(), "kalantari")
    with pytest.raises(UsageError, match="no/where', which is no folder"):
        fetch.run(params(), "kalantari", root=tmp_path / "no" / "where")


def test_a_folder_of_the_parameter_file_is_said_too(params, tmp_path, capsys):
    fetch.run(params(on_disk=str(tmp_path / "mine")), "kalantari")
    assert "mine (datasets.kalantari.on_disk in params.yaml)\n" in capsys.readouterr().out
    with pytest.raises(
        UsageError, match=r"'gone' \(datasets\.kalantari\.on_disk in params\.yaml\), which is no folder"
    ):
        fetch.run(params(on_disk="gone"), "kalantari")


def test_what_no_machine_can_fetch_is_not_said_to_be_downloaded(params, tmp_path, capsys):
    fetch.run(params(), "folder", root=tmp_path / "mine")
    assert "(store/folder/on-disk.txt; delete it to forget that)" in capsys.readouterr().out
