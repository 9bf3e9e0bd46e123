from bench.launch.plan import assign, listed
from tests.launch.tiny import pipeline_of


def stages_of(jobs):
    return {job.name: job.stages for job in jobs}


RUN = {
    "fetch@d": [],
    "prepare@d": ["fetch@d"],
    "codebook@c": ["prepare@d"],
    "inspect_codebook@c": ["codebook@c", "prepare@d"],
    "train_vq@r": ["prepare@d", "codebook@c"],
    "evaluate_vq@r": ["train_vq@r", "prepare@d"],
    "inspect_network@r": ["train_vq@r", "prepare@d"],
    "evaluate_classic@m": ["prepare@d"],
}


def test_a_run_is_one_job_and_trainings_are_not_lumped():
    jobs = stages_of(assign(pipeline_of(RUN), RUN))
    assert jobs == {
        "fetch@d": ("fetch@d", "prepare@d"),
        "codebook@c": ("codebook@c", "inspect_codebook@c"),
        "train_vq@r": ("train_vq@r", "evaluate_vq@r", "inspect_network@r"),
        "evaluate_classic@m": ("evaluate_classic@m",),
    }


def test_cheap_stages_of_a_finished_training_are_one_job():
    jobs = stages_of(assign(pipeline_of(RUN), ["evaluate_vq@r", "inspect_network@r", "inspect_codebook@c"]))
    assert jobs == {
        "evaluate_vq@r": ("evaluate_vq@r", "inspect_network@r"),
        "inspect_codebook@c": ("inspect_codebook@c",),
    }


def test_a_training_does_not_wait_for_the_data_of_a_cross_evaluation():
    edges = {
        "fetch@d": [],
        "prepare@d": ["fetch@d"],
        "fetch@e": [],
        "prepare@e": ["fetch@e"],
        "train_plain@r": ["prepare@d"],
        "evaluate_plain@r--e": ["train_plain@r", "prepare@e"],
    }
    jobs = stages_of(assign(pipeline_of(edges), edges))
    assert jobs["train_plain@r"] == ("train_plain@r",)
    assert jobs["evaluate_plain@r--e"] == ("evaluate_plain@r--e",)
    jobs = stages_of(assign(pipeline_of(edges), ["train_plain@r", "evaluate_plain@r--e"]))
    assert [*jobs] == ["train_plain@r"], "once the data are there, it goes along"


def test_many_files_are_counted():
    assert listed(["a", "b"]) == "a, b"
    assert listed([*"abcdefgh"]) == "a, b, c, d, e and 3 more"
