"""`cost`: what trainings, evaluations and predictions take in time and memory, before, during and after."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from bench.cli.catalogue import table
from bench.cli.settings import Json, Settings, find_profile, profiles, workplace
from bench.cli.stages import check_names
from bench.core import progress

if TYPE_CHECKING:
    from bench.core.params import Params
    from bench.stages.cost.estimate import Estimate, Item, Overview

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="What trainings, evaluations and predictions take in time and memory.",
)

Option = typer.Option
Profile = Annotated[str | None, Option(help="A profile by name; default: that of --params.")]


@app.command()
def estimate(
    context: typer.Context,
    profile: Profile = None,
    gpu: Annotated[
        str | None, Option(help="Details of one: h100, h200, a100 or 3090ti; default: hours on three of them.")
    ] = None,
    timed: Annotated[
        bool, Option("--timed", help="With --gpu: time 20 steps of both stages on this machine's GPU, too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Estimate what a profile takes, before it is run.

    Prints hours of every training and evaluation on an H100, an A100 and a 3090 Ti, in fp32 and in bf16 compiled, each
    from a lower to an upper bound by the GPU's data sheet; memory, disk, and totals. With --gpu: what FLOPs, memory
    traffic and launches of one GPU take. FLOPs and bytes are counted on the real graph, without computing; those of the
    profiles here are kept, others are counted now, which takes seconds for each network.

    Example: python -m bench cost estimate --profile paper
    """
    if timed and gpu is None:
        raise typer.BadParameter("it needs --gpu.", param_hint="--timed")
    with workplace():
        params = _load(context, profile)
        from bench.stages.cost import estimate as estimates

        if gpu is None:
            found = estimates.overview(params)
            print(json.dumps(found.as_json(), indent=2) if as_json else "\n".join(_overview(params, found)))
        else:
            result = estimates.run(params, gpu, timed)
            print(json.dumps(result.as_json(), indent=2) if as_json else "\n".join(_page(result)))


@app.command()
def count(context: typer.Context) -> None:
    """Count what profiles here cost, and keep it for estimates.

    Writes bench/stages/cost/counts.json, which git tracks. Counted is what the profiles ask for and the file lacks, or
    has of other code than today's; all of it takes minutes of one CPU core.

    Example: python -m bench cost count
    """
    with workplace():
        progress.quiet = cast(Settings, context.obj).quiet
        from bench.core.params import load
        from bench.stages.cost import counts

        number = counts.update([load(path) for path in profiles().values()])
        print(f"{counts.FILE.name}: {number} counted, the others kept")


@app.command()
def step(
    context: typer.Context,
    profile: Profile = None,
    run: Annotated[str | None, Option(help="A run of the profile; default: the last row of Table 3.")] = None,
    batch: Annotated[int, Option(min=1, help="Samples in a step.")] = 16,
    size: Annotated[int, Option(min=16, help="Edge of the patches, a multiple of 8.")] = 256,
    keep: Annotated[
        bool, Option("--keep", help="Write to reports/<profile>, which git tracks, over what is there.")
    ] = False,
) -> None:
    """Time a training's step on this machine.

    In fp32, TF32 and bf16, compiled and in CUDA graphs; on a CPU in fp32 alone. Prints milliseconds, images/s, memory,
    MFU, the share of the memory's bandwidth, against ceilings measured in the same call, and what limits the step.
    Written to runs/<profile>/speed/speed.md and speed.json.

    Example: python -m bench cost step --profile lab --batch 16 --size 256
    """
    if size % 8:
        raise typer.BadParameter(f"{size} isn't a multiple of 8.", param_hint="--size")
    with workplace():
        params = _load(context, profile)
        from bench.stages.cost.step import run as measure

        print(measure(params, run, batch=batch, size=size, keep=keep))


@app.command()
def trainings(context: typer.Context, profile: Profile = None) -> None:
    """Print how fast the trainings ran here.

    Steps and samples a second, memory, and shares of what the device can do at best.

    Example: python -m bench cost trainings
    """
    with workplace():
        params = _load(context, profile)
        from bench.stages.cost.trainings import run

        rows, seconds, devices = run(params)
        print(table(rows, rows[0]))
        print(f"\nall: {seconds:.1f} s\ndevice: {', '.join(devices)}")


@app.command()
def predictions(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Variants of the profile, or methods with another --preset; default: Table 1, or all."),
    ] = None,
    profile: Profile = None,
    preset: Annotated[
        str, Option(help="'profile': as the profile's variants say; or one of the methods' own, such as published.")
    ] = "profile",
    size: Annotated[list[str] | None, Option(help="Height and width, once or more; default: 256x256.")] = None,
    repeat: Annotated[int, Option(min=1, help="Predictions to time after a warm-up; the median counts.")] = 5,
    device: Annotated[str, Option(help="cpu or cuda; default: a GPU where there is one.")] = "",
    minutes: Annotated[float, Option(min=0, help="Give a method up after so long.")] = 30.0,
    force: Annotated[bool, Option("--force", help="Measure again what is kept.")] = False,
    as_json: Json = False,
) -> None:
    """Measure time and memory of predictions.

    Prints seconds per megapixel and peak memory of each method, and draws the Pareto figure, which needs the profile's
    scores. Each method predicts a synthetic bracket in a process of its own, with random weights, from stored frames to
    radiance. What was measured is kept in runs/<profile>/time and measured again only after its code or settings
    changed. A method that fails has its reason in its row.

    Example: python -m bench cost predictions --size 256x256 --size 1000x1500
    """
    with workplace():
        params = _load(context, profile)
        from bench.report.cost.predictions import table as laid_out
        from bench.report.table.writers import to_markdown
        from bench.stages.cost.predictions import read_sizes, run

        sizes = tuple(read_sizes(size or ["256x256"]))
        found = run(
            params, names or (), preset, sizes=sizes, repeat=repeat, device=device, minutes=minutes, force=force
        )
        if as_json:
            print(json.dumps([row._asdict() for row in found.rows], indent=2))
            return
        print(to_markdown(laid_out(params, found.rows)))
        for path in (*(found.file.with_suffix(end) for end in (".json", ".csv", ".md")), *found.figures):
            print(path)
        if not found.figures:
            print("no figure: it needs two variants of the profile, both timed (--preset profile) and scored")


def _load(context: typer.Context, profile: str | None) -> "Params":
    settings = cast(Settings, context.obj)
    progress.quiet = settings.quiet
    chosen = settings if profile is None else Settings(find_profile(profile), settings.quiet)
    params = chosen.load()
    check_names(params, chosen.params_file)
    return params


def _overview(params: "Params", found: "Overview") -> list[str]:
    """Return hours on several GPUs as lines: a row for equal stages, one for each stage of the pipeline, and totals."""
    from bench.stages.cost.disk import disk, unknown
    from bench.stages.cost.estimate import CARDS, WAYS, remarks
    from bench.stages.cost.gpus import GPUS

    if not any(found.items.values()):
        return [f"{found.profile} trains nothing."]
    heads = {(card, way): f"{GPUS[card].short} {way}" for card in CARDS for way in WAYS}
    rows = []
    for index, item in enumerate(found.items[CARDS[0], "fp32"]):
        each = {key: items[index] for key, items in found.items.items()}
        if item.stage != "evaluate":  # minutes in all
            memory = {f"GB {way}": f"{each[CARDS[0], way].cost.memory / 1e9:.1f}" for way in WAYS}
            hours = {head: each[key].hours.said() for key, head in heads.items()}
            own = {"stage": item.stage, "of": _names(item), "batch": item.batch, "steps": item.steps}
            rows.append({**own, **memory, **hours})
    blank = dict.fromkeys(("of", "batch", "steps", *(f"GB {way}" for way in WAYS)), "")
    for stage in (*found.stages(), None):
        number = sum(len(item.names) for item in found.items[CARDS[0], "fp32"] if stage in (None, item.stage))
        hours = {head: found.hours(*key, stage).said() for key, head in heads.items()}
        rows.append({"stage": f"all {stage or ''}".strip(), **blank, "of": f"{number} stages", **hours})
    space = disk(params, found)
    unsaid = f"; not in it, of no published size: archives of {', '.join(unknown(params))}" if unknown(params) else ""
    return [
        f"{found.profile}: hours on one GPU, one stage after another; bf16 is compiled", "",
        table(rows, rows[0]), "",
        "disk: " + ", ".join(f"{what} {size / 1e9:.1f} GB" for what, size in space.items()) + unsaid,
        *remarks(params),
    ]  # fmt: skip


def _names(item: "Item") -> str:
    others = len(item.names) - 1
    return item.names[0] + (f" and {others} more" if others else "")


def _page(result: "Estimate") -> list[str]:
    """Return the estimate as lines: a table with a row for equal stages, totals, notes."""
    rows = [_row(item, result.measured.get(index)) for index, item in enumerate(result.items)]
    columns = [name for name in rows[0] if result.measured or name != "measured"]
    stages = dict.fromkeys(item.stage for item in result.items)
    totals = [_total(stage, [item for item in result.items if item.stage == stage]) for stage in stages]
    heading = f"{result.profile} on one {result.gpu.label}, trained in {result.precision}"
    return [heading, "", table(rows, columns), "", *totals, _total("all", result.items), "", *result.notes]


def _row(item: "Item", measured: float | None) -> dict[str, Any]:
    cost = item.cost
    return {
        "stage": item.stage,
        "of": _names(item),
        "trained M": f"{cost.trainable / 1e6:.2f}",
        "frozen M": f"{cost.frozen / 1e6:.2f}",
        "GFLOP/sample": f"{cost.flops / item.batch / 1e9:.1f}",
        "TFLOP/step": f"{cost.flops / 1e12:.3f}",
        "GB/step": f"{cost.traffic / 1e9:.1f}",
        "memory GB": f"{cost.memory / 1e9:.1f}" if cost.saved else "-",
        "steps": item.steps,
        "samples": item.steps * item.batch,
        **{name: _time(getattr(item, name)) for name in ("compute", "traffic", "launch")},
        "binds": item.binds,
        "lower": _time(item.lower),
        "upper": _time(item.upper),
        "measured": "-" if measured is None else _time(measured),
    }


def _total(stage: str, items: "Sequence[Item]") -> str:
    number = sum(len(item.names) for item in items)
    flops = sum(len(item.names) * item.steps * item.cost.flops for item in items)
    lower, upper = sum(item.lower for item in items), sum(item.upper for item in items)
    return f"{stage:<10} {number:>3} stages  {_in_unit(flops, OPERATIONS):>11}  {_time(lower):>8} to {_time(upper):>8}"


TIMES = ((3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "us"))
OPERATIONS = ((1e18, "EFLOP"), (1e15, "PFLOP"), (1e12, "TFLOP"), (1e9, "GFLOP"))
"""Units of seconds and operations, the largest first."""


def _time(hours: float) -> str:
    return _in_unit(3600 * hours, TIMES)


def _in_unit(value: float, units: "Sequence[tuple[float, str]]") -> str:
    """Return a number in the largest unit of which it has one, such as "1.21 ms" or "3.4 h"."""
    unit, name = next((one for one in units if value >= one[0]), units[-1])
    count = value / unit
    return f"{count:.3g} {name}" if count < 100 else f"{count:.0f} {name}"
