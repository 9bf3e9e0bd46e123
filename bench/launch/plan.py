"""What a launch will do: its options, the jobs for workers, and the stages that only the head can run."""

from dataclasses import dataclass, field
from pathlib import Path

from bench.core.errors import UsageError
from bench.launch.checkout import commit, edits, listed, loose_inputs, untracked
from bench.launch.graph import Pipeline, read
from bench.launch.grouping import Job, group
from bench.launch.pool import Needs


@dataclass(frozen=True)
class Options:
    """What the command line asks for.

    root      : the checkout; the working folder must be the same.
    file      : the pipeline, relative to the root.
    profile   : its name; checkpoints, logs and clones lie in runs/<profile>/.
    stages    : names of stages or groups; none for all.
    executor  : "local" or "slurm".
    slots     : CUDA_VISIBLE_DEVICES of each slot, None to leave it alone; their number is that of jobs at once.
    processes : how many processes share a training.
    clones    : folder of the workers' clones; by default below runs/<profile>/launch.
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

    @property
    def folder(self) -> Path:
        """Where launches of this profile keep what they write."""
        return self.root / "runs" / self.profile / "launch"


@dataclass
class Plan:
    """What is to be done: jobs for workers, and stages that only the head can run.

    edits : files that differ from the commit and that jobs see as they are now.
    links : inputs outside git, which jobs see where they lie.
    """

    options: Options
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
        jobs, total = len(self.jobs), len(self.pipeline.stages)
        state = f"{self.commit[:10]}{f' with changes to {listed(self.edits)}' if self.edits else ''}"
        lines = [
            f"{self.options.profile} at {state}: {len(self.reasons)} of {total} stages are out of date; "
            f"{jobs} jobs on {self.options.executor}, at most {len(self.options.slots)} at once"
        ]
        for number, job in enumerate(self.jobs, 1):
            lines += [f"job {number}"] + [f"  {name}  ({self.reasons[name]})" for name in job.stages]
        head = [f"  {name}  ({self.reasons[name]})" for name in self.at_head]
        return lines + (["at the head", *head] if head else [])


def plan(options: Options) -> Plan:
    """Find out what is out of date, and refuse what workers couldn't do right; nothing is written."""
    root = options.root
    pipeline = read(root, options.file)
    if options.push and not pipeline.default_remote:
        raise UsageError("--push needs a default remote of DVC. Make one with: dvc remote add --default NAME URL")
    named = pipeline.select(options.stages) or set(pipeline.stages)
    reasons = pipeline.out_of_date(named | pipeline.ancestors(named))
    mine = [name for name in reasons if name not in pipeline.at_head()]
    targets = sorted(pipeline.stages[name].address for name in named) if options.stages else [options.file]
    result = Plan(options, pipeline, commit(root), reasons, targets, jobs=group(pipeline, mine))
    if mine:
        sources = {source for name in mine for source in pipeline.stages[name].sources}
        stray, links = loose_inputs(root, sources)
        beside = [str(Path(options.file).with_name(name)) for name in ("params.yaml", "plan.yaml")]
        own = untracked(root, (options.file, *beside))  # of a new profile
        result.edits = tuple(dict.fromkeys((*edits(root, pipeline.uncached), *stray, *own)))
        result.links = (f"runs/{options.profile}", *links)
    return result
