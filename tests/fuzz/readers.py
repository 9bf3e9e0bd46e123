"""Every reader of files from outside, called as the command line calls it, and what it reads.

Each reads a mutant that lies where a user's file would, beside sound files that it needs. What it returns are sentences
that aren't raised but printed; a BenchError is a sentence too.
"""

import contextlib
import hashlib
import importlib.metadata
import io
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import cv2  # noqa: F401 - what readers import when they are called is imported here, before the fork, so only once
import numpy as np
import OpenEXR  # noqa: F401
import pandas  # noqa: F401
import tifffile  # noqa: F401
import torch
from PIL import Image

import bench.regression.comparison
import bench.regression.listing
import bench.stages.data.prepare
import bench.stages.own_files.import_weights
import bench.stages.own_files.merge
import bench.stages.own_files.score
import bench.stages.own_files.scorecard
import bench.stages.reporting.submitted  # noqa: F401
from bench.core.errors import BenchError, UsageError
from bench.core.params import load
from bench.core.registry import datasets, methods, metrics, protocols
from bench.core.scene import Scene
from bench.io.container import write_scene
from bench.io.ldr import write_tiff16
from bench.io.radiance import write_exr, write_rgbe
from bench.stages.scoring import score_cache
from tests.data.server import Server
from tests.fuzz import seeds
from tests.fuzz.attack import ROOT, Attack
from tests.fuzz.mutators import mutate

Read = Callable[[Path], Iterable[str] | None]


@dataclass(frozen=True)
class Reader:
    """Mutants of some seeds, read by one function; the first cases are the seeds themselves.

    kind  : of mutators.
    file  : where the mutant is put, relative to the worker's folder.
    seeds : makes the sound files.
    read  : reads the mutant, given the worker's folder.
    place : puts the sound files that belong to it.
    sound : whether the seeds are.
    """

    name: str
    kind: str
    file: str
    seeds: Callable[[], Sequence[bytes]]
    read: Read
    place: Callable[[Path], object] = lambda folder: None
    prints: bool = False
    cases: int | None = None
    sound: bool = True

    def begin(self, place: Path) -> None:
        """Put what all cases need."""
        torch.set_num_threads(1)
        (place / "params.yaml").write_bytes(seeds.params()[0])
        self.place(place)
        (place / self.file).parent.mkdir(parents=True, exist_ok=True)

    def mutant(self, number: int, seed: int) -> bytes:
        """Return what case `number` reads."""
        sound = _seeds(self.seeds)
        return (
            sound[number] if number < len(sound) else mutate(self.kind, sound, Random(f"{seed} {self.name} {number}"))
        )

    def act(self, number: int, seed: int, place: Path) -> Iterable[str]:
        """Write a mutant and read it; a seed must be read."""
        (place / self.file).write_bytes(self.mutant(number, seed))
        if not self.sound or number >= len(_seeds(self.seeds)):
            return self.read(place) or ()
        try:
            said = [*(self.read(place) or ())]
        except BenchError as error:
            said = [str(error)]
        assert not said, f"the sound file is refused: {said[0]}"
        return ()

    def keep(self, number: int, place: Path, folder: Path) -> str:
        """Copy the mutant."""
        file = Path(shutil.copy(place / self.file, folder))
        shown = file.relative_to(ROOT) if file.is_relative_to(ROOT) else file
        return f"python tests/fuzz/attack.py --only {self.name} --file {shown}"

    def on(self, content: bytes) -> Attack:
        """Return the reader of this one file."""
        return replace(self, seeds=lambda: [content], sound=False)


@cache
def _seeds(make: Callable[[], Sequence[bytes]]) -> Sequence[bytes]:
    return make()


@cache
def params() -> Any:
    """Return the sound parameters; their file is the one in the current folder, each worker's own."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "params.yaml"
        path.write_bytes(seeds.params()[0])
        return load(path).model_copy(update={"params_file": "params.yaml"})


def ready() -> None:
    """Read what every worker would otherwise read again: all cards, a protocol, what packages say of themselves."""
    for registry in (methods, datasets, metrics):
        list(registry)
    params()
    score_cache.version = cache(score_cache.version)  # type: ignore[assignment]
    methods["ahdrnet"].load()
    methods["triangle-merge"].load()
    protocols["safnet"]


# Results of others: `score`.

NEAR = np.float32(0.98)
"""What a result is times the truth, or the other way round: a copy of the truth is told."""


def _truth(place: Path) -> None:
    for folder in ("truth", "results"):
        (place / folder).mkdir()
    write_exr(place / "truth/mutant.exr", NEAR * seeds.radiance())


def score(place: Path, **more: Any) -> list[str]:
    """Score the folder `results` and return the lines that the command prints of its files."""
    from bench.stages.own_files import scorecard
    from bench.stages.own_files.score import ScoreRequest, run

    options = {"dataset": "mine", "truth": place / "truth", **more}
    result = run(params(), ScoreRequest(place / "results", jobs=1, **options))
    return [*scorecard.complaints(result)]


def _result(name: str, kind: str, suffix: str, make: Callable[[], Sequence[bytes]]) -> Reader:
    return Reader(name, kind, f"results/mutant{suffix}", make, score, _truth)


PREPARED = "work/fuzz/scenes/panoramas/test/mutant"


def _scene(place: Path) -> None:
    times = np.array([1.0, 4.0, 16.0])
    frames = np.stack([seeds.frame(time) for time in times])
    uncovered = seeds.radiance()[..., 0] > 0.5
    scene = Scene("mutant", frames, times, 1, seeds.radiance(), {"capture": "mutant"}, uncovered)
    write_scene(place / PREPARED, scene)
    (place / "results").mkdir()
    write_exr(place / "results/mutant.exr", NEAR * seeds.radiance())


def _read_scene(place: Path) -> list[str]:
    """Read a prepared scene as trainings do, then score a sound result on it."""
    from bench.io.container import list_scenes, read_scene

    said = []
    for folder in list_scenes((place / PREPARED).parent):
        try:
            scene = read_scene(folder)
            scene.linear.sum()
        except UsageError as error:
            said.append(str(error))
    return [*said, *score(place, dataset="panoramas", truth=None)]


def _part(name: str) -> Reader:
    """Mutate one file of a prepared scene."""
    file = f"{PREPARED}/{name}"
    kind = "npy" if name.endswith(".npy") else "json"
    return Reader(f"scene-{Path(name).stem}", kind, file, lambda: _made_by(_scene, file), _read_scene, _scene)


def _made_by(place: Callable[[Path], object], *files: str) -> list[bytes]:
    """Return files that `place` writes."""
    with TemporaryDirectory() as folder, contextlib.chdir(folder):
        place(Path(folder))
        return [(Path(folder) / file).read_bytes() for file in files]


# Brackets: `merge` and `prepare`.


def _sound(place: Path) -> None:
    """Put frames of 8 bits, of 16, and of 8 bits with EXIF: short.*, middle.* and long.*."""
    for name, time in (("short", 1.0), ("middle", 4.0), ("long", 16.0)):
        Image.fromarray(seeds.small(time)).save(place / f"{name}.png")
        write_tiff16(place / f"{name}.tif", seeds.frame(time))
        (place / f"{name}.jpg").write_bytes(seeds.photograph(time, {33434: time / 320, 33437: 8.0, 34855: 100}))


def merge(place: Path, frames: Sequence[str], exposures: str = "", method: str = "triangle-merge", **more: Any) -> None:
    from bench.stages.own_files.merge import MergeRequest, run

    paths = tuple(place / name for name in frames)
    run(params(), MergeRequest(paths, method, place / "out.exr", exposures, force=True, **more))


def _frame(name: str, kind: str, file: str, make: Callable[[], Sequence[bytes]]) -> Reader:
    """Merge the mutant with sound frames, of 8 bits or else of 16."""

    def read(place: Path) -> None:
        try:
            merge(place, (file, "middle.png", "long.png"), "1/320,1/80,1/20")
        except UsageError:
            merge(place, (file, "middle.tif", "long.tif"), "1/320,1/80,1/20")

    return Reader(name, kind, file, make, read, _sound, prints=True)


def _merge_told(place: Path) -> None:
    """Merge frames whose exposures stand in a text file."""
    merge(place, ("short.png", "middle.png", "long.png"))


def _merge_photographs(place: Path) -> None:
    """Merge frames whose exposures stand in EXIF."""
    merge(place, ("mutant.jpg", "middle.jpg", "long.jpg"), "exif")


def _merge_listed(place: Path) -> None:
    """Merge frames whose exposures stand on the command line."""
    words = (place / "words.txt").read_bytes().decode("utf-8", "surrogateescape")
    merge(place, ("short.png", "middle.png", "long.png"), words)


OFFICIAL = "Test/EXTRA/001"


def kalantari(place: Path) -> None:
    folder = place / OFFICIAL
    folder.mkdir(parents=True)
    for number, time in enumerate((1.0, 4.0, 16.0)):
        write_tiff16(folder / f"{number}.tif", seeds.frame(time))
    write_rgbe(folder / "HDRImg.hdr", seeds.radiance())
    (folder / "exposure.txt").write_bytes(seeds.evs()[0])
    (folder / "uncovered.png").write_bytes(seeds.grey()[0])


def _tursun(place: Path) -> None:
    folder = place / "dataset/scene"
    folder.mkdir(parents=True)
    for number in (1, 2, 3):
        write_tiff16(folder / f"{number}.tiff", seeds.frame(4.0 ** (number - 1)))
        (folder / f"{number}.txt").write_text(f"ExposureTime: 1/{960 // 4**number}\nISO: 100\nFNumber: 8\n")


def prepare(place: Path, dataset: str, layout: str, split: str, folder: str) -> list[str]:
    """Read and check one scene of a data set."""
    from bench.stages.data.prepare import SceneTask, read

    shutil.rmtree(place / "out", ignore_errors=True)
    refusal = read(SceneTask(dataset, layout, split, place / folder, place / "out")).refusal
    return [refusal] if refusal else []


def _official(name: str, kind: str, file: str, make: Callable[[], Sequence[bytes]]) -> Reader:
    """Mutate a file of a scene in Kalantari's layout."""

    def read(place: Path) -> list[str]:
        return prepare(place, "kalantari", "official", "test", OFFICIAL)

    return Reader(name, kind, f"{OFFICIAL}/{file}", make, read, kalantari)


def _described(place: Path) -> list[str]:
    return prepare(place, "tursun", "numbered-frames", "no-truth", "dataset/scene")


# Weights: `import-weights`, and `merge` with a card beside them.


def _import(place: Path, file: str) -> None:
    from bench.stages.own_files import import_weights

    import_weights.run(params(), "ahdrnet", place / file, "smoke", "mine", force=True)


def _weights(name: str, kind: str, file: str, make: Callable[[], Sequence[bytes]]) -> Reader:
    """Import an authors' checkpoint."""
    return Reader(name, kind, file, make, lambda place: _import(place, file), prints=True)


def _carded(place: Path) -> None:
    """Put frames, and weights with their card."""
    _sound(place)
    (place / "theirs.safetensors").write_bytes(seeds.safetensors()[0])
    with contextlib.redirect_stdout(io.StringIO()):
        _import(place, "theirs.safetensors")


def _own(name: str, kind: str, file: str) -> Reader:
    """Mutate weights in our own form, or their card."""
    return Reader(name, kind, file, lambda: _made_by(_carded, file), _merge_network, _carded, prints=True)


def _merge_network(place: Path) -> None:
    """Merge with the weights whose card is the mutant, or which are it."""
    weights = place / "weights/mine.safetensors"
    merge(place, ("short.png", "middle.png", "long.png"), "1/320,1/80,1/20", "ahdrnet", weights=weights)


# Text that decides what is run, and text that results are kept in.


def _parameters(place: Path) -> None:
    """Load a parameter file as every command does, and make its plan."""
    from bench.stages import plan

    plan.text(load(place / "mutant.yaml"))


def _based(place: Path) -> None:
    (place / "base.yaml").write_bytes(seeds.params()[0])


def _protocol(place: Path) -> None:
    from bench.metrics.protocol import load

    load(place / "safnet.yaml").describe()


def _sides(place: Path) -> None:
    """Put scores and a lock that tells of them on one side, and room for mutants on the other."""
    for side in ("base", "new"):
        (place / side).mkdir()
        (place / side / "scores.csv").write_bytes(seeds.scores()[0])
        (place / side / "dvc.lock").write_bytes(_lock()[0])


def _lock() -> list[bytes]:
    return seeds.lock(hashlib.md5(seeds.scores()[0]).hexdigest())


def _compare(place: Path, kind: Any = None) -> None:
    """Compare scores as the command does."""
    from bench.cli.compare import _bands
    from bench.cli.settings import Settings
    from bench.regression import listing
    from bench.regression.comparison import compare
    from bench.regression.sides import read_side

    base, new = (read_side(side, place, place, "reports/fuzz") for side in ("base", "new"))
    widths = _bands(Settings(place / "params.yaml", quiet=True), params(), base.profile, named=False)
    found = compare(base, new, kind, widths)
    listing.text(found)
    listing.markdown(found)


def _scores(place: Path) -> None:
    """Compare scores as retrained ones, and derive bands from them."""
    from bench.regression.bands import as_yaml, derive
    from bench.regression.sides import read_side

    _compare(place, "retrained")
    as_yaml(derive(read_side("new", place, place, "reports/fuzz")), "new")


def _locks(place: Path) -> None:
    """Read a lock file as `compare`, `launch`, `doctor` and `explain` do."""
    from bench.repository.lock import cut_short

    cut_short(place, place / "new/dvc.lock")
    _compare(place)


def _submission(place: Path) -> list[str]:
    """Read a kept submission for the report, then score another one into it."""
    from bench.io.tables import read_scores
    from bench.stages.reporting import submitted

    submitted.read(read_scores([place / "scores.csv"]))
    return score(place, submit="mutant", force=True)


def _submitted(place: Path) -> None:
    _truth(place)
    write_exr(place / "results/mutant.exr", seeds.radiance())
    (place / "scores.csv").write_bytes(seeds.scores()[0])


def _explain(place: Path) -> None:
    from bench.provenance.number import find_cell

    find_cell(place / "table1.csv", "1", "psnr-mu")


def _plan(place: Path) -> None:
    from bench.stages import plan

    plan.need_fresh(params())


def _plans() -> list[bytes]:
    from bench.stages import plan

    return [plan.text(params()).encode()]


def _libraries(place: Path) -> None:
    from bench.cli.doctor import libraries

    libraries(place / "requirements.lock")


def _no_libraries(place: Path) -> None:
    """Let nothing be installed: to list what is takes a hundred times as long as to read a lock file."""
    importlib.metadata.distributions = lambda **_: iter(())


# Downloads: archives, and what is noted of them.


def _archive(place: Path) -> None:
    """Check, compare and unpack an archive as `fetch` does."""
    from bench.data import archive

    target, file = place / "unpacked", place / "mutant.zip"
    shutil.rmtree(target, ignore_errors=True)
    try:
        archive.test(file)
    finally:
        archive.unpack(file, target)
        archive.complete(file, target)
        archive.clash([file, place / "sound.zip"])


def _archives(place: Path) -> None:
    (place / "sound.zip").write_bytes(seeds.archive()[0])


def _checksums(place: Path) -> None:
    """Look a file up in the record, compare it, and record another."""
    from bench.data.download import Checksums, RemoteFile, verify

    known = Checksums(place / "checksums.json", "kalantari")
    known.get("a.zip")
    verify(RemoteFile("a.zip", ()), place / "sound.zip", known)
    known.put("c.zip", 5, "0" * 64)


def _sums() -> list[bytes]:
    entry = {"bytes": len(seeds.archive()[0]), "sha256": hashlib.sha256(seeds.archive()[0]).hexdigest()}
    return [seeds.json_text({"kalantari": {"a.zip": entry, "b.zip": entry}, "hu": {"drive:x": entry}})]


def _served(place: Path) -> None:
    """Start a server that has the archive, and pause no longer between tries."""
    from bench.data import download

    download.PAUSES = (0.0, 0.0)  # type: ignore[assignment]
    server = Server()
    server.files["/a.zip"] = seeds.archive()[0]
    (place / "url").write_text(server.url("/a.zip"))


def _go_on(place: Path) -> None:
    """Go on with a download whose first half is here."""
    from bench.data.download import Checksums, RemoteFile, download, part_of

    whole, file, url = seeds.archive()[0], place / "downloads/a.zip", (place / "url").read_text()
    file.unlink(missing_ok=True)
    part = part_of(file, url)  # its name has the server's address, which is another in each run
    part.write_bytes(whole[: len(whole) // 2])
    (place / "downloads/state.json").replace(part.with_name(f"{part.name}.json"))
    (place / "checksums.json").unlink(missing_ok=True)
    download(
        RemoteFile("a.zip", (url,), len(whole)),
        place / "downloads",
        Checksums(place / "checksums.json", "x"),
    )


def _on_disk(place: Path) -> None:
    """Prepare a set that a note says lies elsewhere on the disk."""
    from bench.stages.data import prepare

    prepare.run(params(), "kalantari", ["test"])


def _noted(place: Path) -> None:
    kalantari(place / "there")
    (place / "work/fuzz/prepared").mkdir(parents=True)
    (place / "work/fuzz/raw/kalantari").mkdir(parents=True)
    (place / "work/fuzz/raw/kalantari/on_disk.json").write_bytes(seeds.note()[0])


def _records() -> list[bytes]:
    record = {
        "layout": "official",
        "sources": {"0.tif": "0" * 64},
        "checks": {"range": "passed"},
        "fingerprint": "ab" * 32,
    }
    return [seeds.json_text({"train": {"001": record}, "test": {"001": record}})]


READERS = (
    _result("exr-lines", "exr", ".exr", seeds.exr_lines),
    _result("exr-tiles", "exr", ".exr", seeds.exr_tiles),
    _result("hdr", "bytes", ".hdr", seeds.hdr),
    _result("npy", "npy", ".npy", seeds.npy),
    _result("tiff-float", "tiff", ".tif", seeds.tiff_float),
    _frame("tiff", "tiff", "mutant.tif", seeds.tiff),
    _frame("png", "png", "mutant.png", seeds.png),
    _frame("jpeg", "bytes", "mutant.jpg", seeds.jpeg),
    _frame("linear-frame", "exr", "mutant.exr", seeds.exr_lines),
    Reader("exif", "bytes", "mutant.jpg", seeds.exif, _merge_photographs, _sound, prints=True),
    Reader("exposure-times", "text", "exposure_times.txt", seeds.exposures, _merge_told, _sound, prints=True),
    Reader("exposure-words", "text", "words.txt", seeds.words, _merge_listed, _sound, prints=True),
    _official("kalantari-evs", "text", "exposure.txt", seeds.evs),
    _official("kalantari-truth", "bytes", "HDRImg.hdr", seeds.hdr),
    _official("mask", "png", "uncovered.png", seeds.grey),
    Reader("tursun", "text", "dataset/scene/2.txt", seeds.tursun, _described, _tursun),
    _part("scene.json"),
    _part("radiance.npy"),
    _part("ldr.npy"),
    _weights("safetensors", "safetensors", "mutant.safetensors", seeds.safetensors),
    _weights("pth", "zip", "mutant.pth", seeds.pth),
    _weights("npz", "zip", "mutant.npz", seeds.npz),
    _own("weights-card", "json", "weights/mine.json"),
    _own("merge-weights", "safetensors", "weights/mine.safetensors"),
    Reader("parameters", "yaml", "mutant.yaml", seeds.params, _parameters, _based),
    Reader("protocol", "yaml", "safnet.yaml", seeds.protocol, _protocol),
    Reader("plan", "yaml", "plan.yaml", _plans, _plan),
    Reader("dvc-lock", "yaml", "new/dvc.lock", _lock, _locks, _sides),
    Reader("scores", "csv", "new/scores.csv", seeds.scores, _scores, _sides),
    Reader("submission", "csv", "reports/submissions/mutant.csv", seeds.submission, _submission, _submitted),
    Reader("table", "csv", "table1.csv", seeds.table, _explain),
    Reader("requirements", "text", "requirements.lock", seeds.requirements, _libraries, _no_libraries),
    Reader("archive", "zip", "mutant.zip", seeds.archive, _archive, _archives),
    Reader("checksums", "json", "checksums.json", _sums, _checksums, _archives),
    Reader("download-state", "json", "downloads/state.json", seeds.state, _go_on, _served, prints=True),
    Reader("on-disk-note", "json", "work/fuzz/raw/kalantari/on_disk.json", seeds.note, _on_disk, _noted, prints=True),
    Reader("prepared-record", "json", "work/fuzz/prepared/kalantari.json", _records, _on_disk, _noted, prints=True),
)
