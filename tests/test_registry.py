"""The registries: one file adds an entry, and mistakes are answered in a sentence."""

import math

import pytest

from bench.core import registry
from bench.core.errors import UsageError
from bench.core.method import MethodCard
from bench.core.registry import Registry, datasets, methods, metrics, protocols

CARD = """
from bench.core.method import method

raise RuntimeError("listing must not run this file")


@method("negative", label="Negative", cites="nobody", trains=False)
class Negative:
    pass
"""


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A temporary project whose folder methods/ the returned registry reads."""
    monkeypatch.setattr(registry, "ROOT", tmp_path)
    (tmp_path / "methods" / "inner").mkdir(parents=True)
    return tmp_path / "methods", Registry("method", "methods", MethodCard)


@pytest.mark.parametrize(
    ("mapping", "typo", "meant"),
    [
        (methods, "triangle-merg", "'triangle-merge'"),
        (methods, "ahdr-net", "'ahdrnet'"),
        (metrics, "pnsr-mu", "'psnr-mu'"),
        (protocols, "whole_float", "'whole-float'"),
    ],
)
def test_did_you_mean(mapping, typo, meant):
    with pytest.raises(UsageError, match=f"Did you mean .*{meant}"):
        mapping[typo]


def test_a_name_like_no_other_is_answered_with_all():
    with pytest.raises(UsageError, match=r"Known: .*ahdrnet.*triangle-merge"):
        methods["zzzzzz"]


@pytest.mark.parametrize("mapping", [methods, datasets, metrics, protocols])
def test_a_registry_is_a_mapping(mapping):
    assert len(mapping) == len(list(mapping)) == len(set(mapping))
    assert all(name in mapping for name in mapping)
    assert "no such thing" not in mapping


@pytest.mark.parametrize("mapping", [methods, datasets, metrics])
def test_every_card_leads_to_its_code(mapping):
    for name, card in mapping.items():
        assert card.load().card == card
        assert card.name == name


def test_a_new_file_is_found_without_running_it(tree):
    folder, found = tree
    (folder / "negative.py").write_text(CARD)
    (folder / "inner" / "other.py").write_text(CARD.replace("negative", "other"))
    assert found["negative"].module == "methods.negative"
    assert found["negative"].attribute == "Negative"
    assert found["other"].module == "methods.inner.other"


def test_a_card_of_something_else_than_literals_is_refused(tree):
    folder, found = tree
    (folder / "negative.py").write_text(CARD.replace('"Negative"', "str(1)"))
    with pytest.raises(UsageError, match=r"methods/negative\.py:7: the card of a method must consist of literals"):
        len(found)


def test_a_card_with_an_unknown_field_is_refused(tree):
    folder, found = tree
    (folder / "negative.py").write_text(CARD.replace("cites=", "sites="))
    with pytest.raises(UsageError, match="sites"):
        len(found)


def test_building_what_has_no_network_is_refused():
    with pytest.raises(UsageError, match="has no network to build"):
        methods["triangle-merge"].build()


def test_an_unknown_preset_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match="Did you mean 'published'"):
        methods["ahdrnet"].build("publish")


def test_an_option_that_the_network_does_not_have_is_refused():
    with pytest.raises(UsageError, match="no option of ahdrnet is called 'wings'"):
        methods["ahdrnet"].build("smoke", wings=2)


@pytest.mark.parametrize(
    ("name", "possible", "impossible"),
    [("ssim-l", [-1, 1, math.nan], [-1.1, 1.1]), ("ssim-pu", [0], [1.7, math.inf]), ("ssim-mu", [0.5], [-math.inf]),
     ("hdrvdp2", [-20, 100], [100.1, math.inf]), ("psnr-mu", [math.inf, -3], [])],
)  # fmt: skip
def test_cards_tell_what_a_metric_can_be(name, possible, impossible):
    assert all(map(metrics[name].possible, possible)) and not any(map(metrics[name].possible, impossible))
