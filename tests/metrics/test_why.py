"""The settings that predictions are scored under: all published ones, and steps that change one thing."""

import numpy as np
import pytest

from bench.cli.catalogue import flatten
from bench.core.registry import protocols
from bench.metrics import why

HANDED_OVER = ("encoding", "scale", "pixels_per_degree")
STEPS = {one.key: one for one in why.steps()}


def settings(one):
    return dict(flatten(one.protocol.model_dump(exclude={"name", "title", "source", "notes", "metrics"})))


def test_every_protocol_with_hdrvdp2_is_a_published_setting_and_the_base_is_the_first():
    found = [one.name for one in why.published()]
    assert found[0] == why.BASE
    assert sorted(found) == sorted(name for name, rule in protocols.items() if "hdrvdp2" in rule.metrics)


@pytest.mark.parametrize("key", STEPS)
def test_a_step_changes_one_thing(key):
    """Except that linear light needs a scale with its encoding."""
    one = STEPS[key]
    others = {other.name: other for other in (*why.published(), *STEPS.values())}
    ours, theirs = settings(one), settings(others[one.against])
    changed = {name.split(".")[1] for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)}
    if one.group == "HDR-VDP-3":
        assert changed in ({"encoding", "scale"}, {"pixels_per_degree"})
        return
    if one.metric != why.METRIC:  # the same is handed over
        assert all(getattr(one.view, name) == getattr(why.published()[0].view, name) for name in HANDED_OVER)
        return
    expected = {"encoding": {"encoding", "scale"}, "pixels per degree": {"pixels_per_degree"}, "file": {"quantise"}}
    assert changed == expected.get(one.group, {one.group})


def test_names_are_told_apart():
    assert len({one.key for one in why.published()} | STEPS.keys()) == len(why.published()) + len(STEPS)


def test_a_step_gives_what_its_protocol_gives(golden_pair):
    pred, truth = (np.ascontiguousarray(image[:64, :80]) for image in golden_pair("p1_ghost"))
    base, swapped = why.published()[0].protocol, STEPS["order: truth first"].protocol
    forth, back = (rule.evaluate(*pair, trusted=True)["hdrvdp2"] for rule, pair in (
        (swapped, (pred, truth)), (base, (truth, pred))
    ))  # fmt: skip
    assert forth == back
