"""HDR-VDP-3.0.7, equal to the authors' MATLAB program, in PyTorch."""

from ..functional.parent import make_callable
from ..functional.viewing import pixels_per_degree
from .metric import Hdrvdp3Result, hdrvdp3, hdrvdp3_batch, hdrvdp3_loss

__all__ = ["Hdrvdp3Result", "hdrvdp3", "hdrvdp3_batch", "hdrvdp3_loss", "pixels_per_degree"]

make_callable(__name__)
