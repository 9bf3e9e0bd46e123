"""Peaks of GPUs, from their makers' data sheets: what a training can at best reach."""

from collections.abc import Mapping
from typing import NamedTuple

from bench.core.errors import unknown_name


class Gpu(NamedTuple):
    """A GPU as its data sheet has it.

    label     : the product; `short` in tables.
    device    : words of the name that its driver reports; boards with other peaks under a like name lack them.
    tflops    : dense peak by precision, 10^12 FLOP/s; a multiply-add is two FLOPs.
    bandwidth : of its memory, 10^9 byte/s.
    memory    : 10^9 byte.
    """

    label: str
    device: str
    tflops: Mapping[str, float]
    bandwidth: float
    memory: float
    short: str


GPUS: Mapping[str, Gpu] = {
    # NVIDIA H100 Tensor Core GPU data sheet, column SXM; it prints tensor peaks with sparsity, which are halved here.
    "h100": Gpu("NVIDIA H100 SXM", "H100 80GB HBM3", {"bf16": 989, "tf32": 495, "fp32": 67}, 3350, 80, "H100"),
    # NVIDIA H200 Tensor Core GPU data sheet, column SXM: the H100's arithmetic with more and faster memory.
    "h200": Gpu("NVIDIA H200 SXM", "NVIDIA H200", {"bf16": 989, "tf32": 495, "fp32": 67}, 4800, 141, "H200"),
    # NVIDIA A100 Tensor Core GPU data sheet, column A100 80GB SXM.
    "a100": Gpu("NVIDIA A100 80GB SXM", "A100-SXM4-80GB", {"bf16": 312, "tf32": 156, "fp32": 19.5}, 2039, 80, "A100"),
    # NVIDIA Ada GPU architecture whitepaper, with the RTX 3090 Ti beside the RTX 4090. bf16 accumulates in fp32:
    # 80; the 160 that is often quoted is fp16 with fp16 accumulation, which PyTorch's convolutions don't use.
    # Check: 10,752 lanes x 2 x 1.86 GHz = 40.0 in fp32; tensor cores twice that in bf16 with fp32 accumulation.
    "3090ti": Gpu(
        "NVIDIA GeForce RTX 3090 Ti", "RTX 3090 Ti", {"bf16": 80, "tf32": 40, "fp32": 40}, 1008, 24, "3090 Ti"
    ),
}


def find(name: str) -> Gpu:
    """Return the GPU called `name`, as in --gpu; UsageError with near names if there is none."""
    if name not in GPUS:
        raise unknown_name("GPU", name, GPUS)
    return GPUS[name]


def recognise(device: str) -> Gpu | None:
    """Return the GPU whose driver calls itself `device`, or None where its peaks aren't known."""
    return next((gpu for gpu in GPUS.values() if gpu.device in device), None)
