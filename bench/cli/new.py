"""`new`: a starting point for a profile or a method, which loads, runs and passes the tests as it is written."""

import os
import re
import shutil
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.settings import find_profile, workplace
from bench.core.errors import UsageError, unknown_name
from bench.core.reading import read_text

app = typer.Typer(
    help="Write a starting point for a profile or a method.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)

PROFILE = """\
# {name}: two methods without training on views of the shipped panoramas. `list methods` tells what else there is. What
# isn't named here keeps its default: bench/core/{{params,optimisation,patching,simulation}}.py.
# After a change: python -m bench --params {file} plan
profile: {name}
threads: 2
sensitivity: [whole-float]
datasets: {{panoramas: {{}}}}
simulate: {{train_views: 1, test_views: 2, no_truth_scenes: 1}}
evaluate: [panoramas]
variants:
  reference-only: {{method: reference-only}}
  triangle-merge: {{method: triangle-merge}}
tables: {{"1": {{rows: [triangle-merge]}}, floors: [reference-only], crops: [reference-only, triangle-merge]}}
# For methods that train, take the # off the next six lines, and add `my-net: {{method: my-net}}` to the variants and
# my-net to the rows. This is tiny: a minute or two of two cores for most networks. The demo's have preset demo, patches
# of 64 and 1500 steps, up to ten minutes each; what a GPU would take says:
# python -m bench --params {file} cost estimate
# preset: smoke
# head: rule-residual
# train: {{panoramas: [0]}}
# patches: {{size: 32, stride: 16}}
# perceptual: {{backbone: none}}
# stage2: {{steps: 150, batch: 4, lr: 0.001, schedule: one-cycle}}
# With this head networks start from what the method brighter-where-clipped gives: with a variant of that name, Table 1
# shows what they gain over it. Where nothing is said of `perceptual`, VGG-16's weights are downloaded for the loss.
"""

PLAIN = '''\
"""{label}: say in a line what it does."""

import numpy as np

from bench.core.method import method
from bench.core.scene import Radiance, Scene


@method("{name}", label="{label}", cites="you: Your paper, {year}", trains=False)
class {cls}:
    """A plain mean of the frames: replace it."""

    def predict(self, scene: Scene) -> Radiance:
        """Return (H, W, 3) float32, relative radiance; `scene.linear` is (N, H, W, 3), short to long."""
        return np.asarray(scene.linear.mean(0), dtype=np.float32)
'''

LEARNED = '''\
"""{label}: say in a line what it does."""

import torch
from torch import Tensor, nn

from bench.core.method import method
from bench.nn.blocks import Head, HdrNetwork, conv


@method(
    "{name}",
    label="{label}",
    cites="you: Your paper, {year}",
    trains=True,
    heads=("published", "mu-residual", "rule-residual"),
    presets={{"published": {{"channels": 64}}, "demo": {{"channels": 16}}, "smoke": {{"channels": 4}}}},
    overlap=8,  # pixels that the network looks beyond its own; multiple=N for one whose strides multiply to N
    recipe={{"lr": 1e-4, "batch": 8, "loss": "L1 on mu-law"}},
)
class {cls}(HdrNetwork):
    """Two convolutions over the stacked frames: replace them."""

    def __init__(self, *, channels: int, head: str = "published") -> None:
        """Keep `channels` features."""
        super().__init__()
        self.body = nn.Sequential(conv(18, channels), nn.ReLU(), conv(channels, channels), nn.ReLU())
        self.head = Head(channels, head)

    def forward(self, frames: Tensor) -> Tensor:
        """Frames (B, 3, 6, H, W), short to long, [LDR RGB, linear RGB], to linear radiance (B, 3, H, W)."""
        radiance: Tensor = self.head(self.body(torch.flatten(frames, 1, 2)), frames)
        return radiance
'''


@app.command()
def profile(
    name: str,
    like: Annotated[str | None, typer.Option(help="A profile to copy.")] = None,
    dataset: Annotated[str | None, typer.Option(help="With --like: in place of the set that it trains on.")] = None,
) -> None:
    """Write profiles/NAME: a parameter file of a dozen lines or another's, its plan, and the link to the pipeline.

    Example: python -m bench new profile day-hu --like day --dataset hu
    """
    _check_name(name)
    if dataset is not None and like is None:
        raise UsageError("--dataset goes with --like, the profile whose data set it replaces.")
    with workplace():
        from bench.core.params import load
        from bench.stages import plan

        folder = Path("profiles") / name
        file = folder / "params.yaml"
        if folder.exists():
            raise UsageError(f"{folder} exists; choose another name, or change {file}.")
        text = PROFILE.format(name=name, file=file) if like is None else _copied(name, find_profile(like), dataset)
        folder.mkdir(parents=True)
        try:
            file.write_text(text, encoding="utf-8")
            (folder / "dvc.yaml").symlink_to(os.path.relpath("dvc.yaml", folder))
            plan.write(load(file))
        except BaseException:  # the other profile may not be sound, or not with this data set
            shutil.rmtree(folder)
            raise
    print(f"{file} is written; run it with: dvc repro {folder / 'dvc.yaml'}")


def _copied(name: str, file: Path, dataset: str | None) -> str:
    """Return a profile's parameter file under another name and, if it is to be, with another data set."""
    from bench.core.params import load
    from bench.core.registry import datasets

    text = re.sub(r"(?m)^profile: .*$", f"profile: {name}", read_text(file), count=1)
    if dataset is None:
        return text
    if dataset not in datasets:
        raise unknown_name("dataset", dataset, datasets)
    if not {"train", "test"} <= {*datasets[dataset].splits.values()}:
        raise UsageError(f"{dataset} can't be trained and tested on: it has no such splits; see: list datasets")
    used = list(load(file).datasets)
    if len(used) != 1:
        raise UsageError(f"{file} uses {', '.join(used)}; --dataset replaces the one set of a profile that has one.")
    return re.sub(rf"(?<![\w-]){re.escape(used[0])}(?![\w-])", dataset, text)


@app.command()
def method(
    name: str,
    plain: Annotated[
        bool, typer.Option("--plain", help="Without training: code that turns a scene into radiance.")
    ] = False,
) -> None:
    """Write methods/NAME.py: a network that trains as it is, or with --plain code that needs no training.

    Example: python -m bench new method hat-merge --plain
    """
    from datetime import date

    _check_name(name)
    with workplace():
        from bench.core.registry import methods

        file = Path("methods") / f"{name.replace('-', '_')}.py"
        if name in methods or file.exists() or file.with_suffix("").exists():
            raise UsageError(f"there is a method called {name!r} or a file {file}; choose another name.")
        words = name.split("-")
        names = {"name": name, "label": " ".join(words).capitalize(), "cls": "".join(w.capitalize() for w in words)}
        file.write_text((PLAIN if plain else LEARNED).format(**names, year=date.today().year), encoding="utf-8")
    has = "`evaluate`" if plain else "`train` and `evaluate`"
    print(f"{file} is written. To see it in Table 1, put into a parameter file that has {has}:")
    print(f'variants:\n  {name}: {{method: {name}}}\nand {name} among the rows of tables: "1".')
    compared = "" if plain else ", which look for the figures of its recipe in tests/methods/recipes.csv"
    print(f"Its tests{compared}: python -m pytest tests/methods -k {name}")


def _check_name(name: str) -> None:
    # It becomes a file, a module and a word of a command line.
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or len(name) > 50:
        raise UsageError(f"{name!r}: expected small letters, digits and single hyphens, such as hat-merge, up to 50.")
