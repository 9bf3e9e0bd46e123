"""Synthetic data under the public sets' names: simulated brackets in their layouts, and as their official archives.

Readers, downloads and the pipeline of a public set can be tried without the set. Names and formats of the files are the
set's; the pictures are views of panoramas.
"""

import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.core.seeding import generator
from bench.core.simulation import Simulation
from bench.data.simulate import Bracket, brackets, develop, write_evs
from bench.io.files import EPOCH, replacing
from bench.io.ldr import write_tiff16
from bench.io.radiance import write_rgbe

PAPER_SCENES = ("BarbequeDay", "LadySitting", "ManStanding", "PeopleStanding", "PeopleTalking")

TURSUN_EVS = range(-4, 5)
"""Of nine frames 1 EV apart, relative to the short frame of the view: the fifth, seventh and ninth are the view's."""

FIRST_TEST_OF_HU = 86

Writer = Callable[[Path, Bracket, int, Simulation], None]
"""Writes one bracket, the n-th of its split, below a folder."""


def write_kalantari(root: Path, bracket: Bracket, number: int, settings: Simulation) -> None:
    """Write Training/001.., Test/PAPER/<name> for every other test scene, else Test/EXTRA/001.."""
    folder = {
        "train": f"Training/{number + 1:03d}",
        "test": f"Test/PAPER/{PAPER_SCENES[number // 2 % 5]}" if number % 2 else f"Test/EXTRA/{number // 2 + 1:03d}",
    }[bracket.spec.split]
    for index, frame in enumerate(bracket.frames):
        write_tiff16(root / folder / f"262A{898 + 3 * number + index:04d}.tif", frame)
    write_evs(root / folder / "exposure.txt", bracket.spec)
    write_rgbe(root / folder / "HDRImg.hdr", bracket.radiance)


def write_hu(root: Path, bracket: Bracket, number: int, settings: Simulation) -> None:
    """Write CVPR2020_NTIRE_Workshop/SynHDR_Dataset2/001.. for training, 086.. for testing."""
    from PIL import Image

    spec = bracket.spec
    first = 1 if spec.split == "train" else FIRST_TEST_OF_HU
    folder = root / "CVPR2020_NTIRE_Workshop" / "SynHDR_Dataset2" / f"{first + number:03d}"
    rng = generator(settings.seed, "static", spec.split, spec.name)
    for index, (frame, time) in enumerate(zip(bracket.frames, spec.times, strict=True), 1):
        write_tiff16(folder / f"input_{index}_aligned.tif", frame)
        write_tiff16(
            folder / f"ref_{index}_aligned.tif",
            develop(bracket.seen[1], time, spec, bracket.electrons, settings.read_noise, rng),
        )
    # As in the set's sample: whole EVs on one line, counted from the short frame.
    text = " ".join(str(ev - spec.exposures[0]) for ev in spec.exposures) + "\n"
    for name in ("input_exp.txt", "ref_exp.txt"):
        (folder / name).write_text(text, encoding="ascii")
    write_rgbe(folder / "ref_hdr_aligned_linear.hdr", bracket.radiance)
    Image.fromarray((bracket.frames[1] // 257).astype(np.uint8)).save(folder / "ldr_visualize.png")


def write_tursun(root: Path, bracket: Bracket, number: int, settings: Simulation) -> None:
    """Write dataset/<scene>/1.tiff..9.tiff with N.txt: frames 1 EV apart, no truth."""
    spec = bracket.spec
    folder = root / "dataset" / spec.name
    rng = generator(settings.seed, "nine", spec.split, spec.name)
    for name, ev in enumerate(TURSUN_EVS, 1):
        own = {0: 0, 2: 1, 4: 2}.get(ev)
        light = bracket.seen[0 if ev < 1 else 1 if ev < 3 else 2]
        if own is not None:
            frame = bracket.frames[own]
        else:
            frame = develop(light, 2.0**ev, spec, bracket.electrons, settings.read_noise, rng)
        write_tiff16(folder / f"{name}.tiff", frame)
        # From 1/4096 s at ISO 1600 on, a stop more with each frame.
        lines = f"ExposureTime: 1/{2 ** (13 - name)}\r\nISO: 1600\r\nFNumber: 5.0\r\n"
        (folder / f"{name}.txt").write_text(lines, encoding="ascii", newline="")


@dataclass(frozen=True)
class SyntheticSet:
    """A public set as the engine makes it: how a bracket is written, with which settings, and the official archives.

    archives : archive's official name -> folder that it holds.
    """

    write: Writer
    settings: Simulation
    archives: dict[str, str]


SMALL = Simulation.model_validate(
    {
        "width": 96, "height": 64, "train": ["city", "forest"], "test": ["courtyard", "sunset"],
        "validation": [], "train_views": 2, "test_views": 1, "no_truth_scenes": 0,
    }
)  # fmt: skip
"""Four training and two test views, as small as the networks allow."""

SETS = {
    "kalantari": SyntheticSet(
        write_kalantari, SMALL, {"SIGGRAPH17_HDR_Trainingset.zip": "Training", "SIGGRAPH17_HDR_Testset.zip": "Test"}
    ),
    "hu": SyntheticSet(
        write_hu, SMALL.model_copy(update={"seed": 1, "ev_steps": (2,)}),
        {"SynHDR_Dataset2.zip": "CVPR2020_NTIRE_Workshop"},
    ),
    "tursun": SyntheticSet(
        write_tursun,
        SMALL.model_copy(update={"seed": 2, "ev_steps": (2,), "train_views": 0, "test_views": 0, "no_truth_scenes": 2}),
        {"dataset.zip": "dataset"},
    ),
}  # fmt: skip


def write_set(name: str, panoramas: Path, out: Path, settings: Simulation | None = None) -> None:
    """Write the views of `settings` (default: the set's own small ones) to the folder `out` in the set's layout.

    Equal settings give equal bytes. UsageError if a panorama is missing or too few of its views are acceptable.
    """
    chosen = SETS[name].settings if settings is None else settings
    counts: Counter[str] = Counter()
    with replacing(out) as part:
        part.mkdir()
        for bracket in brackets(chosen, panoramas):
            SETS[name].write(part, bracket, counts[bracket.spec.split], chosen)
            counts[bracket.spec.split] += 1


def pack(folder: Path, archive: Path) -> None:
    """Pack a folder, under its own name, into a zip archive; equal files give equal bytes."""
    with replacing(archive) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as bundle:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder.parent).as_posix(), EPOCH)
            entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            bundle.writestr(entry, path.read_bytes())
