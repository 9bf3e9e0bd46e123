"""`list` methods, datasets, metrics, protocols and variants; `protocol` to show and compare protocols."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Annotated, Any, cast

import typer

from bench.cli.settings import Json, Settings, workplace

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
protocol = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Show or compare evaluation protocols.")

Rows = list[dict[str, Any]]

ABOUT = {"name", "version", "title", "source", "notes"}
"""Fields that describe a protocol and change no number."""


def _methods(_: Settings) -> Rows:
    from bench.core.registry import methods

    return [asdict(card) for card in methods.every.values()]


def _datasets(_: Settings) -> Rows:
    from bench.core.registry import datasets

    return [asdict(card) for card in datasets.values()]


def _metrics(_: Settings) -> Rows:
    from bench.core.registry import metrics

    return [{**asdict(card), "missing": card.missing or None} for card in metrics.values()]


def _protocols(_: Settings) -> Rows:
    from bench.core.errors import UsageError
    from bench.core.reading import read_yaml
    from bench.core.registry import protocols

    rows = []
    for name in protocols:
        try:
            rows.append({"name": name, **read_yaml(protocols.folder / f"{name}.yaml")})
        except UsageError as error:
            print(f"left out: protocol file {error}", file=sys.stderr)
    return rows


def _variants(settings: Settings) -> Rows:
    return [{"name": name, **variant.model_dump()} for name, variant in settings.load().variants.items()]


LISTS: Mapping[str, tuple[Callable[[Settings], Rows], tuple[str, ...]]] = {
    "methods": (_methods, ("name", "label", "trains", "requires", "heads", "presets", "unavailable")),
    "datasets": (_datasets, ("name", "title", "licence", "splits")),
    "metrics": (_metrics, ("name", "label", "unit", "better", "domain", "missing")),
    "protocols": (_protocols, ("name", "version", "title", "metrics")),
    "variants": (_variants, ("name", "method", "preset", "options")),
}


@app.command("list")
def show_list(
    context: typer.Context,
    what: Annotated[str, typer.Argument(metavar="|".join(LISTS))],
    as_json: Json = False,
) -> None:
    """List methods, datasets, metrics, protocols or variants.

    Example: python -m bench list methods --json
    """
    settings = cast(Settings, context.obj)
    with workplace():
        if what not in LISTS:
            from bench.core.errors import unknown_name

            raise unknown_name("list", what, LISTS)
        collect, columns = LISTS[what]
        rows = collect(settings)
        print(json.dumps(rows, indent=2, default=str) if as_json else table(rows, columns))


def table(rows: Rows, columns: Iterable[str]) -> str:
    """Return the chosen columns as aligned text under a heading."""
    lines = [list(columns), *([_text(row.get(column)) for column in columns] for row in rows)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _text(value: Any) -> str:
    if isinstance(value, Mapping) and any(isinstance(inner, Mapping) for inner in value.values()):
        value = list(value)
    if isinstance(value, Mapping):
        return " ".join(f"{key}={inner}" for key, inner in value.items()) or "-"
    if isinstance(value, list | tuple):
        return " ".join(map(str, value)) or "-"
    return {True: "yes", False: "no", None: "-"}[value] if value is None or isinstance(value, bool) else str(value)


@protocol.command("list")
def protocol_list(context: typer.Context) -> None:
    """List the protocols.

    Example: python -m bench protocol list
    """
    show_list(context, "protocols")


@protocol.command("show")
def protocol_show(name: str) -> None:
    """Print every setting of a protocol.

    Each comes with its meaning; the versions of the libraries that compute it stand below.

    Example: python -m bench protocol show whole-float
    """
    with workplace():
        from bench.core.registry import protocols

        print(protocols[name].describe())


@protocol.command("diff")
def protocol_diff(first: str, second: str) -> None:
    """Print the settings in which two protocols differ.

    Example: python -m bench protocol diff whole-float sctnet
    """
    with workplace():
        from bench.core.registry import protocols

        rules = protocols[first], protocols[second]
        one, two = (dict(flatten(rule.model_dump(exclude=ABOUT))) for rule in rules)
        left, right = (rule.id for rule in rules)
        keys = [key for key in {**one, **two} if one.get(key) != two.get(key)]
        rows = [{"setting": key, left: one.get(key), right: two.get(key)} for key in keys]
        print(table(rows, ("setting", left, right)) if rows else "no setting differs")


def flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Yield the leaves of nested mappings under dotted names."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
