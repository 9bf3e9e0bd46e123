from bench.launch.graph import listed
from bench.launch.plan import assign
from tests.launch.tiny import pipeline_of


def stages_of(jobs):
    return {job.name: job.stages for job in jobs}


RUN = {
    "fetch@d": [],
    "prepare@d": ["fetch@d"],
    "codebook@c": ["prepare@d"],
    "inspect_codebook@c": ["codebook@c", "prepare@d"],
    "train@r": ["prepare@d", "codebook@c"],
    "evaluate@r": ["train@r", "prepare@d"],
    "inspect_network@r": ["train@r", "prepare@d"],
    "evaluate@m": ["prepare@d"],
}


def test_a_run_is_one_job_and_trainings_are_not_lumped():
    jobs = stages_of(assign(pipeline_of(RUN), RUN))
    assert jobs == {
        "fetch@d": ("fetch@d", "prepare@d"),
        "codebook@c": ("codebook@c", "inspect_codebook@c"),
        "train@r": ("train@r", "evaluate@r", "inspect_network@r"),
        "evaluate@m": ("evaluate@m",),
    }


def test_cheap_stages_of_a_finished_training_are_one_job():
    jobs = stages_of(assign(pipeline_of(RUN), ["evaluate@r", "inspect_network@r", "inspect_codebook@c"]))
    assert jobs == {
        "evaluate@r": ("evaluate@r", "inspect_network@r"),
        "inspect_codebook@c": ("inspect_codebook@c",),
    }


def test_a_training_does_not_wait_for_the_data_of_a_cross_evaluation():
    edges = {
        "fetch@d": [],
        "prepare@d": ["fetch@d"],
        "fetch@e": [],
        "prepare@e": ["fetch@e"],
        "train@r": ["prepare@d"],
        "evaluate@r--e": ["train@r", "prepare@e"],
    }
    jobs = stages_of(assign(pipeline_of(edges), edges))
    assert jobs["train@r"] == ("train@r",)
    assert jobs["evaluate@r--e"] == ("evaluate@r--e",)
    jobs = stages_of(assign(pipeline_of(edges), ["train@r", "evaluate@r--e"]))
    assert [*jobs] == ["train@r"], "once the data are there, it goes along"


def test_many_files_are_counted():
    assert listed(["a", "b"]) == "a, b"
    assert listed([*"abcdefgh"]) == "a, b, c, d, e and 3 more"
