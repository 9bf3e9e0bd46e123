"""`bench check`: it fails a profile that learned nothing, passes one that did, and says which part does no work."""

import json

import pytest

from bench.core.errors import BenchError, UsageError
from bench.io.tables import read_scores
from bench.stages import layout


@pytest.fixture
def learned(site):
    """Make the learned rows' scores and the networks' inspection as good as they should be."""
    path = site.params.reports / "scores.csv"
    rows = read_scores([path])
    rows.loc[rows["method"].isin(["ahdrnet", "olc"]), "value"] = 60.0
    rows.to_csv(path, index=False)
    found = layout.inspection(site.params, f"network-{site.vq}")
    facts = json.loads(found.read_text(encoding="utf-8"))
    facts |= {"mapping-loss-first": 2.0, "mapping-loss-last": 1.0, "fsm-permuted-change": 0.1}
    facts |= {"psnr-mu": 60.0, "psnr-mu-permuted-features": 59.0, "hdr-perplexity": 0.2 * facts["codes"]}
    found.write_text(json.dumps(facts), encoding="utf-8")
    return site


def test_an_untrained_profile_fails_and_every_finding_is_printed(site, capsys):
    with pytest.raises(BenchError, match=r"\d+ of \d+ requirements of profile 'tiny' are not met") as failure:
        site.run("check")
    assert failure.value.exit_code == 1
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith(("ok  ", "FAIL")) for line in lines)
    # Three comparisons with the floors for each of two runs, four parts of the network with a codebook.
    assert len(lines) == 2 * 3 + 4
    assert sum(line.startswith("FAIL") for line in lines) == int(str(failure.value).split()[0])


def test_a_profile_that_learned_passes(learned, capsys):
    learned.run("check")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "all 10 requirements of profile 'tiny' hold"
    assert not any(line.startswith("FAIL") for line in lines)


@pytest.mark.parametrize(
    ("fact", "value", "subject"),
    [
        ("mapping-loss-last", 3.0, "mapping loss"),
        ("fsm-permuted-change", 0.0, "permuted FSM weights"),
        ("hdr-perplexity", 1.0, "perplexity"),
        ("psnr-mu-permuted-features", 60.0, "F_vq is permuted"),
    ],
)
def test_a_part_that_does_nothing_is_found(learned, capsys, fact, value, subject):
    path = layout.inspection(learned.params, f"network-{learned.vq}")
    facts = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(facts | {fact: value}), encoding="utf-8")
    with pytest.raises(BenchError, match="1 of 10"):
        learned.run("check")
    (failed,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("FAIL"))
    assert subject in failed


@pytest.mark.parametrize(
    ("metric", "gain", "subject"),
    [("psnr-mu", 0.9, "PSNR-mu"), ("psnr-l", -0.1, "PSNR-l"), ("psnr-mu@saturated", 2.9, "where saturated")],
)
def test_a_row_too_close_to_the_floors_is_found(learned, capsys, metric, gain, subject):
    path = learned.params.reports / "scores.csv"
    rows = read_scores([path])
    means = rows[rows["metric"] == metric].groupby("variant")["value"].mean()
    floors = ["reference-only", "triangle-merge"] if metric == "psnr-mu" else ["reference-only"]
    rows.loc[(rows["method"] == "ahdrnet") & (rows["metric"] == metric), "value"] = means[floors].max() + gain
    rows.to_csv(path, index=False)
    with pytest.raises(BenchError, match="1 of 10"):
        learned.run("check")
    (failed,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("FAIL"))
    assert subject in failed


def test_nothing_to_check_is_no_success(site):
    bare = site.change(variants={name: {"method": "olc", "train": {}} for name in ("ahdrnet", "olc-32")})
    bare.run("summarize")
    with pytest.raises(BenchError, match="nothing was checked"):
        bare.run("check")


def test_before_summarize_it_says_what_to_run(site):
    (site.params.reports / "scores.csv").unlink()
    with pytest.raises(UsageError, match="python -m bench summarize"):
        site.run("check")
