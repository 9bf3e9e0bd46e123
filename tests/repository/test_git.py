import pytest

from bench.core.errors import UsageError
from bench.repository import git


def test_output_is_returned_and_input_and_environment_reach_git(tmp_path):
    git.output(tmp_path, "init", "--quiet")
    blob = git.output(tmp_path, "hash-object", "-w", "--stdin", given="a\n").strip()
    assert git.output(tmp_path, "cat-file", "blob", blob) == "a\n"
    person = {"GIT_AUTHOR_NAME": "somebody", "GIT_AUTHOR_EMAIL": "a@b.org"}
    assert git.output(tmp_path, "var", "GIT_AUTHOR_IDENT", environ=person).startswith("somebody <a@b.org>")


def test_a_failure_is_told_in_gits_words_and_ask_leaves_it_to_the_caller(tmp_path):
    with pytest.raises(UsageError, match=r"^git rev-parse HEAD failed in .*: fatal: "):
        git.output(tmp_path, "rev-parse", "HEAD")
    assert git.ask(tmp_path, "rev-parse", "HEAD").returncode != 0


def test_without_git_a_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="git isn't installed"):
        git.ask(tmp_path, "status", environ={"PATH": str(tmp_path)})


def test_names_end_with_a_zero_byte():
    assert git.paths("a b\0c\nd\0") == ["a b", "c\nd"]
    assert git.paths("") == []
