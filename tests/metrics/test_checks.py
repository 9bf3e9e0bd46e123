"""The checks of submitted predictions: each fault in one sentence, and none where there is none."""

import numpy as np
import pytest
import torch

from bench import metrics
from bench.core.errors import UsageError
from bench.core.registry import protocols
from bench.metrics.checks import examine


@pytest.fixture(scope="module")
def truth():
    """(40, 60, 3) with texture, from 0.001 to 1."""
    rng = np.random.default_rng(0)
    smooth = rng.normal(size=(5, 6, 3)).repeat(8, axis=0).repeat(10, axis=1)
    return (10.0 ** np.clip(smooth - 1.5 + 0.1 * rng.normal(size=(40, 60, 3)), -3, 0)).astype(np.float32)


def test_a_sound_prediction_has_no_fault(truth):
    assert examine(truth, truth) == []
    assert examine(truth * np.float32(1.1), truth) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x.transpose(1, 0, 2), ["60x40 pixels", "40x60", "swapped"]),
        (lambda x: x[4:-4, 5:-5], ["32x50 pixels", "cropped", "centre"]),
        (lambda x: x[:-8, :-10] * 1.1, ["32x50 pixels", "cropped", "upper left"]),
        (lambda x: x[8:], ["32x60 pixels", "cropped", "lower"]),
        (lambda x: x[::2, ::2], ["20x30 pixels", "0.5 times as large", "resize"]),
        (lambda x: x.repeat(2, 0).repeat(2, 1), ["80x120 pixels", "2 times as large"]),
        (lambda x: np.zeros((33, 60, 3), np.float32), ["33x60 pixels", "40x60", "at the truth's size"]),
    ],
    ids=["transposed", "centre", "corner", "rows", "half", "double", "other"],
)
def test_another_size_is_said_with_both_and_why(truth, change, words):
    (finding,) = examine(change(truth), truth)
    assert (finding.kind, finding.scored) == ("size", False)
    assert not [word for word in words if word not in finding.said], finding.said


def test_exchanged_colours_are_named_and_what_else_is_wrong_is_judged_without_them(truth):
    (finding,) = examine(truth[..., ::-1], truth)
    assert (finding.kind, finding.scored, finding.bad) == ("colour", False, True)
    assert "write channels in the order RGB" in finding.said
    kinds = [finding.kind for finding in examine(truth[..., ::-1] * np.float32(255), truth)]
    assert kinds == ["colour", "scale"]
    assert examine(truth[..., ::-1], truth, trusted=True) == []


@pytest.mark.parametrize(
    ("order", "named"),
    [
        ([1, 0, 2], "red and green look"),
        ([0, 2, 1], "green and blue look"),
        ([2, 0, 1], "all three channels (stored as BRG) look"),
        ([1, 2, 0], "all three channels (stored as GBR) look"),
    ],
)
def test_any_exchange_of_channels_is_named(truth, order, named):
    (finding,) = examine(truth[..., order], truth)
    assert (finding.kind, finding.scored) == ("colour", False) and finding.said.startswith(named)


def test_a_shift_is_told_and_is_no_fault(truth):
    (finding,) = examine(np.roll(truth, (2, -1), (0, 1)), truth)
    assert (finding.kind, finding.scored, finding.bad) == ("shifted", True, False)
    assert finding.said.startswith("lies 2 row(s) down and 1 column(s) to the left of its truth")


def test_what_is_no_fault_of_arrays_is_a_warning(truth):
    rule = protocols["whole-float"].only(["psnr-l"])
    with pytest.warns(UserWarning, match="the prediction lies 1 row"):
        rule.evaluate(np.roll(truth, 1, 0), truth)
    small = np.float32(0.01) * truth
    with pytest.warns(UserWarning, match="the truth goes up to 0.01 only, .* reads 40.0 dB higher"):
        assert rule.evaluate(np.float32(0.9) * small, small)["psnr-l"] > 50


def test_values_that_are_no_numbers_are_counted_and_located(truth):
    changed = truth.copy()
    changed[7, 9, 2] = np.nan
    changed[20, 1] = np.inf
    (finding,) = examine(changed, truth)
    assert (finding.kind, finding.scored) == ("not-finite", False)
    assert "1 NaN and 3 infinite of 7200 values, the first in row 7, column 9, B" in finding.said


def test_only_zeros_are_named_and_not_called_mis_scaled(truth):
    (finding,) = examine(np.zeros_like(truth), truth)
    assert (finding.kind, finding.scored) == ("zero", False)


def test_negative_values_are_named_and_scored(truth):
    changed = truth.copy()
    changed[:2] = -0.25
    (finding,) = examine(changed, truth)
    assert (finding.kind, finding.scored) == ("negative", True)
    assert "5.00% of its values are below 0, down to -0.25" in finding.said


@pytest.mark.parametrize(
    ("count", "words"),
    [(1, "1 of its 120000 values is below 0"), (3, "3 of its 120000 values are"), (6, "0.01% of its values are")],
)
def test_few_negative_values_are_counted(count, words):
    changed = np.ones((200, 200, 3), np.float32)
    changed.flat[:count] = -0.25
    (finding,) = examine(changed, np.ones_like(changed))
    assert words in finding.said


@pytest.mark.parametrize(("rows", "scored"), [(19, True), (20, False), (40, False)])
def test_half_negative_is_no_radiance(truth, rows, scored):
    changed = truth.copy()
    changed[:rows] *= -1
    (finding,) = examine(changed, truth)
    assert (finding.kind, finding.scored) == ("negative", scored)
    assert ("no linear radiance" in finding.said) is not scored


@pytest.mark.parametrize(("share", "kinds"), [(0.009, ["negative", "scale"]), (0.011, ["negative"])])
def test_with_many_negative_values_no_scale_is_guessed(truth, share, kinds):
    changed = truth * np.float32(4000)
    changed.flat[: int(share * changed.size)] *= -1
    assert [finding.kind for finding in examine(changed, truth)] == kinds


@pytest.mark.parametrize(
    ("factor", "words"),
    [(4000, "cd/m2 at 4000"), (255, "8-bit"), (65535, "16-bit"), (16, "times the truth; divide by it")],
)
def test_a_wrong_scale_is_said_with_the_factor(truth, factor, words):
    (finding,) = examine(truth * np.float32(factor), truth)
    assert (finding.kind, finding.scored) == ("scale", False)
    said = float(finding.said.split("about ")[1].split(" times")[0])
    assert said == pytest.approx(factor, rel=1e-3)
    assert words in finding.said


def test_division_by_the_maximum_is_recognised(truth):
    small = np.minimum(truth, 1) * np.float32(0.2)
    (finding,) = examine(small / small.max(), small)
    assert "after division by its own maximum" in finding.said


def test_a_tone_curve_is_said(truth):
    (finding,) = examine(truth ** (1 / 2.2), truth)
    assert (finding.kind, finding.scored) == ("tone-mapped", False)
    assert "gamma 2.2" in finding.said
    (finding,) = examine(255 * truth ** (1 / 2.2), truth)
    assert "gamma 2.2 and division by 255" in finding.said


def test_judgements_can_be_overruled_and_facts_not(truth):
    assert examine(truth * np.float32(4000), truth, trusted=True) == []
    assert [finding.kind for finding in examine(-truth, truth, trusted=True)] == ["negative"]


def test_signalling_nan_is_named_without_a_warning(truth):
    """Damaged files hold it; pytest makes NumPy's warning an error."""
    damaged = truth.copy()
    damaged.view(np.uint32)[3, 4, 1] = 0x7FA00000
    (finding,) = examine(damaged, truth)
    assert finding.said.startswith("1 NaN of")


def test_values_near_the_largest_float_are_compared_without_a_warning(truth):
    (finding,) = examine(np.full_like(truth[:-2], 3e38), truth)
    assert finding.kind == "size"


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        (np.s_[::-1], "upside down"),
        (np.s_[:, ::-1], "mirrored, left for right"),
        (np.s_[::-1, ::-1], "turned by half"),
    ],
)
def test_a_picture_that_is_turned_is_told(truth, turn, said):
    (finding,) = examine(np.ascontiguousarray(truth[turn]) * np.float32(0.98), truth)
    assert (finding.kind, finding.scored) == ("turned", False) and finding.said.startswith(f"looks {said};")
    assert not examine(truth[turn], truth, trusted=True)


def test_a_picture_without_a_side_is_not_turned():
    even = np.repeat(np.linspace(0.1, 1, 64, dtype=np.float32)[None, :, None], 48, 0).repeat(3, 2)
    assert not examine(even[::-1], even)


def codes(image):
    return np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)


def poked(image):
    return np.where(np.arange(image.size).reshape(image.shape) == 7, -0.2, image).astype(np.float32)


def planar(image):
    return image.transpose(2, 0, 1)


REFUSED = {
    "8-bit": (codes, codes, "the prediction holds uint8"),
    "8-bit prediction": (codes, None, "the prediction holds uint8"),
    "8-bit truth": (None, codes, "the truth holds uint8"),
    "8-bit tensor": (lambda x: torch.from_numpy(codes(x)), None, "the prediction holds uint8"),
    "integers in lists": (lambda x: codes(x).tolist(), None, "the prediction holds int64"),
    "a mask": (lambda x: x > 0.1, None, "the prediction holds bool"),
    "0..255": (lambda x: 255 * x, lambda x: 255 * x, "the truth goes up to 255; .* divide both images"),
    "0..255 prediction": (lambda x: 255 * x, None, "the prediction: looks mis-scaled: about 255 .*trusted=True"),
    "mu-law": (lambda x: np.log1p(5000 * x) / np.log(5001), None, "the prediction: looks tone-mapped"),
    "negative": (poked, None, r"the prediction: 0\.01% of its values are below 0, down to -0\.2; set them to 0"),
    "negative truth": (None, poked, "the truth holds values below 0, down to -0.2; .* exchanged"),
    "NaN": (lambda x: np.where(x > 0.5, np.nan, x), None, "the prediction holds .* NaN"),
    "exchanged": (
        lambda x: x / 2,
        lambda x: 40 * x,
        "the truth goes up to 40.* exchanged[?]",
    ),
    "zero": (np.zeros_like, None, r"the prediction: every value is 0; .* add trusted=True\."),
    "zero truth": (None, np.zeros_like, "the truth is 0 everywhere"),
    "planes": (planar, planar, r"shape \(3, 40, 60\); .* transpose it by \(1, 2, 0\)"),
    "a batch": (lambda x: x[None], lambda x: x[None], "one image at a time"),
    "alpha": (lambda x: np.concatenate([x, x[..., :1]], -1), None, "Leave the alpha channel out"),
    "text": (lambda x: "image.exr", None, "the prediction holds <U9"),
}


@pytest.mark.parametrize(("change", "change_truth", "words"), REFUSED.values(), ids=REFUSED)
def test_arrays_are_refused_for_what_a_file_is_called_bad_for(truth, change, change_truth, words):
    rule = protocols["whole-float"].only(["psnr-mu", "ssim-mu"])
    with pytest.raises(UsageError, match=words):
        rule.evaluate(change(truth) if change else truth, change_truth(truth) if change_truth else truth)


def test_a_metric_alone_takes_code_values_only_where_they_are_a_scale(truth):
    assert metrics.psnr_l(codes(truth), codes(truth), peak=255.0) == np.inf
    for metric in (metrics.psnr_mu, metrics.ssim_pu):
        with pytest.raises(UsageError, match="the prediction holds uint8"):
            metric(codes(truth), codes(truth))


def test_values_can_be_taken_as_they_are(truth):
    rule = protocols["whole-float"].only(["psnr-l"])
    for pair in ((4000 * truth, truth), (poked(truth), truth), (truth, 2 * truth), (np.zeros_like(truth), truth)):
        assert np.isfinite(rule.evaluate(*pair, trusted=True)["psnr-l"])
    assert rule.evaluate(truth.astype(np.float16).astype(np.float64), truth)["psnr-l"] > 60
