"""Backbone: the VGG-16 that perceptual losses compare features of."""

from bench.core.errors import UsageError
from bench.core.params import Params
from bench.io.files import write_json_atomic
from bench.stages import layout


def run(params: Params) -> None:
    """Write work/<profile>/backbone/card.json, and vgg16.safetensors where the profile uses ImageNet weights."""
    if params.perceptual.backbone == "vgg16":
        raise UsageError("not here yet")
    write_json_atomic(layout.backbone(params) / "card.json", {"backbone": params.perceptual.backbone})
