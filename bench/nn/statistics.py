"""Statistics of the whole image inside networks, whether they see it whole or in tiles.

The contract: a module of a network whose result depends on all pixels (a pooled mean, a norm over height and width, a
decoder with such norms) is one of the classes below. On a whole image, and in training, they compute what
the framework's own modules do. In a tiled prediction they take part in sweeps over the tiles: each tile adds the pixels
that it keeps, and leaves as soon as it has reached all statistics that the sweep can collect; after the sweep these are
settled and every tile gets the same values. A statistic that depends on another waits for the next sweep: until a
statistic is settled it reads NaN, so whatever it reaches is known to depend on it.

A network must call its modules in the same order for every tile.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn

from bench.core.errors import UsageError
from bench.nn.memory import memory_order

Index = tuple[Any, ...]
"""Index of the last two axes of a map (..., h, w)."""


class Window(NamedTuple):
    """Rows and columns, in pixels of the input, that a tile sees and those among them that it keeps."""

    seen: tuple[slice, slice]
    kept: tuple[slice, slice]

    def within(self, shown: Tensor) -> Index:
        """Return where the kept pixels lie in a map (..., h, w) of what the tile sees, at any scale."""
        shifted = (_shift(kept, -seen.start) for kept, seen in zip(self.kept, self.seen, strict=True))
        return self._scaled(shifted, shown)

    def beyond(self, shown: Tensor) -> Index:
        """Return where the kept pixels lie in the whole map of the scale of a map (..., h, w) of what the tile sees."""
        return self._scaled(self.kept, shown)

    def _scaled(self, parts: Any, shown: Tensor) -> Index:
        sizes = [seen.stop - seen.start for seen in self.seen]
        return (..., *(_scale(*axis) for axis in zip(parts, shown.shape[-2:], sizes, strict=True)))


def _shift(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)


def _scale(part: slice, have: int, size: int) -> slice:
    """Pixels of an axis of `size` to positions on a map that has `have` for them."""
    if part.start * have % size or part.stop * have % size:
        raise UsageError(
            f"a tile's pixels {part.start} to {part.stop} fall between those of a map at {have}/{size} of the size; "
            "the method's `multiple` must be a multiple of its largest stride."
        )
    return slice(part.start * have // size, part.stop * have // size)


class Statistic(Protocol):
    """A statistic that tiles add to, and that all get once it is complete."""

    def add(self, maps: Sequence[Tensor], window: Window, size: tuple[int, int]) -> None:
        """Take in what a tile keeps of `maps` (B, C, h, w); `size` is the image's."""

    def value(self) -> Any:
        """Return the statistic of the whole image."""


class _Leave(Exception):
    """A tile has reached what its sweep collects."""


class Sweeps:
    """The statistics of one tiled prediction, by order of call: those settled and those being collected."""

    def __init__(self, size: tuple[int, int]) -> None:
        """`size` is the image's height and width in pixels."""
        self.size = size
        self.window: Window
        self._settled: dict[int, Any] = {}
        self._pending: dict[int, Statistic] = {}
        self._first, self._call = True, 0

    def run(self, module: nn.Module, shown: Tensor, window: Window) -> Tensor | None:
        """Run `module` on what a tile sees; None while statistics are being collected."""
        listeners = [part for part in module.modules() if isinstance(part, GLOBAL)]
        before = [part.sweeps for part in listeners]
        self.window, self._call = window, 0
        try:
            for part in listeners:
                part.sweeps = self
            out: Tensor = module(shown)
        except _Leave:
            return None
        finally:
            self._first = False
            for part, sweeps in zip(listeners, before, strict=True):
                part.sweeps = sweeps
        return None if self._pending else out

    def settle(self) -> bool:
        """End a sweep; False where there was nothing to collect, so that the tiles' outputs are final."""
        collected, self._pending, self._first = self._pending, {}, True
        self._settled |= {call: statistic.value() for call, statistic in collected.items()}
        return bool(collected)

    def ask(self, maps: Sequence[Tensor], make: Callable[[], Statistic]) -> Any:
        """Return the statistic that the forward pass has come to, or None (after adding `maps`) until it is settled.

        The sweep's first tile decides what is collected: all that it reaches without a NaN from a pending one.
        """
        call, self._call = self._call, self._call + 1
        if call in self._settled:
            return self._settled[call]
        if call not in self._pending:
            if not self._first or (self._pending and any(bool(part.isnan().any()) for part in maps)):
                raise _Leave
            self._pending[call] = make()
        self._pending[call].add(maps, self.window, self.size)
        if not self._first and call == max(self._pending):
            raise _Leave
        return None

    def whole(self, maps: Sequence[Tensor], function: Callable[..., Sequence[Tensor]]) -> list[Tensor]:
        """Return what the tile sees of the maps that `function` makes of the whole `maps`."""
        made = self.ask(maps, lambda: _Maps(function))
        if made is None:
            raise _Leave
        return [part[(..., *map(_scale, self.window.seen, part.shape[-2:], self.size))] for part in made]


class _Moments:
    """Mean and mean square of each group of channels; summed in float64."""

    def __init__(self, groups: int) -> None:
        self.groups, self.pixels = groups, 0
        self.sums: Tensor | float = 0.0

    def add(self, maps: Sequence[Tensor], window: Window, size: tuple[int, int]) -> None:
        part = maps[0][window.within(maps[0])]
        part = part.to(torch.promote_types(part.dtype, torch.float32))
        variance, mean = torch.var_mean(part.reshape(len(part), self.groups, -1), dim=-1, correction=0)
        mean, pixels = mean.double(), part.shape[-2] * part.shape[-1]
        self.sums = self.sums + pixels * torch.stack([mean, variance.double() + mean.square()])
        self.pixels += pixels

    def value(self) -> tuple[Tensor, Tensor]:
        """Mean and variance, (B, groups) float64."""
        assert isinstance(self.sums, Tensor)
        mean, square = self.sums / self.pixels
        return mean, (square - mean.square()).clamp(min=0)


class _Products:
    """Sums over all pixels of the products of every two channels, one of each map, and of every channel's square."""

    def __init__(self) -> None:
        self.sums: tuple[Tensor, ...] = ()

    def add(self, maps: Sequence[Tensor], window: Window, size: tuple[int, int]) -> None:
        made = _products(*(part[window.within(part)] for part in maps))
        self.sums = tuple(map(torch.add, self.sums, made)) if self.sums else made

    def value(self) -> tuple[Tensor, ...]:
        """(B, C, D), (B, C) and (B, D)."""
        return self.sums


def _products(first: Tensor, second: Tensor) -> tuple[Tensor, ...]:
    first, second = (part.permute(0, 2, 3, 1).flatten(1, 2) for part in (first, second))
    return first.mT @ second, first.square().sum(1), second.square().sum(1)


class _Maps:
    """Whole maps put together from tiles, then given to a function."""

    def __init__(self, function: Callable[..., Sequence[Tensor]]) -> None:
        self.function = function
        self.maps: list[Tensor] = []

    def add(self, maps: Sequence[Tensor], window: Window, size: tuple[int, int]) -> None:
        if not self.maps:
            self.maps = [empty_like(part, _whole(part, window, size)) for part in maps]
        for whole, part in zip(self.maps, maps, strict=True):
            whole[window.beyond(part)] = part[window.within(part)]

    def value(self) -> list[Tensor]:
        maps, self.maps = self.maps, []
        return list(self.function(*maps))


def empty_like(part: Tensor, size: Sequence[int]) -> Tensor:
    """Return an unfilled map of another height and width, in the memory order of `part`."""
    shape = (*part.shape[:-2], *size)
    return torch.empty(shape, dtype=part.dtype, device=part.device, memory_format=memory_order(part))


def _whole(part: Tensor, window: Window, size: tuple[int, int]) -> list[int]:
    """Height and width of the whole map at the scale of a tile's."""
    scaled = zip(size, part.shape[-2:], window.seen, strict=True)
    return [_scale(slice(0, pixels), have, seen.stop - seen.start).stop for pixels, have, seen in scaled]


class GlobalMean(nn.Module):
    """The mean of every channel over the whole image: (B, C, H, W) to (B, C, 1, 1)."""

    sweeps: Sweeps | None = None

    def forward(self, features: Tensor) -> Tensor:
        """Pool; in a tiled prediction over all tiles."""
        if self.sweeps is None:
            return features.mean((2, 3), keepdim=True)
        moments = self.sweeps.ask([features], lambda: _Moments(features.shape[1]))
        if moments is None:
            return features.new_full((*features.shape[:2], 1, 1), torch.nan)
        return moments[0].to(features.dtype)[:, :, None, None]


class GroupNorm(nn.GroupNorm):
    """Group normalisation with mean and variance of the whole image."""

    sweeps: Sweeps | None = None

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to the same; in a tiled prediction with the statistics of all tiles."""
        if self.sweeps is None:
            return super().forward(features)
        moments = self.sweeps.ask([features], lambda: _Moments(self.num_groups))
        if moments is None:
            return torch.full_like(features, torch.nan)
        mean, scale = moments[0], (moments[1] + self.eps).rsqrt()
        mean, scale = (part.repeat_interleave(features.shape[1] // self.num_groups, 1) for part in (mean, scale))
        shift = -mean * scale
        if self.affine:
            scale, shift = scale * self.weight.double(), shift * self.weight.double() + self.bias.double()
        scale, shift = (part.to(features.dtype)[:, :, None, None] for part in (scale, shift))
        return torch.addcmul(shift, features, scale)


class Cosines(nn.Module):
    """The cosine of every channel of one map with every channel of another, over all pixels of the whole image."""

    sweeps: Sweeps | None = None

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """(B, C, H, W) and (B, D, H, W) to (B, C, D)."""
        sums = _products(first, second) if self.sweeps is None else self.sweeps.ask([first, second], _Products)
        if sums is None:
            return first.new_full((len(first), first.shape[1], second.shape[1]), torch.nan)
        # A channel that is zero everywhere has the cosine 0 with any other.
        lengths = [square.sqrt().clamp(min=1e-12) for square in sums[1:]]
        return cast(Tensor, sums[0] / lengths[0][:, :, None] / lengths[1][:, None])


class OnWhole(nn.Module):
    """A part of a network that always works on whole maps, for it is cheap or has many statistics of its own.

    In a tiled prediction its input maps are put together from all tiles, the part runs once, and each tile gets its
    window of the result. The maps are in memory whole.
    """

    sweeps: Sweeps | None = None

    def forward(self, function: Callable[..., Sequence[Tensor]], *maps: Tensor) -> list[Tensor]:
        """Return function(*maps): maps (..., h, w) at any scale that divides the image's."""
        if self.sweeps is None:
            return list(function(*maps))
        return self.sweeps.whole(maps, function)


GLOBAL = (GlobalMean, GroupNorm, Cosines, OnWhole)
PER_TILE = (nn.GroupNorm, nn.InstanceNorm2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)


def require_global(network: nn.Module) -> None:
    """Refuse a network with a module that would take its statistics from a tile, with a UsageError."""
    for name, part in network.named_modules():
        if isinstance(part, PER_TILE) and not isinstance(part, GLOBAL):
            raise UsageError(
                f"{type(network).__name__}.{name} is a {type(part).__name__}, whose statistics would be a tile's and "
                "not the image's; build it from bench.nn.statistics, or predict without tiles."
            )
