"""What the data support: the words must follow planted scores, whichever way they point."""

import re
from dataclasses import replace

import pytest

from bench.report.results import paired
from bench.report.results.paired import compare, pairs
from bench.report.scores import support

SCENES = {"panoramas": {"train": ["city-01", "city-02", "night-01"]}}
LEVELS = dict.fromkeys(
    ("vanilla-16", "olc-16", "vanilla-32", "full", "hdr-32", "vanilla-32-r", "full-r", "full-random", "step-6",
     "baseline"), 0.0,
)  # fmt: skip


@pytest.fixture
def said(study):
    """The findings on planted levels, as one text."""

    def make(seeds=3, places=8, without=(), against=None, **levels):
        chosen = {name: level for name, level in LEVELS.items() if name not in without}
        named = {name.replace("_", "-"): level for name, level in levels.items()}
        papers, measured = study({**chosen, **named}, seeds=seeds, places=places, against=against or {})
        return "\n".join(support.section(list(papers.values()), measured, SCENES).findings)

    return make


def test_data_are_counted(said):
    text = said(places=2)
    assert "On panoramas: tested on 6 views of 2 places (beach, castle)" in text
    assert "trained on 3 views of 2 places (city, night), 4 places in all; 3 seeds; protocol whole-float@1; " in text
    assert "perceptual backbone random-vgg16 (seeded); 60 steps at batch 4" in text
    assert "codebooks 40 steps at batch 4" in text


@pytest.mark.parametrize("level", [-0.5, 0.0, 0.5])
@pytest.mark.parametrize("without", [(), ("hdr-32", "full-random", "vanilla-32-r", "full-r"), ("step-6", "olc-16")])
def test_ten_sentences_at_most(study, level, without):
    levels = {name: 0.0 for name in LEVELS if name not in without} | {"full": level}
    papers, measured = study(levels, against={"vanilla-32-r": "vanilla-32"})
    made = support.section(list(papers.values()), measured, SCENES)
    text = " ".join([made.intro, *made.findings])
    assert len(re.findall(r"[.!?](?= |$)", text)) == 1 + len(made.findings) <= 10
    for part in ("OLC", "D_VQ", "RF"):
        assert any(part in sentence for sentence in made.findings)


@pytest.mark.parametrize(
    ("level", "claim", "verdict"),
    [
        (0.5, "supported", "better than vanilla"),
        (-0.5, "contradicted", "worse than vanilla"),
        (0.0, "not supported", "not distinguishable from vanilla"),
    ],
)
def test_overlapped_against_vanilla_at_each_size(said, level, claim, verdict):
    text = said(full=level, olc_16=-level)
    other = {"supported": "contradicted", "contradicted": "supported"}.get(claim, claim)
    (line,) = (line for line in text.splitlines() if line.startswith("That OLC is better than a vanilla codebook is "))
    assert re.search(rf" is {other} at K = 16 \(.*\) and {claim} at K = 32 \(.*: {verdict}\)", line)
    assert line.endswith("where codes start from uniform random numbers and never restart.")


@pytest.mark.parametrize(
    ("plain", "again", "words"),
    [
        (0.5, 0.5, "better than vanilla, so its gain remains"),
        (0.5, 0.0, "not distinguishable from vanilla, so its gain isn't distinguishable from none any more"),
        (0.5, -0.5, "worse than vanilla, so its gain turns into a loss"),
        (0.0, 0.5, "better than vanilla, a gain only there"),
        (-0.5, 0.0, "not distinguishable from vanilla, and there is no gain of OLC to vanish"),
        (0.0, 0.0, "not distinguishable from vanilla, and there is no gain of OLC to vanish"),
    ],
)
def test_whether_the_gain_vanishes_with_restarts(said, plain, again, words):
    text = said(full=plain, full_r=again)
    (line,) = (line for line in text.splitlines() if "dead ones restart" in line)
    assert line.startswith("Where codes start from uniform random numbers and dead ones restart, OLC at K = 32 ")
    assert words in line


@pytest.mark.parametrize(("level", "verdict"), [(0.5, "better than"), (-0.5, "worse than"), (0.0, "not distinguish")])
def test_vanilla_codebooks_against_each_other(said, level, verdict):
    text = said(hdr_32=level, vanilla_32_r=level, against={"vanilla-32-r": "vanilla-32"})
    (images,) = (line for line in text.splitlines() if line.startswith("V-HDR (HDR images alone) at K = 32 is "))
    assert verdict in images and images.endswith("V-mix (the mixture).")
    (restarts,) = (line for line in text.splitlines() if "dead ones restart" in line)
    assert verdict in restarts.partition("that alone brings vanilla at K = 32 ")[2]


@pytest.mark.parametrize(
    ("d_vq", "rf", "claims"),
    [
        (0.5, 0.5, ("supported", "supported")),
        (0.5, -0.5, ("supported", "contradicted")),
        (-0.5, 0.0, ("contradicted", "not supported")),
        (0.0, 0.5, ("not supported", "supported")),
    ],
)
def test_d_vq_and_rf_each_by_their_row_of_table_3(said, d_vq, rf, claims):
    text = said(step_6=d_vq, full=d_vq + rf, full_random=d_vq + rf)
    assert f"That D_VQ helps is {claims[0]}: row 6 " in text
    assert f"That RF helps is {claims[1]}: row 7 " in text
    total = re.search(r"D_VQ and RF together: row 7 ([+-]\d\.\d\d) \[.*\] dB over row 1 ", text)
    assert float(total[1]) == pytest.approx(d_vq + rf, abs=0.011)


@pytest.mark.parametrize(
    ("level", "words", "meaning"),
    [
        (0.5, "worse than its control", "the frozen, trained decoder does harm"),
        (-0.5, "better than its control", "what the codebook's decoder learnt helps, beyond its size"),
        (0.0, "not distinguishable from its control", "these data don't show that what the codebook's decoder learnt"),
    ],
)
def test_row_7_against_its_control_is_told_from_row_7(said, level, words, meaning):
    line = next(line for line in said(full_random=level).splitlines() if "its control" in line)
    assert f"{words} (Row 7, random D_VQ): {meaning}" in line
    assert line.startswith(f"Row 7 is {'-' if level > 0 else '+'}") or level == 0


def test_a_control_that_keeps_the_trained_weights_says_nothing_about_what_they_learnt(study):
    papers, measured = study({**LEVELS, "full-random": -0.5})
    kept = measured.params.variants["full-random"].model_copy(update={"options": {"prior_frozen": False}})
    variants = {**measured.params.variants, "full-random": kept}
    other = replace(measured, params=measured.params.model_copy(update={"variants": variants}))
    line = next(s for s in support.section(list(papers.values()), other, {}).findings if "its control" in s)
    assert line.endswith("better than its control (Row 7, random D_VQ).")


def test_verdicts_are_those_of_the_tables(study):
    """One difference just large enough for a test by itself: the other tests of its table take its verdict away."""
    papers, measured = study({**LEVELS, "full": 0.016})
    alone = compare(pairs(papers[2], measured, "panoramas")[1], "psnr-mu", measured, "panoramas")
    tests = paired.tests(papers[2], measured, ["panoramas"])
    text = "\n".join(support.section(list(papers.values()), measured, {}).findings)
    corrected = tests["panoramas", "OLC (K=1024)"]
    assert alone.p < 0.05 < corrected.p and len(tests) == 4
    assert alone.low > 0 and corrected.verdict == "not distinguishable"
    assert re.search(rf"not supported at K = 32 \(.*p = {corrected.p:.3f}: not distinguishable", text) or re.search(
        rf"not supported at K = 32 \(.*p = {corrected.p:.2f}: not distinguishable", text
    )


def test_what_was_not_measured_is_said(said):
    text = said(without=("hdr-32", "full-random", "vanilla-32-r", "full-r"))
    assert "No vanilla codebook from HDR images alone was tested" in text
    assert "Row 7 of Table 3 has no measured control" in text
    assert "no such pair was measured, so whether a gain of OLC would vanish there stays open" in text
    assert "No row of Table 3 tells what D_VQ adds." in said(without=("step-6",))


def test_how_small_a_difference_could_be_told(study):
    papers, measured = study(LEVELS)
    made = support.section(list(papers.values()), measured, {})
    tests = [
        compare(pair, "psnr-mu", measured, "panoramas")
        for n in (2, 3)
        for pair in pairs(papers[n], measured, "panoramas")
    ]
    halves = [f"{(found.high - found.low) / 2:.2f}" for found in tests]
    span = " to ".join(dict.fromkeys((min(halves), max(halves))))
    assert made.findings[-1].startswith(f"Intervals reach {span} dB to either side")


def test_one_seed_supports_nothing(said):
    text = said(seeds=1, full=5.0)
    assert "There is one seed of each network (n = 1) on panoramas: nothing is supported, for or against OLC" in text
    assert "better" not in text


def test_one_place_is_not_tested(said):
    text = said(places=1, full=5.0)
    assert "is not tested at K = 16" in text and "not tested at K = 32" in text
    assert "whether a gain of OLC vanishes wasn't tested" in text
    assert "Nothing was tested, since all test scenes show one place." in text
    assert "better than" not in text.replace("That OLC is better than", "")


def test_rows_that_were_not_measured_support_nothing(study):
    papers, measured = study({"full": 0.0, "olc-16": 0.0})
    made = support.section(list(papers.values()), measured, {})
    assert "No two rows of Table 2 or 3" in " ".join(made.findings) or "No row" in " ".join(made.findings)
    papers, measured = study({})
    made = support.section(list(papers.values()), measured, {})
    assert made.findings == ["No row of Table 2 or 3 was measured: no support."]
    assert support.text(made).startswith("**What these data do and don't support about OLC, D_VQ and RF**")
