"""Operations, memory traffic and memory of a step or prediction, counted on the real graph without computing anything.

Networks and batches are fake tensors: they have shapes, types and a device, and no values. Counted are

- FLOPs of convolutions and matrix products, forward and backward, two for a multiply-add. The bilinear sampling of the
  deformable convolution isn't among them: about 24 FLOPs for each sample, forward and backward, which is 0.9 GFLOP of
  stage 2's 702 for a patch of 256x256 at C = 32, or 0.13 %;
- bytes that operators read and write, each for itself, as PyTorch runs them without fusion. A compiler moves less; an
  operator that passes twice over its input, as GroupNorm does, moves more;
- bytes that the forward pass keeps for the backward pass.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from bench.nn import deform, windows
from bench.stages.cost.cost import Cost
from bench.train.learner import Learner
from methods.olc import codebook

ADAM = 28
"""Bytes that Adam moves for each parameter: reads it, its gradient and two moments, and writes all but the gradient."""


def training_step(
    build: Callable[[], tuple[Learner, Sequence[nn.Module]]],
    *,
    batch: int,
    size: int,
    step: int,
    precision: str = "fp32",
    parts: int = 1,
) -> Cost:
    """Count one step of the learner that `build` makes, all its phases with forward pass, backward pass and Adam.

    `build` returns the learner, and networks that are only its tools, such as the perceptual backbone.
    batch, size : patches in a batch, and their edge in pixels; the batch goes through in `parts`, one after another.
    step        : which step of the training, since parts of the loss join late.
    precision   : "fp32" or "bf16" under autocast. The CPU's rules stand for CUDA's, which keep a few more in fp32.
    """
    with FakeTensorMode(allow_non_fake_inputs=True), _as_on_a_gpu():
        learner, tools = build()
        modules = [*learner.networks.values(), *tools]
        trained = {
            name: [p for p in network.parameters() if p.requires_grad] for name, network in learner.networks.items()
        }
        trainable = sum(p.numel() for parameters in trained.values() for p in parameters)
        everything = sum(p.numel() for module in modules for p in module.parameters())
        frames, truth = torch.rand(batch // parts, 3, 6, size, size), torch.rand(batch // parts, 3, size, size)
        phases, counter, kept = [], _Counter(), [0]
        for phase in learner.networks:
            for name, parameters in trained.items():  # as in the training loop, gradients reach what the phase trains
                for parameter in parameters:
                    parameter.requires_grad_(name == phase)
            before = counter.flops
            with counter:
                with _saved(modules) as storages, torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                    terms = learner.losses(phase, frames, truth, step, slice(0, len(frames)))
                kept.append(sum(storage.nbytes() for storage in storages.values()))
                storages.clear()
                if terms:
                    torch.autograd.backward(torch.stack(list(terms.values())).sum())
            phases.append((phase, parts * (counter.flops - before)))
    traffic, operators = parts * counter.traffic + ADAM * trainable, parts * counter.operators
    saved, frozen = float(max(kept)), everything - trainable
    return Cost(tuple(phases), traffic, operators, saved, trainable, frozen, parts * counter.products)


def prediction(build: Callable[[], nn.Module], *, height: int, width: int) -> Cost:
    """Count one prediction from three whole frames in fp32.

    Each operation counts once: the overlapping strips that large maps go through keep them in a CPU's cache.
    """
    # Networks cut strips only where nothing needs gradients.
    with FakeTensorMode(allow_non_fake_inputs=True), _as_on_a_gpu(), torch.enable_grad():
        network = build().eval()
        with _Counter() as counter:
            network(torch.rand(1, 3, 6, height, width))
    size = sum(p.numel() for p in network.parameters())
    phases = (("prediction", counter.flops),)
    return Cost(phases, counter.traffic, counter.operators, 0.0, 0, size, counter.products)


def multiply_adds(network: nn.Module, *, height: int, width: int) -> int:
    """Count multiply-adds of one prediction in fp32; the network may be real, nothing is computed."""
    return int(prediction(lambda: network, height=height, width=width).flops // 2)


@contextmanager
def _as_on_a_gpu() -> Iterator[None]:
    """Let deformable convolutions, attention in windows and the search for codes take the path that they take on a GPU.

    The CPU's convolution looks at values, which fake tensors haven't, and moves less memory than what is priced here;
    its attention takes one row of windows after another, its search is in smaller chunks. Fake tensors on a GPU would
    be the other way, but PyTorch makes none where it was built without CUDA.

    Attention is counted as matrix products and softmax, for that is what a GPU runs: heads of the published networks
    have 10 or 18 channels, and the fused kernels that differentiate a bias ask for multiples of 4 (fp32) or 8 (bf16).
    """

    def whole(features: Tensor, offsets: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return deform._whole(features.float(), offsets.float(), mask.float(), weight, bias)

    def guided(layer: nn.Module, features: Tensor, guide: Tensor, predictor: nn.Module) -> Tensor:
        out: Tensor = layer(features, predictor(guide))
        return out

    def at_once(packs: Sequence[Tensor], bias: Tensor, grid: windows.WindowGrid) -> Tensor:
        with sdpa_kernel(SDPBackend.MATH):
            return windows._attend_at_once(packs, bias.to(packs[0].dtype), grid)

    with (
        patch.object(deform, "deform_conv3x3", whole),
        patch.object(deform.DeformConv3x3, "guided", guided),
        patch.object(windows, "attend_windows", at_once),
        patch.object(codebook, "SCORES_CPU", codebook.SCORES),
    ):
        try:
            yield
        finally:  # they keep what was made in here: fake tensors, which real networks would meet later
            windows.shifted_masks.cache_clear()
            windows.relative_positions.cache_clear()


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sum FLOPs by the formulas of PyTorch's own counter, and the bytes of inputs and outputs of every operator.

    One mode for both: PyTorch's counter beside it takes as long again.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops, self.traffic, self.operators, self.products = 0.0, 0.0, 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        # What asks a fake tensor for its device comes through here, too, thousands of times: no device runs that.
        if not func.is_view and func.namespace != "prim" and not func.__name__.startswith("empty"):
            tensors = [leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, Tensor)]
            # Of an expanded tensor less is in memory than its elements would take.
            self.traffic += sum(min(t.numel() * t.element_size(), t.untyped_storage().nbytes()) for t in tensors)
            self.operators += 1
        if (formula := flop_registry.get(func.overloadpacket)) is not None:
            self.flops += float(formula(*args, **kwargs, out_val=out))
            self.products += 1
        return out


@contextmanager
def _saved(modules: Iterable[nn.Module]) -> Iterator[dict[int, Any]]:
    """Note the storages of what autograd keeps, weights apart: they are there anyway."""
    held = {
        tensor.untyped_storage()._cdata for module in modules for tensor in (*module.parameters(), *module.buffers())
    }
    storages: dict[int, Any] = {}  # held, so that the key of one that is dropped isn't given to another

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in held:
            storages[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield storages
