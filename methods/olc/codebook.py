"""The overlapped codebook: K codes, of which each kind of image may use a segment."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.errors import UsageError
from bench.core.scene import IMAGE_KINDS
from bench.nn.memory import piecewise

SCORES_CPU, SCORES = 1 << 18, 1 << 25
"""Scores of vectors and codes that are held at a time: on the CPU 1 MiB, elsewhere 128 MiB."""


class Quantised(NamedTuple):
    """Result of a look-up.

    straight : (B, n_z, h, w), equal to `codes` in value, with the gradient passed straight to the input.
    codes    : (B, n_z, h, w), the nearest code vectors, differentiable with respect to the codebook.
    indices  : (B, h, w) int64, positions in the whole book, whatever the segment.
    """

    straight: Tensor
    codes: Tensor
    indices: Tensor


def segment(kind: int, size: int, layout: str) -> slice:
    """Return the codes that an image of `kind` (0..3 for L1, L2, L3, H) may use.

    With alpha = size / 4, "olc" gives L_i codes [(i - 1) alpha, (i + 1) alpha) and H all of them: the one reading of
    eq. 4 and its text that agrees with both. "vanilla" gives every kind the whole book (V-mix).
    """
    if size < 4 or size % 4:
        raise UsageError(
            f"a codebook of {size} codes can't be split into quarters; K must be a positive multiple of 4."
        )
    if layout not in ("olc", "vanilla"):
        raise UsageError(f"codebook segments {layout!r} are unknown; expected olc or vanilla.")
    if layout == "vanilla" or kind == 3:
        return slice(0, size)
    quarter = size // 4
    return slice(kind * quarter, (kind + 2) * quarter)


class Codebook(nn.Module):
    """K code vectors and the nearest-neighbour look-up in a segment of them."""

    def __init__(self, size: int, width: int, layout: str) -> None:
        """Hold `size` codes of `width` channels, uniform in +-1/K; `layout` is "olc" or "vanilla"."""
        super().__init__()
        segment(0, size, layout)
        self.size, self.width, self.layout = size, width, layout
        self.weight = nn.Parameter(torch.empty(size, width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the codes uniformly in +-1/K."""
        nn.init.uniform_(self.weight, -1 / self.size, 1 / self.size)

    @torch.no_grad()
    def mean_square(self) -> Tensor:
        """Mean square of a code's component, (), each code counting by its own: the scale of the codes in use.

        Codes that were never used stay where they were drawn, near zero. In a plain mean they would make the scale a
        matter of how many are in use, which is what vanilla and olc differ in.
        """
        squares = self.weight.float().square().mean(1)
        return squares.square().sum() / squares.sum()

    def allowed(self, kinds: Tensor) -> Tensor:
        """(B,) kinds 0..3 to a (B, K) bool mask of the codes each image may use."""
        masks = torch.zeros(len(IMAGE_KINDS), self.size, dtype=torch.bool, device=kinds.device)
        for kind in range(len(IMAGE_KINDS)):
            masks[kind, segment(kind, self.size, self.layout)] = True
        return masks[kinds]

    def forward(self, features: Tensor, kinds: Tensor | int = 3) -> Quantised:
        """Replace each vector of (B, n_z, h, w) by its nearest code, in fp32 also under autocast.

        `kinds` is one kind for the batch (its segment alone is searched) or (B,) kinds (a masked search).
        """
        with torch.autocast(features.device.type, enabled=False):
            features = features.float()
            vectors = features.permute(0, 2, 3, 1)
            indices = self._nearest(vectors.detach(), kinds)
            codes = F.embedding(indices, self.weight.float()).permute(0, 3, 1, 2)
            # Added in this order, the input cancels out: the value is the code's to the last bit.
            straight = codes.detach() + (features - features.detach())
        return Quantised(straight, codes, indices)

    @torch.no_grad()
    def _nearest(self, vectors: Tensor, kinds: Tensor | int) -> Tensor:
        book = self.weight.float()
        if isinstance(kinds, int):
            part = segment(kinds, self.size, self.layout)
            found: Tensor = nearest(vectors.reshape(-1, self.width), book[part]) + part.start
            return found.view(vectors.shape[:-1])
        images = vectors.reshape(len(vectors), -1, self.width)
        allowed = self.allowed(kinds)
        each = [nearest(image, book, mask) for image, mask in zip(images, allowed, strict=True)]
        return torch.stack(each).view(vectors.shape[:-1])


def nearest(vectors: Tensor, book: Tensor, allowed: Tensor | None = None) -> Tensor:
    """Index of the nearest code of (K, n_z) for each of the vectors (M, n_z): (M,) int64, the first of equal ones.

    allowed : (K,) bool, the codes that may be chosen; None allows all.
    The nearest code has the largest v.c - |c|^2 / 2; that takes one matrix product and never the differences (M, K,
    n_z). It is made in chunks, so that the maximum finds each of them still in the cache.
    """
    bias = -0.5 * book.square().sum(1)
    if allowed is not None:
        bias = bias.masked_fill(~allowed, -torch.inf)
    rows = max(1, (SCORES_CPU if piecewise(book) else SCORES) // len(book))
    scores = torch.empty(min(rows, len(vectors)), len(book), dtype=book.dtype, device=book.device)
    indices = torch.empty(len(vectors), dtype=torch.int64, device=book.device)
    for start in range(0, len(vectors), rows):
        part = vectors[start : start + rows]
        torch.addmm(bias, part, book.T, out=scores[: len(part)])
        torch.argmax(scores[: len(part)], 1, out=indices[start : start + rows])
    return indices


def codebook_losses(features: Tensor, codes: Tensor, beta: float) -> dict[str, Tensor]:
    """Eq. 7: the codebook term with weight 1, the commitment term with beta; means over all elements."""
    features, codes = features.float(), codes.float()
    return {
        "codebook": F.mse_loss(codes, features.detach()),
        "commitment": beta * F.mse_loss(features, codes.detach()),
    }
