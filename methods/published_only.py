"""Methods of the paper's Table 1 that nobody can run: their code isn't public, and no text describes them in full.

Their rows hold the paper's numbers under its dagger and are never ranked against measured ones.
"""

from bench.core.method import method


@method(
    "transhdr",
    label="TransHDR",
    cites="Song et al.: Selective TransHDR: Transformer-Based Selective HDR Imaging Using Ghost Region Mask, ECCV 2022",
    trains=False,
    unavailable="no public code (the paper's dagger); its blocks aren't described in full",
)
class TransHDR:
    """A ghost mask tells a transformer where to act."""


@method(
    "hft",
    label="HFT",
    cites="Chen et al.: Improving Dynamic HDR Imaging with Fusion Transformer, AAAI 2023",
    trains=False,
    unavailable="no public code (the paper's dagger); its blocks aren't described in full",
)
class HFT:
    """Alignment, fusion by a transformer module, reconstruction."""


@method(
    "hyhdrnet",
    label="HyHDRNet",
    cites="Yan et al.: A Unified HDR Imaging Method with Pixel and Patch Level, CVPR 2023",
    trains=False,
    unavailable="no public code (the paper's dagger); block counts and widths are in no text at hand",
)
class HyHDRNet:
    """Patch aggregation and ghost attention exchanged by gates, then deformable transformer blocks."""
