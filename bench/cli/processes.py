"""Several processes for one training if the environment asks for them, since a stage's command must stay the same."""

import os
import sys

from bench.core.errors import UsageError


def share() -> None:
    """Replace this process by torchrun with the same command line if BENCH_PROCESSES asks for several processes."""
    from bench.launch.job import PROCESSES

    asked = os.environ.get(PROCESSES, "1")
    if not asked.isdecimal() or int(asked) < 1:
        raise UsageError(f"{PROCESSES} is {asked!r}; expected how many processes share a training, such as 4.")
    if int(asked) > 1 and "WORLD_SIZE" not in os.environ:
        torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={asked}"]
        os.execv(sys.executable, [sys.executable, *torchrun, "-m", "bench", *sys.argv[1:]])
