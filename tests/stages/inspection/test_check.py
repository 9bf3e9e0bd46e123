"""`bench check`: it fails a profile that learned nothing, passes one that did, and says which part does no work."""

import json

import pandas as pd
import pytest

from bench.core import layout
from bench.core.errors import BenchError, UsageError
from bench.io.tables import read_scores
from bench.stages.inspection.check import Requirement

BASE = "dis-brighter-where-clipped"
"""What the tiny profile's networks start from; it isn't evaluated there."""
UNTRAINED = ("reference-only", "triangle-merge", "short-where-clipped", "brighter-where-clipped", BASE)


def edit(site, change):
    """Change the score rows of a profile."""
    path = site.params.reports / "scores.csv"
    rows = change(read_scores([path]))
    rows.to_csv(path, index=False)


def set_scores(site, **means):
    """Give every score of a metric ("psnr_mu", ...) the same value, of one variant: {"psnr_mu": (variant, value)}."""

    def change(rows):
        for metric, (variant, value) in means.items():
            name = metric.replace("psnr_mu_saturated", "psnr-mu@saturated").replace("_", "-")
            rows.loc[(rows["variant"] == variant) & (rows["metric"] == name), "value"] = value
        return rows

    edit(site, change)


@pytest.fixture
def based(site):
    """Give the profile scores of its networks' base: those of the bounded rule on frames as taken."""

    def change(rows):
        rule = rows[rows["variant"] == "brighter-where-clipped"]
        return pd.concat([rows, rule.assign(variant=BASE, method=BASE)], ignore_index=True)

    edit(site, change)
    return site


@pytest.fixture
def learned(based):
    """Make the learned rows' scores and the networks' inspection as good as they should be."""

    def change(rows):
        rows.loc[rows["variant"].isin(UNTRAINED), "value"] = 40.0
        rows.loc[rows["method"].isin(["ahdrnet", "olc"]), "value"] = 60.0
        return rows

    edit(based, change)
    found = layout.inspection(based.params, f"network-{based.vq}")
    facts = json.loads(found.read_text(encoding="utf-8"))
    facts |= {"mapping-loss-first": 2.0, "mapping-loss-last": 1.0, "fsm-permuted-change": 0.1}
    facts |= {"psnr-mu": 60.0, "psnr-mu-permuted-features": 59.0, "hdr-perplexity": 0.2 * facts["codes"]}
    found.write_text(json.dumps(facts), encoding="utf-8")
    return based


def failures(capsys):
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAIL")]


def test_an_untrained_profile_fails_and_every_finding_is_printed(based, capsys):
    with pytest.raises(BenchError, match=r"\d+ of \d+ requirements of profile 'tiny' are not met") as failure:
        based.run("check")
    assert failure.value.exit_code == 1
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith(("ok  ", "FAIL")) for line in lines[:-2])
    # Three comparisons for each of two rows, Table 1's two counts, row 7's gain and place, and three parts of it.
    assert len(lines) == 2 * 3 + 2 + 2 + 3 + 2
    assert lines[-2].startswith("note panoramas: 2 of 2 learned rows gain less than 1 dB of PSNR-mu over their base: ")
    assert lines[-1].startswith("note olc-32: PSNR-mu lost when F_vq is permuted over space: ")
    assert sum(line.startswith("FAIL") for line in lines) == int(str(failure.value).split()[0])


def test_a_profile_that_learned_passes(learned, capsys):
    learned.run("check")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "all 13 requirements of profile 'tiny' hold"
    assert not any(line.startswith("FAIL") for line in lines)


@pytest.mark.parametrize(
    ("fact", "value", "subject"),
    [
        ("mapping-loss-last", 3.0, "mapping loss"),
        ("fsm-permuted-change", 0.0, "permuted FSM weights"),
        ("hdr-perplexity", 1.0, "perplexity"),
    ],
)
def test_a_part_that_does_nothing_is_found(learned, capsys, fact, value, subject):
    path = layout.inspection(learned.params, f"network-{learned.vq}")
    facts = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(facts | {fact: value}), encoding="utf-8")
    with pytest.raises(BenchError, match="1 of 13"):
        learned.run("check")
    (failed,) = failures(capsys)
    assert subject in failed


@pytest.mark.parametrize("permuted", [59.0, 60.0, 61.0])
def test_permuted_features_are_told_and_required_of_nobody(learned, capsys, permuted):
    path = layout.inspection(learned.params, f"network-{learned.vq}")
    facts = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(facts | {"psnr-mu-permuted-features": permuted}), encoding="utf-8")
    learned.run("check")
    (note,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("note"))
    assert note.endswith(f"permuted over space: {60 - permuted:.4g} dB (one seed)")


@pytest.mark.parametrize(
    ("changes", "subjects"),
    [
        # The base at 40 dB: some gain, 0.3 dB of loss in PSNR-l, and 3 dB above the floors and where saturated.
        ({"psnr_mu": 41.0}, ["PSNR-mu: 41 dB, must reach 43"]),
        (
            {"psnr_mu": 40.0},
            [
                "PSNR-mu: 40 dB, must reach 43",
                "no chance (interval above 0): 0 of 1",
                "the best row without training: 0",
            ],
        ),
        ({"psnr_l": 39.6}, ["PSNR-l gained over dis-brighter-where-clipped: -0.4 dB, must reach -0.3"]),
        ({"psnr_mu_saturated": 42.9}, ["where saturated: 42.9 dB, must reach 43"]),
        ({"psnr_mu": 43.0}, []),
        ({"psnr_l": 39.75}, []),
    ],
)
def test_a_row_too_close_to_base_or_floors_is_found(learned, capsys, changes, subjects):
    set_scores(learned, **{metric: ("ahdrnet", value) for metric, value in changes.items()})
    if not subjects:
        learned.run("check")
    else:
        with pytest.raises(BenchError, match=f"{len(subjects)} of 13"):
            learned.run("check")
    found = failures(capsys)
    assert len(found) == len(subjects)
    assert all(subject in line for subject, line in zip(subjects, found, strict=True))


def test_a_row_without_training_above_the_networks_is_found(learned, capsys):
    """A classical merge is no floor and no base; yet networks must stand above it."""

    def change(rows):
        merge = rows[rows["variant"] == "triangle-merge"]
        return pd.concat([rows, merge.assign(variant="flow-merge", method="flow-merge", value=61.0)])

    edit(learned, change)
    with pytest.raises(BenchError, match="2 of 13"):
        learned.run("check")
    count, last = failures(capsys)
    assert "networks of Table 1 on panoramas above flow-merge, the best row without training: 0 of 1" in count
    assert last == "FAIL olc-32 (row 7) on panoramas, PSNR-mu above flow-merge's: 60 dB, must exceed 61"


def test_a_base_without_scores_ends_in_a_sentence(site):
    with pytest.raises(BenchError, match=f"its base, {BASE}, has no scores in this profile; evaluate the base too"):
        site.run("check")


@pytest.mark.parametrize(
    ("value", "included", "holds"), [(1.0, True, True), (1.0, False, False), (0.99, True, False), (1.01, False, True)]
)
def test_a_bound_is_reached_or_exceeded(value, included, holds):
    assert Requirement("s", value, 1.0, "dB", included).holds == holds


def test_nothing_to_check_is_no_success(site):
    bare = site.change(variants={name: {"method": "olc", "train": {}} for name in ("ahdrnet", "olc-32")})
    bare.run("summarize")
    with pytest.raises(BenchError, match="nothing was checked"):
        bare.run("check")


def test_before_summarize_it_says_what_to_run(site):
    (site.params.reports / "scores.csv").unlink()
    with pytest.raises(UsageError, match="python -m bench summarize"):
        site.run("check")


def test_a_gain_that_may_be_chance_fails_and_a_small_one_is_told(learned, capsys):
    """Row 7 a little above its base in all scenes, then above it in one and below it in the other."""

    def change(spread):
        def of_scenes(rows):
            ours = (rows["variant"] == "olc-32") & (rows["metric"] == "psnr-mu")
            scenes = sorted(rows.loc[ours, "scene"].unique())
            base = rows[(rows["variant"] == BASE) & (rows["metric"] == "psnr-mu")].set_index("scene")["value"]
            for scene, more in zip(scenes, spread, strict=True):
                rows.loc[ours & (rows["scene"] == scene), "value"] = base[scene] + more
            return rows

        edit(learned, of_scenes)
        with pytest.raises(BenchError):
            learned.run("check")
        lines = capsys.readouterr().out.splitlines()
        (gain,) = (line for line in lines if "lower end of the interval" in line)
        return gain, lines[-2]

    sure, told = change((0.5, 0.5))
    assert sure.startswith("ok   olc-32 on panoramas") and ": 0.5 dB, must exceed 0" in sure
    assert told.endswith("1 of 2 learned rows gain less than 1 dB of PSNR-mu over their base: olc-32 +0.50")
    chance, _ = change((3.0, -0.5))
    assert chance.startswith("FAIL olc-32 on panoramas")
