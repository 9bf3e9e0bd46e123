"""A Slurm cluster of two logical nodes on this machine, for tests: `python tests/slurm/cluster.py start FOLDER`.

munged, slurmctld and one slurmd per node run under one folder, with ports of their own on loopback. `start` leaves them
running, `status` shows nodes, jobs and processes, `stop` ends them and their jobs; `hold` keeps the cluster until its
standard input closes, so that it can't outlive who holds it. Slurm's commands and `bench launch --on slurm` find it
through SLURM_CONF=FOLDER/slurm.conf.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from string import Template

NODES = ("n1", "n2")
CPUS = 1
MEMORY = 1536
"""MiB; like the CPUs, what each node offers unless told otherwise. A job that names no limit gets all of it."""

PACKAGES = {"munged": "munge", "slurmctld": "slurm-wlm", "slurmd": "slurm-wlm", "sbatch": "slurm-wlm"}
"""Package of Debian that brings each program."""

DAEMONS = {"munged", "slurmctld", "slurmscriptd", "slurmd"}
MARK = "TEST_CLUSTER"
"""Environment variable of all that belongs to a cluster: its folder."""

OWNER = "munge"
"""User that munged runs as; its package creates it."""

PATIENCE = 30.0
"""Seconds that daemons may take to answer, and may take to end before they are killed."""


class ClusterError(Exception):
    """The cluster can't be started; the message says why, and where the logs are."""


def obstacle() -> str | None:
    """Return in a sentence why there can be no cluster here, None if there can."""
    lacking = sorted({package for program, package in PACKAGES.items() if not shutil.which(program, path=_path())})
    if lacking:
        packages = " ".join(lacking)
        return f"Slurm isn't installed; on Debian or Ubuntu: apt-get install --no-install-recommends {packages}"
    if os.geteuid() != 0:
        return "Slurm's daemons need root, because they change users: run as root, for example in a container"
    return None


def environment(folder: Path) -> dict[str, str]:
    """Return the environment in which Slurm's commands talk to the cluster of a folder, and to no other."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_"))}
    return {**outside, "PATH": _path(), "SLURM_CONF": str(folder / "slurm.conf"), MARK: str(folder)}


def ask(folder: Path, *command: str) -> str:
    """Return what a command of Slurm answers; it must succeed."""
    return subprocess.run(
        command, env=environment(folder), stdout=subprocess.PIPE, text=True, timeout=PATIENCE, check=True
    ).stdout


def start(folder: Path, cpus: int = CPUS, memory: int = MEMORY) -> None:
    """Start the cluster in a new or empty folder and wait until both nodes are idle; if that fails, leave nothing."""
    if reason := obstacle():
        raise ClusterError(reason)
    _lay_out(folder, cpus, memory)
    try:
        _start_munged(folder)
        _run(folder, "slurmctld", "-c")
        for name in NODES:
            _run(folder, "slurmd", "-N", name)
        if _lasts(lambda: states(folder) != dict.fromkeys(NODES, "idle"), PATIENCE):
            raise ClusterError(f"nodes aren't idle after {PATIENCE:.0f} s: {states(folder)}; logs are in {folder}")
    except BaseException as error:
        stop(folder)
        if isinstance(error, subprocess.CalledProcessError):
            raise ClusterError(f"{error}; its log: {folder}/{error.cmd[0]}.out") from error
        raise


def stop(folder: Path) -> None:
    """Cancel the jobs of the cluster, end its daemons, and kill what doesn't end."""
    if "slurmctld" in processes(folder).values():
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(["scancel", "--user=root"], env=environment(folder), timeout=PATIENCE, check=False)
        _lasts(lambda: set(processes(folder).values()) - DAEMONS, seconds=10)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in processes(folder):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        if not _lasts(lambda: processes(folder), PATIENCE):
            return
    raise ClusterError(f"processes don't end: {processes(folder)}")


def hold(folder: Path, cpus: int = CPUS, memory: int = MEMORY) -> None:
    """Keep the cluster until standard input closes, SIGINT or SIGTERM; say `ready` when it is."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        start(folder, cpus, memory)
        print("ready", flush=True)
        sys.stdin.read()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        stop(folder)


def states(folder: Path) -> dict[str, str]:
    """Return the state of each node, such as `idle` or `down`; nothing while slurmctld doesn't answer."""
    command = ["sinfo", "--noheader", "--Node", "--format=%N %T"]
    answer = subprocess.run(command, env=environment(folder), capture_output=True, text=True, check=False)
    return dict(line.split() for line in answer.stdout.splitlines())


def processes(folder: Path) -> dict[int, str]:
    """Return id and name of what belongs to the cluster: daemons, jobs, and what was started in its `environment`."""
    marked, ours = f"{MARK}={folder}".encode(), f"SLURM_CONF={folder}/slurm.conf".encode()
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            variables = (entry / "environ").read_bytes().split(b"\0")
            job = any(text.startswith(b"SLURM_JOB_ID=") for text in variables)
            if marked in variables or (job and ours in variables):
                found[int(entry.name)] = (entry / "comm").read_text().strip()
    return found


def _path() -> str:
    """Return PATH with the folders of daemons, which not everyone's has."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"])


def _lay_out(folder: Path, cpus: int, memory: int) -> None:
    """Write slurm.conf and the folders of state; munged's user must be able to enter."""
    for parent in folder.parents:
        if parent.exists() and not parent.stat().st_mode & 0o001:
            raise ClusterError(f"{parent} is closed to the user {OWNER}; name a folder that everyone can enter")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    if any(folder.iterdir()):
        raise ClusterError(f"{folder} isn't empty; name a new folder, or stop the cluster there and remove it")
    (folder / "state").mkdir()
    host = socket.gethostname().partition(".")[0]
    controller, *ports = _free_ports(1 + len(NODES))
    nodes = [
        f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port}"
        for name, port in zip(NODES, ports, strict=True)
    ]
    template = Template(Path(__file__).with_name("slurm.conf").read_text(encoding="utf-8"))
    text = template.substitute(
        folder=folder, host=host, controller_port=controller, cpus=cpus, memory=memory, nodes="\n".join(nodes)
    )
    (folder / "slurm.conf").write_text(text, encoding="utf-8")


def _free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


def _start_munged(folder: Path) -> None:
    home = folder / "munge"
    home.mkdir()
    (home / "key").touch(mode=0o600)
    (home / "key").write_bytes(os.urandom(128))
    for path in (home, home / "key"):
        shutil.chown(path, OWNER, OWNER)
    files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed", "log-file": "log"}
    options = [f"--{option}={home / name}" for option, name in files.items()]
    _run(folder, "munged", *options, user=OWNER)


def _run(folder: Path, program: str, *arguments: str, user: str | None = None) -> None:
    """Run a program that goes on in the background, in a session of its own that no interrupt at a terminal reaches."""
    with (folder / f"{program}.out").open("ab") as log:
        subprocess.run(
            [program, *arguments], env=environment(folder), cwd=folder, stdin=subprocess.DEVNULL, stdout=log,
            stderr=log, user=user, group=user, extra_groups=[] if user else None, timeout=PATIENCE, check=True,
        )  # fmt: skip


def _lasts(holds: Callable[[], object], seconds: float) -> bool:
    """Return whether something still holds when the seconds are over."""
    deadline = time.monotonic() + seconds
    while holds():
        if time.monotonic() > deadline:
            return True
        time.sleep(0.1)
    return False


def status(folder: Path) -> None:
    """Print nodes, jobs and processes."""
    running = processes(folder)
    if "slurmctld" in running.values():
        print(ask(folder, "sinfo", "--Node", "--long"))
        print(ask(folder, "squeue", "--states=all"))
    print("\n".join(f"{pid:>8} {name}" for pid, name in running.items()) or f"nothing runs for {folder}")


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("start", "stop", "status", "hold"))
    parser.add_argument("folder", type=Path, help="the cluster's own folder, which the user munge can enter")
    parser.add_argument("--cpus", type=int, default=CPUS, help="of each node")
    parser.add_argument("--memory", type=int, default=MEMORY, help="of each node, in MiB")
    given = parser.parse_args()
    folder = given.folder.resolve()
    try:
        if given.verb in ("start", "hold"):
            {"start": start, "hold": hold}[given.verb](folder, given.cpus, given.memory)
        else:
            {"stop": stop, "status": status}[given.verb](folder)
    except ClusterError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
