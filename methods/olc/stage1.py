"""Stage 1: training of the VQGAN with one kind of image at a time."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.color.transfer import mu_law
from bench.core.optimisation import Stage1
from bench.core.seeding import derive, generator
from methods.olc.codebook import KINDS, codebook_losses
from methods.olc.discriminator import discriminator
from methods.olc.vqgan import VQGAN


def image_of_kind(frames: Tensor, truth: Tensor, kind: int) -> Tensor:
    """X = L_eta^2.2 / t_eta for kinds 0..2, else H: linear radiance (B, 3, H, W)."""
    return truth if kind == 3 else frames[:, kind, 3:]


class CodebookLearner:
    """Generator step, then discriminator step (from `adversarial_from` on)."""

    def __init__(self, vqgan: VQGAN, settings: Stage1, fidelity: nn.Module, seed: int) -> None:
        """`fidelity` compares reconstruction and image: L1 on T and the perceptual term, weighted."""
        self.vqgan, self.settings, self.fidelity, self.seed = vqgan, settings, fidelity, seed
        self.networks: dict[str, nn.Module] = {"generator": vqgan}
        self.rates = {"generator": settings.rate}
        if settings.weight_adversarial > 0:
            self.networks["discriminator"] = discriminator(settings.discriminator, settings.discriminator_width)
            self.rates["discriminator"] = settings.rate_discriminator
        self.first_quantised = round(settings.quantise_from * settings.steps)
        self.pair: tuple[Tensor, Tensor] | None = None
        self.book: Tensor | None = None

    def kinds(self, step: int, batch: int) -> Tensor | int:
        """Draw eta for a step: one kind for the batch, or (B,) kinds."""
        stream = generator(self.seed, "eta", step)
        if self.settings.eta == "per-batch":
            return int(stream.integers(len(KINDS)))
        return torch.from_numpy(stream.integers(len(KINDS), size=batch))

    def images(self, frames: Tensor, truth: Tensor, kinds: Tensor | int) -> Tensor:
        """Linear radiance (B, 3, H, W) of the drawn kinds."""
        if isinstance(kinds, int):
            return image_of_kind(frames, truth, kinds)
        every = torch.stack([image_of_kind(frames, truth, kind) for kind in range(len(KINDS))])
        return every[kinds.to(frames.device), torch.arange(len(frames), device=frames.device)]

    def losses(self, phase: str, frames: Tensor, truth: Tensor, step: int) -> dict[str, Tensor]:
        """Weighted terms of either phase; the discriminator judges the pair that the generator just made."""
        joined = "discriminator" in self.networks and step >= self.settings.adversarial_from * self.settings.steps
        if phase == "discriminator":
            return self._judge() if joined else {}
        self._initialise(frames, truth, step)
        if self.settings.lazy_codebook:
            self.book = self.vqgan.codebook.weight.detach().clone()
        kinds = self.kinds(step, len(frames))
        images = self.images(frames, truth, kinds)
        if step < self.first_quantised:
            radiance = self.vqgan.decoder(self.vqgan.encode(images))
            terms: dict[str, Tensor] = self.fidelity(radiance, images)
        else:
            result = self.vqgan(images, kinds.to(frames.device) if isinstance(kinds, Tensor) else kinds)
            radiance, terms = result.radiance, self.fidelity(result.radiance, images)
            losses = codebook_losses(result.features, result.quantised.codes, self.settings.beta)
            terms |= {name: self.settings.weight_codebook * term for name, term in losses.items()}
        real, fake = mu_law(images.float()), mu_law(radiance)
        if joined:
            terms["adversarial"] = (
                -self.settings.weight_adversarial * self.networks["discriminator"](fake).float().mean()
            )
        self.pair = (real, fake.detach())
        return terms

    @torch.no_grad()
    def updated(self, phase: str) -> None:
        """With `lazy_codebook`, give codes without gradient back what Adam's momentum moved them by."""
        weight = self.vqgan.codebook.weight
        if phase == "generator" and self.book is not None and weight.grad is not None:
            idle = (weight.grad == 0).all(1)
            weight[idle] = self.book[idle]

    def _initialise(self, frames: Tensor, truth: Tensor, step: int) -> None:
        """Draw the codes from the first batch that is quantised, where `init` is "data"."""
        if self.settings.init == "data" and step == self.first_quantised:
            initialise_from_data(self.vqgan, frames, truth, self.seed)

    def _judge(self) -> dict[str, Tensor]:
        """Hinge loss of the discriminator on the last real and reconstructed images."""
        assert self.pair is not None
        real, fake = (self.networks["discriminator"](images).float() for images in self.pair)
        return {"discriminator": 0.5 * (F.relu(1 - real).mean() + F.relu(1 + fake).mean())}


@torch.no_grad()
def initialise_from_data(vqgan: VQGAN, frames: Tensor, truth: Tensor, seed: int) -> None:
    """Fill each quarter of the book with encoder outputs of the kinds that OLC lets use it.

    The rule doesn't depend on the book's segments, so that vanilla and OLC start from the same codes.
    """
    users: Mapping[int, tuple[int, ...]] = {0: (0, 3), 1: (0, 1, 3), 2: (1, 2, 3), 3: (2, 3)}
    vectors = [
        vqgan.encode(image_of_kind(frames, truth, kind)).permute(0, 2, 3, 1).flatten(0, 2) for kind in range(len(KINDS))
    ]
    quarter = vqgan.codebook.size // 4
    for part, kinds in users.items():
        pool = torch.cat([vectors[kind] for kind in kinds])
        stream = torch.Generator().manual_seed(derive(seed, "codes", part))
        picks = torch.randint(len(pool), (quarter,), generator=stream)
        vqgan.codebook.weight[part * quarter : (part + 1) * quarter] = pool[picks]
