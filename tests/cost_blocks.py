"""Hours in README.md, docs/scale.md and the Makefile, from what was counted; `make costs` puts them there.

No hour is typed: after networks, recipes or profiles have changed, run `make costs` and commit what it writes. A test
compares.
"""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from bench.core.params import Params, load
from bench.core.registry import datasets
from bench.stages.cost.disk import disk
from bench.stages.cost.estimate import CARDS, WAYS, Bounds, Item, Overview, overview, total
from bench.stages.cost.gpus import GPUS

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- hours:begin -->\n", "<!-- hours:end -->"
PROFILES = {"lab": "profiles/lab/params.yaml", "day": "profiles/day/params.yaml", "paper": "profiles/paper/params.yaml"}
KEYS = [(card, way) for card in CARDS for way in WAYS]

OWN = "kalantari"
"""The set that somebody's own is assumed to be as large as."""

SETS = ("kalantari", "hu", "tel2023", "challenge123", OWN)
SEEDS = 5
JOBS = (8, 64, 600)

README = """\
{table}

Hours from the lower to the upper bound, on one GPU, one stage after another; bf16 is compiled. Memory is the largest
step's in fp32 and bf16; where a card has less, `accumulate` splits the batch.
"""
SCALE = """\
`python -m bench cost estimate --profile paper` gives two bounds for a GPU. Lower: arithmetic at 35 % of the peak, or
memory traffic, whichever takes longer. Upper: both in sequence, or the launches of kernels if these take longer. Data
loading and scoring on the CPU aren't included. `make paper` as it stands, in hours:

{stages}

Trained on Kalantari's set alone, and extrapolated to five sets and five seeds, on an H100:

{sets}

| GPUs | days, fp32 | days, bf16 |
|---:|---:|---:|
{days}

The dearest trainings in fp32 are {dearest}. On Tel 2023, whose {scenes} scenes make the longest epochs, {last} ends
last, after {longest} h in fp32: beyond some {enough} GPUs more jobs don't help; several GPUs per job do (`torchrun`).
"""


@cache
def profile(name: str) -> tuple[Params, Overview]:
    """Return a profile and what it costs."""
    params = load(ROOT / PROFILES[name])
    return params, overview(params)


def span(bounds: Bounds, unit: float = 1.0) -> str:
    """Return a time from bound to bound, such as "1.2-3.4"."""
    lower, upper = (f"{v:,.0f}" if v >= 10 else f"{v:.2g}" for v in (bounds.lower / unit, bounds.upper / unit))
    return lower if lower == upper else f"{lower}-{upper}"


def markdown(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table whose first column is text."""
    named = list(heads)
    lines = [named, [":--", *["--:"] * (len(named) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def readme() -> str:
    """Return what stands between the marks of README.md."""
    rows = []
    for name in PROFILES:
        if (ROOT / PROFILES[name]).exists():
            params, found = profile(name)
            memory = " / ".join(f"{found.memory(way) / 1e9:.0f} GB" for way in WAYS)
            hours = [span(found.hours(*key)) for key in KEYS]
            rows.append([f"`make {name}`", *hours, memory, f"{disk(params)['all'] / 1e9:.0f} GB"])
    heads = ["hours", *(f"{GPUS[card].short} {way}" for card, way in KEYS), "memory", "disk"]
    return README.format(table=markdown(heads, rows))


def scale() -> str:
    """Return what stands between the marks of docs/scale.md."""
    params, found = profile("paper")
    stages = [*found.stages(), None]
    rows = [[stage or "**all**", *(span(found.hours(*key, stage)) for key in KEYS)] for stage in stages]
    table = markdown(["stage", *(f"{GPUS[card].short} {way}" for card, way in KEYS)], rows)
    return SCALE.format(stages=table, **_extrapolated(params, found))


def _extrapolated(params: Params, found: Overview) -> dict[str, str]:
    trained = {way: _on(OWN, params, found.items["h100", way]) for way in WAYS}
    wider = sum(datasets[name].expected["train"] for name in SETS) / datasets[OWN].expected["train"]
    tested = sum(datasets[name].expected["test"] for name in SETS) / datasets[OWN].expected["test"]
    many = {"codebooks": len(SETS), "fixed": len(SETS), "epochs": wider, "predictions": tested}
    said = {
        "codebooks": f"x {len(SETS) * SEEDS}: their steps are fixed", "fixed": f"x {len(SETS) * SEEDS}",
        "epochs": f"x {SEEDS} x {wider:.2f}: scenes of the training sets",
        "predictions": f"x {SEEDS} x {tested:.1f}: scenes of the test sets",
    }  # fmt: skip
    names = {
        "codebooks": "codebooks", "fixed": "networks whose steps are fixed", "epochs": "networks whose epochs are",
        "predictions": "predictions of the own test sets, by networks",
    }  # fmt: skip
    hours = {way: {kind: total(one.values()) for kind, one in kinds.items()} for way, kinds in trained.items()}
    rows = [
        [f"{len(trained['fp32'][kind])} {names[kind]}", *(span(hours[way][kind]) for way in WAYS), said[kind]]
        for kind in many
    ]
    every = {way: total(hours[way][kind].times(SEEDS * factor) for kind, factor in many.items()) for way in WAYS}
    rows.append([f"**{len(SETS)} sets, {SEEDS} seeds**", *(span(every[way]) for way in WAYS), "GPU-hours"])

    # A job is a training with its codebook's before it; the last to end is trained on the largest set.
    largest = max(SETS, key=lambda name: datasets[name].expected["train"])
    more = datasets[largest].expected["train"] / datasets[OWN].expected["train"]
    longest = {
        way: {**kinds["fixed"], **{name: one.times(more) for name, one in kinds["epochs"].items()}}
        for way, kinds in trained.items()
    }
    most = {way: Bounds(*(max(one[i] for one in runs.values()) for i in (0, 1))) for way, runs in longest.items()}
    days = [
        [f"{jobs}", *(span(Bounds(*(max(every[way][i] / jobs, most[way][i]) for i in (0, 1))), 24) for way in WAYS)]
        for jobs in JOBS
    ]
    by_hours = sorted(longest["fp32"], key=lambda name: -longest["fp32"][name].upper)
    own = {**trained["fp32"]["fixed"], **trained["fp32"]["epochs"]}
    dearest = sorted(own, key=lambda name: -own[name].upper)[:3]
    return {
        "sets": markdown(["", "H100 fp32", "H100 bf16", "extrapolated"], rows),
        "days": "\n".join(f"| {' | '.join(line)} |" for line in days),
        "dearest": ", ".join(f"{_label(params, name)} ({span(own[name])} h)" for name in dearest),
        "last": _label(params, by_hours[0]), "longest": span(longest["fp32"][by_hours[0]]),
        "scenes": str(datasets[largest].expected["train"]),
        "enough": f"{every['fp32'].upper / most['fp32'].upper:.0f}",
    }  # fmt: skip


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
                found["epochs" if recipe is not None and recipe.epochs else "fixed"][name] = hours
            elif item.stage == "evaluate" and _own_test(params, name, trainset):
                found["predictions"][name] = hours
    return found


def _own_test(params: Params, name: str, trainset: str) -> bool:
    evaluation = params.evaluations[name]
    return evaluation.dataset == params.runs[evaluation.run].trainset == trainset


def _label(params: Params, name: str) -> str:
    from bench.core.registry import methods

    return methods[params.variants[params.runs[name].variant].method].label


def makefile(text: str) -> str:
    """Return the Makefile with the hours of each GPU profile in the brackets that end its help."""
    for name in PROFILES:
        if re.search(rf"^{name}: .*## ", text, re.M):
            _, found = profile(name)
            hours = ", ".join(f"{way} {span(found.hours('h100', way))} h" for way in WAYS)
            text = re.sub(rf"^({name}: .*## .*) \([^()]*\)$", rf"\1 (one H100: {hours})", text, flags=re.M)
    return text


def put(text: str, block: str) -> str:
    """Return a text with `block` between its marks."""
    return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: BEGIN + block + END, text, flags=re.S)


def wanted() -> dict[str, str]:
    """Return what the files should hold, by their name."""
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/scale.md", "Makefile")}
    return {
        "README.md": put(texts["README.md"], readme()),
        "docs/scale.md": put(texts["docs/scale.md"], scale()),
        "Makefile": makefile(texts["Makefile"]),
    }


if __name__ == "__main__":
    for name, text in wanted().items():
        (ROOT / name).write_text(text, encoding="utf-8")
