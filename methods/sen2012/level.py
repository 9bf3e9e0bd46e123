"""One scale of the pyramid: latent pictures, matched with their frames and blended with the reference."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from bench.color.exposure import encode, linearise
from bench.core.scene import Array
from bench.core.seeding import derive
from methods.sen2012 import field
from methods.sen2012.exposure import Reference, merge
from methods.sen2012.field import Field
from methods.sen2012.pyramid import resized

PATCH = 7
"""Edge of a patch; a picture of fewer rows or columns has patches as large as it is."""

COHERENCE, COMPLETENESS = 0.7, 0.3
"""Weights of the votes of a latent picture's patches, and of those of its source."""

SWEEPS = 2
"""Scans of one search, forth and back: iterations begin with the last one's field, so more gain nothing (measured)."""

Spread = Callable[[Iterable[Callable[[], None]]], None]
"""Does independent tasks, perhaps side by side."""


@dataclass
class Match:
    """A source of a latent picture, and how the two fit together.

    source       : (h, 3 w) float32, a frame at the exposure of the latent picture.
    coherence    : for each patch of the latent picture its match in the source; `wanted` (ph, pw) are searched.
    completeness : for each patch of the source its match in the latent picture; `useful` ones are searched.
    """

    source: Array
    coherence: Field
    wanted: Array
    completeness: Field
    useful: Array


@dataclass(frozen=True)
class Task:
    """Everything that decides the result at every scale.

    frames   : (N, h, w, 3) float32, encoded, the scene's own size.
    helpers  : sources of each frame that is reconstructed.
    whole    : search everywhere, not only where the reference lacks something.
    complete : scales, from the coarsest, in which sources are searched for as well.
    local    : scales, from the coarsest, whose matches stay near.
    window   : how near, as a share of the root of the area.
    """

    frames: Array
    times: Sequence[float]
    index: int
    helpers: Mapping[int, Sequence[int]]
    whole: bool
    complete: int
    local: int
    window: float
    seed: int


class Level:
    """Latent pictures at one scale, begun with the reference or with those of the coarser scale."""

    def __init__(self, task: Task, place: int, size: tuple[int, int], coarser: "Level | None") -> None:
        """Build scale number `place`, of (height, width) `size`."""
        self.task, self.place, self.size, self.patch, self.searches = task, place, size, min(PATCH, *size), 0
        self.window = field.EVERYWHERE
        if place < task.local:
            self.window = max(1, round(task.window * float(np.sqrt(size[0] * size[1]))))
        self.reference = Reference(resized(task.frames[task.index], size), task.times, task.index)
        self.bad = np.asarray((self.reference.dark | self.reference.bright).any(-1))
        self.badly = self.reference.at(self.bad)
        self.latent = {i: encode(self.reference.light, task.times[i]) for i in task.helpers}
        if coarser is not None:
            for i, picture in coarser.latent.items():
                self.latent[i][self.bad] = resized(picture, size)[self.bad]
        self.matches: dict[int, list[Match]] = {
            i: [self._match(i, helper, coarser.matches[i][k] if coarser else None) for k, helper in enumerate(helpers)]
            for i, helpers in task.helpers.items()
        }

    def _match(self, frame: int, helper: int, coarser: Match | None) -> Match:
        task, size, patch = self.task, self.size, self.patch
        source = resized(task.frames[helper], size)
        wanted = field.overlapping(self.reference.lacks(frame), patch)
        useful = field.overlapping(self.reference.informs(helper, source), patch)
        known = (coarser.coherence, coarser.completeness) if coarser else ()
        fields = [field.carried(old, size, patch) for old in known] or [field.identity(size, patch) for _ in range(2)]
        if helper != frame:
            source = encode(linearise(source, task.times[helper]), task.times[frame])
        return Match(
            field.rows(source), fields[0], wanted | task.whole, fields[1], useful & (self.place < task.complete)
        )

    def merged(self, *, consistent: bool) -> Array:
        """(h, w, 3) float32 radiance of the reference and the latent pictures; see `exposure.merge`."""
        light = self.reference.light.copy()
        light[self.bad] = self._blend(consistent=consistent)
        return light

    def _blend(self, *, consistent: bool) -> Array:
        return merge(self.badly, {i: picture[self.bad] for i, picture in self.latent.items()}, consistent=consistent)

    def expose(self) -> None:
        """Merge, and give every latent picture its exposure of the result.

        Elsewhere than in `bad` pixels it is the reference at that exposure, and stays so.
        """
        light = self._blend(consistent=True)
        for i, picture in self.latent.items():
            picture[self.bad] = encode(light, self.task.times[i])

    def search(self, spread: Spread, *, random: bool) -> None:
        """Improve all fields; without `random`, by propagation alone."""
        pairs = []
        for i, matches in self.matches.items():
            latent = field.rows(self.latent[i])
            for k, match in enumerate(matches):
                pairs.append(((i, k, "coherence"), match.coherence, latent, match.source, match.wanted))
                pairs.append(((i, k, "completeness"), match.completeness, match.source, latent, match.useful))
        for turn in range(SWEEPS):
            names = (self.task.seed, self.place, self.searches, turn)
            sweeps = [
                field.tasks(
                    known, a, b, wanted, self.patch, turn=turn, window=self.window, random=random,
                    seed=derive(*names, *name), fresh=turn == 0,
                )
                for name, known, a, b, wanted in pairs
            ]  # fmt: skip
            spread(task for tasks in sweeps for task in tasks)
        self.searches += 1

    def vote(self, spread: Spread) -> None:
        """Replace `bad` pixels of the latent pictures by the mean of the matched patches that cover them."""
        spread(partial(self._vote, i) for i in self.latent)

    def _vote(self, frame: int) -> None:
        from methods.sen2012 import kernels

        height, width = self.size
        colours, total = np.zeros((height, 3 * width), np.float32), np.zeros((height, width), np.float32)
        matches = self.matches[frame]
        nearest = np.argmin([match.coherence.cost for match in matches], axis=0)
        for k, match in enumerate(matches):
            chosen = match.wanted & (nearest == k)
            weight = np.where(chosen, COHERENCE / np.maximum(field.usage(match.coherence, chosen), 1), 0)
            kernels.vote(match.source, match.coherence.matches, weight.astype(np.float32), False, colours, total)
            weight = np.where(match.useful, COMPLETENESS, 0)
            kernels.vote(match.source, match.completeness.matches, weight.astype(np.float32), True, colours, total)
        told = self.bad & (total > 0)
        self.latent[frame][told] = colours.reshape(height, width, 3)[told] / total[told][:, None]
