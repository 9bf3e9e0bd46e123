"""Metrics of HDR images in PyTorch: HDR-VDP-2 and -3, PU21, PSNR and SSIM.

Each takes prediction and truth as (H, W, 3), (3, H, W) or (B, 3, H, W), NumPy arrays or tensors on any device, and
returns a float64 tensor that can be differentiated; `protocol` is a mapping of settings. See `functional.metrics`.
"""

from . import hdrvdp2, hdrvdp3
from .errors import UsageError
from .functional.metrics import measured, psnr_l, psnr_mu, psnr_pu, psnr_pu_y, ssim_l, ssim_mu, ssim_pu
from .functional.pu21 import pu21_decode, pu21_encode
from .functional.running import HdrVdp2, HdrVdp3, HdrVdp3Jod, PsnrL, PsnrMu, PsnrPu, SsimL, SsimMu, SsimPu
from .functional.viewing import pixels_per_degree

__all__ = [
    "HdrVdp2",
    "HdrVdp3",
    "HdrVdp3Jod",
    "PsnrL",
    "PsnrMu",
    "PsnrPu",
    "SsimL",
    "SsimMu",
    "SsimPu",
    "UsageError",
    "hdrvdp2",
    "hdrvdp3",
    "measured",
    "pixels_per_degree",
    "psnr_l",
    "psnr_mu",
    "psnr_pu",
    "psnr_pu_y",
    "pu21_decode",
    "pu21_encode",
    "ssim_l",
    "ssim_mu",
    "ssim_pu",
]

__version__ = "0.1.0"
