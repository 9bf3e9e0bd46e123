"""Processes of their own without the three seconds that each would import PyTorch for.

A server, which each process of a test run starts once, has imported the libraries and nothing of this project; it forks
whoever is asked for. That one reads the project's code from where it is told to, as `python` started there would.
"""

import atexit
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from unittest.mock import patch

OURS = {"bench", "methods", "datasets", "tests"}
SERVER = get_context("forkserver")
SERVER.set_forkserver_preload(["torch", "torch._dynamo", "safetensors.torch", "pandas", "typer", "pydantic", "yaml"])
SEED = {"PYTHONHASHSEED": "7"}
"""Of the server and all that it forks: another one than that of the process that asks."""


FILES = ("out", "err")


class Forked:
    """What `python LINE` is, started in the folder `cwd` with the environment `env`, in a session of its own.

    line : -m MODULE, -c CODE or a file, then arguments.
    """

    def __init__(self, line: Sequence[str], cwd: Path, env: Mapping[str, str]) -> None:
        """Start it; whoever does must `wait` for it, also after a kill."""
        self.args, self._said = list(line), tempfile.TemporaryDirectory(prefix="forked-")
        self._process = SERVER.Process(target=_work, args=(self.args, str(cwd), dict(env), self._said.name))
        with patch.dict(os.environ, SEED):
            self._process.start()
        self.pid = int(self._process.pid or 0)

    @property
    def returncode(self) -> int | None:
        """The exit code; negative, of a signal; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Wait for the end, at most `timeout` seconds: then it is killed, and TimeoutExpired is raised."""
        self._process.join(timeout)
        late = self._process.is_alive()
        if late:
            self._process.kill()
            self._process.join()
        with self._said as folder:
            said = [
                Path(folder, name).read_text(encoding="utf-8") if Path(folder, name).exists() else "" for name in FILES
            ]
        if late:
            raise subprocess.TimeoutExpired(self.args, timeout, *said)
        return subprocess.CompletedProcess(self.args, int(self._process.exitcode or 0), *said)


def run(
    line: Sequence[str], cwd: Path, env: Mapping[str, str], timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Return what `python LINE` said, and the code it ended with; as `subprocess.run`."""
    return Forked(line, cwd, env).wait(timeout)


def _work(line: list[str], cwd: str, env: dict[str, str], said: str) -> None:
    os.setsid()
    for number, name in enumerate(FILES, 1):
        os.dup2(os.open(Path(said, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    if "OMP_NUM_THREADS" in env:
        sys.modules["torch"].set_num_threads(int(env["OMP_NUM_THREADS"]))
    for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
        del sys.modules[name]
    here = [path for path in sys.path if Path(path or ".").resolve() not in {Path(cwd), *map(Path, _ours(env))}]
    sys.path[:] = [cwd, *_ours(env), *here]
    code = 1
    try:
        _python(line)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:  # as the interpreter itself, which tells it and ends with 1
        traceback.print_exc()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _ours(env: Mapping[str, str]) -> list[str]:
    return [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path]


def _python(line: list[str]) -> None:
    """Do what the interpreter does with its arguments."""
    first, *rest = line
    if first == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.argv = ["-c", *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.path[0] = str(Path(first).parent)
        sys.argv = line
        runpy.run_path(first, run_name="__main__")
