"""HDR-VDP-2.2.2, equal to the authors' MATLAB program, in PyTorch."""

from bench.metrics.hdrvdp2.metric import Hdrvdp2Result, hdrvdp2, hdrvdp2_batch, hdrvdp2_loss
from bench.metrics.viewing import pixels_per_degree

__all__ = ["Hdrvdp2Result", "hdrvdp2", "hdrvdp2_batch", "hdrvdp2_loss", "pixels_per_degree"]
