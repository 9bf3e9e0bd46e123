"""The rule of the golden cases draws what its stored check values say."""

import zlib

import numpy as np
import pytest
import torch

from . import rule

NETWORKS = sorted(path.stem for path in (rule.GOLDEN / "keys").glob("*.json"))
CASES = sorted(path.stem for path in (rule.GOLDEN / "stages").glob("*.json"))


@pytest.mark.parametrize("network", NETWORKS)
def test_weights_have_the_stored_check_sums(network):
    entries, state = rule.keys(network)["state_dict"], rule.public_state(network)
    assert list(state) == [entry["key"] for entry in entries]
    for entry in entries:
        value = state[entry["key"]]
        assert list(value.shape) == entry["shape"] and str(value.dtype) == f"torch.{entry['dtype']}"
        if entry["kind"] == "as_built" and "sum" in entry:
            whole = value.double()
            assert [whole.min(), whole.max(), whole.sum()] == [entry["min"], entry["max"], entry["sum"]]
        elif "first" in entry:
            assert value.flatten()[0].item() == pytest.approx(entry["first"], rel=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_inputs_have_the_stored_check_sums(name):
    case, record = rule.case(name), rule.json.loads((rule.GOLDEN / "stages" / f"{name}.json").read_text("utf-8"))
    for index, stored in enumerate(record["input"]["frames"]):
        drawn = rule.public_frame(index, *case.size)
        assert zlib.crc32(drawn.astype("<f4").tobytes()) == stored["crc32"]


def test_gains_multiply_after_rounding():
    base, stressed = (rule.public_state("adnet", gain) for gain in ({}, rule.case("adnet_64x64_stress").gain))
    changed = [key for key in base if not torch.equal(base[key], stressed[key])]
    assert changed and all("conv_offset_mask" in key for key in changed)
    assert torch.equal(stressed[changed[0]], 16 * base[changed[0]])


def test_frames_are_in_our_order():
    theirs, ours = rule.public_frame(2), rule.frames(linear_first=True, bgr=True, dtype=torch.float32)[0, 2].numpy()
    np.testing.assert_array_equal(ours, theirs[0, [5, 4, 3, 2, 1, 0]])
    np.testing.assert_array_equal(rule.frames(dtype=torch.float32)[0, 2].numpy(), theirs[0])
