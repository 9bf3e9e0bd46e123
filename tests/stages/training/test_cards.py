"""The card beside weights says what they are weights of; one that can't be true is a sentence, not a traceback."""

import json

import pytest
import torch
from safetensors.torch import save_file

from bench.core.errors import UsageError
from bench.core.params import load
from bench.core.registry import methods
from bench.core.runs import BASES, RULE
from bench.stages.training import networks

CARD = {"method": "ahdrnet", "preset": "smoke", "head": "published", "register": "none", "options": {}}


@pytest.fixture
def theirs(tmp_path, small_params, write_params):
    """Parameters with a variant `theirs` whose weights have a card; what changes the card, and gives the network."""
    file = tmp_path / "theirs.safetensors"
    save_file(methods["ahdrnet"].build("smoke").state_dict(), file)
    small_params["variants"]["theirs"] = {"method": "ahdrnet", "preset": "smoke", "weights": str(file)}
    params = load(write_params(small_params))

    def read(content, state=None):
        file.with_suffix(".json").write_text(content if isinstance(content, str) else json.dumps(content))
        if state is not None:
            save_file(state, file)
        return networks.read_foreign(params, "theirs")

    return read


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ("[]", "expected a JSON object {...}, got a list"),
        ("null", "expected a JSON object"),
        ("[" * 20_000, "nested too deeply"),
        ("{", "not valid JSON"),
        (f'{{"options": {"9" * 5000}}}', "not valid JSON"),
        ({"method": ["ahdrnet"]}, "method is .*, not a name"),
        ({"method": "sctnet"}, "holds weights of sctnet, not of ahdrnet"),
        ({"options": [1]}, r"options is \[1\], not a mapping"),
        ({"options": {"colour": 1}}, "no option of ahdrnet is called 'colour'"),
        ({"options": {"channels": -8}}, "can't be built with channels -8"),
        ({"options": {"channels": "many"}}, "ahdrnet, option channels: expected an integer such as 3, got 'many'"),
        ({"options": {"channels": 10**9}}, "options.channels is 1,000,000,000, more than a network here has"),
        ({"head": 3}, "head is 3, not a name"),
        ({"head": "sigmoid"}, "output head 'sigmoid' is unknown"),
        ({"register": "by hand"}, "no registration is called 'by hand'"),
    ],
    ids=range(15),
)
def test_a_card_that_cannot_be_true_is_refused(card, said, theirs):
    with pytest.raises(UsageError, match=said) as caught:
        theirs(card if isinstance(card, str) else CARD | card)
    assert "\n" not in str(caught.value)


def test_fields_that_are_null_count_as_absent(theirs):
    assert theirs(CARD | {"options": None, "stage1": None, "register": None, "head": None}).head.kind == "published"


@pytest.mark.parametrize(("base", "known"), [(RULE, True), (None, False), ("short-where-clipped", False)])
def test_weights_of_another_base_of_the_head_are_refused(base, known, theirs):
    card = CARD | {"head": "rule-residual", "base": base}
    if known:
        assert theirs(card).head.kind == "rule-residual"
        return
    with pytest.raises(
        UsageError, match=rf"{base or 'an older base'}, and networks .* built on {RULE}; train it again"
    ):
        theirs(card)
    assert theirs(CARD | {"head": "mu-residual"}).head.kind == "mu-residual", "its base is the reference, as ever"


def test_bases_are_what_heads_of_ours_start_from():
    from bench.nn.blocks import HEADS

    assert set(BASES) == set(HEADS) - {"published"}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (torch.full((3,), float("nan")), "holds NaN or infinite"),
        (torch.ones(3, dtype=torch.int8), "of type torch.int8"),
    ],
)
def test_weights_with_values_that_no_network_has_are_refused(value, said, theirs):
    state = methods["ahdrnet"].build("smoke").state_dict()
    with pytest.raises(UsageError, match=rf"head\.last\.bias.* {said}.* Delete it, then make it with"):
        theirs(CARD, state | {"head.last.bias": value})
