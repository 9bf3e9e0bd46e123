"""Initial weights as public codes draw them, for trainings by a published recipe."""

from torch import nn
from torch.nn.modules.conv import _ConvNd

from bench.core.recipe import Initialisation
from bench.nn.windows import WindowAttention

CUT = 0.87962566103423978
"""Standard deviation of the unit normal distribution once it is cut off at plus and minus two."""


def draw(module: nn.Module, how: Initialisation) -> None:
    """Draw kernel and bias of a linear layer or a convolution anew, from the framework's random generator.

    "framework"        : PyTorch's default: uniform in +-1 / sqrt(fan-in), the bias too.
    "glorot"           : uniform, of variance 2 / (fan-in + fan-out) (Glorot and Bengio, AISTATS 2010).
    "he"               : normal, cut off at two standard deviations, of variance 2 / fan-in (as Keras has it).
    "normal"           : normal, of standard deviation 0.02; the bias tables of window attention too (AFUNet).
    "truncated-normal" : the same, cut off at two standard deviations but in transposed convolutions (DeepHDR).

    Biases are zero but with "framework". Other modules stay as they are, and so do layers with `fixed_start`, whose
    first values are the public code's.
    """
    if isinstance(module, WindowAttention) and how == "normal":
        nn.init.normal_(module.bias_table, std=0.02)
    if not isinstance(module, nn.Linear | _ConvNd) or getattr(module, "fixed_start", False):
        return
    weight = module.weight
    if how == "framework":
        (nn.Linear if isinstance(module, nn.Linear) else _ConvNd).reset_parameters(module)  # type: ignore[arg-type]
    elif how == "glorot":
        nn.init.xavier_uniform_(weight)
    elif how == "he":
        std = (2 / weight[0].numel()) ** 0.5 / CUT
        nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)
    elif how == "normal" or isinstance(module, nn.ConvTranspose2d):
        nn.init.normal_(weight, std=0.02)
    else:
        nn.init.trunc_normal_(weight, std=0.02, a=-0.04, b=0.04)
    if module.bias is not None and how != "framework":
        nn.init.zeros_(module.bias)
    if callable(settle := getattr(module, "settle", None)):  # spectral norm's vectors follow the kernel
        settle()
