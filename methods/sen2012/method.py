"""Sen et al. 2012: robust patch-based HDR reconstruction of dynamic scenes, re-implemented from its description.

The result is the reference where that is well exposed; elsewhere it is filled from latent pictures, one for each other
exposure, that agree with the result and, patch by patch, with the frame of that exposure. Per scale: search matches
(PatchMatch), let them vote on the latent pictures, merge these with the reference, expose them anew; repeat.

The authors' code was neither read nor copied. What the description leaves open was decided so:
- Scales: of a picture of less than 170 rows fewer than ten, so that a step is hardly below a factor of 1.19; of one of
  at most 35 rows a single one. Iterations fall evenly from 50 to 5 over however many there are.
- Masks: in mode `normal` a frame longer than the reference is reconstructed where the reference is too dark, a shorter
  one where it is too bright (any channel, dilated by the patch); a patch of a source is useful to completeness if it
  holds a pixel that would be that dark or bright in the reference.
- Votes: a match of coherence weighs 0.7 divided by how many latent patches share it, one of completeness 0.3. Equal or
  root weights blur: 0.8 and 0.5 dB less PSNR-mu on the demo's test scenes.
- Search: two sweeps (forth and back) from the last field; random draws from the larger side of the picture, halved to
  1. The window of the coarsest 15 % of scales (two of ten) is around a patch's own place.
- Beginning: the first field is the identity, and the first round only propagates, as at every scale: latent pictures
  begin with their frame's colours at the same place where these don't contradict the reference. Without it the inside
  of a saturated area begins flat and may settle in a wrong order (a textured static stack: 30 instead of 110 dB).
- The latent picture of a pixel that the reference sees well is the reference at the other exposure, at all times.
- Sources: the frame itself; in mode `high` every frame on the same side of the reference, mapped to the exposure, the
  patch with the smallest distance being taken. With three frames `high` differs by searching everywhere and by
  completeness at all scales.
- `max_side`: the pyramid ends at a picture with this long side; the fields are then carried to full size, where matches
  are propagated once and vote.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from bench.core.errors import UsageError
from bench.core.method import method
from bench.core.progress import track
from bench.core.scene import Radiance, Scene
from bench.core.seeding import derive
from methods.sen2012 import pyramid
from methods.sen2012.level import Level, Spread, Task

LOCAL, WINDOW = 0.15, 0.1
"""Share of scales, from the coarsest, in which matches stay within this share of the root of the area."""

COMPLETE = 0.5
"""Share of scales, from the coarsest, in which mode `normal` also asks that sources are shown completely."""

LONG, TICKS = 5e6, 200
"""Pixels times iterations from which on the progress of a scene is shown (about ten seconds), and in how many steps."""


@method(
    "sen2012",
    label="Sen (re-implementation)",
    cites="Sen et al.: Robust Patch-Based HDR Reconstruction of Dynamic Scenes, SIGGRAPH Asia 2012",
    trains=False,
    presets={"normal": {"mode": "normal"}, "high": {"mode": "high"}},
)
class Sen2012:
    """The authors' algorithm in our own code; deterministic, each scene with its own random stream."""

    def __init__(self, *, mode: str = "normal", max_side: int = 0, seed: int = 0, threads: int | None = None) -> None:
        """Choose what it costs.

        mode     : "normal" searches where the reference is badly exposed; "high" everywhere, with more sources.
        max_side : pixels of the long side that is solved at most, see above; 0 for all.
        threads  : they change the time, not the result; None takes as many as torch does, the profile's in a stage.
        """
        if mode not in ("normal", "high"):
            raise UsageError(f"sen2012: no mode is called {mode!r}; there are normal and high.")
        threads = torch.get_num_threads() if threads is None else threads
        if max_side < 0 or threads < 1:
            raise UsageError(f"sen2012: max_side {max_side}, threads {threads}; expected 0 or more, and 1 or more.")
        self.high, self.max_side, self.seed, self.threads = mode == "high", max_side, seed, threads

    def predict(self, scene: Scene) -> Radiance:
        """Return (H, W, 3) float32 relative radiance in [0, 1]; a scene of one exposure gives its reference."""
        sizes = pyramid.sizes(scene.frames.shape[1:3], self.max_side)
        counts = pyramid.iterations(len(sizes))
        if sizes[-1] != scene.frames.shape[1:3]:
            sizes, counts = [*sizes, scene.frames.shape[1:3]], [*counts, 0]
        task = self._task(scene, len(sizes))
        work = [(count + 1) * size[0] * size[1] for size, count in zip(sizes, counts, strict=True)]
        with ThreadPoolExecutor(self.threads) as pool:
            solution = _Solution(task, _spread(pool))
            steps = _ticks(solution.steps(sizes, counts), sum(work))
            for _ in track(steps, TICKS, f"sen2012 {scene.id}") if sum(work) > LONG else steps:
                pass
        return np.asarray(solution.radiance, dtype=np.float32)

    def _task(self, scene: Scene, scales: int) -> Task:
        times, own = [float(time) for time in scene.times], float(scene.times[scene.reference])
        sides = [[i for i, t in enumerate(times) if t < own], [i for i, t in enumerate(times) if t > own]]
        return Task(
            frames=scene.ldr,
            times=times,
            index=scene.reference,
            helpers={i: side if self.high else [i] for side in sides for i in side},
            whole=self.high,
            complete=scales if self.high else int(np.ceil(COMPLETE * scales)),
            local=int(np.ceil(LOCAL * scales)),
            window=WINDOW,
            seed=derive(self.seed, "sen2012", scene.id),
        )


class _Solution:
    """A scene on its way: `radiance` (H, W, 3) float32 is there once `steps` has ended."""

    def __init__(self, task: Task, spread: Spread) -> None:
        self.task, self.spread = task, spread
        self.radiance = np.zeros(0, np.float32)

    def steps(self, sizes: Sequence[tuple[int, int]], counts: Sequence[int]) -> Iterator[int]:
        """Solve scale after scale; yield the pixels of each round when it is done."""
        level: Level | None = None
        for place, (size, count) in enumerate(zip(sizes, counts, strict=True)):
            level = Level(self.task, place, size, level)
            level.expose()
            self._round(level, random=False, last=count == 0)
            yield size[0] * size[1]
            for turn in range(count):
                self._round(level, random=True, last=turn == count - 1)
                yield size[0] * size[1]
            self.radiance = level.merged(consistent=False)

    def _round(self, level: Level, *, random: bool, last: bool) -> None:
        if not level.bad.any():
            return
        level.search(self.spread, random=random)
        level.vote(self.spread)
        if not last:
            level.expose()


def _spread(pool: ThreadPoolExecutor) -> Spread:
    def spread(tasks: Iterable[Callable[[], None]]) -> None:
        for future in [pool.submit(task) for task in tasks]:
            future.result()

    return spread


def _ticks(work: Iterable[int], total: int) -> Iterator[int]:
    """Yield `TICKS` numbers while the work is done, evenly over it: an iteration at a fine scale takes longer."""
    done = told = 0
    for part in work:
        done += part
        while told < TICKS * done // total:
            told += 1
            yield told
