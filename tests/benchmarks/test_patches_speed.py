"""Patches come from mapped scenes many times as fast as from TIFF and Radiance files, and leave nothing behind."""

from pathlib import Path

import numpy as np
import pytest
from torch.utils.data import DataLoader

from bench.color.exposure import encode, linearise
from bench.core.scene import Scene
from bench.io.container import read_scene, write_scene
from bench.io.ldr import read_frame, write_tiff16
from bench.io.radiance import read_rgbe, write_rgbe
from bench.train.patches import PatchStream

HEIGHT, WIDTH, SIZE = 1000, 1500, 256
BATCH, BATCHES, WORKERS = 8, 60, 2
DECODED = 3
"""Patches cut from files, each of which has to be decoded as a whole."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two scenes of Kalantari's size, prepared, and one of them as TIFF and Radiance files."""
    place, rng = tmp_path_factory.mktemp("scenes"), np.random.default_rng(0)
    times = np.array([1.0, 4.0, 16.0])
    for name in ("a", "b"):
        coarse = rng.random((HEIGHT // 20, WIDTH // 20, 3)) ** 3
        truth = coarse.repeat(20, 0).repeat(20, 1) * rng.uniform(0.9, 1, (HEIGHT, WIDTH, 3))
        codes = np.stack([np.rint(65535 * encode(truth, t)).astype(np.uint16) for t in times])
        scene = Scene(name, codes, times, 1, truth.astype(np.float32))
        write_scene(place / "prepared" / name, scene)
    for number, frame in enumerate(codes):
        write_tiff16(place / "files" / f"{number}.tif", frame)
    write_rgbe(place / "files" / "HDRImg.hdr", scene.radiance)
    return place


def opened(folder):
    scenes = [read_scene(folder / "prepared" / name) for name in ("a", "b")]
    return PatchStream(scenes, size=SIZE, stride=64, augment=True, seed=0)


def drawn(stream, batches=BATCHES):
    """Draw patches as a training does, in two processes; only count them."""
    loader = DataLoader(
        stream, BATCH, sampler=range(BATCH * batches), num_workers=WORKERS, collate_fn=tuple,
        multiprocessing_context="fork",
    )  # fmt: skip
    return sum(len(codes) for codes, _, _ in loader)


def decoded(files: Path, corners):
    """Cut patches as public loaders do that keep no arrays: every file of the scene is decoded for each."""
    patches = []
    for top, left in corners:
        window = slice(top, top + SIZE), slice(left, left + SIZE)
        frames = [read_frame(files / f"{number}.tif")[window] / np.float32(65535) for number in range(3)]
        linear = [linearise(frame, time) for frame, time in zip(frames, (1, 4, 16), strict=True)]
        patches.append((frames, linear, read_rgbe(files / "HDRImg.hdr")[window]))
    return patches


@pytest.mark.timed
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # Python 3.12 warns of threads; loaders only copy
def test_mapped_scenes_are_ten_times_as_fast_as_files(folder, race, ratio):
    stream = opened(folder)
    drawn(stream, 10)  # into the page cache
    mapped, files = race(lambda: drawn(stream), lambda: decoded(folder / "files", [(64, 128)] * DECODED), rounds=2)
    mapped, files = BATCH * BATCHES / mapped, DECODED / files
    print(f"\n{mapped:.0f} patches/s from mapped scenes, {files:.1f} from files: {mapped / files:.0f} times")
    ratio(mapped / files)
    assert mapped >= 10 * files


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_speed(benchmark, folder):
    stream = opened(folder)
    benchmark.pedantic(drawn, (stream,), rounds=3)


def test_memory_is_flat_over_an_epoch(folder):
    """Pages of the mapped files aside, which the system may drop, a process holds what it held at the start."""

    def held():
        line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("RssAnon"))
        return int(line.split()[1]) / 1024

    stream = opened(folder)
    for number in range(0, 64, BATCH):
        stream.__getitems__(range(number, number + BATCH))
    before = held()
    for number in range(0, len(stream) - BATCH, BATCH):
        stream.__getitems__(range(number, number + BATCH))
    assert held() - before < 8, "MiB"
