"""Stage 1: training of the VQGAN with one kind of image at a time."""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.color.transfer import mu_law
from bench.core.optimisation import Stage1
from bench.core.scene import IMAGE_KINDS
from bench.core.seeding import derive, generator
from bench.nn.losses import Fidelity
from methods.olc.codebook import codebook_losses
from methods.olc.discriminator import discriminator
from methods.olc.restarts import QUARTERS, Restarts
from methods.olc.vqgan import VQGAN

HDR = IMAGE_KINDS.index("H")


def image_of_kind(frames: Tensor, truth: Tensor, kind: int) -> Tensor:
    """X = L_eta^2.2 / t_eta for kinds 0..2, else H: linear radiance (B, 3, H, W)."""
    return truth if kind == HDR else frames[:, kind, 3:]


def alone(tensor: Tensor) -> Tensor:
    """Gather in a training by one process: the tensor itself."""
    return tensor


def nothing() -> dict[str, float]:
    """Measure nothing."""
    return {}


class CodebookLearner:
    """Generator step, then discriminator step (from `adversarial_from` on)."""

    def __init__(
        self,
        vqgan: VQGAN,
        settings: Stage1,
        fidelity: Fidelity,
        seed: int,
        *,
        gather: Callable[[Tensor], Tensor] = alone,
        held_out: Callable[[], dict[str, float]] = nothing,
    ) -> None:
        """Train `vqgan`.

        fidelity : compares reconstruction and image: L1 on T and the perceptual term, weighted.
        gather   : concatenates a tensor of all processes along its first axis, in their order.
        held_out : measures the codebook on held-out images, every `observe_every` steps.
        """
        self.vqgan, self.settings, self.fidelity, self.seed = vqgan, settings, fidelity, seed
        self.gather, self.held_out = gather, held_out
        networks: dict[str, nn.Module] = {"generator": vqgan}
        if settings.weight_adversarial > 0:
            networks["discriminator"] = discriminator(settings.discriminator, settings.discriminator_width).eval()
        self.networks: Mapping[str, nn.Module] = networks
        self.first_quantised = round(settings.quantise_from * settings.steps)
        self.restarts = Restarts(vqgan.codebook, settings.restart_every, settings.restart_below, seed)
        self.pairs: dict[int, tuple[Tensor, Tensor]] = {}
        self.judged = False
        self.before: Tensor | None = None

    def kinds(self, step: int, batch: int) -> Tensor | int:
        """Draw eta for a step: one kind for the batch, or (B,) kinds of the whole batch."""
        if self.settings.images == "hdr":
            return HDR
        stream = generator(self.seed, "eta", step)
        if self.settings.eta == "per-batch":
            return int(stream.integers(len(IMAGE_KINDS)))
        return torch.from_numpy(stream.integers(len(IMAGE_KINDS), size=batch))

    def images(self, frames: Tensor, truth: Tensor, kinds: Tensor | int) -> Tensor:
        """Linear radiance (B, 3, H, W) of the drawn kinds."""
        if isinstance(kinds, int):
            return image_of_kind(frames, truth, kinds)
        every = torch.stack([image_of_kind(frames, truth, kind) for kind in range(len(IMAGE_KINDS))])
        return every[kinds.to(frames.device), torch.arange(len(frames), device=frames.device)]

    @torch.no_grad()
    def prepare(self, frames: Tensor, truth: Tensor, step: int, samples: slice) -> list[tuple[nn.Parameter, Tensor]]:
        """Draw codes from data where it is time for it; returns the codes that were overwritten."""
        weight, filled = self.vqgan.codebook.weight, None
        self.judged = False
        self.restarts.to_device(weight.device)
        if self.settings.init == "data" and step == self.first_quantised:
            self._initialise(frames, truth)
            filled = torch.ones(len(weight), dtype=torch.bool, device=weight.device)
        elif step > self.first_quantised:
            self.restarts.mark_dead(step - self.first_quantised)
            kinds = self.kinds(step, self.settings.batch)
            everywhere = torch.full((self.settings.batch,), kinds) if isinstance(kinds, int) else kinds
            images = self.images
            filled = self.restarts.refill(
                step, everywhere, lambda: self._encode(images(frames, truth, _share(kinds, samples)))
            )
        if self.settings.lazy_codebook:
            self.before = weight.detach().clone()
        return [] if filled is None else [(weight, filled)]

    def losses(self, phase: str, frames: Tensor, truth: Tensor, step: int, samples: slice) -> dict[str, Tensor]:
        """Weighted terms of either phase; the discriminator judges the pairs that the generator just made."""
        joined = "discriminator" in self.networks and step >= self.settings.adversarial_from * self.settings.steps
        if phase == "discriminator":
            return self._judge(samples.start) if joined else {}
        kinds = _share(self.kinds(step, self.settings.batch), samples)
        images = self.images(frames, truth, kinds)
        if step < self.first_quantised:
            radiance = self.vqgan.decoder(self.vqgan.encode(images))
            terms: dict[str, Tensor] = self.fidelity(radiance, images)
        else:
            result = self.vqgan(images, kinds.to(frames.device) if isinstance(kinds, Tensor) else kinds)
            radiance, terms = result.radiance, self.fidelity(result.radiance, images)
            losses = codebook_losses(result.features, result.quantised.codes, self.settings.beta)
            terms |= {name: self.settings.weight_codebook * term for name, term in losses.items()}
            if self.settings.restart_every:
                self.restarts.count(result.quantised.indices)
        if joined:
            real, fake = mu_law(images.float()), mu_law(radiance)
            score = self.networks["discriminator"](fake).float().mean()
            terms["adversarial"] = -self.settings.weight_adversarial * score
            self.pairs[samples.start] = real, fake.detach()
        return terms

    @torch.no_grad()
    def updated(self, phase: str) -> None:
        """Add up hits; with `lazy_codebook`, give codes without gradient back what Adam's momentum moved them by."""
        weight = self.vqgan.codebook.weight
        if phase == "discriminator":
            self.pairs.clear()
        elif weight.grad is not None:
            if self.before is not None:
                idle = (weight.grad == 0).all(1, keepdim=True)
                weight.copy_(torch.where(idle, self.before, weight))
            if self.settings.restart_every:
                self.restarts.add_up(self.gather)

    def observe(self, step: int) -> dict[str, float]:
        """Measure the codebook on held-out images."""
        return self.held_out()

    def state(self) -> dict[str, Tensor]:
        """Counts of restarts, and within a step the pairs that the discriminator hasn't judged yet."""
        pairs = {f"pair.{start}": torch.stack(pair) for start, pair in self.pairs.items()}
        return {**self.restarts.state(), **pairs}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take counts and pairs back."""
        self.restarts.load_state(state)
        pairs = {name.removeprefix("pair."): pair for name, pair in state.items() if name.startswith("pair.")}
        self.pairs |= {int(start): (pair[0], pair[1]) for start, pair in pairs.items()}

    def compile(self, mode: str) -> None:
        """Compile E, D and the discriminator; the look-up changes its shape with eta and stays eager.

        `mode` is ignored: in CUDA graphs the discriminator's second call would overwrite the first one's output.
        """
        for network in (self.vqgan.encoder, self.vqgan.decoder, self.networks.get("discriminator")):
            if network is not None:
                network.compile(dynamic=False)

    def _judge(self, start: int) -> dict[str, Tensor]:
        """Hinge loss of the discriminator on the real and reconstructed images of one part.

        A spectral norm takes its power iteration in training mode: once a step, however many parts there are.
        """
        discriminator, pair = self.networks["discriminator"].train(not self.judged), self.pairs[start]
        self.judged = True
        # One pass over both takes less time than two; no layer mixes the images of a batch.
        real, fake = discriminator(torch.cat(pair)).float().chunk(2)
        discriminator.eval()
        return {"discriminator": 0.5 * (F.relu(1 - real).mean() + F.relu(1 + fake).mean())}

    def _encode(self, images: Tensor) -> Tensor:
        """Encode this process's images part by part; returns those of the whole batch, in its order."""
        size = max(len(images) // self.settings.accumulate, 1)
        return self.gather(torch.cat([self.vqgan.encode(part).float() for part in torch.split(images, size)]))

    def _initialise(self, frames: Tensor, truth: Tensor) -> None:
        """Fill each quarter with encoder outputs of the kinds that OLC lets use it, and that are trained.

        The rule doesn't depend on the codebook's segments, so that vanilla and OLC start from the same codes.
        """
        users: Mapping[int, tuple[int, ...]] = {0: (0, 3), 1: (0, 1, 3), 2: (1, 2, 3), 3: (2, 3)}
        trained = (HDR,) if self.settings.images == "hdr" else range(len(IMAGE_KINDS))
        vectors = {
            kind: self._encode(image_of_kind(frames, truth, kind)).permute(0, 2, 3, 1).flatten(0, 2) for kind in trained
        }
        book, size = self.vqgan.codebook, self.vqgan.codebook.size // QUARTERS
        for part, kinds in users.items():
            pool = torch.cat([vectors[kind] for kind in kinds if kind in vectors])
            stream = torch.Generator().manual_seed(derive(self.seed, "codes", part))
            picks = torch.randint(len(pool), (size,), generator=stream)
            book.weight[part * size : (part + 1) * size] = pool[picks.to(pool.device)]


def _share(kinds: Tensor | int, samples: slice) -> Tensor | int:
    return kinds if isinstance(kinds, int) else kinds[samples]
