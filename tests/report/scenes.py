"""Invented scenes and predictions of them."""

import numpy as np

from bench.core.params import Params
from bench.core.scene import Scene
from bench.core.seeding import generator
from bench.io.container import write_scene
from bench.io.radiance import write_exr

SCENES = ("courtyard-00", "sunset-00")
HEIGHT, WIDTH = 48, 64


def scene(name: str, truth: bool = True) -> Scene:
    rng = generator(0, name)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    sun = np.exp(-((x - rng.integers(14, 50)) ** 2 + (y - 14) ** 2) / 60)
    base = 0.02 + 0.1 * (np.sin(x / 5) * np.cos(y / 4) + 1) / 2 + sun * (0.7 + 0.2 * np.sin(x))
    radiance = np.clip(base[..., None] * np.array([1.0, 0.9, 0.7]), 0, 1).astype(np.float32)
    times = np.array([1.0, 4.0, 16.0])
    frames = []
    for i, time in enumerate(times):
        frame = radiance.copy()
        frame[28:44, 6 + 12 * i : 20 + 12 * i] = (0.05, 0.02, 0.02)
        frames.append(np.rint(np.clip(frame * time, 0, 1) ** (1 / 2.2) * 65535).astype(np.uint16))
    still = radiance.copy()
    still[28:44, 18:32] = (0.05, 0.02, 0.02)
    return Scene(name, np.stack(frames), times, 1, still if truth else None, {"capture": name})


def write_pictures(params: Params) -> None:
    for split, names in (("test", SCENES), ("no-truth", ("street-00",))):
        for name in names:
            made = scene(name, truth=split == "test")
            write_scene(params.work / "scenes" / "panoramas" / split / name, made)
            for run in ("reference-only", "full--panoramas--s0", "ahdrnet--panoramas--s0"):
                if (run, name) != ("ahdrnet--panoramas--s0", "street-00"):
                    noise = generator(2, run).normal(0, 0.01, made.linear[1].shape)
                    radiance = np.clip(made.linear[1] + noise, 0, 1).astype(np.float32)
                    write_exr(params.work / "predictions" / run / "panoramas" / split / f"{name}.exr", radiance)
