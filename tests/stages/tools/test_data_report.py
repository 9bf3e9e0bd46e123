"""The data page: a row for each scene, every picture inside the file, and nothing from outside it."""

import base64
import io
import re

import pytest
from PIL import Image

from bench.core import layout
from bench.core.errors import UsageError
from bench.io.container import list_scenes
from bench.stages.data import fetch, prepare
from bench.stages.tools import data_report
from tests.data import builders


@pytest.fixture(scope="module")
def html(workshop, tmp_path_factory):
    """The page of all scenes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workshop.folder)
        file = tmp_path_factory.mktemp("page") / "page.html"
        return data_report.run(workshop.params, "panoramas", file).read_text(encoding="utf-8")


@pytest.fixture
def page(workshop, monkeypatch, tmp_path):
    monkeypatch.chdir(workshop.folder)

    def make(name="panoramas", **options):
        return data_report.run(workshop.params, name, tmp_path / "page.html", **options).read_text(encoding="utf-8")

    return make


def test_every_scene_has_a_row_with_its_picture(html, workshop, monkeypatch):
    monkeypatch.chdir(workshop.folder)
    for split in ("train", "test", "no-truth"):
        for path in list_scenes(layout.scenes(workshop.params, "panoramas", split)):
            assert f"<b>{path.name}</b>" in html
    pictures = re.findall(r'src="data:image/(\w+);base64,([^"]+)"', html)
    assert len(pictures) == html.count("<img ") == html.count("<tr>\n<td") + 1
    for kind, data in pictures:
        with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
            assert picture.format.lower() == kind and picture.size[0] > 100


def test_checks_and_layout_are_told(html):
    assert "7 of 7" in html and "3 of 3" in html  # with truth and without
    assert "scale: not applicable: no truth" in html and "<dd>folders</dd>" in html


def test_nothing_comes_from_the_network(html):
    assert not [found for found in re.findall(r'(?:src|href)="([^"]*)"', html) if not found.startswith(("data:", "#"))]
    assert "default-src 'none'" in html and "@import" not in html and "url(" not in html


def test_equal_scenes_give_equal_bytes(page, html):
    assert page() == html


def test_limit_counts_scenes_of_each_split(page):
    assert page(limit=1).count("<tr>\n<td") == 4  # of train, validation, test and no-truth


def test_a_profiles_name_stands_for_all_its_sets(page, html, workshop, monkeypatch):
    monkeypatch.setattr(data_report, "profiles", lambda: {"tiny": workshop.folder / "params.yaml"})
    assert page("tiny").replace("--dataset tiny", "--dataset panoramas") == html


def test_a_set_that_the_profile_does_not_use_has_a_page(site, tmp_path):
    builders.kalantari(tmp_path / "mine" / "hall")
    with pytest.raises(UsageError, match=r"doesn't exist yet\. Make it with: python -m bench prepare folder$"):
        data_report.run(site.params, "folder", tmp_path / "page.html")
    fetch.run(site.params, "folder", root=tmp_path / "mine")
    prepare.run(site.params, "folder")
    page = data_report.run(site.params, "folder", tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<b>hall</b>" in page and "data report --dataset folder" in page


def test_an_unknown_name_is_answered(page):
    with pytest.raises(UsageError, match=r"no dataset or profile is called 'panorama'\. Did you mean"):
        page("panorama")


def test_scenes_that_are_not_prepared_yet_name_the_command(fresh, monkeypatch):
    monkeypatch.chdir(fresh.folder)
    with pytest.raises(UsageError, match=r"doesn't exist yet\. Make it with: python -m bench prepare panoramas"):
        data_report.run(fresh.params, "panoramas")


def test_the_command_line_says_where_the_page_is(workshop, main_in, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert main_in(workshop, "data", "report", "--dataset", "panoramas", "--limit", "1", "--out", "x.html") == 0
    assert (tmp_path / "x.html").exists() and "Page: " in capsys.readouterr().out
