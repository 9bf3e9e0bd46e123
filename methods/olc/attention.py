"""Self-attention of the VQGAN variants that have it, and what it costs."""

from torch import Tensor, nn

from bench.nn.attention import attend
from bench.nn.blocks import conv
from bench.nn.statistics import GroupNorm


class Attention(nn.Module):
    """One-head self-attention over all positions, with a residual connection (taming-transformers' AttnBlock).

    It reaches over the whole image, at a cost that grows with the square of its area. In a tiled prediction the
    decoder's lowest level runs on the whole map all the same.
    """

    def __init__(self, channels: int, groups: int) -> None:
        """Keep `channels`, normed in `groups`."""
        super().__init__()
        self.norm = GroupNorm(groups, channels, eps=1e-6)
        self.query, self.key, self.value = (conv(channels, channels, 1) for _ in range(3))
        self.project = conv(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
        normed = self.norm(features)
        heads = [part(normed).flatten(2).mT[:, None] for part in (self.query, self.key, self.value)]
        attended = attend(*heads)[:, 0].mT.reshape(features.shape)
        out: Tensor = features + self.project(attended)
        return out
