"""Seconds and memory of predictions as a table, and what methods reach against what they cost as Pareto figures."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import NamedTuple

from bench.core.params import Params
from bench.core.registry import methods
from bench.report.figures.pareto import AFTER, LEARNED, PLAIN, Plane, Point, pareto_figure
from bench.report.page.page import Figure
from bench.report.results.inputs import Measured
from bench.report.results.results import Results
from bench.report.scores.scored import METRICS
from bench.report.table.table import Column, Row, Table, Value

GIGA, MEGA = 1e9, 1e6
REACH = "psnr-mu"
REACHED = "PSNR-μ, dB"
SIZE = "trained parameters, millions"
NO_NETWORK = "has no network"
OLD_CODE = "measured with other code or settings than today's"

UNTIMED = (
    "Means over all seeds and scenes. Methods left of the dashed line have no parameters and take no part in the "
    "front. Time isn't shown, because it depends on the machine: python -m bench cost predictions measures and "
    "draws it."
)
FROZEN = (
    "Not counted: frozen parameters, {counts}. Prediction uses the codebook and its decoder among them; the encoder, "
    "which that number holds too, serves in training only."
)

COLUMNS = (
    Column("size", "size", shown=False),
    Column("name", "name", shown=False),
    Column("method", "method"),
    Column("preset", "preset"),
    Column("params_m", "params (M)", "", 3),
    Column("frozen_m", "frozen (M)", "", 3),
    Column("seconds_per_megapixel", "s/MP", "", 4),
    Column("seconds", "s", "", 4),
    Column("seconds_least", "least s", "", 4, shown=False),
    Column("seconds_most", "most s", "", 4, shown=False),
    Column("memory_gb", "memory (GB)", "", 2),
    Column("rest_gb", "at rest (GB)", "", 2),
    Column("threads", "threads"),
    Column("timed", "timed", shown=False),
    Column("device", "device", shown=False),
    Column("note", "note", shown=False),
)


class PredictionTiming(NamedTuple):
    """Time and memory of one method for a picture of one size on one machine.

    name, label     : the variant or method, and what tables call it.
    device, kind    : product name, and "cpu" or "cuda".
    repeat          : how many predictions were to be timed.
    stamp           : hash of network, code and PyTorch's version.
    seconds         : of each timed prediction; () where there is none, and then `reason` says why.
    memory, rest    : bytes held at most, and before the first prediction.
    parameters      : trained ones; `frozen` are the others.
    """

    name: str
    label: str
    method: str
    preset: str
    height: int
    width: int
    device: str
    kind: str
    threads: int
    repeat: int
    stamp: str
    seconds: tuple[float, ...] = ()
    memory: int | None = None
    rest: int | None = None
    parameters: int | None = None
    frozen: int | None = None
    reason: str = ""

    @property
    def size(self) -> str:
        """Height and width in pixels as text."""
        return f"{self.height}x{self.width}"

    @property
    def per_megapixel(self) -> float:
        """Median of the seconds, for a million pixels."""
        return median(self.seconds) * MEGA / (self.height * self.width)


def table(params: Params, timings: Collection[PredictionTiming], outdated: Collection[PredictionTiming] = ()) -> Table:
    """Lay the rows of one device out, a panel for each size; a method that failed has its reason in its row.

    outdated : rows that were measured before code or settings changed.
    """
    rows = [_row(timing, timing in outdated) for timing in sorted(timings, key=lambda t: t.height * t.width)]
    headings = {timing.size: f"{timing.size} pixels" for timing in timings}
    return Table("time", "Time and memory of a prediction", _caption(params, timings), COLUMNS, tuple(rows), headings)


def _row(timing: PredictionTiming, outdated: bool) -> Row:
    cells: dict[str, Value] = {
        "size": timing.size, "name": timing.name, "method": timing.label, "preset": timing.preset,
        "threads": timing.threads, "timed": len(timing.seconds), "device": timing.device,
    }  # fmt: skip
    if timing.seconds:
        cells |= {
            "seconds_per_megapixel": timing.per_megapixel, "seconds": float(median(timing.seconds)),
            "seconds_least": min(timing.seconds), "seconds_most": max(timing.seconds),
        }  # fmt: skip
    amounts = {"memory_gb": timing.memory, "rest_gb": timing.rest}
    cells |= {key: value / GIGA for key, value in amounts.items() if value is not None}
    counts = {"params_m": timing.parameters, "frozen_m": timing.frozen}
    cells |= {key: value / MEGA for key, value in counts.items() if value}
    without = timing.reason or NO_NETWORK
    remarks = {column.key: without for column in COLUMNS if column.key not in cells and column.key != "note"}
    if timing.parameters and not timing.frozen:
        remarks["frozen_m"] = "nothing in it is frozen"
    row = Row(timing.size, cells, remarks, (OLD_CODE,) if outdated else ())
    return replace(row, cells={**cells, "note": row.note})


def _caption(params: Params, timings: Collection[PredictionTiming]) -> str:
    if not timings:
        return f"Profile {params.profile}: nothing measured yet."
    held = (
        "largest sum of tensors on the GPU; at rest: of the weights"
        if next(iter(timings)).kind == "cuda"
        else "largest resident size of the process; at rest: with libraries and weights alone"
    )
    return f"Profile {params.profile} on {_machine(timings)} Memory: {held}. Timings hold for this machine only."


def _machine(timings: Collection[PredictionTiming]) -> str:
    threads = " or ".join(sorted({str(timing.threads) for timing in timings}))
    return (
        f"{next(iter(timings)).device}, {threads} CPU {'thread' if threads == '1' else 'threads'}; each method in a "
        "process of its own, with random weights. Seconds: median of the timed predictions after a warm-up, from "
        "stored frames to radiance, alignment included; s/MP: for a million pixels."
    )


def kind(method: str) -> str:
    """Return which mark a method has in Pareto figures."""
    if method not in methods:
        return LEARNED
    card = methods[method]
    if not card.trains:
        return PLAIN
    return AFTER if getattr(card, "after_paper", False) else LEARNED


def shown(params: Params) -> dict[str, str]:
    """Return what Pareto figures show: variants of Table 1 and floors, each with its name there."""
    own = params.variants
    floors = {name: methods[own[name].method].label for name in params.tables.floors if name in own}
    return floors | {variant: label for label, variant in params.rows(1).items() if variant in own}


def timed(
    params: Params, timings: Collection[PredictionTiming], results: Results, dataset: str
) -> dict[str, bytes] | None:
    """Draw what variants reach on `dataset` against time and parameters, at the largest size that was measured.

    None if there are no two of them that were both scored and timed with the same preset. The caption has machine,
    data, and which methods aren't drawn and why.
    """
    names = shown(params)
    scored = {name: result for (name, tested), result in results.items() if tested == dataset and name in names}
    own = [row for row in timings if row.name in scored and row.preset == params.variants[row.name].preset]
    sizes = sorted({(row.height * row.width, row.size) for row in own if row.seconds})
    chosen = [row for row in own if sizes and row.size == sizes[-1][1]]
    good = {row.name: row for row in chosen if row.seconds and REACH in scored[row.name].values}
    if len(good) < 2:
        return None

    def points(cost: Callable[[PredictionTiming], float]) -> tuple[Point, ...]:
        return tuple(Point(names[n], cost(row), scored[n].values[REACH], kind(row.method)) for n, row in good.items())

    time = f"seconds per megapixel, pictures of {sizes[-1][1]} pixels"
    panels = [
        Plane("Time", time, points(lambda row: row.per_megapixel)),
        Plane("Size", SIZE, points(lambda row: (row.parameters or 0) / MEGA)),
    ]
    protocols = ", ".join(sorted({scored[name].protocol for name in good}))
    presets = ", ".join(sorted({row.preset for row in good.values() if kind(row.method) != PLAIN})) or "none"
    failed = [f"{names[row.name]} ({row.reason})" for row in chosen if row.reason]
    failed += [f"{names[name]} (not measured)" for name in names if name not in {row.name for row in chosen}]
    parts = [
        f"Profile {params.profile}, {dataset}, protocol {protocols}, presets {presets}.",
        _machine(good.values()),
        f"Not drawn: {', '.join(failed)}." if failed else "",
        uncounted({names[name]: row.frozen for name, row in good.items()}),
    ]
    return pareto_figure(panels, REACHED, " ".join(filter(None, parts)))


def figures(measured: Measured, datasets: Sequence[str]) -> list[Figure]:
    """Return for each data set what methods reach against their trained parameters; nothing of it was timed."""
    made = []
    names = shown(measured.params)
    for index, dataset in enumerate(datasets):
        points, frozen = [], {}
        for name, label in names.items():
            result, card = measured.results.get((name, dataset)), measured.card(name)
            if result is None or REACH not in result.values:
                continue
            size, mark = card.get("parameters"), kind(result.method)
            if size is not None or mark == PLAIN:  # a network without a card, whose size isn't known, has no point
                points.append(Point(label, (size or 0) / MEGA, result.values[REACH], mark))
                frozen[label] = card.get("parameters_frozen")
        if not any(point.cost for point in points):
            continue
        note = uncounted(frozen)
        png = pareto_figure([Plane(dataset, SIZE, tuple(points))], REACHED, note)["png"]
        figure = f"pareto_parameters_{dataset}" if index else "pareto_parameters"
        caption = " ".join(filter(None, (UNTIMED, note)))
        made.append(Figure(figure, png, f"{METRICS[0].head} against parameters, {dataset}", caption))
    return made


def uncounted(frozen: Mapping[str, int | None]) -> str:
    """Return what the axis of trained parameters leaves out, by the names of methods; "" where nothing is frozen.

    No card says how much of a VQGAN is its encoder, so that can't be taken off.
    """
    counts = ", ".join(f"{label} {count / MEGA:.3f} M" for label, count in frozen.items() if count)
    return FROZEN.format(counts=counts) if counts else ""
