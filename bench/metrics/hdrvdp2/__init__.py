"""HDR-VDP-2.2.2, equal to the authors' MATLAB program, in PyTorch."""

from ..functional.parent import make_callable
from ..functional.viewing import pixels_per_degree
from .metric import Hdrvdp2Result, hdrvdp2, hdrvdp2_batch, hdrvdp2_loss, older_q_mos

__all__ = ["Hdrvdp2Result", "hdrvdp2", "hdrvdp2_batch", "hdrvdp2_loss", "older_q_mos", "pixels_per_degree"]

make_callable(__name__)
