"""`bench rank` and `score --rank`: a copied folder stands where the copied method stands; nothing else is touched."""

import shutil

import numpy as np
import pytest

from bench.core import layout
from bench.io.radiance import write_exr
from bench.io.tables import ScoreRow, read_scores, write_scores
from bench.stages.reporting import submission_log
from tests.shared import undrawn


@pytest.fixture
def rank(site, main_in):
    def run(*words):
        return main_in(site, "rank", *map(str, words), "--dataset", "panoramas")

    return run


def places(text):
    """Name -> place, from the printed table."""
    found = {}
    for line in text.splitlines():
        words = line.removeprefix(">").split()
        if len(words) > 2 and words[0].isdigit():
            found[words[1]] = int(words[0])
    return found


def test_a_copied_folder_stands_where_the_method_stands(rank, ours, site, capsys):
    before = {path: path.read_bytes() for path in (site.folder / "reports/tiny").rglob("*") if path.is_file()}
    assert rank(ours[0], "--name", "mine") == 0
    said = capsys.readouterr().out
    at = places(said)
    assert at["mine"] == at["ahdrnet"] and "Against ahdrnet: equal in every scene" in said
    assert "mine stands at place" in (site.folder / "work/tiny/rank.html").read_text()
    after = {path: path.read_bytes() for path in (site.folder / "reports/tiny").rglob("*") if path.is_file()}
    assert after == before and not (layout.submissions() / "mine.csv").exists()


def test_a_worsened_one_stands_below(rank, rewritten, capsys):
    rng = np.random.default_rng(1)
    worse = rewritten(".exr", lambda path, x: write_exr(path, x * rng.normal(1, 0.1, x.shape).astype(np.float32)))
    assert rank(worse, "--name", "mine") == 0
    at = places(capsys.readouterr().out)
    assert at["mine"] > at["ahdrnet"]


def test_a_method_is_predicted_and_stands_where_its_own_row_stands(rank, site, capsys):
    weights = layout.weights(site.params, site.plain)
    for word in ("ahdrnet", site.folder / "methods/ahdrnet.py"):
        assert rank("--method", word, "--weights", weights, "--name", "mine") == 0
        at = places(capsys.readouterr().out)
        assert at["mine"] == at["ahdrnet"]


def test_a_method_without_weights_of_its_own(rank, capsys):
    assert rank("--method", "reference-only", "--name", "mine", "--page", "here.html") == 0
    at = places(capsys.readouterr().out)
    assert at["mine"] == at["reference-only"]


def test_score_shows_the_place_too(score, ours, capsys):
    assert score(ours[0], "--rank") == 0
    said = capsys.readouterr().out
    assert "protocol whole-float@1\n" in said and places(said)["test"] == places(said)["ahdrnet"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "one of the two"),
        (("ours", "--method", "ahdrnet"), "one of the two"),
        (("--method", "ahdrnet"), "needs --weights"),
        (("--method", "reference-only", "--weights", "x.safetensors"), "has no weights"),
        (("--method", "reference-onyl"), "reference-only"),
        (("--method", "elsewhere.py"), "a file of methods/"),
        (("ours", "--metric", "psnr-nu"), "the scores hold"),
        (("ours", "--submit", "--name", "mine", "--link", "file:///etc/passwd"), "begins with https://"),
        (("ours", "--page", "params.yaml/rank.html"), "--page"),
        (("ours", "--page", "params.yaml"), "is no page of a ranking"),
    ],
)
def test_what_cannot_be_ranked_is_said(refused, site, ours, words, said):
    found = [str(ours[0]) if word == "ours" else word for word in words]
    assert said in refused(site, "rank", *found, "--dataset", "panoramas")


def test_a_report_that_is_not_there_is_said_before_anything_is_scored(refused, site, ours):
    (site.folder / "reports/tiny/scores.csv").unlink()
    assert "no rows to stand among" in refused(site, "rank", str(ours[0]), "--dataset", "panoramas")


def test_other_prepared_scenes_than_the_report_was_made_from_are_noted(rank, ours, site, capsys):
    assert rank(ours[0]) == 0 and "to the bit" not in capsys.readouterr().out
    card = next(layout.scenes(site.params, "panoramas", "test").glob("*/scene.json"))
    card.write_text(card.read_text() + " ")
    assert rank(ours[0]) == 0 and "aren't to the bit those" in capsys.readouterr().out


def test_another_protocol_than_the_reports_is_said_before_anything_is_scored(refused, site, ours, monkeypatch):
    monkeypatch.setattr("bench.stages.own_files.score.score_all", None)
    words = ("score", str(ours[0]), "--dataset", "panoramas", "--rank", "--protocol", "sctnet")
    assert "only under whole-float@1" in refused(site, *words)


class TestSubmissions:
    """The log of what was handed in."""

    @pytest.fixture
    def log(self, site):
        return lambda: submission_log.read(layout.submissions())

    def test_one_holds_who_what_and_from_which_files(self, rank, ours, log, site):
        link = "https://example.org/paper"
        assert rank(ours[0], "--name", "mine", "--submit", "--link", link) == 0
        (entry,) = log()
        assert (entry.name, entry.kind, entry.profile, entry.dataset) == ("mine", "self-reported", "tiny", "panoramas")
        assert entry.link == link and entry.protocols == ("whole-float@1",)
        assert entry.predictions.keys() == {path.stem for path in ours[0].iterdir()} and len(entry.truth) == 64
        assert (layout.submissions() / "mine.csv").exists()

    def test_the_same_files_confirm_it_and_the_log_only_grows(self, score, ours, log):
        assert score(ours[0], "--submit", "mine") == 0
        rows, first = (layout.submissions() / "mine.csv").read_bytes(), log()
        assert score(ours[0], "--rescore", "mine") == 0
        assert (layout.submissions() / "mine.csv").read_bytes() == rows
        assert log()[:1] == first and [entry.kind for entry in log()] == ["self-reported", "rescored"]

    def test_other_files_do_not(self, score, ours, rewritten, log, capsys):
        assert score(ours[0], "--submit", "mine") == 0
        darker = rewritten(".exr", lambda path, radiance: write_exr(path, radiance * np.float32(0.9)))
        assert score(darker, "--rescore", "mine") == 2
        assert "not the files that" in capsys.readouterr().err and len(log()) == 1

    def test_a_changed_log_does_not(self, score, ours, log, capsys):
        assert score(ours[0], "--submit", "mine") == 0
        path = submission_log.path(layout.submissions())
        path.write_text(path.read_text().replace(log()[0].scores, "0" * 64))
        assert score(ours[0], "--rescore", "mine") == 2
        assert "doesn't hold the scores that" in capsys.readouterr().err

    @pytest.mark.parametrize(("by", "ends"), [(1e-9, 0), (1e-3, 2)])
    def test_other_rounding_is_no_other_score(self, score, ours, log, capsys, by, ends):
        """As if another machine had submitted: its scores differ a little, and the log has the digest of these."""
        assert score(ours[0], "--submit", "mine") == 0
        path, logged = layout.submissions() / "mine.csv", submission_log.path(layout.submissions())
        rows = [ScoreRow(*cells)._replace(seed=None) for cells in read_scores([path]).itertuples(index=False)]
        moved = [row._replace(value=row.value + by) for row in rows]
        write_scores(path, moved)
        logged.write_text(logged.read_text().replace(log()[0].scores, submission_log.digest(moved)))
        capsys.readouterr()
        assert score(ours[0], "--rescore", "mine") == ends
        assert ("give other scores" in capsys.readouterr().err) == (ends == 2)
        if ends == 0:
            assert score(ours[0], "--rescore", "mine") == 0
            assert len({entry.scores for entry in log()}) == 1

    def test_one_of_another_profile_is_another(self, score, ours, log, capsys):
        assert score(ours[0], "--submit", "mine") == 0
        path = submission_log.path(layout.submissions())
        path.write_text(path.read_text().replace('"profile": "tiny"', '"profile": "huge"'))
        assert score(ours[0], "--rescore", "mine") == 2
        assert "mine on panoramas under whole-float@1 (profile huge)" in capsys.readouterr().err

    def test_one_that_nobody_made_cannot_be_confirmed(self, score, ours, capsys):
        assert score(ours[0], "--rescore", "mine") == 2
        assert "has no submission mine on panoramas" in capsys.readouterr().err

    @pytest.mark.parametrize("line", ["{", "[]", "{}", '{"name": 3}', "null", "[" * 10_000])
    def test_a_damaged_line_is_named(self, refused, site, ours, line):
        path = submission_log.path(layout.submissions())
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(line + "\n")
        said = refused(site, "score", str(ours[0]), "--dataset", "panoramas", "--rescore", "mine")
        assert "log.jsonl, line 1, is no entry" in said

    def test_tables_say_it(self, score, ours, site, monkeypatch):
        undrawn(monkeypatch)
        assert score(ours[0], "--submit", "mine", "--link", "https://example.org/paper") == 0
        shutil.rmtree(site.folder / "reports/tiny/tables")
        site.run("report")
        table = (site.folder / "reports/tiny/tables/table1.md").read_text()
        assert f"self-reported {submission_log.today()}, https://example.org/paper" in table
