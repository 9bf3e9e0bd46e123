"""`dvc repro` with nothing to do, as a ratio to an empty-command pipeline of as many stages; `-s` prints both.

Seconds are the processor's. What DVC itself takes is in both; what the ratio adds is the price of our dependencies,
parameters and `foreach`: DVC parses the parameter file once for each stage, looks up each parameter in it, and asks its
database for each dependency. See docs/scale.md.
"""

import pytest

from . import pipelines

pytestmark = pytest.mark.timed

WANTED, REACHED = 1.3, {0: 4.2, 240: 9.5}
"""The ratio to be kept, and the measured one (3.6 and 8.1) with a margin, by the stages that were asked for."""

ROUNDS = 3


@pytest.fixture(scope="module", params=[0, 240], ids=["as it is", "240 stages"])
def cost(request, tmp_path_factory):
    """The stages asked for, and the processor's time of the project's no-op over a plain pipeline's, best of rounds."""
    folder = tmp_path_factory.mktemp("idle")
    count = pipelines.project(folder / "ours", request.param)
    pipelines.plain(folder / "plain", count)
    pairs = [(idle(folder / "ours", count), idle(folder / "plain", count)) for _ in range(ROUNDS)]
    mine, theirs = (min(column) for column in zip(*pairs, strict=True))
    print(f"{count} stages: {mine:.2f} s, plain {theirs:.2f} s, x{mine / theirs:.2f}")
    return request.param, mine / theirs


def test_nothing_to_do_costs_no_more_than_it_did(cost, ratio):
    stages, found = cost
    ratio(1 / found)
    assert found <= REACHED[stages]


@pytest.mark.xfail(reason="DVC parses the parameter file once for each stage")
def test_nothing_to_do_costs_what_an_empty_pipeline_costs(cost):
    assert cost[1] <= WANTED


def idle(folder, count):
    """Run `dvc repro`, which must find all stages as they should be; return the processor's seconds."""
    seconds, said = pipelines.ask(folder, "dvc", "repro")
    assert said.count("didn't change, skipping") == count, said
    return seconds


def test_a_pipeline_that_is_done_has_nothing_to_do_until_a_file_changes(tmp_path):
    pipelines.plain(tmp_path, 3)
    idle(tmp_path, 3)
    (tmp_path / "file1.txt").write_text("changed", encoding="utf-8")
    with pytest.raises(AssertionError):
        idle(tmp_path, 3)
