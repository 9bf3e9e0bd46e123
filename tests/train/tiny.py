"""Both stages of training at their smallest, with every option of the engine on, for tests and their processes."""

import torch

from bench.core.optimisation import Stage1, Stage2
from bench.core.registry import methods
from bench.io.container import read_scene
from bench.nn.losses import Fidelity
from bench.train.checkpoint import Checkpoint
from bench.train.learner import HdrLearner
from bench.train.loop import fit, seed_parameters
from bench.train.parallel import ALONE
from bench.train.patches import PatchStream
from methods.olc.stage1 import CodebookLearner
from methods.olc.vqgan import VQGAN


class Stopped(Exception):
    """Interrupts a training."""


class Interrupted(PatchStream):
    """A stream that calls `stop`, by default to raise Stopped, when sample `at` is asked for."""

    at = -1

    def stop(self):
        raise Stopped

    def cut(self, number, out):
        if number == self.at:
            self.stop()
        super().cut(number, out)


def same(one, other):
    """Tell if two states are equal to the last bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


EVERY_OPTION = {
    "init": "data", "quantise_from": 0.2, "restart_every": 2, "restart_below": 3, "eta": "per-sample",
    "lazy_codebook": True, "discriminator": "unet-sn", "discriminator_width": 8, "adversarial_from": 0.4,
    "ema": 0.9, "accumulate": 2, "clip": 1.0, "observe_every": 2,
}  # fmt: skip
BASE = {"steps": 10, "batch": 4, "lr": 1e-3, "checkpoint_every": 2, "log_every": 2}


def stage1(scene, folder, group=ALONE, gather=None, **changes):
    """Train a codebook of 16 codes; returns all weights and counts by name, and the learning curve."""
    settings = Stage1(**{**BASE, "lr_discriminator": 1e-3, "discriminator_width": 8, **changes})
    vqgan = VQGAN(channels=4, codes=16, segments="olc", encoder_blocks=1, decoder_blocks=1, middle_blocks=0)
    seed_parameters(vqgan, 0)
    learner = CodebookLearner(
        vqgan, settings, Fidelity(None, 0.0), 7, gather=gather or group.gather,
        held_out=lambda: {"norm": float(vqgan.codebook.weight.detach().square().sum())},
    )  # fmt: skip
    for network in list(learner.networks.values())[1:]:
        seed_parameters(network, 1)
    return train(learner, settings, scene, folder, group)


def stage2(scene, folder, group=ALONE, **changes):
    """Train row 7 on a book of random codes; returns all weights by name, and the learning curve."""
    settings = Stage2(**{**BASE, "weight_perceptual": 0.0, **changes})
    network = methods["olc"].build("smoke", vqgan={"codes": 16, "segments": "olc"})
    seed_parameters(network, 0)
    with torch.no_grad():
        network.vqgan.codebook.weight.mul_(16)  # the drawn codes all but coincide
    network.calibrate()
    return train(HdrLearner(network, settings, None), settings, scene, folder, group)


def dropping(scene, folder, group=ALONE, **changes):
    """Train a CA-ViT with much stochastic depth; returns all weights by name, and the learning curve."""
    settings = Stage2(**{**BASE, "weight_perceptual": 0.0, **changes})
    network = methods["cavit"].build("smoke", drop=0.5)
    seed_parameters(network, 0)
    torch.manual_seed(0)
    return train(HdrLearner(network, settings, None), settings, scene, folder, group)


def train(learner, settings, scene, folder, group):
    stream = PatchStream([scene], size=32, stride=8, augment=True, seed=0)
    curve = fit(
        learner, stream, settings, Checkpoint(folder), label="tiny", device=torch.device("cpu"), group=group
    )  # fmt: skip
    states = {f"{part}.{name}": v for part, n in learner.networks.items() for name, v in n.state_dict().items()}
    return {**states, **learner.state()}, curve


def prepare(path):
    """Compute with one thread, in silence; returns the scene at `path`."""
    from bench.core import progress

    progress.quiet = True
    torch.set_num_threads(1)
    return read_scene(path)
