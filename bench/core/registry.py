"""Registries: names to cards, read from the source of one file each, without running it."""

import ast
import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import UnionType
from typing import Any, Generic, Literal, TypeVar, get_args, get_origin, get_type_hints

from bench.core.dataset import DatasetCard
from bench.core.errors import CodeFault, UsageError, not_python, unknown_name
from bench.core.method import MethodCard
from bench.core.metric import MetricCard, SectionCard
from bench.core.reading import read_bytes

ROOT = Path(__file__).resolve().parents[2]

Card = TypeVar("Card", bound=MethodCard | DatasetCard | MetricCard | SectionCard)


class Registry(Mapping[str, Card], Generic[Card]):
    """The cards of one folder: each class or function decorated with `@<noun>("name", ...)` is an entry.

    Whoever iterates gets what can be run. A method that can't (`MethodCard.unavailable`) is found by its name, and is
    among `every`.
    """

    def __init__(self, noun: str, folder: str, card: type[Card]) -> None:
        """Remember where to look; files are read when the first name is asked for."""
        self.noun, self.folder, self.card = noun, folder, card

    @cached_property
    def _cards(self) -> dict[str, Card]:
        cards: dict[str, Card] = {}
        for path in sorted((ROOT / self.folder).rglob("*.py")):
            for card in self._read(path):
                cards[card.name] = card
        return cards

    def _read(self, path: Path) -> Iterator[Card]:
        where = path.relative_to(ROOT)
        try:
            source = read_bytes(path)
        except UsageError as error:
            raise CodeFault(str(error)) from error
        if f"@{self.noun}(".encode() not in source:
            return
        parts = where.with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        try:
            body = ast.parse(source, path).body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            head, null, _ = source.partition(b"\0")  # Python doesn't tell its line
            raise not_python(error, f"{where}:{head.count(10) + 1}" if null else str(where)) from error
        for node in body:
            for call in getattr(node, "decorator_list", []):
                if isinstance(call, ast.Call) and getattr(call.func, "id", "") == self.noun:
                    yield self._card(call, module, node, where, body)  # type: ignore[arg-type]

    def _card(self, call: ast.Call, module: str, node: ast.ClassDef, file: Path, body: Sequence[ast.stmt]) -> Card:
        try:
            name = ast.literal_eval(call.args[0])
            fields = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
            if self.card is MethodCard:
                fields["options"] = _options(node, body)
            card = self.card(name=name, module=module, attribute=node.name, **fields)
        except (ValueError, TypeError, IndexError) as error:
            said = f"the card of a {self.noun} must consist of literals: {error}"
            raise CodeFault(f"{file}:{call.lineno}: {said}.") from error
        for field, kind in get_type_hints(self.card).items():
            if said := _misfit(getattr(card, field), kind):
                raise CodeFault(f"{file}:{call.lineno}: {field} of the {self.noun} {name!r}: {said}.")
        return card

    def __getitem__(self, name: str) -> Card:
        """Return the card called `name`; an unknown name raises UsageError with the nearest known ones."""
        if name not in self._cards:
            raise unknown_name(self.noun, name, self._cards)
        return self._cards[name]

    def __contains__(self, name: object) -> bool:
        """Tell whether a card has this name."""
        return name in self._cards

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of what can be run, sorted by file."""
        return (name for name, card in self._cards.items() if not getattr(card, "unavailable", ""))

    def __len__(self) -> int:
        """Count the cards of what can be run."""
        return sum(1 for _ in self)

    @property
    def every(self) -> Mapping[str, Card]:
        """All cards by name."""
        return self._cards


NAMES: Mapping[Any, str] = {str: "text", bool: "True or False", int: "an integer"}


def _misfit(value: Any, kind: Any) -> str:
    """Say what a card's field of the annotated kind may be, and what it is; "" if it may be that."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return "" if value in inner else f"expected {' or '.join(map(repr, inner))}, got {value!r}"
    if origin is UnionType:
        told = [_misfit(value, one) for one in inner]
        return "" if "" in told else told[0]
    if origin is tuple:
        if not isinstance(value, tuple | list):
            return f"expected a tuple such as ({value!r},), got {value!r}"
        return next((said for one in value if (said := _misfit(one, inner[0]))), "")
    if origin is Mapping:
        if not isinstance(value, Mapping):
            return f"expected a dictionary, got {value!r}"
        return next((f"{key!r}: {said}" for key, one in value.items() if (said := _misfit(one, inner[1]))), "")
    return "" if kind not in NAMES or type(value) is kind else f"expected {NAMES[kind]}, got {value!r}"


def _options(node: ast.ClassDef, body: Sequence[ast.stmt]) -> dict[str, Any] | None:
    """Return the arguments that a class's own `__init__` takes and their kinds; None where the source doesn't say.

    body : of the class's file; what it derives from TypedDict is a kind, too.
    """
    known = dict(KINDS)
    for made in body:
        if isinstance(made, ast.ClassDef) and any(getattr(base, "id", "") == "TypedDict" for base in made.bases):
            entries = (one for one in made.body if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name))
            known[made.name] = {one.target.id: _kind(one.annotation, known) for one in entries}  # type: ignore[union-attr]
    for member in node.body:
        if isinstance(member, ast.FunctionDef) and member.name == "__init__" and member.args.kwarg is None:
            taken = (*member.args.args[1:], *member.args.kwonlyargs)
            return {argument.arg: _kind(argument.annotation, known) for argument in taken}
    return None


KINDS: Mapping[str, Any] = {"int": int, "float": float, "bool": bool, "str": str, "Mapping": Mapping[str, Any]}


def _kind(annotation: ast.expr | None, known: Mapping[str, Any]) -> Any:
    """Return the type that an annotation in the source names; Any for one that parameter files hold no value of.

    A TypedDict is a dictionary of its entries' kinds, and may be None.
    """
    if isinstance(annotation, ast.BinOp):
        left, right = _kind(annotation.left, known), _kind(annotation.right, known)
        return left if isinstance(left, dict) else left | right
    if isinstance(annotation, ast.Constant) and annotation.value is None:
        return None
    if isinstance(annotation, ast.Subscript):
        container = getattr(annotation.value, "id", "")
        if container == "Literal":
            return Literal[ast.literal_eval(annotation.slice)]
        if container == "Sequence":
            return Sequence[_kind(annotation.slice, known)]  # type: ignore[misc]
        return known.get(container, Any)
    return known.get(getattr(annotation, "id", ""), Any)


class Protocols(Mapping[str, Any]):
    """Evaluation protocols: one YAML file each in bench/metrics/protocols."""

    folder = ROOT / "bench" / "metrics" / "protocols"

    def __getitem__(self, name: str) -> Any:
        """Load and check the protocol called `name` (a `bench.metrics.protocol.Protocol`)."""
        if name not in set(self):
            raise unknown_name("protocol", name, self)
        return importlib.import_module("bench.metrics.protocol").load(self.folder / f"{name}.yaml")

    def __contains__(self, name: object) -> bool:
        """Tell whether a protocol has this name."""
        return name in set(self)

    def __iter__(self) -> Iterator[str]:
        """Iterate over names in alphabetical order."""
        return (path.stem for path in sorted(self.folder.glob("*.yaml")))

    def sound(self) -> list[Any]:
        """Load every protocol whose file is sound; each other one is told in a line on stderr."""
        found = []
        for name in self:
            try:
                found.append(self[name])
            except UsageError as error:
                print(f"left out: {error}", file=sys.stderr)
        return found

    def __len__(self) -> int:
        """Count the protocols."""
        return sum(1 for _ in self)


def code_of(module: str) -> str:
    """Return where the code of a method or dataset lies, relative to the root: its folder, or its one file."""
    folder, name, *_ = module.split(".")
    return f"{folder}/{name}" if (ROOT / folder / name).is_dir() else f"{folder}/{name}.py"


methods: Registry[MethodCard] = Registry("method", "methods", MethodCard)
datasets: Registry[DatasetCard] = Registry("dataset", "datasets", DatasetCard)
metrics: Registry[MetricCard] = Registry("metric", "bench/metrics", MetricCard)
sections: Registry[SectionCard] = Registry("section", "bench/metrics", SectionCard)
protocols = Protocols()
