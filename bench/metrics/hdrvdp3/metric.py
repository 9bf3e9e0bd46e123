"""HDR-VDP-3."""

from typing import Any, NamedTuple

import torch

from ..functional.images import from_array
from . import display
from .pooling import pooled, visibility
from .tasks import TASKS
from .vision import Viewing, bands, seen


class Hdrvdp3Result(NamedTuple):
    Q: float
    Q_JOD: float
    P_det: float | None = None
    C_max: float | None = None
    P_map: Any = None
    C_map: Any = None


def hdrvdp3(pred, truth, *, task="quality", encoding, pixels_per_degree, display=None, age=24.0, mtf="hdrvdp", surround=None, options=None, precision="double"):
    viewing = Viewing(encoding, pixels_per_degree, display, age, mtf, surround, TASKS[task].with_options(options or {}), {"fast": torch.float32, "double": torch.float64}[precision])
    a, b = (globals()["display"].light([x] if x.ndim == 2 else list(x.double().unbind(-1)), r, encoding, display) for x, r in ((from_array(pred), "test"), (from_array(truth), "reference")))
    with torch.no_grad():
        view = seen(a, b, viewing)
        found = pooled(bands(view, viewing), view, viewing, True)
        drawn = visibility(found.bands, viewing)
    q = float(found.q)
    return Hdrvdp3Result(q, 10 - 0.52 * max(10 - q, 0) ** 1.2812, float(drawn.p_det), float(drawn.c_max), drawn.probability.numpy(), drawn.contrast.numpy())


hdrvdp3_batch = hdrvdp3_loss = None
