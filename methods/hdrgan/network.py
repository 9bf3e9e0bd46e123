"""HDR-GAN (Niu et al., TIP 2021): nested decoder on reference-based merges at three scales, in the mu-law domain."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.color.transfer import mu_law, mu_law_inverse
from bench.core.method import method
from bench.core.optimisation import Stage2
from bench.nn.blocks import HdrNetwork, Head, full_precision
from bench.nn.losses import Fidelity
from bench.nn.published import fill_tensorflow
from bench.nn.tiling import pad_reflect
from methods.hdrgan.adversarial import AdversarialLearner, PatchDiscriminator
from methods.hdrgan.spectral import ReflectedConv2d, ReflectedSpectralConv2d

REFERENCE = 1
"""Index of the reference among the three frames."""


class ResidualUnit(nn.Module):
    """Two convolutions, ReLU between, plus the input, ReLU; a convolution 1x1 where the input has other channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Map `inputs` to `outputs` channels."""
        super().__init__()
        self.first, self.second = ReflectedSpectralConv2d(inputs, outputs), ReflectedSpectralConv2d(outputs, outputs)
        self.shortcut = ReflectedSpectralConv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, H, W)."""
        inner = self.second(torch.relu_(self.first(features)))
        return torch.relu_(inner + self.shortcut(features))


class Encoder(nn.Module):
    """A residual unit at every scale; a convolution of stride 2 and ReLU between."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        """`channels` of the scales, the finest first."""
        super().__init__()
        widths = zip((6, *channels[:-1]), channels, strict=True)
        self.units = nn.ModuleList(ResidualUnit(inputs, outputs) for inputs, outputs in widths)
        self.downs = nn.ModuleList(ReflectedSpectralConv2d(width, width, 3, 2) for width in channels[:-1])

    def forward(self, frame: Tensor) -> list[Tensor]:
        """(B, 6, H, W) in [-1, 1] to maps (B, C_i, H / 2^i, W / 2^i)."""
        maps = [self.units[0](frame)]
        for down, unit in zip(self.downs, self.units[1:], strict=True):
            maps.append(unit(torch.relu_(down(maps[-1]))))
        return maps


class Merge(nn.Module):
    """Four dilated convolutions on the joined frames; their result is added to the reference's features."""

    def __init__(self, channels: int) -> None:
        """Merge three maps of `channels`."""
        super().__init__()
        widths = (3 * channels, channels, channels, channels)
        self.convs = nn.ModuleList(ReflectedSpectralConv2d(width, channels, dilation=2) for width in widths)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Three (B, C, h, w), short to long, to (B, C, h, w)."""
        features = torch.cat(maps, 1)
        for conv in self.convs[:-1]:
            features = torch.relu_(conv(features))
        return torch.relu_(self.convs[-1](features) + maps[REFERENCE])


class Up(ReflectedConv2d):
    """Every pixel repeated to 2x2, a convolution without spectral norm, ReLU."""

    def forward(self, features: Tensor) -> Tensor:
        """(B, C_in, h, w) to (B, C_out, 2h, 2w)."""
        return torch.relu_(super().forward(F.interpolate(features, scale_factor=2.0, mode="nearest")))


class Generator(nn.Module):
    """The authors' network: three encoders, a merge at every scale, a nested decoder with an output at each stage.

    Node (j, i) of the decoder, at scale i, sees node (j - 1, i + 1) upsampled, the merge and the reference at its scale
    and all earlier nodes there; nodes (0, i) are the merges.
    """

    def __init__(self, channels: tuple[int, ...], head: str = "published") -> None:
        """`channels` of the scales, the finest first; `head` makes the outputs."""
        super().__init__()
        self.depth = len(channels)
        self.encoders = nn.ModuleList(Encoder(channels) for _ in range(3))
        self.merges = nn.ModuleList(Merge(width) for width in channels)
        self.ups, self.nodes, self.outputs = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleList()
        for stage in range(1, self.depth):
            for scale in range(self.depth - stage):
                width = channels[scale]
                self.ups[f"{stage - 1}{scale + 1}"] = Up(channels[scale + 1], width)
                self.nodes[f"{stage}{scale}"] = ResidualUnit((stage + 2) * width, width)
            # All outputs alike: one that had to find the whole image would rule the features that another adds to.
            own = ReflectedSpectralConv2d(channels[0], 3, 1) if head == "published" else Head(channels[0], head)
            self.outputs.append(own)

    def forward(self, frames: Tensor) -> list[Tensor]:
        """Frames (B, 3, 6, H, W), sides multiples of 2^(depth - 1), both halves in [-1, 1], the second mu-law encoded.

        Returns mu-law images (B, 3, H, W) in (-1, 1), the final one last.
        """
        encoded = [encode(frames[:, i]) for i, encode in enumerate(self.encoders)]
        # Not by index: a comprehension that holds `encoded` makes of `del` what PyTorch 2.13 can't compile.
        scales = zip(*encoded, strict=True)
        known = [[merge(list(maps)), maps[REFERENCE]] for merge, maps in zip(self.merges, scales, strict=False)]
        del encoded, scales
        images, below = [], [maps[0] for maps in known]
        for stage, output in enumerate(self.outputs, 1):
            nodes = []
            for scale in range(self.depth - stage):
                wider = self.ups[f"{stage - 1}{scale + 1}"](below[scale + 1])
                nodes.append(self.nodes[f"{stage}{scale}"](torch.cat([wider, *known[scale]], 1)))
                known[scale].append(nodes[-1])
            images.append(self._image(output, nodes[0], frames))
            below = nodes
        return images

    @staticmethod
    def _image(output: nn.Module, features: Tensor, frames: Tensor) -> Tensor:
        """Return the mu-law image in [-1, 1] that an output makes of features; `frames` as `forward` gets them."""
        if isinstance(output, Head):
            unit = (frames + 1) / 2
            linear = mu_law_inverse(unit[:, :, 3:])
            return 2 * mu_law(output(features, torch.cat([unit[:, :, :3], linear], 2))) - 1
        with full_precision(features):
            return torch.tanh(output(features.to(next(output.parameters()).dtype)))


@method(
    "hdr-gan",
    label="HDR-GAN",
    cites="Niu et al.: HDR-GAN: HDR Image Reconstruction from Multi-Exposed LDR Images with Large Motions, TIP 2021",
    trains=True,
    heads=("published", "mu-residual", "rule-residual"),
    presets={
        "published": {"channels": [32, 64, 128]},
        "demo": {"channels": [12, 16, 24]},
        "smoke": {"channels": [4, 4, 4]},
    },
    multiple=4,
    overlap=64,
    conventions={
        "channels": "[LDR, T(linear)]",
        "colours": "RGB",
        "divisor": "255: files are read as 8 bit",
        "input": "both halves taken to [-1, 1]",
        "output": "tanh, a mu-law image in [-1, 1]",
        "spectral norm": "one power step from the stored vectors for every image, not stored",
        "tiles": "none; 960x1440",
    },
    recipe={
        "loss": "L1 on T in [-1, 1], plus 1 x the sphere-GAN distance (three moments) from a patch discriminator, both "
        "for each output",
        "lr": 1e-4,
        "batch": 2,
        "patch": 512,
        "per_scene": 1,
        "augment": True,
        "clip": 1.0,
        "clip_by": "value",
        "initialisation": "he",
        "differs": "length ours: the public command says 256,000 epochs of 37 steps, and its ablations keep what 80, "
        "251, 328 and 501 thousand steps gave. The discriminator learns from the generator's batch, theirs from the "
        "next one; its spectral norms store a power step once a step, theirs whenever it judges",
    },
)
class HdrGan(HdrNetwork):
    """The generator between linear frames and linear radiance.

    Spectral norm takes a power step in every forward. In training mode the step is stored. In evaluation mode it isn't,
    so that a prediction depends neither on earlier ones nor on tiles: every image gets what the public test script
    gives its first one. After `load_published`, and wherever `store_steps` says so, it is stored in evaluation mode
    too, as in the public graph, whose outputs drift from image to image until the vectors have converged; weights that
    were saved and read again don't drift. `settle` converges the vectors.
    """

    least_patch = PatchDiscriminator.least
    """Shortest side of a patch that `learner` trains on, in pixels."""

    def __init__(self, *, channels: Sequence[int], head: str = "published") -> None:
        """The authors' size is 32, 64 and 128 channels: 2,557,382 parameters; a head of ours makes all outputs."""
        super().__init__()
        self.generator = Generator(tuple(channels), head)
        self.multiple = 1 << len(channels) - 1

    def forward(self, frames: Tensor) -> Tensor:
        """Frames (B, 3, 6, H, W) to linear radiance (B, 3, H, W)."""
        return mu_law_inverse(self.images(frames)[-1])

    def images(self, frames: Tensor) -> list[Tensor]:
        """Frames (B, 3, 6, H, W) to the mu-law images (B, 3, H, W) in [0, 1] of all outputs, the final one last.

        Sides are reflected to multiples that the scales divide, and at least three pixels at the coarsest one.
        """
        height, width = frames.shape[-2:]
        padded = pad_reflect(frames, self.multiple if min(height, width) > 2 * self.multiple else 3 * self.multiple)
        encoded = torch.cat([padded[:, :, :3], mu_law(padded[:, :, 3:])], 2)
        return [(image[..., :height, :width] + 1) / 2 for image in self.generator(2 * encoded - 1)]

    def losses(
        self, frames: Tensor, truth: Tensor, fidelity: nn.Module, weights: Mapping[str, float]
    ) -> dict[str, Tensor]:
        """Compare all outputs; frames (B, 3, 6, H, W), truth (B, 3, H, W)."""
        return self.compare(self.images(frames), truth, fidelity)

    @staticmethod
    def compare(images: Sequence[Tensor], truth: Tensor, fidelity: nn.Module) -> dict[str, Tensor]:
        """Return the fidelity of the final one among mu-law images, and the L1 on T of the earlier ones, summed."""
        terms: dict[str, Tensor] = fidelity(mu_law_inverse(images[-1]), truth)
        target = mu_law(truth.float())
        earlier = [F.l1_loss(image.float(), target) for image in images[:-1]]
        return terms | {"supervision": torch.stack(earlier).sum()} if earlier else terms

    def learner(self, settings: Stage2, fidelity: Fidelity) -> AdversarialLearner:
        """Return the published training: generator, then discriminator."""
        return AdversarialLearner(self, settings, fidelity)

    def store_steps(self, when: Literal["training", "always"]) -> None:
        """Say when power steps are stored: while training alone, or in every forward as in the public graph."""
        for part in self.modules():
            if isinstance(part, ReflectedSpectralConv2d):
                part.steps = when

    def settle(self, iterations: int = 100) -> None:
        """Take so many power steps with the present weights; predictions then store none."""
        self.store_steps("training")
        for part in self.modules():
            if isinstance(part, ReflectedSpectralConv2d):
                part.settle(iterations)

    @staticmethod
    def load_published(network: nn.Module, state: Mapping[str, Any]) -> None:
        """Fill the generator from the variables of the authors' TensorFlow 1 graph, which is how it then behaves.

        That is, power steps are stored in every forward (see the class).
        """
        names, others = _published_names(network), r"PatchDiscriminator/|alpha/|lr/val$|tensorkit/"
        fill_tensorflow(network, names, state, label="HDR-GAN", ignored=others)
        if isinstance(network, HdrGan):
            network.store_steps("always")


_UNIT = {"first": "cov_0", "second": "cov_1", "shortcut": "cov_btn"}


def _published_names(network: nn.Module) -> dict[str, str]:
    """Our names to the authors'."""
    names = {}
    for ours in network.state_dict():
        *module, tensor = ours.removeprefix("generator.").split(".")
        names[ours] = f"UnetppGeneratorS/{_place(module)}/{'kernel' if tensor == 'weight' else tensor}"
    return names


def _place(module: list[str]) -> str:
    """Return the authors' name of one of the generator's layers."""
    match module:
        case ["encoders", frame, "units", scale, layer]:
            return f"backbone_{frame}/SR_{scale}/{_UNIT[layer]}"
        case ["encoders", frame, "downs", scale]:
            return f"backbone_{frame}/down_{scale}"
        case ["merges", scale, "convs", layer]:
            return f"merge/merge_net_{scale}/{'cov4' if layer == '3' else f'cov_{int(layer) + 1}'}"
        case ["ups", node]:
            return f"merge/up_{node[1:]}" if node[0] == "0" else f"decoders/up_{node}"
        case ["nodes", node, layer]:
            return f"decoders/SR_{node}/{_UNIT[layer]}"
        case _:
            return f"output_{int(module[-1]) + 1}"
