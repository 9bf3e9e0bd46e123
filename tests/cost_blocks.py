"""Hours in docs/ and the Makefile, from what was counted; `make costs` puts them there.

No hour is typed: after networks, recipes or profiles have changed, run `make costs` and commit what it writes. A test
compares.
"""

import re
import textwrap
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from bench.core.params import Params, load
from bench.core.registry import datasets, methods
from bench.launch.selection import ranked
from bench.stages.cost.disk import disk
from bench.stages.cost.estimate import BANDWIDTH, CARDS, EFFICIENCY, WAYS, Bounds, Item, Overview, overview, total
from bench.stages.cost.gpus import GPUS

ROOT = Path(__file__).resolve().parents[1]
PROFILES = {"lab": "profiles/lab/params.yaml", "day": "profiles/day/params.yaml", "paper": "profiles/paper/params.yaml"}
KEYS = [(card, way) for card in CARDS for way in WAYS]

OWN = "kalantari"
"""The set that somebody's own is assumed to be as large as."""

SETS = ("kalantari", "hu", "tel2023", "challenge123", OWN)
ORDER = (2, 3, 1)
"""Of the tables, in `make day`."""

SEEDS = 5
JOBS = (8, 64, 600)

OVERVIEW = """\
{table}

From the lower to the upper bound, on one GPU, one stage after another; bf16 is compiled. Memory is the largest step's;
where a card has less, `accumulate` splits the batch. Disk is all that is kept, {kept}.
"""
SCALE = """\
`make paper` as it stands, on one GPU:

{stages}

Each time is from a lower bound (arithmetic at {efficiency:.0%} of the data sheet's peak, or memory traffic, whichever
takes longer) to an upper one (both in sequence, or the launches of kernels if these take longer). Bytes that operators
read and write, each for itself, are taken to move at {eager:.0%} of the memory's bandwidth, compiled at {compiled:.0%}:
so the one step that was timed, OLC's on an H200 (`reports/lab/speed.json`), lies between the bounds in
fp32, in bf16 and compiled. Data loading and scoring on the CPU aren't included.

Trained on Kalantari's set alone, and extrapolated to five sets and five seeds, on an H100:

{sets}

With so many H100s, in days:

{days}

{ends}
"""
ENDS = """\
In fp32 the dearest trainings on Kalantari's set are those of {dearest}. Of all 500, epochs of Tel 2023's {scenes}
scenes among them, {last} takes longest, {longest}: beyond some {enough} GPUs more jobs don't help; several GPUs per job
do (`torchrun`).
"""


@cache
def profile(name: str, seeds: int = 1) -> tuple[Params, Overview]:
    """Return a profile with so many seeds of each variant, and what it costs."""
    params = load(ROOT / PROFILES[name]).first_seeds(seeds)
    return params, overview(params)


UNITS = {"h": 1.0, "min": 1 / 60, "s": 1 / 3600}


def span(hours: Bounds) -> str:
    """Return a time from bound to bound in the largest unit that the upper one has, such as "1.2-3.4 h"."""
    unit = next((name for name, size in UNITS.items() if hours.upper >= size), "s")
    return f"{hours.times(1 / UNITS[unit]).said()} {unit}"


def markdown(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table whose first column is text."""
    named = list(heads)
    lines = [named, [":--", *["--:"] * (len(named) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def profiles() -> str:
    """Return what stands between the marks `hours` of docs/reproduce.md."""
    rows = []
    for command, (params, found) in {
        "lab": profile("lab"), "day": profile("day"), "day SEEDS=2": profile("day", 2), "paper": profile("paper"),
    }.items():  # fmt: skip
        memory = [f"{found.memory(way) / 1e9:.0f} GB" for way in WAYS]
        hours = [span(found.hours(*key)) for key in KEYS]
        rows.append([f"`make {command}`", *hours, " / ".join(memory), f"{disk(params, found)['all'] / 1e9:.0f} GB"])
    heads = ["", *(f"{GPUS[card].short}, {way}" for card, way in KEYS), f"memory, {' / '.join(WAYS)}", "disk"]
    return OVERVIEW.format(table=markdown(heads, rows), kept="DVC's cache included")


def day() -> str:
    """Return what stands between the marks of docs/real-data.md: after how many hours `make day` has which table."""
    (first, once), (both, twice) = profile("day"), profile("day", 2)
    stops = {
        "Table 2, with its four codebooks": (first, once, ORDER[:1]), "and Table 3": (first, once, ORDER[:2]),
        "and Table 1: `make day` ends": (first, once, ORDER), "`make day SEEDS=2` ends": (both, twice, ORDER),
    }  # fmt: skip
    rows = [[what, *(span(_until(*stop, card)) for card in CARDS)] for what, stop in stops.items()]
    return markdown(["", *(GPUS[card].label for card in CARDS)], rows) + "\n"


def _until(params: Params, found: Overview, tables: Sequence[int], card: str) -> Bounds:
    """Return the hours, compiled and in bf16, of all that tables need."""
    stages = ranked(params, tables)
    keys = [key for key in params.evaluations if f"evaluate@{key}" in stages]
    runs = [params.evaluations[key].run for key in keys]
    needed = {*keys, *runs, *(run.codebook for name, run in params.runs.items() if name in runs)}
    return total(
        item.hours.times(sum(name in needed for name in item.names) / len(item.names))
        for item in found.items[card, "bf16"]
    )


def scale() -> str:
    """Return what stands between the marks of docs/scale.md."""
    params, found = profile("paper")
    stages = [*found.stages(), None]
    rows = [[stage or "**all**", *(span(found.hours(*key, stage)) for key in KEYS)] for stage in stages]
    table = markdown(["stage", *(f"{GPUS[card].short}, {way}" for card, way in KEYS)], rows)
    return SCALE.format(
        stages=table,
        efficiency=EFFICIENCY,
        eager=BANDWIDTH[False],
        compiled=BANDWIDTH[True],
        **_extrapolated(params, found),
    )


def _extrapolated(params: Params, found: Overview) -> dict[str, str]:
    trained = {way: _on(OWN, params, found.items["h100", way]) for way in WAYS}
    wider, tested = (sum(scenes(name, split) for name in SETS) / scenes(OWN, split) for split in ("train", "test"))
    once = len(SETS) * SEEDS
    factors = {"codebooks": once, "fixed": once, "epochs": SEEDS * wider, "predictions": SEEDS * tested}
    said = {
        "codebooks": ("codebooks", f"x {once}: their steps are fixed"),
        "fixed": ("networks whose steps are fixed", f"x {once}"),
        "epochs": (f"by epochs: {_labels(params, trained['fp32']['epochs'])}", f"x {SEEDS} x {wider:.2f}, the scenes"),
        "predictions": ("networks on the own test sets", f"x {SEEDS} x {tested:.1f}, the scenes"),
    }
    hours = {way: {kind: total(one.values()) for kind, one in kinds.items()} for way, kinds in trained.items()}
    rows = [
        [f"{len(trained['fp32'][kind])} {name}", *(span(hours[way][kind]) for way in WAYS), times]
        for kind, (name, times) in said.items()
    ]
    every = {way: total(hours[way][kind].times(factor) for kind, factor in factors.items()) for way in WAYS}
    rows.append([f"**{len(SETS)} sets, {SEEDS} seeds**", *(span(every[way]) for way in WAYS), "GPU-hours"])

    # However many GPUs there are, it takes as long as the longest training, by epochs on the largest set.
    largest = max(scenes(name, "train") for name in SETS)
    more = largest / scenes(OWN, "train")
    last = {
        way: {**k["fixed"], **{name: one.times(more) for name, one in k["epochs"].items()}}
        for way, k in trained.items()
    }
    most = {
        way: Bounds(max(one.lower for one in runs.values()), max(one.upper for one in runs.values()))
        for way, runs in last.items()
    }
    days = [
        [str(jobs), *(Bounds(*map(max, every[way].times(1 / jobs), most[way])).times(1 / 24).said() for way in WAYS)]
        for jobs in JOBS
    ]
    own = trained["fp32"]["fixed"] | trained["fp32"]["epochs"]
    dearest = sorted(own, key=lambda name: -own[name].upper)[:3]
    longest = max(last["fp32"], key=lambda name: last["fp32"][name].upper)
    ends = ENDS.format(
        dearest=", ".join(f"{_labels(params, [name])} ({span(own[name])})" for name in dearest),
        scenes=largest, last=_labels(params, [longest]), longest=span(last["fp32"][longest]),
        enough=f"{every['fp32'].upper / most['fp32'].upper:.0f}",
    )  # fmt: skip
    heads = ["", *WAYS]
    return {
        "sets": markdown([*heads, "extrapolated"], rows), "days": markdown(["GPUs", *WAYS], days),
        "ends": textwrap.fill(" ".join(ends.split()), 120),
    }  # fmt: skip


def scenes(dataset: str, split: str) -> int:
    """Return how many scenes a split is published with."""
    return datasets[dataset].expected[split]


def _on(trainset: str, params: Params, items: Iterable[Item]) -> dict[str, dict[str, Bounds]]:
    """Return hours of the stages on one training set: of codebooks, networks by how long they train, predictions."""
    found: dict[str, dict[str, Bounds]] = {"codebooks": {}, "fixed": {}, "epochs": {}, "predictions": {}}
    for item in items:
        for name in item.names:
            hours = item.hours.times(1 / len(item.names))
            if item.stage == "codebook" and params.codebook_runs[name].trainset == trainset:
                found["codebooks"][name] = hours
            elif item.stage == "train" and params.runs[name].trainset == trainset:
                recipe = params.published(params.runs[name])
                by_epochs = recipe is not None and recipe.epochs and not recipe.section
                found["epochs" if by_epochs else "fixed"][name] = hours
            elif item.stage == "evaluate" and _own_test(params, name, trainset):
                found["predictions"][name] = hours
    return found


def _own_test(params: Params, name: str, trainset: str) -> bool:
    evaluation = params.evaluations[name]
    return evaluation.dataset == params.runs[evaluation.run].trainset == trainset


def _labels(params: Params, names: Iterable[str]) -> str:
    return ", ".join(methods[params.variants[params.runs[name].variant].method].label for name in names)


def makefile(text: str) -> str:
    """Return the Makefile with the hours of each GPU profile in the brackets that end its help."""
    for name in PROFILES:
        if re.search(rf"^{name}: .*## ", text, re.M):
            _, found = profile(name)
            hours = ", ".join(f"{span(found.hours('h100', way))} in {way}" for way in WAYS)
            text = re.sub(rf"^({name}: .*## .*) \([^()]*\)$", rf"\1 (one H100: {hours})", text, flags=re.M)
    return text


def put(text: str, name: str, block: str) -> str:
    """Return a text with `block` between the marks `name`."""
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
    return re.sub(f"{begin}.*?{end}", lambda _: begin + block + end, text, flags=re.S)


def wanted() -> dict[str, str]:
    """Return what the files should hold, by their name."""
    files = ("docs/reproduce.md", "docs/real-data.md", "docs/scale.md", "Makefile")
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in files}
    return {
        "docs/reproduce.md": put(texts["docs/reproduce.md"], "hours", profiles()),
        "docs/real-data.md": put(texts["docs/real-data.md"], "day", day()),
        "docs/scale.md": put(texts["docs/scale.md"], "hours", scale()),
        "Makefile": makefile(texts["Makefile"]),
    }


if __name__ == "__main__":
    for name, text in wanted().items():
        (ROOT / name).write_text(text, encoding="utf-8")
