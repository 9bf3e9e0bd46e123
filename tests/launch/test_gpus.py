import pytest

from bench.core.errors import UsageError
from bench.launch import gpus
from bench.launch.gpus import devices, slots


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


@pytest.mark.parametrize(("threads", "number"), [(1, 8), (3, 2), (8, 1), (16, 1)])
def test_without_gpus_threads_do_not_outnumber_cores(monkeypatch, threads, number):
    monkeypatch.setattr(gpus, "cores", lambda: 8)
    assert slots([], None, None, threads) == [None] * number


@pytest.mark.parametrize(
    ("found", "per_job", "jobs", "words"),
    [("01", 2, 2, "2 jobs of 2 GPUs need 4; this machine offers 2"), ("", 1, None, "this machine has no GPU")],
)
def test_gpus_that_are_not_there_are_a_mistake(found, per_job, jobs, words):
    with pytest.raises(UsageError, match=words):
        slots([*found], per_job, jobs, threads=1)
