"""Prepare: read a dataset's files through its checks and write one container for each scene.

Scenes are read by several processes into a folder outside the pipeline's outputs and move to their place when all are
there: an interrupted call goes on where it was, and a dataset with one bad scene leaves nothing half-made.
"""

import hashlib
import shutil
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from bench.core import layout
from bench.core.dataset import DatasetCard
from bench.core.errors import CheckFailed, DiskFull, Incomplete, UsageError
from bench.core.fingerprint import fingerprint
from bench.core.parallel import interrupted, spread
from bench.core.params import VALIDATION, DatasetUse, Params
from bench.core.reading import read_json, shown
from bench.core.registry import datasets
from bench.data import checks
from bench.io.container import LDR, read_card, read_scene, write_scene
from bench.io.files import replacing, write_json_atomic
from bench.io.lock import alone
from bench.stages.data.fetch import NOTE

DONE = "done.json"

SHOWN = 10
"""Scenes that a refusal names."""


class SceneTask(NamedTuple):
    """One scene to read, and the folder to write it to.

    waived : check -> why its refusal is overruled.
    beside : other folders that hold files of the scene.
    """

    dataset: str
    layout: str
    split: str
    folder: Path
    out: Path
    waived: Mapping[str, str] = {}
    beside: Sequence[Path] = ()


class Read(NamedTuple):
    """A scene that was read, or why it was refused.

    record  : layout, source files with their sha256, checks and their outcomes, fingerprint.
    refusal : why it was refused, else "".
    check   : the check that refused it, else "".
    lacking : whether it was refused because files are missing.
    """

    id: str = ""
    record: Mapping[str, Any] = {}
    refusal: str = ""
    check: str = ""
    lacking: bool = False


def run(params: Params, dataset: str, splits: Sequence[str] = ()) -> None:
    """Write work/<profile>/scenes/<dataset>/<split>/<scene>/ for every split, and the record of how it was read.

    Nothing is written there unless every scene of every split passes its checks; then scenes of an earlier call that
    the dataset no longer holds are removed, or a training would still read them. UsageError names the bad ones.
    splits : only these are looked for, and what was prepared of others stays; () for all.
    """
    lock = Path("runs") / params.profile / "prepare" / f".{dataset}.lock"
    with alone(lock, f"{dataset} is being prepared by {{holder}}; waiting for it to end."):
        _prepare(params, dataset, splits)


def _held_out(params: Params, dataset: str, names: Sequence[str]) -> list[str]:
    """Return which of the training scenes, in the order of their names, are held out: as evenly spread as they go.

    Neighbours often show one place, so that what is held out in one piece would be few places.
    """
    number = params.datasets.get(dataset, DatasetUse()).hold_out
    if not number or not names:
        return []
    if VALIDATION in datasets[dataset].splits:
        raise UsageError(
            f"datasets.{dataset}.hold_out: {dataset} has scenes for validation of its own; take the line out of "
            f"{params.params_file}."
        )
    if number >= len(names):
        raise UsageError(
            f"datasets.{dataset}.hold_out is {number}, but {dataset} has {len(names)} training scenes here, and some "
            f"must be left to train on; lower it in {params.params_file}."
        )
    return [names[(2 * place + 1) * len(names) // (2 * number)] for place in range(number)]


def _on_disk(note: Path, params: Params, dataset: str) -> Path:
    """Return the folder that `fetch --root` has noted."""
    folder = read_json(note).get("folder")
    if not isinstance(folder, str) or "\0" in folder:
        raise UsageError(
            f"{shown(note)}: names no folder; say again where the files are: "
            f"{layout.command(params, f'fetch {dataset} --root FOLDER')}"
        )
    return Path(folder)


def _prepare(params: Params, dataset: str, splits: Sequence[str]) -> None:
    raw = layout.need(params, layout.raw(params, dataset), f"fetch {dataset}")
    note = raw / NOTE
    source = _on_disk(note, params, dataset) if note.exists() else raw
    staging = Path("runs") / params.profile / "prepare" / dataset / fingerprint("scene")
    tasks = _tasks(params, dataset, source, staging, splits)
    results = spread(read, tasks, params.threads, f"prepare {dataset}")
    _refuse_bad(params, dataset, tasks, results)
    done: dict[tuple[str, str], SceneTask] = {}
    taken: dict[tuple[str, str], tuple[str, Path]] = {}
    records = _kept(params, dataset, splits)
    for task, result in sorted(zip(tasks, results, strict=True), key=lambda pair: (pair[0].split, pair[1].id)):
        # How accents are composed tells scenes apart on some disks only, and not in folders of results.
        name, folder = taken.setdefault((task.split, unicodedata.normalize("NFC", result.id)), (result.id, task.folder))
        if folder != task.folder:
            names = f"{result.id!r}" if name == result.id else f"{name!a} and {result.id!a}, which read alike"
            where = f"{dataset}/{task.split}"
            raise UsageError(f"{where}: two scenes are called {names}, {folder} and {task.folder}; rename one of them.")
        done[task.split, result.id] = task
        records.setdefault(task.split, {})[result.id] = dict(result.record)
    _refuse_twins(params, dataset, records)
    _refuse_copies(params, dataset, done, records)
    for name in _held_out(params, dataset, [name for split, name in done if split == "train"]):
        done[VALIDATION, name] = done.pop(("train", name))
        records.setdefault(VALIDATION, {})[name] = records["train"].pop(name)
    for split in dict.fromkeys((*(task.split for task in tasks), *(split for split, _ in done))):
        _publish(
            layout.scenes(params, dataset, split), {name: task for (of, name), task in done.items() if of == split}
        )
    if "train" in records and VALIDATION not in (*datasets[dataset].splits, *records):  # scenes held out earlier
        shutil.rmtree(layout.scenes(params, dataset, VALIDATION), ignore_errors=True)
    # A file of its own: a check that is added or renamed must not make a training start again.
    write_json_atomic(layout.prepared(params, dataset), records)
    shutil.rmtree(staging.parent, ignore_errors=True)


def read(task: SceneTask) -> Read:
    """Read and check one scene and write it to `task.out`, unless an earlier call has done so from the same files."""
    interrupted()
    try:
        sources = _digests(task.folder, task.beside)
        if (earlier := _earlier(task, sources)) is not None:
            return earlier
        scene = datasets[task.dataset].read(task.folder, task.split, task.layout)
        found = {"checks": checks.run(scene, task.dataset, task.waived), "fingerprint": checks.fingerprint(scene)}
        write_scene(task.out / "scene", scene)
    except DiskFull:  # no fault of this scene, and the next would end so too
        raise
    except UsageError as error:
        check = error.check if isinstance(error, CheckFailed) else ""
        return Read(refusal=str(error), check=check, lacking=isinstance(error, Incomplete))
    result = Read(scene.id, {"layout": task.layout, "sources": sources, **found})
    write_json_atomic(task.out / DONE, {"id": result.id, "record": result.record, "waived": task.waived})
    return result


def _tasks(params: Params, dataset: str, source: Path, staging: Path, splits: Sequence[str]) -> list[SceneTask]:
    card, use, tasks = datasets[dataset], params.datasets.get(dataset, DatasetUse()), []
    waived = {str(name): why for name, why in use.waive.items()}
    for split in dict.fromkeys(splits or card.splits):
        try:
            found = card.find(source, split, use.layout)
        except Incomplete as error:
            if card.splits[split] == "validation" and not splits:
                continue
            others = () if splits else [name for name in card.splits if _there(card, source, name, use.layout)]
            raise UsageError(f"{error} {_again(params, dataset, others)}") from error
        count = len(found.folders)
        if count:
            print(f"{dataset}/{split}: {count} scenes, layout {found.layout}", flush=True)
        if said := card.incomplete(split, count):
            print(f"note: {said}", flush=True)
        tasks += [
            SceneTask(
                dataset, found.layout, split, folder, staging / split / f"{number:05d}-{folder.name[:40]}", waived,
                found.beside.get(folder, ()),
            )
            for number, folder in enumerate(found.folders)
        ]  # fmt: skip
    if not tasks:
        raise UsageError(f"{source} holds no scene of {dataset}; is it the unpacked dataset?")
    return tasks


def _there(card: DatasetCard, source: Path, split: str, name: str | None) -> bool:
    try:
        return bool(card.find(source, split, name).folders)
    except UsageError:
        return False


def _again(params: Params, dataset: str, splits: Sequence[str] = ()) -> str:
    """Return how to get missing files, and how to go on with `splits` alone."""
    said = f"Get what is missing: {layout.command(params, f'fetch {dataset}')}"
    if splits:
        alone = "".join(f" --split {name}" for name in splits)
        said += f"\nOr prepare only what is there: {layout.command(params, f'prepare {dataset}{alone}')}"
    return said


def _digests(folder: Path, beside: Sequence[Path] = ()) -> dict[str, str]:
    """sha256 of each file right in a scene's folder, by name, and in those beside it, by folder and name."""
    found: dict[str, str] = {}
    for place in (path for path in (folder, *beside) if path.is_dir()):
        before = "" if place == folder else f"{place.name}/"
        try:
            files = sorted(path for path in place.iterdir() if path.is_file())
            found |= {f"{before}{path.name}": hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
        except OSError as error:
            raise UsageError(f"{place}: can't be read ({error.strerror}); check the disk and permissions.") from error
    return found


def _earlier(task: SceneTask, sources: Mapping[str, str]) -> Read | None:
    try:
        done = read_json(task.out / DONE)
        read_scene(task.out / "scene", verify=True)
        same = (done["record"]["sources"], done["waived"]) == (sources, task.waived)
        return Read(done["id"], done["record"]) if same else None
    except (KeyError, TypeError, UsageError):
        return None


def _refuse_bad(params: Params, dataset: str, tasks: Sequence[SceneTask], results: Sequence[Read]) -> None:
    bad = [result.refusal for result in results if result.refusal]
    if not bad:
        return
    refused = bad[0]
    if len(bad) > 1:
        more = f"\n... and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        lines = "\n".join(f"- {sentence}" for sentence in bad[:SHOWN])
        refused = f"{len(bad)} of {len(tasks)} scenes of {dataset} were refused:\n{lines}{more}"
    overruled = sorted({result.check for result in results} & set(checks.WAIVABLE))
    refused += _waiver(params, dataset, overruled)
    if any(result.lacking for result in results):
        refused += ("\n" if len(bad) > 1 else " ") + _again(params, dataset)
    raise UsageError(refused)


def _waiver(params: Params, dataset: str, names: Sequence[str]) -> str:
    """Return how to overrule these checks, "" for none."""
    if not names:
        return ""
    said = ", ".join(f"{name}: <your reason>" for name in names)
    return (
        f"\nIf you looked at the pictures and they are right, set datasets.{dataset}.waive in {params.params_file} to "
        f"{{{said}}}; tables will say so."
    )


def _refuse_twins(params: Params, dataset: str, records: Mapping[str, Mapping[str, Any]]) -> None:
    ordered = {split: records[split] for split in datasets[dataset].splits if split in records}
    if VALIDATION in records and VALIDATION not in ordered:  # held-out training scenes of an earlier call
        ordered["train"] = {**ordered.get("train", {}), **records[VALIDATION]}
    found = checks.duplicates(
        {split: {name: record["fingerprint"] for name, record in scenes.items()} for split, scenes in ordered.items()},
        untrained=[name for name, role in datasets[dataset].splits.items() if role in ("test", "no-truth")],
    )
    if found and "duplicates" not in params.datasets.get(dataset, DatasetUse()).waive:
        raise UsageError(
            f"{dataset}: {' '.join(found[:SHOWN])} A test on what was trained on means nothing: remove one of them."
            f"{_waiver(params, dataset, ['duplicates'])}"
        )
    for sentence in found:
        print(f"note: {sentence}")


def _refuse_copies(
    params: Params,
    dataset: str,
    done: Mapping[tuple[str, str], SceneTask],
    records: Mapping[str, Mapping[str, Any]],
) -> None:
    """Refuse test scenes with the same frames under two names, and tell those that look the same.

    Scenes of one capture, such as the steps of a stress test, are the same by intent.
    """
    cards = {
        key: read_card(task.out / "scene") for key, task in done.items() if datasets[dataset].splits[key[0]] == "test"
    }
    copies = []
    for (one, first), (other, second) in combinations(cards.items(), 2):
        if first["metadata"].get("capture", one) == second["metadata"].get("capture", other):
            continue
        named = " and ".join(shown("/".join(key)) for key in (one, other))
        if first["sha256"][LDR] == second["sha256"][LDR]:
            copies.append(f"{named} have the same frames.")
        elif checks.same(*(records[split][name]["fingerprint"] for split, name in (one, other))):
            print(f"note: {named} look the same; one scene would count twice.")
    if copies and "duplicates" not in params.datasets.get(dataset, DatasetUse()).waive:
        raise UsageError(
            f"{dataset}: {' '.join(copies[:SHOWN])} One scene would count twice in every mean: remove one of them."
            f"{_waiver(params, dataset, ['duplicates'])}"
        )
    for sentence in copies:
        print(f"note: {sentence}")


def _publish(folder: Path, tasks: Mapping[str, SceneTask]) -> None:
    """Move scenes to their place; what stands there already and is the same stays, anything else is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name not in tasks:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, task in tasks.items():
        staged = task.out / "scene"
        if not _same(staged, folder / name):
            with replacing(folder / name) as part:
                shutil.move(staged, part)


def _same(staged: Path, place: Path) -> bool:
    try:
        read_scene(place, verify=True)
        return read_card(staged) == read_card(place)
    except UsageError:
        return False


def _kept(params: Params, dataset: str, splits: Sequence[str]) -> dict[str, Any]:
    """Return the records of the prepared splits that a call for `splits` leaves as they are."""
    path = layout.prepared(params, dataset)
    if not splits or not path.exists():
        return {}
    records = read_json(path)
    if not all(isinstance(found, dict) for found in records.values()):
        raise UsageError(f"{shown(path)}: expected the scenes of each split; delete it and prepare all splits again.")
    own = [*datasets[dataset].splits, *([] if "train" in splits else [VALIDATION])]  # held out with the training scenes
    known = [name for name in dict.fromkeys(own) if name in records and name not in splits]
    kept = [name for name in known if layout.scenes(params, dataset, name).exists()]
    return {name: records[name] for name in kept}
