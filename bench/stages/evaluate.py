"""Evaluate: predict the scenes of a dataset with one run, and score them under the profile's protocol."""

from collections.abc import Callable, Iterator

import torch

from bench.core.errors import unknown_name
from bench.core.params import Params
from bench.core.progress import track
from bench.core.registry import datasets, methods, protocols
from bench.core.scene import Radiance, Scene
from bench.data.patches import to_network
from bench.io.radiance import write_exr
from bench.io.tables import ScoreRow, write_scores
from bench.nn.tiling import predict
from bench.stages import layout, networks, training

Predictor = Callable[[Scene], Radiance]

SPLITS = ("test", "no-truth")
"""Roles of the splits that are predicted; only test scenes can be scored."""


def run(params: Params, cell: str, limit: int | None = None) -> None:
    """Write predictions (EXR) and score rows of evaluation `cell`, a key of the parameter file.

    `limit` stops after as many scenes of each split, for a quick look.
    """
    if cell not in params.evaluations:
        raise unknown_name("evaluation", cell, params.evaluations)
    entry = params.evaluations[cell]
    predictor, row = _predictor(params, entry.run), _row(params, entry.run, entry.dataset)
    protocol, rows = protocols[params.protocol], []
    for split, scene in track(_scenes(params, entry.dataset, limit), 0, f"evaluate {cell}"):
        radiance = predictor(scene)
        write_exr(layout.predictions(params, entry.run, entry.dataset) / split / f"{scene.id}.exr", radiance)
        if scene.radiance is not None:
            scores = protocol.evaluate_scene(radiance, scene)
            rows += [row._replace(scene=scene.id, metric=name, value=value) for name, value in scores.items()]
    write_scores(layout.scores(params, cell), rows)


def _scenes(params: Params, dataset: str, limit: int | None) -> Iterator[tuple[str, Scene]]:
    for split, role in datasets[dataset].splits.items():
        if role in SPLITS:
            for scene in training.read_split(params, dataset, split)[:limit]:
                yield split, scene


def _predictor(params: Params, run: str) -> Predictor:
    if run in params.variants:
        return methods[params.variants[run].method].predict
    device = training.start(params)
    network = training.place(networks.read(params, run), device)
    card = methods[params.variants[params.runs[run].variant].method]

    def predictor(scene: Scene) -> Radiance:
        frames = torch.from_numpy(to_network(scene))[None].to(device)
        radiance = predict(network, frames, multiple=card.multiple, tile=params.tile, overlap=card.overlap)
        image: Radiance = radiance[0].permute(1, 2, 0).float().cpu().numpy()
        return image

    return predictor


def _row(params: Params, run: str, dataset: str) -> ScoreRow:
    """The cells that all score rows of an evaluation share."""
    entry = params.runs.get(run)
    variant = entry.variant if entry else run
    return ScoreRow(
        profile=params.profile,
        method=params.variants[variant].method,
        variant=variant,
        trainset=entry.trainset if entry else "",
        seed=entry.seed if entry else None,
        dataset=dataset,
        scene="",
        metric="",
        value=0.0,
        protocol=protocols[params.protocol].id,
    )
