"""One verb per stage of the pipeline; each calls `bench.stages.<verb>.run`."""

import importlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from bench.cli.processes import share
from bench.cli.settings import Settings, quietly, workplace
from bench.core.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from bench.core.params import Params

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

MaxMinutes = Annotated[
    float | None,
    typer.Option("--max-minutes", min=0, help="Save and end with exit code 75 after so long; run it again to go on."),
]

DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be read and written, and stop.")]


def execute(
    context: typer.Context,
    stage: str,
    dry: bool = False,
    name: str | None = None,
    known: "Callable[[Params], Iterable[str]] | None" = None,
    function: str = "run",
    **options: Any,
) -> None:
    """Load the parameters, check `name` against the `known` ones, then run `bench.stages.<stage>` or show its plan.

    Where a pipeline lies beside the parameter file, its plan.yaml must be fresh: else DVC's record of what was run with
    which parameters would be wrong.
    """
    verb = stage.rpartition(".")[2]
    settings = cast(Settings, context.obj)
    with workplace():
        params = settings.load()
        check_names(params, settings.params_file)
        if stage != "plan" and settings.params_file.with_name("dvc.yaml").exists():
            from bench.stages.plan import need_fresh

            need_fresh(params)
        names = list(known(params)) if known else []
        if name is not None and known and not names:
            raise UsageError(f"{settings.params_file} asks for nothing to {verb}; see its variants and `train`.")
        if name is not None and name not in names:
            raise unknown_name(f"entry for '{verb}' in {settings.params_file}", name, names)
        if dry:
            from bench.cli.dry_run import listing

            print("\n".join(listing(settings.params_file, verb, name)))
        else:
            run = getattr(importlib.import_module(f"bench.stages.{stage}"), function)
            quietly(settings, lambda: run(params, *([] if name is None else [name]), **options))


def check_names(params: "Params", file: Path) -> None:
    """Refuse a dataset, layout, method, preset, option or protocol that doesn't exist, before hours lead to its use.

    And the name of another profile, over whose results this one's would be written.
    """
    from bench.core.params import need_own_name
    from bench.core.recipe import published
    from bench.core.registry import datasets, methods, protocols

    need_own_name(file, params.profile)
    for name, use in params.datasets.items():
        if name not in datasets:
            raise unknown_name(f"dataset (datasets in {file})", name, datasets)
        if use.layout is not None and use.layout not in datasets[name].layouts:
            raise unknown_name(f"layout (datasets.{name}.layout in {file})", use.layout, datasets[name].layouts)
    if params.protocol not in protocols:
        raise unknown_name(f"protocol (protocol in {file})", params.protocol, protocols)
    if params.metrics:
        protocols[params.protocol].only(params.metrics)
    for name in () if params.sensitivity == "all" else params.sensitivity:
        if name not in protocols:
            raise unknown_name(f"protocol (sensitivity in {file})", name, protocols)
    if params.codebooks and params.preset not in methods["olc"].presets:
        raise unknown_name(f"preset of olc (preset in {file})", params.preset, methods["olc"].presets)
    for name, variant in params.variants.items():
        where = f"(variants.{name} in {file})"
        if variant.method not in methods:
            raise unknown_name(f"method {where}", variant.method, methods)
        card = methods[variant.method]
        card.need_code()
        published(card)
        if (card.trains or card.presets) and variant.preset not in card.presets:
            raise unknown_name(f"preset of {card.name} {where}", variant.preset, card.presets)
        card.check_options(variant.options, f" {where}")


def registered(_: "Params") -> Iterable[str]:
    """Name every dataset that there is a reader for, whether the profile uses it or not."""
    from bench.core.registry import datasets

    return datasets


@app.command()
def plan(
    context: typer.Context,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if plan.yaml isn't up to date.")] = False,
) -> None:
    """Write plan.yaml, which DVC reads, from the parameter file.

    `make` and `launch` write it anew where it is out of date, `doctor` and every stage say so. Git tracks it, and
    nobody edits it.

    Example: python -m bench --params profiles/smoke/params.yaml plan
    """
    execute(context, "plan", check=check)


@app.command()
def backbone(context: typer.Context, dry_run: DryRun = False) -> None:
    """Fetch and convert the VGG-16 of perceptual losses.

    Example: python -m bench --params profiles/paper/params.yaml backbone
    """
    execute(context, "data.backbone", dry_run)


@app.command()
def prepare(
    context: typer.Context,
    dataset: str,
    split: Annotated[list[str] | None, typer.Option(help="Only this split; may be given several times.")] = None,
    dry_run: DryRun = False,
) -> None:
    """Write one checked container per scene.

    All splits must be on disk unless --split names those that are: --split test is enough to score a test set.

    Example: python -m bench prepare panoramas
    """
    execute(context, "data.prepare", dry_run, dataset, registered, splits=tuple(split or ()))


def peak(device: str, precision: str) -> float | None:
    """Operations a second that the GPU whose driver calls itself `device` can do at best, where that is known."""
    from bench.stages.cost.gpus import recognise

    gpu = recognise(device)
    return None if gpu is None else 1e12 * gpu.tflops[precision]


@app.command()
def codebook(context: typer.Context, name: str, max_minutes: MaxMinutes = None, dry_run: DryRun = False) -> None:
    """Train a VQGAN and its codebook (stage 1).

    NAME is <codebook>--<trainset>--s<seed>. Goes on from the last checkpoint. Several processes share
    the work when torchrun starts them.

    Example: python -m bench --params profiles/smoke/params.yaml codebook olc-16--panoramas--s0
    """
    share()
    execute(
        context, "training.codebook", dry_run, name, lambda params: params.codebook_runs, minutes=max_minutes, peak=peak
    )


@app.command()
def train(context: typer.Context, run: str, max_minutes: MaxMinutes = None, dry_run: DryRun = False) -> None:
    """Train one HDR network (stage 2).

    RUN is <variant>--<trainset>--s<seed>. Goes on from the last checkpoint. Several processes share the work when
    torchrun starts them.

    Example: python -m bench train ahdrnet--panoramas--s0
    """
    share()
    execute(context, "training.train", dry_run, run, lambda params: params.runs, minutes=max_minutes, peak=peak)


@app.command()
def replay(context: typer.Context, file: Path) -> None:
    """Repeat a training step that failed.

    FILE is the failed-step-N.pt that a training with a loss or gradient that isn't finite has written below runs/.
    Prints the loss terms, the first module whose output isn't finite, and the gradients that aren't.

    Example: python -m bench replay runs/demo/codebook-olc-64--panoramas--s0/0123456789abcdef/failed-step-120.pt
    """
    file = file.absolute()
    with workplace():
        from bench.stages.tools import replay

        quietly(cast(Settings, context.obj), lambda: replay.run(file))


@app.command()
def evaluate(
    context: typer.Context,
    name: str,
    limit: Annotated[int | None, typer.Option(min=1, help="Only print the scores of the first N scenes.")] = None,
    dry_run: DryRun = False,
) -> None:
    """Predict and score one run on one test set.

    NAME is <run>--<dataset>; for a variant that isn't trained here, the variant stands in place of the run.

    Example: python -m bench evaluate triangle-merge--panoramas
    """
    options: dict[str, Any] = {} if limit is None else {"limit": limit}
    execute(context, "scoring.evaluate", dry_run, name, lambda params: params.evaluations, **options)


@app.command()
def inspect(context: typer.Context, name: str, dry_run: DryRun = False) -> None:
    """Measure the use of a codebook, or of a network's parts.

    NAME is a trained codebook (<codebook>--<trainset>--s<seed>), or network-<run> for a run that builds on one.

    Example: python -m bench inspect olc-64--panoramas--s0
    """
    execute(context, "inspection.inspect", dry_run, name, lambda params: params.inspections)


@app.command()
def sizes(context: typer.Context, dry_run: DryRun = False) -> None:
    """Count parameters and multiply-adds of Table 1's networks.

    Example: python -m bench sizes
    """
    execute(context, "cost.sizes", dry_run)


@app.command()
def summarize(context: typer.Context, dry_run: DryRun = False) -> None:
    """Gather the scores of all evaluations.

    Example: python -m bench summarize
    """
    execute(context, "scoring.summarize", dry_run)


@app.command()
def report(
    context: typer.Context,
    dry_run: DryRun = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="With what there is, to work/PROFILE/report or --out; reports/ stays.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Another folder than reports/PROFILE: a new one, or a report.")
    ] = None,
) -> None:
    """Draw tables, figures and the page.

    A fresh clone has the scores that git tracks: `--partial` makes Table 1 of them and of all submissions, and tells
    each submission's place.

    Example: python -m bench --params profiles/study/params.yaml report --partial --out my-report
    """
    options: dict[str, Any] = {} if out is None else {"out": out.absolute()}
    execute(context, "reporting.report", dry_run, partial=partial, **options)


@app.command()
def check(context: typer.Context) -> None:
    """Assert that a profile learned and that its trained parts do their work.

    Reads the weights and scores of a profile that has run.

    Example: python -m bench check
    """
    execute(context, "inspection.check")


@app.command()
def tiles(
    context: typer.Context,
    run: str,
    tile: Annotated[int, typer.Option(min=8, help="Edge of tiles in pixels, a multiple of 8.")] = 256,
    limit: Annotated[int, typer.Option(min=1, help="How many scenes.")] = 1,
) -> None:
    """Measure how far predictions in tiles are from those of whole images.

    RUN is <variant>--<trainset>--s<seed>, trained; nothing is written.

    Example: python -m bench tiles ahdrnet--panoramas--s0 --tile 64
    """
    execute(context, "tools.tiles", False, run, lambda params: params.runs, tile=tile, limit=limit)
