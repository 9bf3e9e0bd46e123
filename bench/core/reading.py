"""Text and bytes that come from outside: only regular files, bounded sizes, one sentence for whatever is wrong.

Whatever reads a file that a user names goes through here (images through `bench.io`, which begins here too), so that a
pipe, an endless device, a file of gigabytes or a bomb of aliases ends in a sentence, never in a wait.
"""

import json
import math
import re
import stat
from collections.abc import Hashable, Iterator, Mapping
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import Any

import yaml

from bench.core.errors import UsageError, printable

NOTE_LIMIT = 1 << 20
"""Bytes of a text that a person typed beside pictures: exposures, camera settings."""

TEXT_LIMIT = 64 << 20
"""Bytes of a text file. The longest that the project writes itself, a scores.csv, has some ten million."""

YAML_LIMIT = 4 << 20
"""Bytes of a YAML file. The demo's dvc.lock, the longest, is a twentieth of it."""

DEPTH = 50
"""Levels of nested brackets or blocks in a text; settings have six."""

NODES = 1_000_000
"""Values of a YAML text with every alias written out. Nine lists of nine aliases each would be 10^9."""

LONGEST_NUMBER = 1000
"""Digits of a number in a YAML text; a float has at most some three hundred before its point."""

LONGEST_NAME = 100
"""Characters. A file's temporary name adds some thirty, a scene's prediction its own; file systems allow 255 bytes."""

NAME = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9._+-]*")
"""What may become a path, a stage or a word of a shell: a leading dash reads as an option, a leading dot hides."""


def shown(name: object) -> str:
    """Return `name` as text that can't forge a line or colour a terminal: what can't be printed is written escaped."""
    safe = printable(str(name))
    return safe if len(safe) <= 300 else f"{safe[:140]}...{safe[-140:]}"


def need_name(name: object, what: str) -> str:
    """Return `name` if it may become a path, a stage or a shell's word; otherwise UsageError.

    what : of what it is the name, for the message: "variant", "--name".
    """
    if isinstance(name, str) and NAME.fullmatch(name) and len(name) <= LONGEST_NAME:
        return name
    raise UsageError(
        f"{what} {shown(repr(name))}: a name has letters, digits, dots, dashes, underscores and plus signs "
        f"(A-Z a-z 0-9 . _ + -), doesn't begin with a dot or a dash, and has at most {LONGEST_NAME} characters."
    )


def exists(path: str | PathLike[str]) -> bool:
    """Tell whether there is anything at a path; false, too, for a name that no file system takes."""
    try:
        return Path(path).exists()
    except OSError:  # longer than 255 bytes, for example
        return False


def is_folder(path: str | PathLike[str]) -> bool:
    """Tell whether a path is a folder; false, too, for a name that no file system takes."""
    return exists(path) and Path(path).is_dir()


def need_regular(path: str | PathLike[str], at_most: int | None = None) -> Path:
    """Return `path` if it is a regular file, or a link to one, of at most that many bytes; otherwise UsageError.

    at_most : bytes; None: any number.

    The file isn't opened: opening a pipe waits for whoever writes to it.
    """
    path = Path(path)
    try:
        found = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a NUL within the name
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{shown(path)}: can't be read ({reason}); name an existing file.") from error
    if not stat.S_ISREG(found.st_mode):
        kind = next((word for test, word in _KINDS if test(found.st_mode)), "no regular file")
        raise UsageError(f"{shown(path)}: this is {kind}; expected a file.")
    if at_most is not None and found.st_size > at_most:
        raise UsageError(
            f"{shown(path)}: has {found.st_size:,} bytes, more than the {at_most:,} that are read of such a file."
        )
    return path


_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def read_bytes(path: str | PathLike[str], at_most: int = TEXT_LIMIT) -> bytes:
    """Return the content of a regular file of at most `at_most` bytes; otherwise UsageError (see `need_regular`)."""
    path = need_regular(path, at_most)
    try:
        with path.open("rb") as file:
            content = file.read(at_most + 1)
    except OSError as error:
        raise UsageError(f"{shown(path)}: can't be read ({error.strerror}).") from error
    if len(content) > at_most:  # files of /proc and growing ones have no size beforehand
        raise UsageError(f"{shown(path)}: has more than the {at_most:,} bytes that are read of such a file.")
    return content


def read_text(path: str | PathLike[str], at_most: int = TEXT_LIMIT) -> str:
    """Return the text of a regular UTF-8 file, without a byte order mark; otherwise UsageError."""
    content = read_bytes(path, at_most)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{shown(path)}: not UTF-8 text (byte {error.start}); save it as UTF-8.") from error


def read_note(path: str | PathLike[str]) -> str:
    """Return the text of a small file that somebody typed: UTF-8, or UTF-16 as editors on Windows save it.

    UsageError for anything else.
    """
    content = read_bytes(path, NOTE_LIMIT)
    kind = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return content.decode(kind)
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{shown(path)}: can't be read as text (not UTF-8, byte {error.start}); save it as UTF-8."
        ) from error


def read_json(path: str | PathLike[str], at_most: int = TEXT_LIMIT) -> dict[str, Any]:
    """Return the object that a JSON file holds; otherwise UsageError, also for a list, a number or null.

    NaN and Infinity, which JSON lacks, are read as Python writes them.
    """
    text = read_text(path, at_most)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also an integer of 5000 digits
        reason = "nested too deeply" if isinstance(error, RecursionError) else "a number has thousands of digits"
        reason = " ".join(str(error).split()) if isinstance(error, json.JSONDecodeError) else reason
        raise UsageError(f"{shown(path)}: not valid JSON ({reason}).") from error
    if not isinstance(content, dict):
        raise UsageError(f"{shown(path)}: expected a JSON object {{...}}, got {_what(content)}.")
    return content


def read_yaml(path: str | PathLike[str]) -> dict[str, Any]:
    """Return the mapping that a YAML file holds; otherwise UsageError (see `parse_yaml`)."""
    return parse_yaml(read_text(path, YAML_LIMIT), shown(path))


def parse_yaml(text: str, where: str) -> dict[str, Any]:
    """Return the mapping in a YAML text of null, booleans, numbers, text, lists and mappings.

    text  : one document.
    where : its name, for messages.

    UsageError, one sentence that begins with `where`: a text that isn't YAML, more than DEPTH levels, more than NODES
    values once aliases are written out, an alias within what it stands for, a key given twice (PyYAML would take the
    last, DVC refuses the file), other tags (dates, sets, bytes, Python's own), and anything but a mapping.
    """
    try:
        _measure(text, where)
        content = _build(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{where}: not valid YAML: {_fault(error)}") from error
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError, RecursionError) as error:
        # What PyYAML's own constructors let through: `!!int x`, an integer of 5000 digits, a mapping as a key.
        raise UsageError(f"{where}: holds a value that can't be read: {shown(' '.join(str(error).split()))}") from error
    if not isinstance(content, dict):
        raise UsageError(
            f"{where}: holds {_what(content)}; expected a mapping of names to values, such as `name: value`."
        )
    return content


def _fault(error: yaml.YAMLError) -> str:
    problem = getattr(error, "problem", None)
    mark = getattr(error, "problem_mark", None)
    if problem is None:
        return shown(" ".join(str(error).split()))
    return shown(f"{problem} (line {mark.line + 1}, column {mark.column + 1})" if mark else problem)


def _measure(text: str, where: str) -> None:
    """Raise UsageError for a text whose values would be too many or too deep, before one of them is built."""
    sizes: dict[str, int] = {}
    open_: list[tuple[str | None, int]] = []  # anchor of each block that is open, and the count before it
    count = 0
    for event in yaml.parse(text, Loader=_SAFE):
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_.pop()
            if anchor is not None:
                sizes[anchor] = count - before
            continue
        if isinstance(event, yaml.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in open_):
                raise UsageError(f"{where}: the alias *{shown(event.anchor)} stands within what it stands for.")
            count += sizes.get(event.anchor or "", 1)
        elif isinstance(event, yaml.NodeEvent):
            count += 1
            if isinstance(event, yaml.CollectionStartEvent):
                open_.append((event.anchor, count - 1))
            elif event.anchor:
                sizes[event.anchor] = 1
        if len(open_) > DEPTH:
            raise UsageError(f"{where}: values are nested more than {DEPTH} levels deep.")
        if count > NODES:
            raise UsageError(f"{where}: holds more than {NODES:,} values once its aliases are written out.")


def _build(text: str) -> Any:
    """Return what a YAML text of one document stands for, None for an empty one."""
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        _check_keys(loader, root)
        return loader.construct_document(root)
    finally:
        loader.dispose()


def _check_keys(loader: Any, root: yaml.Node) -> None:
    """Raise ConstructorError for a key that is no text or number, and for one that a mapping is given twice.

    To be asked before anything is built: that writes the keys of merges (`<<: *base`) into a mapping, which may be the
    base of another one.
    """
    nodes, seen = [root], {id(root)}
    for node in nodes:  # grows; an alias is the very node that it stands for
        inner = node.value if isinstance(node, yaml.SequenceNode) else []
        if isinstance(node, yaml.MappingNode):
            keys = [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
            inner = [value for _, value in node.value]
            _need_single(keys, [loader.construct_object(key, deep=True) for key in keys])
        new = {id(one): one for one in inner if id(one) not in seen}
        seen.update(new)  # `|=` with a view of keys would copy the whole set
        nodes += new.values()


def _need_single(nodes: list[yaml.Node], keys: list[Any]) -> None:
    known: set[Hashable] = set()
    for node, key in zip(nodes, keys, strict=True):
        if not isinstance(key, str | int | float | bool | None):
            raise yaml.constructor.ConstructorError(None, None, "a key is no text or number", node.start_mark)
        if key in known:
            said = f"the key {shown(repr(key))} is given twice"
            raise yaml.constructor.ConstructorError(None, None, said, node.start_mark)
        known.add(key)


_SAFE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""PyYAML's safe loader; ten times as fast where it was compiled."""


class _Loader(_SAFE):  # type: ignore[misc]  # which of the two it is isn't known before
    """PyYAML's safe loader without dates, sets and bytes."""

    def refused(self, node: yaml.Node) -> Any:
        kind = {"timestamp": "a date"}.get(kind := node.tag.rpartition(":")[2], f"of the kind {kind}")
        raise yaml.constructor.ConstructorError(
            None, None, f"a value is {kind}; put it in quotes if text is meant", node.start_mark
        )

    def number(self, node: yaml.ScalarNode) -> int | float:
        said = ""
        if len(node.value) > LONGEST_NUMBER:
            said = f"a number has {len(node.value):,} digits, more than the {LONGEST_NUMBER:,} that are read"
        elif "_" in node.value:  # YAML 1.1 passes over them, 1.2 doesn't
            said = f"a value is {shown(node.value)}, a number to some programs; leave the underscores out"
        elif ":" in node.value:  # YAML 1.1 counts in sixties, 1.2 doesn't
            said = f"a value is {shown(node.value)}, base 60 to some programs; put it in quotes if text is meant"
        if said:
            raise yaml.constructor.ConstructorError(None, None, said, node.start_mark)
        whole = node.tag.endswith(":int")
        found: int | float = self.construct_yaml_int(node) if whole else self.construct_yaml_float(node)
        return found


for _tag in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _Loader.number)
for _tag in ("timestamp", "binary", "set", "omap", "pairs"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _Loader.refused)


def _what(content: object) -> str:
    if content is None:
        return "nothing"
    if isinstance(content, Mapping):
        return "a mapping"
    return "a list" if isinstance(content, list) else f"the value {shown(repr(content))}"


def number(text: str) -> float:
    """Return the finite number written as `-0.25` or `1e-3`; ValueError for anything else.

    Python's own `float` would also take 6_6.6 and the digits of other scripts.
    """
    value = float(text) if is_number(text) else math.nan
    if not math.isfinite(value):
        raise ValueError(f"{shown(repr(text))} is no number such as 0.25 or 1e-3")
    return value


def is_number(text: str) -> bool:
    """Tell whether a text is a number as people and programs write it, blanks around it allowed: -0.25, 1e-3."""
    return len(text) <= LONGEST_NUMBER and _DECIMAL.fullmatch(text.strip()) is not None


_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


def positive_number(text: str, longest: int = 40) -> float:
    """Return the positive finite number written as `0.25`, `1e-3` or `1/250`; ValueError for anything else.

    The exponent is bounded before anything is computed: Python would spell out the billion digits of 1e999999999.
    """
    text = text.strip()
    if len(text) > longest or not _FRACTION.fullmatch(text):
        raise ValueError(f"{shown(repr(text))} is no number such as 0.25, 1e-3 or 1/250")
    try:
        value = float(Fraction(text))
    except (ZeroDivisionError, OverflowError) as error:
        raise ValueError(f"{shown(repr(text))} is no finite number") from error
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{shown(repr(text))} is not a positive, finite number")
    return value


_FRACTION = re.compile(rf"\+?(\d+/\d+|{_DECIMAL.pattern})", re.ASCII)


def lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield number, from 1, and content of each line that isn't empty or a comment (`#`)."""
    for number, line in enumerate(text.splitlines(), 1):
        if (content := line.strip()) and not content.startswith("#"):
            yield number, content
