"""What methods cost: a table of seconds and memory, and the points of the Pareto figures."""

from collections.abc import Collection, Mapping, Sequence
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
    "front. Time isn't shown, because it depends on the machine: python -m bench time methods measures and draws it."
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


class Speed(NamedTuple):
    """What one method needs for a picture of one size on one machine.

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


def cells(speed: Speed) -> dict[str, Value]:
    """Return the row's cells by the keys of `COLUMNS`; None where nothing was measured."""
    found: dict[str, Value] = {
        "size": speed.size, "name": speed.name, "method": speed.label, "preset": speed.preset,
        "threads": speed.threads, "timed": len(speed.seconds), "device": speed.device,
    }  # fmt: skip
    if speed.seconds:
        found |= {
            "seconds_per_megapixel": speed.per_megapixel, "seconds": float(median(speed.seconds)),
            "seconds_least": min(speed.seconds), "seconds_most": max(speed.seconds),
        }  # fmt: skip
    amounts = {"memory_gb": speed.memory, "rest_gb": speed.rest}
    found |= {key: value / GIGA for key, value in amounts.items() if value is not None}
    counts = {"params_m": speed.parameters, "frozen_m": speed.frozen}
    return found | {key: value / MEGA for key, value in counts.items() if value}


def table(params: Params, speeds: Sequence[Speed], outdated: Collection[Speed] = ()) -> Table:
    """Lay the rows of one device out, a panel for each size; a method that failed has its reason in its row.

    outdated : rows that were measured before code or settings changed.
    """
    rows = [_row(speed, speed in outdated) for speed in sorted(speeds, key=lambda s: s.height * s.width)]
    headings = {speed.size: f"{speed.size} pixels" for speed in speeds}
    return Table("time", "Time and memory of a prediction", caption(params, speeds), COLUMNS, tuple(rows), headings)


def _row(speed: Speed, outdated: bool) -> Row:
    filled = cells(speed)
    without = speed.reason or NO_NETWORK
    remarks = {column.key: without for column in COLUMNS if column.key not in filled and column.key != "note"}
    if speed.parameters:
        remarks |= {"frozen_m": "nothing in it is frozen"} if not speed.frozen else {}
    row = Row(speed.size, filled, remarks, (OLD_CODE,) if outdated else ())
    return replace(row, cells={**filled, "note": row.note})


def caption(params: Params, speeds: Sequence[Speed]) -> str:
    """Return what the table's numbers were measured on, and how."""
    if not speeds:
        return f"Profile {params.profile}: nothing measured yet."
    held = (
        "largest sum of tensors on the GPU; at rest: of the weights"
        if speeds[0].kind == "cuda"
        else "largest resident size of the process; at rest: with libraries and weights alone"
    )
    return f"Profile {params.profile} on {_machine(speeds)} Memory: {held}. Timings hold for this machine only."


def _machine(speeds: Sequence[Speed]) -> str:
    threads = " or ".join(sorted({str(speed.threads) for speed in speeds}))
    return (
        f"{speeds[0].device}, {threads} CPU {'thread' if threads == '1' else 'threads'}; each method in a process of "
        "its own, with random weights. Seconds: median of the timed predictions after a warm-up, from stored frames to "
        "radiance, alignment included; s/MP: for a million pixels."
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


def timed(params: Params, speeds: Sequence[Speed], results: Results, dataset: str) -> dict[str, bytes] | None:
    """Draw what variants reach on `dataset` against time and parameters, at the largest size that was measured.

    None if there are no two of them that were both scored and timed with the same preset.
    """
    names = shown(params)
    scored = {name: result for (name, tested), result in results.items() if tested == dataset and name in names}
    own = [speed for speed in speeds if speed.name in scored and speed.preset == params.variants[speed.name].preset]
    sizes = sorted({(speed.height * speed.width, speed.size) for speed in own if speed.seconds})
    chosen = [speed for speed in own if sizes and speed.size == sizes[-1][1]]
    good = {speed.name: speed for speed in chosen if speed.seconds and REACH in scored[speed.name].values}
    if len(good) < 2:
        return None
    reach = {name: scored[name].values[REACH] for name in good}
    times = [Point(names[n], speed.per_megapixel, reach[n], kind(speed.method)) for n, speed in good.items()]
    counts = [Point(names[n], (s.parameters or 0) / MEGA, reach[n], kind(s.method)) for n, s in good.items()]
    panels = [
        Plane("Time", f"seconds per megapixel, pictures of {sizes[-1][1]} pixels", tuple(times)),
        Plane("Size", SIZE, tuple(counts)),
    ]
    return pareto_figure(panels, REACHED, _said(params, list(good.values()), chosen, names, results, dataset))


def _said(
    params: Params,
    good: Sequence[Speed],
    chosen: Sequence[Speed],
    names: Mapping[str, str],
    results: Results,
    dataset: str,
) -> str:
    """Return the caption below the figure of times: machine, data, and which methods aren't drawn and why."""
    protocols = sorted({results[speed.name, dataset].protocol for speed in good})
    presets = ", ".join(sorted({speed.preset for speed in good if kind(speed.method) != PLAIN}))
    failed = [f"{names[speed.name]} ({speed.reason})" for speed in chosen if speed.reason]
    there = {speed.name for speed in chosen}
    failed += [f"{label} (not measured)" for name, label in names.items() if name not in there]
    less = f" Not drawn: {', '.join(failed)}." if failed else ""
    data = f"Profile {params.profile}, {dataset}, protocol {', '.join(protocols)}, presets {presets or 'none'}."
    note = uncounted({names[speed.name]: speed.frozen for speed in good})
    return " ".join(filter(None, (f"{data} {_machine(good)}{less}", note)))


def figures(measured: Measured, datasets: Sequence[str]) -> list[Figure]:
    """Return for each data set what methods reach against their trained parameters; nothing of it was timed."""
    made = []
    for index, dataset in enumerate(datasets):
        points = _sized(measured, dataset)
        if not any(point.cost for point in points):
            continue
        name = f"pareto_parameters_{dataset}" if index else "pareto_parameters"
        cards = {label: measured.card(variant) for variant, label in shown(measured.params).items()}
        drawn = {point.label for point in points}
        note = uncounted({label: card.get("parameters_frozen") for label, card in cards.items() if label in drawn})
        png = pareto_figure([Plane(dataset, SIZE, points)], REACHED, note)["png"]
        caption = " ".join(filter(None, (UNTIMED, note)))
        made.append(Figure(name, png, f"{METRICS[0].head} against parameters, {dataset}", caption))
    return made


def uncounted(frozen: Mapping[str, int | None]) -> str:
    """Return what the axis of trained parameters leaves out, by the names of methods; "" where nothing is frozen.

    What a VQGAN's encoder has of it isn't told by any card, so it can't be taken off.
    """
    counts = ", ".join(f"{label} {count / MEGA:.3f} M" for label, count in frozen.items() if count)
    return FROZEN.format(counts=counts) if counts else ""


def _sized(measured: Measured, dataset: str) -> tuple[Point, ...]:
    """Return the points of what was scored; a network without a card, whose size isn't known, has none."""
    found = []
    for name, label in shown(measured.params).items():
        result, size = measured.results.get((name, dataset)), measured.card(name).get("parameters")
        if result is None or REACH not in result.values:
            continue
        mark = kind(result.method)
        if size is not None or mark == PLAIN:
            found.append(Point(label, (size or 0) / MEGA, result.values[REACH], mark))
    return tuple(found)
