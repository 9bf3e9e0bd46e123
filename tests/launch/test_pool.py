import builtins
import dataclasses
import types

import pytest

from bench.core.errors import UsageError
from bench.launch import pool
from bench.launch.job import CloneSource, JobSpec
from bench.launch.pool import OUT_OF_MEMORY, Needs, SlurmPool, devices, memory, open_pool, slots


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Slurm's commands, as scripts that say what a test wants; what they are asked is kept."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(pool, "ASK_EVERY", 0.0)

    def write(name, text, code=0):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {name} $* >> {tmp_path}/asked\n{text}\nexit {code}\n")
        (tmp_path / name).chmod(0o755)
        return tmp_path / "asked"

    return write


class Executor:
    """Submitit's, without a cluster."""

    def __init__(self, log):
        self.log, self.parameters, self.number = log, {}, 0

    def update_parameters(self, **parameters):
        self.parameters |= parameters

    def submit(self, function, order):
        self.number += 1
        return types.SimpleNamespace(job_id=str(self.number), paths=types.SimpleNamespace(stderr=str(self.log)))


@pytest.fixture
def order(tmp_path):
    source = CloneSource(tmp_path, "abc", "dvc.yaml", tmp_path, tmp_path)
    return JobSpec("train@a", {"train@a": "train@a"}, source, tmp_path, tmp_path, tmp_path)


@pytest.fixture
def slurm(tmp_path, order):
    found = SlurmPool(Executor(tmp_path / "log"), memory=0.5)
    assert [found.submit(dataclasses.replace(order, job=name)) for name in ("x", "y", "train@a")] == ["1", "2", "3"]
    return found


def test_jobs_carry_the_name_of_their_stage(slurm):
    assert slurm.executor.parameters["job_name"] == "train@a"


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        (Needs(), {"cpus-per-task=1"}),
        (
            Needs(cores=4, gpus=2, minutes=90, memory=1.5, partition="long"),
            {"cpus-per-task=4", "gpus-per-node=2", "time=90", "mem=1536M", "partition=long"},
        ),
    ],
)
def test_sbatch_gets_what_is_asked_and_no_limit_that_is_not(tools, tmp_path, order, needs, expected):
    tools("srun", "")
    tools("sbatch", f"cp $1 {tmp_path}/script; echo Submitted batch job 17")
    assert open_pool("slurm", tmp_path / "jobs", needs).submit(order) == "17"
    lines = {line.removeprefix("#SBATCH --") for line in (tmp_path / "script").read_text().splitlines()}
    limits = ("cpus", "gpus", "time", "mem", "partition", "wckey", "account")
    assert {line for line in lines if line.startswith(limits)} == expected
    assert {"job-name=train@a", "signal=USR2@30"} <= lines


def test_slurm_is_asked_once_for_all_jobs(slurm, tools):
    asked = tools("squeue", "echo 1 RUNNING; echo 2 COMPLETED")
    gone = slurm.ended(["1", "2", "3"])
    assert {name: end.note for name, end in gone.items()} == {"2": "Slurm says COMPLETED", "3": "Slurm says GONE"}
    assert asked.read_text().splitlines() == ["squeue --noheader --states=all --format=%i %T --jobs=1,2,3"]


@pytest.mark.parametrize(
    ("state", "log", "note", "again", "cancelled"),
    [
        ("NODE_FAIL", "", "Slurm says NODE_FAIL", True, False),
        ("TIMEOUT", "", "Slurm says TIMEOUT", True, False),
        ("FAILED", "some error", "Slurm says FAILED", True, False),
        ("CANCELLED", "", "the job was cancelled by somebody else", False, True),
        ("OUT_OF_MEMORY", "", "the job was out of memory (0.5 GB); give it more with --memory", False, False),
        (
            "FAILED",
            "slurmstepd: error: StepId=2.0 exceeded memory limit (39 > 20), being killed",
            "the job was out of memory (0.5 GB); give it more with --memory",
            False,
            False,
        ),
    ],
)
def test_how_a_job_ended_decides_on_another_attempt(slurm, tools, tmp_path, state, log, note, again, cancelled):
    (tmp_path / "log").write_text(log)
    tools("squeue", f"echo 1 {state}")
    assert slurm.ended(["1"])["1"] == (note, again, cancelled)


def test_a_controller_that_does_not_answer_tells_nothing(slurm, tools):
    tools("squeue", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2", code=1)
    assert slurm.ended(["1", "2"]) == {}
    tools("squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2", code=1)
    assert set(slurm.ended(["1"])) == {"1"}


def test_jobs_are_cancelled_and_waited_for(slurm, tools, tmp_path):
    asked = tools("scancel", "")
    later = f"test $(grep -c squeue {tmp_path}/asked) -gt 2"
    tools("squeue", f"{later} && echo 1 CANCELLED || echo 1 RUNNING; echo 2 CANCELLED")
    slurm.cancel(["2", "1"])
    first, *others = asked.read_text().splitlines()
    assert first == "scancel 1 2"
    assert len(others) > 2
    assert others[-1].endswith("--jobs=1"), "what is still there is asked for again"
    assert slurm.states["1"] == "CANCELLED"


def test_a_refused_job_is_a_sentence(slurm, order, monkeypatch):
    from submitit.core.utils import FailedJobError

    def refuse(function, order):
        raise FailedJobError("sbatch: error: a\nsbatch: error: Requested node configuration is not available")

    monkeypatch.setattr(slurm.executor, "submit", refuse)
    with pytest.raises(UsageError, match=r"Slurm refuses the job of train@a: .* not available See sinfo, and --part"):
        slurm.submit(order)


def test_without_slurm_or_submitit_a_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="sbatch and srun aren't here"):
        open_pool("slurm", tmp_path, Needs())
    real = builtins.__import__

    def lacking(name, *arguments):
        if name == "submitit":
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", lacking)
    with pytest.raises(UsageError, match=r"pip install 'submitit>=1\.5,<2'"):
        open_pool("local", tmp_path, Needs())


def test_the_environment_says_which_gpus_to_use():
    assert devices({"CUDA_VISIBLE_DEVICES": "2,GPU-8932f937"}) == ["2", "GPU-8932f937"]
    assert devices({"CUDA_VISIBLE_DEVICES": ""}) == []
    assert devices({"CUDA_VISIBLE_DEVICES": "-1"}) == []
    assert devices({"CUDA_VISIBLE_DEVICES": "2, 3,-1,4"}) == ["2", "3"]


def test_else_the_driver_is_asked(monkeypatch, tmp_path):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: A (UUID: x)'\necho 'GPU 1: A (UUID: y)'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert devices({}) == ["0", "1"]
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert devices({}) == []
    tool.unlink()
    assert devices({}) == []


@pytest.mark.parametrize(
    ("found", "per_job", "jobs", "expected"),
    [
        ("0123", None, None, ["0", "1", "2", "3"]),
        ("0123", 2, None, ["0,1", "2,3"]),
        ("0123", 2, 1, ["0,1"]),
        ("01", None, 3, ["0", "1", "0"]),
        ("0", None, 2, ["0", "0"]),
        ("", None, 3, [None, None, None]),
    ],
)
def test_each_slot_has_its_gpus(found, per_job, jobs, expected):
    assert slots([*found], per_job, jobs, threads=1) == expected


@pytest.mark.parametrize(
    ("found", "per_gpu", "expected"),
    [
        ("01", 3, ["0", "1", "0", "1", "0", "1"]),
        ("0", 0, ["0", "0", "0", "0"]),
        ("01", 0, ["0", "1", "0", "1"]),
        ("01234567", 0, [*"01234567"]),
        ("", 0, [None] * 4),
    ],
)
def test_several_jobs_share_a_gpu(monkeypatch, found, per_gpu, expected):
    monkeypatch.setattr(pool, "cores", lambda: 8)
    assert slots([*found], None, None, 2, per_gpu) == expected


def test_the_driver_tells_the_memory_of_a_gpu(monkeypatch, tmp_path):
    tool = tmp_path / "nvidia-smi"
    told = "*--id=0|*--id=MIG-x) echo 24564;; *) echo No devices were found; exit 6;;"
    tool.write_text(f'#!/bin/sh\ncase "$*" in {told} esac\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert memory(["0", "GPU-x", "MIG-x"]) == {"0": 24564 * 2**20}


def test_without_the_drivers_tool_no_memory_is_known(monkeypatch, tmp_path):
    """CUDA_VISIBLE_DEVICES may name GPUs of a container that has no nvidia-smi."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert memory(["0"]) == {}


@pytest.mark.parametrize(
    "line",
    [
        "torch.OutOfMemoryError: CUDA out of memory.",
        "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "slurmstepd: error: Detected 1 oom_kill event in StepId=2.0.",
    ],
)
def test_a_full_memory_is_known_by_many_names(line):
    assert OUT_OF_MEMORY.search(line)


@pytest.mark.parametrize(("threads", "number"), [(1, 8), (3, 2), (8, 1), (16, 1)])
def test_without_gpus_threads_do_not_outnumber_cores(monkeypatch, threads, number):
    monkeypatch.setattr(pool, "cores", lambda: 8)
    assert slots([], None, None, threads) == [None] * number


@pytest.mark.parametrize(
    ("found", "per_job", "jobs", "words"),
    [("01", 2, 2, "2 jobs of 2 GPUs need 4; this machine offers 2"), ("", 1, None, "this machine has no GPU")],
)
def test_gpus_that_are_not_there_are_a_mistake(found, per_job, jobs, words):
    with pytest.raises(UsageError, match=words):
        slots([*found], per_job, jobs, threads=1)
