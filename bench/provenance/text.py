"""A chain as text: one link a paragraph, from the number down to the command that makes it again."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from bench.provenance.values import PAIRED

INDENT = 13
WIDTH = 118
SHORT = 12
"""Digits of a hash that are shown; --json has them all."""

ROWS = 24
"""Score rows up to which each is printed."""

UNITS = {"psnr": "dB", "params": "million", "published_params": "million", "macs": "10^9", "published_macs": "10^9"}
CARD = ("method", "preset", "options", "head", "recipe", "steps", "batch", "seed", "segments", "codes", "perceptual")
VERSIONS = ("precision", "device", "processes")

Chain = Mapping[str, Any]


def of_number(chain: Chain) -> str:
    """Return the chain of one number as text."""
    number, value = chain["subject"], chain["value"]
    lines = list(_head(number, value))
    lines += _value(value) if value["text"] or value["missing"] or number.get("text") else []
    if chain["command"] is not None and chain["protocol"]:
        lines += _protocol(chain["protocol"])
    return "\n".join([*lines, *_links(chain)])


def of_file(chain: Chain) -> str:
    """Return what a table or figure was made from as text."""
    subject = chain["subject"]
    lines = [subject["file"], *_item("sha256", [_short(subject["sha256"] or "not recorded")])]
    return "\n".join([*lines, *_protocol(chain["protocol"]), *_links(chain)])


def _head(number: Chain, value: Chain) -> Iterator[str]:
    if "file" not in number:
        scene = f", scene {number['scene']}" if number["scene"] else ", mean over scenes"
        yield f"{number['metric']} of {number['variant']} on {number['dataset']}{scene}: {value['text']}"
        return
    yield f"{number['file']}, line {number['line']}: {number['label']} on {number['dataset']}, {number['column']}"
    column = number["column"].removeprefix("paper_")
    unit = next((name for start, name in UNITS.items() if column.startswith(f"{start}_")), "")
    shown = f"{number['text']} {unit if number['column'] not in PAIRED else 'dB'}".strip()
    yield from _item("cell", [shown if number["text"] else f"empty: {number['reason'] or 'no reason is given'}"])
    yield from _item("row", [f"{number['kind']}: {number['meaning']}"] if number["meaning"] else [])


def _value(value: Chain) -> Iterator[str]:
    source = f", from {', '.join(value['files'])}" if value["files"] else ""
    said = {True: "; agrees with the cell", False: "; DIFFERS from the cell", None: ""}[value["agrees"]]
    if value["missing"]:
        yield from _item("value", [f"can't be computed here: {value['missing']} ({value['how']})"])
    else:
        text = f"{value['text']} = " if value["text"] else ""
        yield from _item("value", [f"{text}{value['how']}{source}{said}"])
    rows = value["rows"]
    if rows:
        several = len({(row["variant"], row["seed"]) for row in rows}) > 1
        listed = [_row(row, several) for row in rows[:ROWS]]
        more = [f"and {len(rows) - ROWS} more (--json prints all)"] if len(rows) > ROWS else []
        yield from _item("score rows", ["; ".join([*listed, *more])])


def _row(row: Chain, several: bool) -> str:
    number = f"{row['value']:.4f}" if isinstance(row["value"], float) else row["value"]
    return (f"{row['variant']} s{row['seed']} " if several else "") + f"{row['scene']} {number}"


def _protocol(protocol: Chain) -> list[str]:
    settings = protocol["settings"]
    parts = [protocol["id"] + (f": {protocol['title']}" if "title" in protocol else "")]
    if settings:
        name = protocol["id"].partition("@")[0]
        chosen = {key: settings[key] for key in protocol.get("decide", settings) if settings.get(key)}
        parts += [_flat(chosen), f"all settings: python -m bench protocol show {name}"]
    return list(_item("protocol", parts))


def _links(chain: Chain) -> Iterator[str]:
    for link in chain["evaluations"]:
        yield from _item("evaluation", [link["stage"], *_evaluation(link)])
    for link in chain["trainings"]:
        yield from _item("training", [link["stage"], *_weights(link, ("recipe", "stage2", "patches", "caps"))])
    for link in chain["codebooks"]:
        yield from _item("codebook", [link["stage"], *_weights(link, ("stage1", "patches"))])
    for link in chain["data"]:
        yield from _item("data", list(_data(link)))
    yield from _stages(chain["stages"])
    if chain["stages"]:
        yield from _item("commit", list(_commits(chain["commits"])))
    yield from _item("note", chain["notes"])
    if chain["command"]:
        yield f"{'again':<{INDENT}}{chain['command']}"  # never folded: it is to be copied


def _evaluation(link: Chain) -> Iterator[str]:
    rows = link["rows"]
    yield f"predictions {_file(link['predictions'])}"
    yield f"scores {_file(link['scores'])}; its rows in {rows['file']} have sha256 {_short(rows['sha256'])}"
    if card := link.get("card"):
        yield f"others' weights: {card.get('source', '')}, sha256 {_short(str(card.get('source_sha256', '')))}"


def _weights(link: Chain, sections: Sequence[str]) -> Iterator[str]:
    card, ran = link["card"], link["parameters"]
    yield f"weights {_file(link['weights'])}"
    if card:
        said = {key: card[key] for key in CARD if card.get(key) not in (None, {}, "")}
        size = f"parameters {card['parameters']:,}; " if "parameters" in card else ""
        yield f"card: {size}{_flat(said)}"
        if card.get("data"):
            yield f"trained on {card.get('trainset', '')}: sha256 of its training scenes {_short(card['data'])}"
        libraries = {**{key: card[key] for key in VERSIONS if key in card}, **card.get("libraries", {})}
        yield f"with: {_flat(libraries)}" if libraries else ""
    settings = used(card, ran, sections)
    if settings:
        yield f"settings: {_flat(settings)}"


def used(card: Chain, ran: Chain, sections: Sequence[str]) -> dict[str, Any]:
    """Return what a training used: the settings on its card, which are complete, else those that dvc.lock records.

    ran : dotted key -> value; today's lock files write `plan.stage2`, older ones `stage2`.
    """
    named = {key.removeprefix("plan."): value for key, value in ran.items()}
    found = {key: named[key] for key in sections if named.get(key) not in (None, {}, "")}
    if "settings" in card:
        return {**card["settings"], "patches": card.get("patches", {})}
    if card.get("recipe") == "published":  # the profile's common settings were not this training's
        return {key: value for key, value in found.items() if key not in ("stage2", "patches", "caps")}
    return found


def _data(link: Chain) -> Iterator[str]:
    yield f"{link['dataset']}, by {' and '.join(link['stages'])}"
    yield f"scenes {_file(link['scenes'])}; raw {_file(link['raw'])}"
    if link["splits"]:
        yield "sha256 of splits: " + ", ".join(f"{name} {_short(digest)}" for name, digest in link["splits"].items())


def _file(known: Chain) -> str:
    hashes = [f"sha256 {_short(known['sha256'])}"] if known.get("sha256") else []
    hashes += [f"md5 {_short(known['md5'])} in dvc.lock"] if "md5" in known else []
    number = [f"{known['nfiles']} files"] if "nfiles" in known else []
    states = {"as recorded": "on this disk, as recorded", "present": "on this disk", "changed since": "changed since"}
    state = [states[known["here"]]] if known.get("here") in states else []
    return f"{known['path']} ({', '.join([*number, *hashes, *state]) or 'no hash recorded'})"


def _stages(stages: Iterable[Chain]) -> Iterator[str]:
    lines = []
    for stage in stages:
        count = f"{len(stage['code'])} inputs of code" if stage["code"] else ""
        outs = ", ".join(f"{_kind(path)} {_short(md5)}" for path, md5 in stage["writes"].items())
        lines.append(f"{stage['stage']}: " + ("; ".join(filter(None, [outs, count])) or "not in dvc.lock"))
    yield from _item("stages", lines)


def _kind(path: str) -> str:
    """Return what an output is, such as weights.json: the stage's name says of what."""
    folder, file = PurePosixPath(path).parts[2], PurePosixPath(path)
    return folder if "." in folder else f"{folder}{file.suffix}"


def _commits(commits: Chain) -> Iterator[str]:
    if commits["problem"]:
        yield commits["problem"]
        return
    for file, commit in commits["files"].items():
        changed = ", changed since" if commit and any(file in name for name in commits["changed_since"]) else ""
        yield f"{commit[:SHORT]} {file}{changed}" if commit else f"{file}: not committed"
    if commits["dirty"]:
        yield "the checkout has changes that no commit holds"


def _short(digest: str) -> str:
    return digest if digest.endswith("recorded") else digest[:SHORT] + (".dir" if digest.endswith(".dir") else "")


def _flat(tree: Any) -> str:
    """Return nested settings on a line, such as "psnr peak 1.0"."""
    if not isinstance(tree, Mapping):
        return str(tree)
    parts = []
    for key, value in tree.items():
        inner = isinstance(value, Mapping)
        parts.append(f"{key} {{{_flat(value)}}}" if inner and value else f"{key} {value}" if not inner else "")
    return ", ".join(part for part in parts if part)


def _item(label: str, paragraphs: Iterable[str]) -> Iterator[str]:
    """Yield a link: its label, and its paragraphs folded to the width beside it."""
    blank = " " * INDENT
    for number, paragraph in enumerate(part for part in paragraphs if part):
        first = f"{label:<{INDENT}}" if number == 0 else blank
        yield from textwrap.wrap(
            paragraph, WIDTH, initial_indent=first, subsequent_indent=f"{blank}  ", break_long_words=False,
            break_on_hyphens=False,
        )  # fmt: skip
