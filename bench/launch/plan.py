"""The plan of a launch: its options, the jobs for workers, and the stages that only the head can run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.core.errors import UsageError
from bench.launch.clone import commit, edits, loose_inputs, untracked
from bench.launch.graph import Pipeline, listed, read
from bench.launch.pool import Needs

FOLLOWS = {
    "prepare": "fetch",
    "inspect_codebook": "codebook",
    "inspect_network": "train",
    "evaluate": "train",
}
"""Groups of `dvc.yaml` whose stages join the job of the stage that they read: they take little beside it, too little
for a wait in a queue of their own."""


@dataclass(frozen=True)
class LaunchOptions:
    """The options of the command line.

    root      : the checkout, which must be the working folder.
    file      : the pipeline, relative to the root.
    profile   : its name; checkpoints, logs and clones lie in runs/<profile>/.
    stages    : names of stages or groups; none for all.
    executor  : "local" or "slurm".
    slots     : CUDA_VISIBLE_DEVICES of each slot, None to leave it alone; there are as many jobs at once as slots.
    processes : number of processes that share a training.
    retries   : attempts after the first that may succeed where that failed.
    backoff   : seconds before the second attempt, doubled for each further one.
    poll      : seconds between two looks at the jobs.
    clones    : folder of the workers' clones; by default below runs/<profile>/launch.
    ranks     : stage -> place in the order of the launch (0 first); what it needs comes with it, others last.
    takes     : stage -> bytes of a GPU's memory that it takes; others take none.
    room      : bytes of each GPU, by its name in `slots`; jobs that share one stay within it, and on one whose memory
                isn't known those that take some are alone.
    partial   : draw a partial report after each job that evaluates.
    """

    root: Path
    file: str
    profile: str
    stages: tuple[str, ...] = ()
    executor: str = "local"
    slots: tuple[str | None, ...] = (None,)
    processes: int = 1
    needs: Needs = field(default_factory=Needs)
    retries: int = 2
    backoff: float = 10.0
    poll: float = 0.5
    pull: bool = False
    push: bool = False
    clones: Path | None = None
    ranks: Mapping[str, int] = field(default_factory=dict)
    takes: Mapping[str, float] = field(default_factory=dict)
    room: Mapping[str, float] = field(default_factory=dict)
    partial: bool = False

    @property
    def folder(self) -> Path:
        """Folder of this profile's launches."""
        return self.root / "runs" / self.profile / "launch"


@dataclass(frozen=True)
class Job:
    """Stages that one worker does, in an order in which they can run; its name is the first one's."""

    name: str
    stages: tuple[str, ...]


@dataclass
class LaunchPlan:
    """The jobs of a launch, and what else it needs to know.

    commit  : the one that is checked out.
    reasons : why each stage that is out of date must run.
    targets : what the head's `dvc repro` gets.
    edits   : files that differ from the commit; jobs see them as they are now.
    links   : inputs outside git; jobs see them where they lie.
    """

    options: LaunchOptions
    pipeline: Pipeline
    commit: str
    reasons: dict[str, str]
    targets: list[str]
    edits: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    jobs: list[Job] = field(default_factory=list)

    @property
    def at_head(self) -> list[str]:
        """Stages out of date that the head runs."""
        mine = {name for job in self.jobs for name in job.stages}
        return [name for name in self.reasons if name not in mine]

    def lines(self) -> list[str]:
        """Return the plan for reading."""
        state = f"{self.commit[:10]}{f' with changes to {listed(self.edits)}' if self.edits else ''}"
        lines = [
            f"{self.options.profile} at {state}: {len(self.reasons)} of {len(self.pipeline.stages)} stages are out of "
            f"date; {len(self.jobs)} jobs on {self.options.executor}, at most {len(self.options.slots)} at once"
        ]
        for number, job in enumerate(self.jobs, 1):
            lines += [f"job {number}"] + [f"  {name}  ({self.reasons[name]})" for name in job.stages]
        head = [f"  {name}  ({self.reasons[name]})" for name in self.at_head]
        return lines + (["at the head", *head] if head else [])


def plan(options: LaunchOptions) -> LaunchPlan:
    """Find out what is out of date, and refuse what workers couldn't do right; nothing is written."""
    root = options.root
    pipeline = read(root, options.file)
    if options.push and not pipeline.default_remote:
        raise UsageError("--push needs a default remote of DVC. Make one with: dvc remote add --default NAME URL")
    named = pipeline.select(options.stages) or set(pipeline.stages)
    reasons = pipeline.out_of_date(named | pipeline.ancestors(named))
    at_head = pipeline.at_head()
    for_workers = [name for name in reasons if name not in at_head]
    targets = sorted(pipeline.stages[name].address for name in named) if options.stages else [options.file]
    result = LaunchPlan(options, pipeline, commit(root), reasons, targets, jobs=assign(pipeline, for_workers))
    if for_workers:
        sources = {source for name in for_workers for source in pipeline.stages[name].sources}
        stray, links = loose_inputs(root, sources)
        beside = [str(Path(options.file).with_name(name)) for name in ("params.yaml", "plan.yaml")]
        own = untracked(root, (options.file, *beside))  # of a new profile
        result.edits = tuple(dict.fromkeys((*edits(root, pipeline.uncached), *stray, *own)))
        result.links = (f"runs/{options.profile}", *links)
    return result


def assign(pipeline: Pipeline, names: Iterable[str]) -> list[Job]:
    """Assign the named stages to jobs: a training with its evaluation and inspection, a dataset with its preparation.

    A stage doesn't join where the whole job would have to wait for another of its inputs, such as the scenes of a
    second dataset; so jobs never wait for each other in a circle.
    """
    wanted = set(names)
    depth: dict[str, int] = {}
    for name, stage in pipeline.stages.items():
        depth[name] = 1 + max((depth[above] for above in stage.upstream), default=0)
    leader: dict[str, str] = {}
    members: dict[str, list[str]] = {}
    for name in pipeline.stages:
        if name in wanted:
            above = pipeline.stages[name].upstream
            last = max(above, key=lambda other: (depth[other], other), default=name)
            waits = (above & wanted) - {last} - pipeline.ancestors([last])
            joins = FOLLOWS.get(_group(name)) == _group(last) and not waits
            leader[name] = leader.get(last, last) if joins else name
            members.setdefault(leader[name], []).append(name)
    return [Job(stages[0], tuple(stages)) for stages in members.values()]


def _group(stage: str) -> str:
    return stage.partition("@")[0]
