"""The registries: one file adds an entry, and mistakes are answered in a sentence."""

import math

import pytest

from bench.core import registry
from bench.core.dataset import DatasetCard
from bench.core.errors import CodeFault, UsageError
from bench.core.method import MethodCard
from bench.core.metric import MetricCard, SectionCard
from bench.core.params import load
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


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (CARD.encode() + b"\ndef broken(:\n", r"methods/negative\.py:11: this isn't Python \(invalid syntax\)"),
        (CARD.encode() + b'\nx = "\0"\n', r"methods/negative\.py:11: this isn't Python \(.*null bytes\)"),
        (CARD.encode() + b'\nx = "\xff"\n', r"methods/negative\.py:11: this isn't Python \(.*utf-8.*\)"),
        (CARD.encode() + b"-" * 100_000 + b"1", r"methods/negative\.py: this isn't Python \(nested too deeply\)"),
    ],
    ids=["syntax", "null", "encoding", "depth"],
)
def test_a_file_that_is_not_python_is_told_with_its_line(tree, content, said):
    folder, found = tree
    (folder / "negative.py").write_bytes(content)
    with pytest.raises(UsageError, match=f"^{said}; correct the file, or move it away"):
        list(found)


def test_a_link_to_nowhere_among_the_files_is_told(tree):
    folder, found = tree
    (folder / "negative.py").symlink_to("nowhere")  # as editors leave them
    with pytest.raises(UsageError, match=r"negative\.py: can't be read"):
        list(found)


def test_a_fault_of_code_is_not_told_of_the_parameter_file(write_params, small_params, monkeypatch):
    file = write_params(small_params)

    def read(*_):
        raise CodeFault("methods/negative.py:11: this isn't Python")

    monkeypatch.setattr(Registry, "_read", read)
    monkeypatch.delitem(methods.__dict__, "_cards", raising=False)
    with pytest.raises(UsageError, match=r"^methods/negative\.py:11: this isn't Python"):
        load(file)


@pytest.mark.parametrize(
    ("noun", "card", "fields", "said"),
    [
        ("dataset", DatasetCard, 'splits={"all": "testing"}', "splits.*: 'all': expected 'train' or .*, got 'testing'"),
        ("dataset", DatasetCard, 'splits="test"', "splits.*: expected a dictionary, got 'test'"),
        ("dataset", DatasetCard, 'fetch="hand"', "fetch.*: expected 'simulate' or 'download' or 'manual', got 'hand'"),
        ("dataset", DatasetCard, 'steps="Ask them."', r"steps.*: expected a tuple such as \('Ask them.',\)"),
        ("dataset", DatasetCard, 'expected={"all": "3"}', "expected.*: 'all': expected an integer, got '3'"),
        ("method", MethodCard, 'trains="no"', "trains of the method 'new': expected True or False, got 'no'"),
        (
            "method",
            MethodCard,
            'trains=True, heads=("publishd",)',
            "heads.*: expected 'published' or .*, got 'publishd'",
        ),
        ("metric", MetricCard, 'better="more"', "better.*: expected 'higher' or 'lower', got 'more'"),
        ("metric", MetricCard, 'better="lower", domain="log"', "domain.*: expected 'mu' or .*, got 'log'"),
        ("metric", MetricCard, 'better="lower", digits="2"', "digits.*: expected an integer, got '2'"),
        ("section", SectionCard, 'required="yes"', "required.*: expected True or False, got 'yes'"),
    ],
)
def test_a_field_that_a_card_cannot_have_is_refused_by_name(tree, noun, card, fields, said):
    given = {"name": "new", "title": "T", "licence": "L", "cites": "c", "label": "N", "trains": False} | {
        "unit": "1", "better": "higher", "domain": "mu", "digits": 2
    }  # fmt: skip
    given = {name: value for name, value in given.items() if name in card.__annotations__ and f"{name}=" not in fields}
    words = [repr(given.pop("name")), *(f"{name}={value!r}" for name, value in given.items()), fields]
    (tree[0] / "new.py").write_text(f"@{noun}({', '.join(words)})\nclass New:\n    pass\n")
    with pytest.raises(UsageError, match=rf"^methods/new\.py:1: {said}"):
        list(Registry(noun, "methods", card))


def test_building_what_has_no_network_is_refused():
    with pytest.raises(UsageError, match="has no network to build"):
        methods["triangle-merge"].build()


def test_an_unknown_preset_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match="Did you mean 'published'"):
        methods["ahdrnet"].build("publish")


def test_an_option_that_the_network_does_not_have_is_refused():
    with pytest.raises(UsageError, match="no option of ahdrnet is called 'wings'"):
        methods["ahdrnet"].build("smoke", wings=2)


OPTIONS = [
    ("olc", {"channels": True}, "channels: expected an integer such as 3, got true"),
    ("olc", {"channels": "8"}, "channels: expected an integer such as 3, got '8'"),
    ("olc", {"channels": 8.0}, "channels: expected an integer such as 3, got 8.0"),
    ("olc", {"encoder_blocks": "1"}, "encoder_blocks: expected an integer such as 3, got '1'"),
    ("olc", {"prior_frozen": 0}, "prior_frozen: expected true or false, got 0"),
    ("olc", {"prior_frozen": "no"}, "prior_frozen: expected true or false, got 'no'"),
    ("olc", {"skip": False}, "skip: expected text such as 'False', got false"),
    ("olc", {"vqgan": 16}, "vqgan: expected a mapping such as {name: value}, got 16"),
    ("olc", {"vqgan": {"codes": "32"}}, "vqgan.codes: expected an integer such as 3, got '32'"),
    ("olc", {"vqgan": {"codes": True}}, "vqgan.codes: expected an integer such as 3, got true"),
    ("olc", {"vqgan": {"codes": None}}, "vqgan.codes: expected an integer such as 3, got nothing"),
    ("olc", {"vqgan": {"segments": 3}}, "vqgan.segments: expected 'olc' or 'vanilla', got 3"),
    ("olc", {"vqgan": {"segmnts": "olc"}}, "vqgan.segmnts: unknown key; remove it or check its spelling"),
    ("olc", {"vqgan": {"encoder_blocks": 1}}, "vqgan.encoder_blocks: unknown key; remove it or check its spelling"),
    ("cavit", {"drop": "1e-3"}, "drop: expected a number such as 0.5, got '1e-3'"),
    ("hdr-gan", {"channels": [4, True]}, "channels.1: expected an integer such as 3, got true"),
    ("hdr-gan", {"channels": 4}, "channels: expected a list such as [4], got 4"),
    ("sen2012", {"max_side": "64"}, "max_side: expected an integer such as 3, got '64'"),
]


@pytest.mark.parametrize(("name", "options", "said"), OPTIONS)
def test_an_option_of_another_kind_is_refused_before_anything_is_imported(name, options, said):
    with pytest.raises(UsageError) as caught:
        methods[name].check_options(options, " (here)")
    assert str(caught.value) == f"{name} (here), option {said}."


@pytest.mark.parametrize("name", methods)
def test_what_presets_and_recipes_give_are_options_of_the_right_kind(name):
    for options in (*methods[name].presets.values(), methods[name].recipe.get("options", {})):
        methods[name].check_options(options)
    methods["olc"].check_options({"encoder_blocks": None, "vqgan": {"codes": 16}, "prior_frozen": False})
    methods["olc"].check_options({"vqgan": None})
    methods["cavit"].check_options({"drop": 0})


@pytest.mark.parametrize(
    ("name", "possible", "impossible"),
    [("ssim-l", [-1, 1, math.nan], [-1.1, 1.1]), ("ssim-pu", [0], [1.7, math.inf]), ("ssim-mu", [0.5], [-math.inf]),
     ("hdrvdp2", [-20, 100], [100.1, math.inf]), ("psnr-mu", [math.inf, -3], [])],
)  # fmt: skip
def test_cards_tell_what_a_metric_can_be(name, possible, impossible):
    assert all(map(metrics[name].possible, possible)) and not any(map(metrics[name].possible, impossible))
