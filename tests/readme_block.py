"""Blocks of the documents that are made: results from the demo's reports, lists of metrics and protocols from code.

`make readme` puts them there, a test compares them. No number of them is typed: after the demo was run again, run
`make readme` and commit both.
"""

import io
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import yaml

from bench.core.params import load
from bench.core.registry import metrics, protocols
from bench.core.runs import base_of
from bench.report.protocols.ranking import RankedValue, tau

ROOT = Path(__file__).resolve().parents[1]
SCORES, PROTOCOLS = "reports/demo/scores.csv", "reports/demo/tables/protocols.csv"
SIZES = "reports/demo/tables/table1.csv"
BEGIN, END = "<!-- {}:begin -->\n", "<!-- {}:end -->"
ROWS = {
    "reference-only": "Reference only (floor)",
    "triangle-merge": "Triangle merge (floor)",
    "short-where-clipped": "One-line rule: the short frame where the reference is clipped (floor)",
    "brighter-where-clipped": "The same, but never darker than the reference (floor)",
    "dis-brighter-where-clipped": "That rule on frames registered by DIS flow, no training: where networks start",
    "flow-merge": "DIS flow + merge, no training, its thresholds chosen on training views",
    "sen2012": "Sen 2012 (re-implementation), no training",
    "kalantari2017": "Kalantari 2017 (DIS flow)",
    "deephdr": "DeepHDR",
    "ahdrnet": "AHDRNet",
    "nhdrrnet": "NHDRRNet",
    "hdr-gan": "HDR-GAN",
    "adnet": "ADNet",
    "cavit": "CA-ViT",
    "sctnet": "SCTNet",
    "safnet": "SAFNet",
    "afunet": "AFUNet",
    "olc-baseline": "OLC, row 1 of Table 3: baseline",
    "olc-pa-fsm": "OLC, row 5: + PA + FSM",
    "olc-64": "OLC, row 7: proposed",
}
METRICS = {
    "psnr-mu": "PSNR-μ",
    "psnr-l": "PSNR-l",
    "psnr-pu": "PSNR-PU",
    "hdrvdp2": "HDR-VDP-2",
    "psnr-mu@saturated": "PSNR-μ where the reference is saturated",
    "psnr-mu@moving": "PSNR-μ where something moves",
    "psnr-mu@uncovered": "PSNR-μ where uncovered",
}
"""Shown if the demo has them, with two decimals; rows alike."""

GAIN = "gain in PSNR-μ over the base of its own frames"

INTRO = """\
The demo as committed: dB{q}, means of {scenes} test views, {seeds}, protocol `{protocol}`. Networks have
{least} to {most} times fewer parameters than published ones, {steps} steps of training, and an output
layer of ours (`{head}`): nothing here ranks the published methods.
{frames} The rest is in
[Table 1](../reports/demo/tables/table1.md), [Table 2](../reports/demo/tables/table2.md) and
[Table 3](../reports/demo/tables/table3.md).
"""
FRAMES = {
    "none": "They get frames as taken, but where a method registers its own.",
    "dis": "They get frames registered by DIS flow (DeepHDR: by a homography), so that PA has little left to do.",
}
OUTRO = """\
Trainings of minutes show that the chain works. `make study` has more
seeds, `make paper` the published networks and schedules.
"""
COMPARED = """\
What the protocol alone does: the same predictions of `{variant}` have {low:.2f} dB PSNR-μ under `{under}` and
{high:.2f} under `{over}`, and {changed} of the {others} other protocols that define PSNR-μ rank the {compared} variants
(floors left out) otherwise than `{own}`; crops and windows weigh more on small views.
[Every method under every protocol](../reports/demo/tables/protocols.md):

![Ranks under each protocol, and how far each shifts PSNR-μ](../reports/demo/figures/protocols.png)
"""

Read = Callable[[str], str | None]


def on_disk(path: str) -> str | None:
    """Return the text of a file of the working tree, None if it isn't there."""
    file = ROOT / path
    return file.read_text(encoding="utf-8") if file.exists() else None


def committed(path: str) -> str | None:
    """Return the text of a file as of the last commit, None if it isn't there."""
    show = ["git", "show", f"HEAD:{path}"]
    answer = subprocess.run(show, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    return None if answer.returncode else answer.stdout


def block(read: Read) -> str:
    """Return what stands between the marks."""
    scores = pd.read_csv(io.StringIO(read(SCORES) or ""))
    compared = read(PROTOCOLS)
    parts = [_intro(scores, read(SIZES) or ""), _table(scores), _compared(compared) if compared else "", OUTRO]
    return "\n".join(part for part in parts if part)


def _intro(scores: pd.DataFrame, sizes: str) -> str:
    (protocol,) = set(scores["protocol"])
    params = yaml.safe_load(on_disk("params.yaml") or "")
    table = pd.read_csv(io.StringIO(sizes))
    smaller = (table["published_params_m"] / table["params_m"]).dropna()
    seeds = scores["seed"].nunique()
    return INTRO.format(
        q=" (HDR-VDP-2: Q)" if "hdrvdp2" in set(scores["metric"]) else "",
        scenes=scores["scene"].nunique(),
        seeds="one seed" if seeds == 1 else f"{seeds} seeds",
        steps=params["stage2"]["steps"],
        head=params["head"],
        frames=FRAMES[params.get("register", "none")],
        least=round(smaller.min()),
        most=round(smaller.max()),
        protocol=protocol.partition("@")[0],
    )


def _table(scores: pd.DataFrame) -> str:
    means = scores.groupby(["variant", "metric"])["value"].mean()
    shown = [name for name in METRICS if name in set(scores["metric"])]
    gains = _gains(means)
    heads = [*(f"{METRICS[name]} `{name}`" for name in shown), *([GAIN] if gains else [])]
    lines = [f"| method | variant | {' | '.join(heads)} |", f"|:--|:--|{'--:|' * len(heads)}"]
    for variant in (name for name in ROWS if (name, "psnr-mu") in means):
        cells = [f"{means[variant, name]:.2f}" for name in shown]
        cells += [gains.get(variant, "\u2013")] if gains else []
        lines.append(f"| {ROWS[variant]} | `{variant}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _gains(means: pd.Series) -> dict[str, str]:
    """Return the gain of each learned row whose base was scored too, in dB."""
    params = load(ROOT / "params.yaml")
    bases = {variant: base_of(params, variant) for variant in ROWS if variant in params.variants}
    return {
        variant: f"{round(means[variant, 'psnr-mu'] - means[base, 'psnr-mu'], 2) + 0.0:+.2f}"
        for variant, base in bases.items()
        if (variant, "psnr-mu") in means and (base, "psnr-mu") in means
    }


def _compared(text: str) -> str:
    rows = pd.read_csv(io.StringIO(text))
    rows = rows[(rows["metric"] == "psnr-mu") & rows["rank"].notna()].assign(
        protocol=lambda frame: frame["protocol"].str.partition("@")[0]
    )
    own = rows["change_against"].iloc[0].split()[1].partition("@")[0]
    spans = rows.groupby("variant")["value"].agg(lambda values: values.max() - values.min())
    found = rows[rows["variant"] == spans.idxmax()].set_index("protocol")["value"]
    compared = rows[rows["kind"] != "floor"]
    columns = {
        str(name): {variant: RankedValue(value) for variant, value in zip(of["variant"], of["value"], strict=True)}
        for name, of in compared.groupby("protocol")
    }
    alike = {name: tau(columns[own], columns[name], 2) for name in columns if name != own}
    return COMPARED.format(
        variant=spans.idxmax(), own=own, low=found.min(), under=found.idxmin(), high=found.max(), over=found.idxmax(),
        changed=sum(value is not None and value < 1 for value in alike.values()), others=len(alike),
        compared=len(columns[own]),
    )  # fmt: skip


def metric_list(_: Read) -> str:
    """Return a table of all metrics, as their cards and docstrings have them."""
    lines = ["| metric | in tables | unit | of what | what it is |", "|:--|:--|:--|:--|:--|"]
    for name, card in metrics.items():
        said = " ".join((card.load().__doc__ or "").split("\n\n")[0].split())
        lines.append(f"| `{name}` | {card.label} | {card.unit} | {DOMAINS[card.domain]} | {said} |")
    return "\n".join(lines) + "\n"


def protocol_list(_: Read) -> str:
    """Return a table of all protocols, as their files have them."""
    lines = ["| protocol | what it repeats | whose habit | metrics |", "|:--|:--|:--|:--|"]
    for name, one in protocols.items():
        named = ", ".join(f"`{metric}`" for metric in one.metrics)
        lines.append(f"| `{name}` | {one.title} | {one.source} | {named} |")
    return "\n".join(lines) + "\n"


DOMAINS = {
    "linear": "linear radiance", "mu": "mu-law values", "pu21": "PU21 values", "vision": "a model of vision",
}  # fmt: skip
BLOCKS: dict[str, tuple[str, Callable[[Read], str]]] = {
    "results": ("docs/results.md", block),
    "metrics": ("docs/metrics.md", metric_list),
    "protocols": ("docs/protocols.md", protocol_list),
}
"""Name of a block in its marks -> the document that holds it, and what makes it."""


def standing(name: str) -> str:
    """Return what stands between a block's marks now."""
    text = (ROOT / BLOCKS[name][0]).read_text(encoding="utf-8")
    return text.split(BEGIN.format(name))[1].split(END.format(name))[0]


def main() -> None:
    """Make every block from the working tree."""
    for name, (file, make) in BLOCKS.items():
        path, begin, end = ROOT / file, BEGIN.format(name), END.format(name)
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.S)
        made = begin + make(on_disk) + end
        path.write_text(pattern.sub(lambda _, made=made: made, path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
