"""Which stages one job does: a cheap stage goes along with the stage whose output it reads last."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.launch.graph import Pipeline

FOLLOWS = {"prepare": "fetch", "inspect_codebook": "codebook", "evaluate": "train", "inspect_network": "train"}
"""Group of `dvc.yaml` -> the one whose stages take so much longer that it goes along: no wait in a queue of its own.

What evaluates a method without training follows none: some of these take minutes.
"""


@dataclass(frozen=True)
class Job:
    """Stages that one worker does, in an order in which they could run; it bears the first one's name."""

    name: str
    stages: tuple[str, ...]


def group(pipeline: Pipeline, names: Iterable[str], follows: Mapping[str, str] = FOLLOWS) -> list[Job]:
    """Deal the named stages to jobs.

    A stage doesn't join where the whole job would have to wait for another of its inputs, such as the scenes of a
    second dataset; so jobs never wait for each other in a circle.
    """
    wanted = set(names)
    depth = _depths(pipeline)
    leader: dict[str, str] = {}
    members: dict[str, list[str]] = {}
    for name in pipeline.stages:
        if name in wanted:
            above = pipeline.stages[name].upstream
            last = max(above, key=lambda other: (depth[other], other), default=name)
            waits = (above & wanted) - {last} - pipeline.ancestors([last])
            joins = follows.get(name.partition("@")[0]) == last.partition("@")[0] and not waits
            leader[name] = leader.get(last, last) if joins else name
            members.setdefault(leader[name], []).append(name)
    return [Job(stages[0], tuple(stages)) for stages in members.values()]


def _depths(pipeline: Pipeline) -> dict[str, int]:
    depth: dict[str, int] = {}
    for name, stage in pipeline.stages.items():
        depth[name] = 1 + max((depth[above] for above in stage.upstream), default=0)
    return depth
