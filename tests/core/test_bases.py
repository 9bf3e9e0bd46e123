"""Which row without training a learned row is compared with."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from bench.core.errors import UsageError
from bench.core.params import Params, load
from bench.core.runs import base_of

ROOT = Path(__file__).resolve().parents[2]
RULE = "brighter-where-clipped"


def params(head, register):
    content = {
        "profile": "bases",
        "head": head,
        "register": register,
        "datasets": {"panoramas": {}},
        "train": {"panoramas": [0]},
        "variants": {
            "rule": {"method": RULE},
            "mine": {"method": "ahdrnet"},
            "own": {"method": "ahdrnet", "options": {"head": "published"}},
            "theirs": {"method": "ahdrnet", "weights": "theirs.safetensors"},
            "kalantari2017": {"method": "kalantari2017", "preset": "direct"},
            "deephdr": {"method": "deephdr"},
        },
    }
    return Params.model_validate(content)


@pytest.mark.parametrize(
    ("head", "register", "mine", "own"),
    [
        ("mu-residual", "none", "reference-only", "rule"),
        ("mu-residual", "dis", "reference-only", f"dis-{RULE}"),
        ("rule-residual", "none", "rule", "rule"),
        ("rule-residual", "dis", f"dis-{RULE}", f"dis-{RULE}"),
        ("published", "dis", f"dis-{RULE}", f"dis-{RULE}"),
    ],
)
def test_a_base_is_what_the_head_starts_from_on_the_frames_that_the_network_gets(head, register, mine, own):
    found = params(head, register)
    assert base_of(found, "mine") == base_of(found, "mine--panoramas--s0") == mine
    assert base_of(found, "own") == own
    assert base_of(found, "theirs") == "rule"
    assert base_of(found, "kalantari2017") == ("reference-only" if head == "mu-residual" else f"dis-{RULE}")
    assert base_of(found, "deephdr") == ("reference-only" if head == "mu-residual" else f"homography-{RULE}")
    assert base_of(found, "rule") is None


@pytest.mark.parametrize(
    ("told", "base"),
    [
        ({"head": "mu-residual", "register": "dis"}, "reference-only"),
        ({"head": "rule-residual", "register": "dis"}, f"dis-{RULE}"),
        ({"head": None, "register": "homography"}, f"homography-{RULE}"),
        ({}, "rule"),
    ],
)
def test_the_card_of_weights_from_elsewhere_says_what_they_start_from(told, base, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("theirs.json").write_text(json.dumps(told))
    assert base_of(params("rule-residual", "none"), "theirs") == base
    Path("theirs.json").write_text("[]")
    with pytest.raises(UsageError, match=r"theirs\.json: expected a JSON object"):
        base_of(params("rule-residual", "none"), "theirs")


@pytest.mark.parametrize("own", [{"preset": "published"}, {"preset": "we"}, {"options": {"kind": "we"}}])
def test_a_network_without_heads_of_ours_is_refused_before_it_trains(own):
    content = {
        "profile": "heads",
        "head": "mu-residual",
        "datasets": {},
        "variants": {"mine": {"method": "kalantari2017", "preset": "direct", **own}},
    }
    with pytest.raises(
        ValidationError, match=r"variants\.mine: kalantari2017 of kind 'wi?e' has no head 'mu-residual'"
    ):
        Params.model_validate(content)
    content["variants"]["mine"]["options"] = {"kind": "direct"}
    Params.model_validate(content)
    content["variants"]["mine"]["options"] = {"kind": "we", "head": "published"}
    Params.model_validate(content)


def test_an_unknown_row_is_answered_with_a_sentence():
    with pytest.raises(UsageError, match="no variant is called 'mime'"):
        base_of(params("published", "none"), "mime")


@pytest.mark.parametrize("profile", [".", "profiles/smoke", "profiles/study"])
def test_profiles_with_the_head_on_the_rule_have_every_base(profile):
    """Else a table could not say what a row gained."""
    found = load(ROOT / profile / "params.yaml")
    bases = {base_of(found, name) for name in found.variants} - {None}
    assert bases <= set(found.variants)
    assert RULE in found.tables.floors and f"dis-{RULE}" in found.rows(1).values()
