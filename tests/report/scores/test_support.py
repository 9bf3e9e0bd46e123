"""What the data support: the words must follow planted scores, whichever way they point."""

from dataclasses import replace

import pytest

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
    assert "show 2 places; with so few, intervals are a rough guide" in text
    assert "rough guide" not in said()


@pytest.mark.parametrize(
    ("level", "claim", "verdict"),
    [
        (0.5, "supported", "better than"),
        (-0.5, "contradicted", "worse than"),
        (0.0, "not supported", "not distinguish"),
    ],
)
def test_overlapped_against_vanilla_at_each_size(said, level, claim, verdict):
    text = said(full=level, olc_16=-level)
    other = {"supported": "contradicted", "contradicted": "supported"}.get(claim, claim)
    assert f"That OLC is better than a vanilla codebook in PSNR-μ is {other} at K = 16 and {claim} at K = 32" in text
    line = next(line for line in text.splitlines() if "K = 32, codes start from uniform" in line and "never" in line)
    assert "PSNR-μ of OLC (K=1024) " in line and verdict in line
    assert "In other metrics: not distinguishable in SSIM-μ." in line


@pytest.mark.parametrize(
    ("plain", "again", "words"),
    [
        (0.5, 0.5, "the gain of OLC remains where"),
        (0.5, 0.0, "the gain of OLC isn't distinguishable from none any more where"),
        (0.5, -0.5, "the gain of OLC turns into a loss where"),
        (0.0, 0.5, "OLC gains only where"),
        (-0.5, 0.0, "there is no gain of OLC to vanish: the plain pair is worse, the one where"),
        (0.0, 0.0, "there is no gain of OLC to vanish: the plain pair is not distinguishable, the one where"),
    ],
)
def test_whether_the_gain_vanishes_with_restarts(said, plain, again, words):
    text = said(full=plain, full_r=again)
    assert f"At K = 32 {words} codes start from uniform random numbers and dead ones restart" in text
    assert "At K = 16 no pair with restarts was measured" in text


@pytest.mark.parametrize(("level", "verdict"), [(0.5, "better than"), (-0.5, "worse than"), (0.0, "not distinguish")])
def test_vanilla_codebooks_against_each_other(said, level, verdict):
    text = said(hdr_32=level, vanilla_32_r=level, against={"vanilla-32-r": "vanilla-32"})
    lines = {line.partition(",")[0]: line for line in text.splitlines() if "PSNR-μ of" in line}
    images = lines["V-HDR (HDR images alone) against V-mix (the mixture)"]
    assert images.partition(", ")[2].startswith("K = 32: PSNR-μ of V-HDR ") and verdict in images
    start = "codes start from uniform random numbers and"
    restarts = f"K = 32, where {start} dead ones restart against where {start} never restart: PSNR-μ of "
    assert lines["Vanilla"].startswith(f"Vanilla, {restarts}") and verdict in lines["Vanilla"]


def test_steps_of_table_3_are_counted_and_named(said):
    text = said(full=-0.5, step_6=0.5, full_random=-0.5)
    assert "Of 2 steps of Table 3 in PSNR-μ, 1 better, 1 worse, 0 not distinguishable: row 6 +0.5" in text
    assert "better than row 1; row 7 -1.0" in text


@pytest.mark.parametrize(
    ("level", "words", "meaning"),
    [
        (0.5, "worse than the control", "This speaks against the frozen, trained decoder"),
        (-0.5, "better than the control", "This supports that what the codebook's decoder learnt helps"),
        (0.0, "not distinguishable from the control", "These data don't support that what the codebook's decoder"),
    ],
)
def test_row_7_against_its_control_is_told_from_row_7(said, level, words, meaning):
    line = next(line for line in said(full_random=level).splitlines() if line.startswith("Row 7 against its control"))
    assert words in line and meaning in line
    assert f'"Row 7, random D_VQ": PSNR-μ {"-" if level > 0 else "+"}' in line or level == 0


def test_a_control_that_keeps_the_trained_weights_says_nothing_about_what_they_learnt(study):
    papers, measured = study({**LEVELS, "full-random": -0.5})
    kept = measured.params.variants["full-random"].model_copy(update={"options": {"prior_frozen": False}})
    variants = {**measured.params.variants, "full-random": kept}
    other = replace(measured, params=measured.params.model_copy(update={"variants": variants}))
    line = next(s for s in support.section(list(papers.values()), other, {}).findings if "against its control" in s)
    assert line.endswith("better than the control.")


def test_what_was_not_measured_is_said(said):
    text = said(without=("hdr-32", "full-random", "vanilla-32-r", "full-r"))
    assert "No vanilla codebook from HDR images alone was tested" in text
    assert "Row 7 of Table 3 has no measured control" in text
    assert "At K = 32 no pair with restarts was measured" in text


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
    assert made.findings[-1].startswith(f"The intervals reach about {span} dB to either side")


def test_one_seed_supports_nothing(said):
    text = said(seeds=1, full=5.0)
    assert "There is one seed of each network (n = 1) on panoramas: nothing is supported, for or against OLC" in text
    assert "better" not in text and "rough guide" not in text


def test_one_place_is_not_tested(said):
    text = said(places=1, full=5.0)
    assert "is not tested at K = 16 and not tested at K = 32" in text
    assert "it wasn't tested whether a gain of OLC vanishes" in text
    assert "better than" not in text.replace("That OLC is better than", "")


def test_rows_that_were_not_measured_support_nothing(study):
    papers, measured = study({"full": 0.0, "olc-16": 0.0})
    made = support.section(list(papers.values()), measured, {})
    assert "No two rows of Table 2 or 3" in " ".join(made.findings) or "No row" in " ".join(made.findings)
    papers, measured = study({})
    made = support.section(list(papers.values()), measured, {})
    assert made.findings == ["No row of Table 2 or 3 was measured: no support."]
    assert support.text(made).startswith("**What these data do and don't support about OLC**")
