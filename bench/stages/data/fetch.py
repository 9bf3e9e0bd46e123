"""Fetch: bring a dataset's files to this disk, or find them there.

A dataset is simulated, read in place from a folder that somebody named, or downloaded and unpacked to its store in the
downloads folder. `work/<profile>/raw/<dataset>` then holds the brackets, or a note of the folder that does.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.core import layout, progress
from bench.core.dataset import DatasetCard
from bench.core.errors import BenchError, DiskFull, UsageError
from bench.core.params import DatasetUse, Params
from bench.core.reading import is_folder
from bench.core.registry import ROOT, code_of, datasets
from bench.data import archive as archives
from bench.data.download import Checksums, RemoteFile, download, drive_folder, verify, verify_files
from bench.io.files import write_json_atomic, write_text_atomic
from bench.io.lock import alone

NOTE = "on_disk.json"

DRIVE = "drive-files.json"
"""Names of the files that a Drive folder gave, in a dataset's store."""

UNREAD = (".rar", ".7z", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".001", ".z01")
"""Endings of archives that aren't unpacked here."""

PLACE, CONSENT = "on-disk.txt", "licence-accepted.txt"
"""In a dataset's store: the folder that --root named, and the licence that was accepted, so that both are said once."""


def run(
    params: Params, dataset: str, mirror: str | None = None, root: Path | None = None, accept_licence: bool = False
) -> None:
    """Simulate a dataset's brackets, note the folder that holds its files, or download and unpack them.

    mirror         : address of a folder that serves the official files by their names, before the official addresses.
    root           : folder that holds the unpacked files; they are read in place.
    accept_licence : as `datasets.<name>.accept_licence` in the parameter file.
    UsageError with the steps to do by hand where no machine can fetch it; what was downloaded is kept.
    """
    card, out, use = datasets[dataset], layout.raw(params, dataset), params.datasets.get(dataset)
    if card.fetch == "simulate":
        if params.simulate is None:
            raise UsageError(f"{params.params_file} has no section `simulate`, which {dataset} is made from.")
        lock = Path("runs") / params.profile / "fetch" / f".{dataset}.lock"
        with alone(lock, f"{dataset} is being simulated by {{holder}}; waiting for it to end."):
            card.load()().simulate(params.simulate, ROOT / code_of(card.module), out, _say)
        return
    place = named_place(params, dataset, root) if mirror is None else None
    if place is None:
        agreed = accept_licence or accepted(params, dataset)
        note = _fetched(params, card, mirror or (use.mirror if use else None), agreed)
        lacking = _lacking(params, dataset, Path(note["folder"]))
    else:
        if not is_folder(place.expanduser()):
            reason = f" ({_reason(params, card)})" if root is None else ""
            raise UsageError(
                f"dataset {dataset!r} is said to lie in {str(place)!r}{reason}, which is no folder.\n"
                f"{by_hand(params, card)}"
            )
        note = {"folder": str(place.expanduser().resolve())}
        lacking = _lacking(params, dataset, Path(note["folder"]))  # before an empty folder is remembered
        if root is not None:  # the pipeline, which knows no options, shall find it too
            write_text_atomic(_store(params, card) / PLACE, note["folder"])
        _say(f"{dataset}: read in place from {note['folder']} ({_reason(params, card, root)})")
    for said in lacking:
        _say(f"note: {said}")
    out.mkdir(parents=True, exist_ok=True)
    write_json_atomic(out / NOTE, note)


def _fetched(params: Params, card: DatasetCard, mirror: str | None, agreed: bool) -> dict[str, Any]:
    """Download and unpack; return the note of where, and of which archives."""
    if card.fetch == "manual" and mirror is None:
        raise UsageError(
            f"dataset {card.name!r} ({card.licence}) can't be fetched by machine.\n{by_hand(params, card)}"
        )
    known = [source["bytes"] for source in card.sources if source.get("bytes")]
    size = f"{sum(known) / 1e9:.2f} GB to download" if known else "size of the download not published"
    if known and (unknown := len(card.sources) - len(known)):
        size += f", {unknown} file(s) of unknown size"
    _say(f"{card.title}\nlicence: {card.licence}\n{size}")
    if not agreed:
        raise UsageError(
            f"dataset {card.name!r} has the licence: {card.licence}. If you accept it, say so once: --accept-licence, "
            f"or datasets.{card.name}.accept_licence: true in {params.params_file}."
        )
    store, checksums, files = _store(params, card), _checksums(params, card), []
    write_text_atomic(store / CONSENT, card.licence)  # asked once; a licence that changes is asked for again
    try:
        for source in card.sources:
            if not mirror and source.get("drive"):
                files.append(_from_drive(source["drive"], store, checksums))
            else:
                files.append(_from_address(source, store, checksums, mirror))
    except DiskFull:
        raise
    except BenchError as error:
        raise type(error)(f"{error}\n{by_hand(params, card)}") from error
    return {"folder": str(store / "unpacked"), "files": files}


def _from_address(source: Mapping[str, Any], store: Path, checksums: Checksums, mirror: str | None) -> dict[str, Any]:
    addresses = [f"{mirror.rstrip('/')}/{source['name']}"] if mirror else []
    addresses += [url for url in (source.get("url"), *source.get("mirrors", ())) if url]
    wanted = RemoteFile(source["name"], tuple(addresses), source.get("bytes"), source.get("sha256"))
    path = download(wanted, store, checksums, examine=_examine)
    found = checksums.get(wanted.name) or {}
    stamp, target = store / f"{wanted.name}.unpacked", store / "unpacked"
    stamped = stamp.exists() and stamp.read_text(encoding="utf-8") == found["sha256"]
    if not stamped or not archives.complete(path, target):
        others = (store / other.stem for other in sorted(store.glob("*.unpacked")))
        _refuse_clash(archives.clash([*(other for other in others if other != path and other.exists()), path]))
        archives.unpack(path, target)
        stamp.write_text(found["sha256"], encoding="utf-8")
    return {"name": wanted.name, **found}


def _from_drive(identity: str, store: Path, checksums: Checksums) -> dict[str, Any]:
    folder, listed, name = store / "unpacked", store / DRIVE, f"drive:{identity}"
    files = None
    if checksums.get(name) is not None and listed.exists():
        try:
            files = _listed(store)
            verify_files(name, folder, files, checksums)
            _say(f"{folder}: {len(files)} files, as recorded; nothing to download")
        except (UsageError, FileNotFoundError):  # what is missing or changed may come anew
            files = None
    if files is None:
        files = drive_folder(identity, folder)
        write_json_atomic(listed, [str(file.relative_to(folder)) for file in files])
        verify_files(name, folder, files, checksums, _examine)
    if unread := [file.name for file in files if file.suffix.lower() in UNREAD]:
        _say(f"note: {', '.join(unread)}: only zip archives are unpacked here; unpack by hand into {folder}.")
    _unpack_all([file for file in files if file.suffix.lower() == ".zip"], folder)
    return {"name": name, **(checksums.get(name) or {})}


def _listed(store: Path) -> list[Path]:
    return [store / "unpacked" / name for name in json.loads((store / DRIVE).read_text(encoding="utf-8"))]


def _unpack_all(files: Sequence[Path], folder: Path) -> None:
    """Unpack zip archives into one folder or, where one would overwrite another's files, each beside itself."""
    targets = dict.fromkeys(files, folder)
    if said := archives.clash(files):
        targets = {file: file.with_suffix("") for file in files}
        if len(set(targets.values())) < len(files):
            _refuse_clash(said)
        _say(f"note: {said}: each archive is unpacked into a folder of its name; count the scenes with fetch --verify.")
    for file, target in targets.items():
        archives.unpack(file, target)


def _refuse_clash(said: str) -> None:
    if said:
        raise UsageError(f"{said}: one folder can't hold both. Unpack each archive into a folder of its own.")


def _examine(path: Path) -> None:
    if path.suffix.lower() == ".zip":
        archives.test(path)


def check(params: Params, dataset: str, root: Path | None = None) -> None:
    """Print what of a dataset is here: its archives against their record, its scenes against the published counts.

    BenchError if something is missing or changed.
    """
    card, use = datasets[dataset], params.datasets.get(dataset)
    place = named_place(params, dataset, root)
    if place is not None and root is None:
        _say(f"{dataset}: read in place from {place} ({_reason(params, card)})")
    lines = list(_archives(params, card)) if place is None and card.fetch == "download" else []
    source = place or (layout.raw(params, dataset) if card.fetch == "simulate" else _store(params, card) / "unpacked")
    lines += [_count(card, split, source, use) for split in card.splits]
    for sound, line in lines:
        print(f"{'ok' if sound else 'fail':<5} {line}")
    if not all(sound for sound, _ in lines):
        raise BenchError(f"{dataset} isn't complete.\n{by_hand(params, card)}")


def _archives(params: Params, card: DatasetCard) -> Iterator[tuple[bool, str]]:
    store, checksums = _store(params, card), _checksums(params, card)
    for source in card.sources:
        path = store / source["name"]
        try:
            if path.exists():
                wanted = RemoteFile(source["name"], (), source.get("bytes"), source.get("sha256"))
                found = verify(wanted, path, checksums, _examine)
                yield True, f"{path}: sha256 {found[:16]}... as recorded"
            elif source.get("drive") and (store / DRIVE).exists():
                files = _listed(store)
                found = verify_files(f"drive:{source['drive']}", store / "unpacked", files, checksums, _examine)
                yield True, f"{store / 'unpacked'}: {len(files)} files, sha256 {found[:16]}... as recorded"
            elif not source.get("drive"):  # a Drive folder's files may have come by hand; its scenes are counted
                yield False, f"{path}: not here"
        except (UsageError, FileNotFoundError) as error:
            yield False, str(error)


def _count(card: DatasetCard, split: str, source: Path, use: DatasetUse | None) -> tuple[bool, str]:
    try:
        found = card.find(source, split, use.layout if use else None)
    except UsageError as error:
        return False, str(error).splitlines()[0]
    published, count = card.expected.get(split), len(found.folders)
    of = f" of {published} published" if published is not None else ""
    return published in (None, count), f"{card.name}/{split}: {count} scenes{of}, layout {found.layout}"


def scenes_in(params: Params, dataset: str, source: Path) -> dict[str, int]:
    """Return how many scenes of each split a folder holds; UsageError, with what was expected, where it holds none."""
    card, use = datasets[dataset], params.datasets.get(dataset)
    found, refusals = dict.fromkeys(card.splits, 0), []
    for split in card.splits:
        try:
            found[split] = len(card.find(source, split, use.layout if use else None).folders)
        except UsageError as error:
            refusals.append(str(error))
    if not any(found.values()):
        raise UsageError(refusals[0] if refusals else f"{source} holds no scene of {dataset}.")
    return found


def _lacking(params: Params, dataset: str, source: Path) -> list[str]:
    """Return what is lacking of the published scenes; UsageError, with the steps by hand, for a folder without any."""
    card = datasets[dataset]
    try:
        found = scenes_in(params, dataset, source)
    except UsageError as error:
        raise UsageError(f"{error}\n{by_hand(params, card)}") from error
    return [said for split, count in found.items() if (said := card.incomplete(split, count))]


def by_hand(params: Params, card: DatasetCard) -> str:
    """Return what to do where a dataset can't be fetched by machine."""
    steps = [
        *card.steps,
        f"Name the folder that holds the unpacked files: {layout.command(params, f'fetch {card.name} --root FOLDER')}, "
        f"or set datasets.{card.name}.on_disk in {params.params_file}.",
        f"See whether anything is missing: {layout.command(params, f'fetch {card.name} --verify')}",
    ]
    numbered = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
    return f"By hand{f' ({card.page})' if card.page else ''}:\n{numbered}"


def accepted(params: Params, dataset: str) -> bool:
    """Tell whether a licence has been accepted, in the parameter file or by an earlier --accept-licence."""
    card, use = datasets[dataset], params.datasets.get(dataset)
    file = _store(params, card) / CONSENT
    said = file.read_text(encoding="utf-8") if file.is_file() else None
    return said == card.licence or (use is not None and use.accept_licence)


def named_place(params: Params, dataset: str, root: Path | None = None) -> Path | None:
    """Return the folder that holds the unpacked files: as said now, in the parameter file, or by an earlier --root."""
    card, use = datasets[dataset], params.datasets.get(dataset)
    file = _store(params, card) / PLACE
    if root is not None:
        return root
    if use is not None and use.on_disk is not None:
        return Path(use.on_disk)
    return Path(file.read_text(encoding="utf-8")) if file.is_file() else None


def _reason(params: Params, card: DatasetCard, root: Path | None = None) -> str:
    """Return what says that a dataset is read in place, and how to take it back."""
    use = params.datasets.get(card.name)
    if root is None and use is not None and use.on_disk is not None:
        return f"datasets.{card.name}.on_disk in {params.params_file}"
    return f"{_store(params, card) / PLACE}; delete it to {'download' if card.fetch == 'download' else 'forget that'}"


def _store(params: Params, card: DatasetCard) -> Path:
    return Path(params.downloads.folder) / card.name


def _checksums(params: Params, card: DatasetCard) -> Checksums:
    return Checksums(Path(params.downloads.checksums), card.name)


def _say(line: str) -> None:
    if not progress.quiet:
        print(line, flush=True)
