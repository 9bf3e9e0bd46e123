"""Which stages one job does: a cheap stage goes along with the stage whose output it reads last."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.launch.graph import Pipeline

CHEAP = frozenset({"prepare", "evaluate_plain", "evaluate_vq", "inspect_codebook", "inspect_network"})
"""Groups of `dvc.yaml` whose stages take little beside what they follow: not worth a wait in a queue of their own."""


@dataclass(frozen=True)
class Job:
    """Stages that one worker does, in an order in which they could run.

    needs : stages outside, of this launch, that must be finished before.
    """

    name: str
    stages: tuple[str, ...]
    needs: frozenset[str]


def group(pipeline: Pipeline, names: Iterable[str], cheap: frozenset[str] = CHEAP) -> list[Job]:
    """Deal the named stages to jobs.

    Where jobs would wait for each other in a circle, each stage is a job of its own.
    """
    wanted = set(names)
    order = [name for name in pipeline.stages if name in wanted]
    depth = _depths(pipeline)
    leader: dict[str, str] = {}
    for name in order:
        above = pipeline.stages[name].upstream
        last = max(above, key=lambda other: (depth[other], other), default=None)
        joins = last is not None and name.partition("@")[0] in cheap
        leader[name] = leader.get(last, last) if joins and last is not None else name
    jobs = _jobs(pipeline, order, leader)
    return jobs if _acyclic(jobs) else _jobs(pipeline, order, {name: name for name in order})


def _depths(pipeline: Pipeline) -> dict[str, int]:
    depth: dict[str, int] = {}
    for name, stage in pipeline.stages.items():
        depth[name] = 1 + max((depth[above] for above in stage.upstream), default=0)
    return depth


def _jobs(pipeline: Pipeline, order: list[str], leader: Mapping[str, str]) -> list[Job]:
    members: dict[str, list[str]] = {}
    for name in order:
        members.setdefault(leader[name], []).append(name)
    jobs = []
    for stages in members.values():
        above = set().union(*(pipeline.stages[name].upstream for name in stages))
        jobs.append(Job(stages[0], tuple(stages), frozenset(above & set(order) - set(stages))))
    return jobs


def _acyclic(jobs: list[Job]) -> bool:
    done: set[str] = set()
    left = jobs
    while left:
        ready = [job for job in left if job.needs <= done]
        if not ready:
            return False
        done.update(name for job in ready for name in job.stages)
        left = [job for job in left if job not in ready]
    return True
