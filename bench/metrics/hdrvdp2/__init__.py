"""HDR-VDP-2.2.2, equal to the authors' MATLAB program, in PyTorch."""

from bench.metrics.geometry import pixels_per_degree
from bench.metrics.hdrvdp2.metric import Result, hdrvdp2, hdrvdp2_batch, hdrvdp2_loss

__all__ = ["Result", "hdrvdp2", "hdrvdp2_batch", "hdrvdp2_loss", "pixels_per_degree"]
