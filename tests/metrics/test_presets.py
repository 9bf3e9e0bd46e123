"""Presets against what the public evaluation functions returned: every row, all four pairs."""

import csv
import math
from functools import cache
from pathlib import Path

import pytest
import yaml

from bench.core.registry import protocols
from bench.metrics.protocol import Protocol

ROWS = list(csv.DictReader((Path(__file__).parent / "golden" / "protocols.csv").read_text().splitlines()))
"""`ssim-l-float64` is ssim-l of float64 input; `-png`, `-unclamped` and `-clamped` are presets with one change."""

NAMES = {
    "HDR-Transformer-PyTorch": ("hdr-transformer", {}),
    "AHDRNet-PyTorch-ytZhang99": ("ahdrnet-ytzhang99", {}),
    "NTIRE21-evaluation": ("ntire21", {}),
    "NTIRE21-evaluation-png": ("ntire21", {"quantise": "png16"}),
    "RFG-HDR-resized-0.96": ("resized-960x1440", {}),
    "SAFNet-unclamped": ("safnet", {"clip": "none"}),
    "DeepHDR-clamped": ("deephdr", {"clip": "prediction"}),
}
"""Preset and changed values; the other names are lower-cased."""

BY_HAND = (
    "afunet-issue-5", "gmodiff", "hdr-gan", "hdrflow", "la-hdr", "sctnet-matlab", "sctnet-pu21", "selfhdr",
    "singlehdr", "wavelet-hdr",
)  # fmt: skip
"""Presets that no public function was run for: `test_public_recipes` writes them out."""

CASES = sorted({(row["pair"], row["protocol"]) for row in ROWS})


@cache
def preset(origin):
    """The protocol of a row, without HDR-VDP-2, whose golden values are elsewhere."""
    name, values = NAMES.get(origin, (origin.lower(), {}))
    content = protocols[name].model_dump()
    content["values"] |= values
    content["metrics"] = [metric for metric in content["metrics"] if metric != "hdrvdp2"]
    return Protocol.model_validate(content)


@pytest.mark.parametrize(("pair", "origin"), CASES)
def test_public_code_gives_the_same_numbers(pair, origin, golden_pair):
    """Public code works in float32, which moves PSNR by up to 6e-6 dB and SSIM by 1e-7: hence 1e-5 dB and 1e-6."""
    found = preset(origin).evaluate(*golden_pair(pair), trusted=True)
    rows = [row for row in ROWS if (row["pair"], row["protocol"]) == (pair, origin)]
    assert {row["metric"].removesuffix("-float64") for row in rows} == set(found)
    for row in rows:
        value = float(row["value"])
        tolerance = 1e-5 if row["metric"].startswith("psnr") else 1e-6
        assert found[row["metric"].removesuffix("-float64")] == pytest.approx(value, abs=tolerance, nan_ok=True)


def test_the_rows_cover_every_preset_and_its_nan():
    origins = {origin for _, origin in CASES}
    assert {preset(origin).name for origin in origins} == set(protocols) - {"whole-float", *BY_HAND}
    assert len(ROWS) == 4 * 46
    assert sum(math.isnan(float(row["value"])) for row in ROWS) == 15


@pytest.mark.parametrize("name", protocols)
def test_a_file_writes_every_setting_out(name):
    # What a file leaves to a default could change its meaning without a change of the file.
    text = (protocols.folder / f"{name}.yaml").read_text()
    assert yaml.safe_load(text) == protocols[name].model_dump(mode="json")


def test_the_presets_of_the_design_are_there():
    names = "hdr-transformer sctnet afunet rfg-hdr ahdrnet-ytzhang99 ntire21 adnet-validation safnet safnet-matlab"
    names += " deephdr deephdrvideo lrt-hdr nhdrrnet-galaxies99 resized-960x1440 whole-float"
    assert set(protocols) == {*names.split(), *BY_HAND}


def test_identical_images_get_what_deephdr_states(golden_pair):
    _, truth = golden_pair("p1_ghost")
    assert preset("DeepHDR").evaluate(truth, truth) == {"psnr-mu": 100.0}
    assert preset("SAFNet").evaluate(truth, truth)["psnr-mu"] == math.inf
