"""dvc.yaml: stages depend on the code that they run, profiles share it, and outputs lie where they should."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.core.fingerprint import DECIDES
from bench.core.params import load
from bench.core.registry import datasets, methods, metrics
from bench.stages import plan
from tests import pipeline_deps
from tests.pipeline_deps import closure, source
from tests.stage_modules import stage_module

ROOT = Path(__file__).resolve().parents[1]
PROFILES = [path for path in (ROOT / "dvc.yaml", *sorted(ROOT.glob("profiles/*/dvc.yaml"))) if path.exists()]
VERBS = (
    "plan",
    "fetch",
    "backbone",
    "prepare",
    "codebook",
    "train",
    "evaluate",
    "inspect",
    "sizes",
    "summarize",
    "report",
)

pytestmark = pytest.mark.skipif(not PROFILES, reason="dvc.yaml is not there")

RESOLVE = """
import json
from pathlib import Path
from dvc.repo import Repo
from dvc.stage import PipelineStage
print(json.dumps([
    {
        "pipeline": stage.path_in_repo, "name": stage.name, "cmd": stage.cmd,
        "deps": [str(dep.def_path) for dep in stage.deps if type(dep).__name__ != "ParamsDependency"],
        "params": [str(dep.def_path) for dep in stage.deps if type(dep).__name__ == "ParamsDependency"],
        "keys": [key for dep in stage.deps if type(dep).__name__ == "ParamsDependency" for key in dep.params],
        "outs": {str(out.def_path): bool(out.use_cache) for out in stage.outs},
        "wdir": str(Path(stage.wdir).relative_to(Path.cwd())),
    }
    for stage in Repo().index.stages if isinstance(stage, PipelineStage)
]))
"""

LOADED = """
import importlib, json, os, sys
import pandas, pydantic, torch  # by the parent, for all of its children
for name in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        importlib.import_module(name)
        ours = sorted(found for found in sys.modules if found.split(".")[0] in {"bench", "methods", "datasets"})
        print(json.dumps([name, ours]), flush=True)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, name
"""


@pytest.fixture(scope="module")
def stages():
    """All stages of all profiles, their variables resolved by DVC."""
    command = [sys.executable, "-W", "ignore", "-c", RESOLVE]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout.splitlines()[-1])


def verb(stage):
    return stage["name"].split("@")[0].split("_")[0]


def key(stage):
    return stage["name"].partition("@")[2].removeprefix("network-")


def entries(stage, params):
    """Modules that a stage starts from: its own, and what registries load by name while it runs."""
    found = [stage_module(verb(stage))]
    if verb(stage) in {"fetch", "prepare"}:
        found.append(datasets[key(stage)].module)
    if verb(stage) in {"train", "evaluate"}:
        run = {**params.runs, **params.evaluations}[key(stage)]
        found.append(methods[params.variants[run.variant].method].module)
    if verb(stage) in {"evaluate", "report"}:
        found += ["bench.metrics.protocol", *(card.module for card in metrics.values())]
    return found


def above(path):
    """A path and all folders that it lies in."""
    return {path, *map(str, Path(path).parents)}


def covered(path, deps):
    return not above(path).isdisjoint(deps)


@pytest.mark.parametrize("pipeline", PROFILES, ids=lambda path: path.parent.name)
class TestProfile:
    @pytest.fixture
    def own(self, stages, pipeline):
        return [stage for stage in stages if ROOT / stage["pipeline"] == pipeline]

    @pytest.fixture
    def params(self, pipeline):
        return load(pipeline.with_name("params.yaml"))

    def test_it_is_the_one_pipeline(self, pipeline):
        assert pipeline.resolve() == ROOT / "dvc.yaml"

    def test_every_stage_runs_in_the_root_under_its_own_parameters(self, own, params):
        assert own
        for stage in own:
            assert stage["wdir"] == "."
            assert set(stage["params"]) <= {str(plan.path(params))}, stage["name"]
            assert f"python -m bench --params {params.params_file} " in stage["cmd"]

    def test_its_plan_is_what_its_parameters_give(self, params):
        """A hand-edited or outdated plan.yaml; mended by `python -m bench plan`."""
        assert plan.path(params).read_text(encoding="utf-8") == plan.text(params)

    def test_parameters_that_stages_depend_on_are_in_the_plan(self, own, params):
        """DVC reads the file, not our defaults, and stops at a key that isn't there."""
        content = {"plan": plan.document(params)}
        for key in {key for stage in own for key in stage["keys"]}:
            part = content
            for name in key.split("."):
                assert name in part, key
                part = part[name]

    def test_every_entry_of_the_parameter_file_has_its_stage(self, own, params):
        wanted = {
            *(f"{step}@{name}" for step in ("fetch", "prepare") for name in params.datasets),
            *(f"{step}@{name}" for step in ("codebook", "inspect_codebook") for name in params.codebook_runs),
            *(f"train@{name}" for name in params.runs),
            *(f"inspect_network@{name}" for name in params.runs_with_codebook),
            *(f"evaluate@{name}" for name in params.evaluations),
            *("plan", "backbone", "sizes", "summarize", "report"),
        }
        assert {stage["name"] for stage in own} == wanted

    def test_the_plan_is_judged_before_anything_else_is_done(self, own, params):
        (judged,) = next(stage for stage in own if stage["name"] == "plan")["outs"]
        makers = {out: stage for stage in own for out in stage["outs"]}
        waits = {stage["name"] for stage in own if judged in stage["deps"]} | {"plan"}
        needs = {stage["name"]: {path: above(path) for path in stage["deps"]} for stage in own}
        while True:
            outs = {out for out, stage in makers.items() if stage["name"] in waits}
            over = set().union(*map(above, outs))
            later = {name for name, deps in needs.items() if over & set(deps) or outs & set().union(*deps.values())}
            if later <= waits:
                break
            waits |= later
        assert waits == {stage["name"] for stage in own}

    def test_outputs_lie_in_the_profiles_folders(self, own, params):
        for stage in own:
            for path, cached in stage["outs"].items():
                place = Path(path)
                assert place.is_relative_to(params.work) or place.is_relative_to(params.reports), path
                assert cached == (not place.is_relative_to(params.reports)), path
                assert cached or verb(stage) in {"summarize", "report"}, path

    def test_only_the_gathering_stages_depend_on_folders_that_several_write(self, own):
        """DVC can't interpolate a list into `deps`, so the two stages that gather all cells name the cells' folders.

        DVC runs every stage that writes below such a folder first. What a removed cell left there can only cause a
        needless run: both stages read the files that the parameters name.
        """
        for stage in own:
            for dep in stage["deps"]:
                writers = [other["name"] for other in own if any(out.startswith(f"{dep}/") for out in other["outs"])]
                gathers = verb(stage) in {"summarize", "report"}
                assert gathers or not writers, f"{stage['name']} depends on {dep}, which holds outs of {writers}"

    def test_gathering_stages_wait_for_every_cell(self, own):
        scores = {out for stage in own if verb(stage) == "evaluate" for out in stage["outs"] if "/scores/" in out}
        (summarize,) = (stage for stage in own if verb(stage) == "summarize")
        assert scores
        assert all(covered(path, summarize["deps"]) for path in scores)

    def test_report_waits_for_comparisons_and_sees_new_submissions(self, own, params):
        (report,) = (stage for stage in own if verb(stage) == "report")
        compared = {out for stage in own for out in stage["outs"] if "/sensitivity/" in out}
        assert all(covered(path, report["deps"]) for path in compared)
        assert {f"work/{params.profile}/sensitivity", "reports/submissions"} <= set(report["deps"])
        others = [stage["name"] for stage in own if stage is not report and "reports/submissions" in stage["deps"]]
        assert not others, "a new submission must rerun the report only"

    def test_dependencies_that_no_stage_makes_are_in_the_repository(self, own, params):
        """Weights that were imported or copied from another profile are in neither."""
        made = {out for stage in own for out in stage["outs"]}
        elsewhere = [Path(entry.weights) for entry in params.evaluations.values() if entry.weights]
        made |= {str(path) for weights in elsewhere for path in (weights, weights.with_suffix(".json"))}
        for stage in own:
            for dep in stage["deps"]:
                if not covered(dep, made) and not Path(dep).is_relative_to(params.work):
                    assert (ROOT / dep).exists(), f"{stage['name']}: {dep}"

    def test_work_that_a_stage_depends_on_is_made_by_another(self, own, params):
        made = {out for stage in own for out in stage["outs"]}
        lost = {dep for stage in own for dep in stage["deps"] if Path(dep).is_relative_to(params.work)}
        assert not {dep for dep in lost if not covered(dep, made) and not any(covered(out, [dep]) for out in made)}

    def test_stages_depend_on_the_code_that_they_run(self, own, params):
        missing = {}
        for stage in own:
            lacking = {path for path in closure(*entries(stage, params)) if not covered(path, stage["deps"])}
            if lacking:
                missing.setdefault(stage["name"].split("@")[0], set()).update(lacking)
        assert not missing, "\n".join(f"{group} lacks {sorted(files)}" for group, files in missing.items())

    def test_cheap_code_retrains_nothing(self, own):
        for stage in own:
            if verb(stage) in {"codebook", "train"}:
                for folder in ("bench/report", "bench/metrics", "bench/data", "bench/cli", "tests"):
                    assert not covered(f"{folder}/x.py", stage["deps"]), f"{stage['name']} depends on {folder}"


@pytest.fixture(scope="module")
def loaded():
    """Stage module -> our modules that a process has which imports nothing else of ours."""
    command = [sys.executable, "-c", LOADED, *map(stage_module, VERBS)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert answer.returncode == 0, answer.stderr
    return dict(json.loads(line) for line in answer.stdout.splitlines() if line.startswith('["'))


@pytest.mark.parametrize("name", VERBS)
def test_what_a_stage_loads_is_what_the_source_says(loaded, name):
    modules = loaded[stage_module(name)]
    assert stage_module(name) in modules
    files = {source(module) for module in modules}
    found = {str(path.relative_to(ROOT)) for path in files if path.name != "__init__.py"}
    assert found <= closure(stage_module(name))


def test_the_code_that_stages_depend_on_is_written_from_the_imports():
    """Mended by `make deps`."""
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    assert pipeline_deps.rewritten(text) == text


FINGERPRINTED = {
    "scene": ("bench.stages.data.prepare", ("bench/stages/data/fetch.py",)),
    "alignment": ("bench.color.registration", ("bench/core",)),
    "training": ("bench.stages.training.train", ()),
    "prediction": ("bench.color.registration", ()),
    "score": ("bench.metrics.protocol", ("bench/core",)),
    "cost": ("bench.stages.cost.counting", ("bench/core", "bench/stages/cost/cost.py", "methods/olc")),
    "timing": ("bench.stages.cost.probe", ("bench",)),
}
"""Result -> the module that makes it, and what it imports that can't change the result."""


@pytest.mark.parametrize("result", DECIDES)
def test_the_code_that_decides_a_result_is_in_its_fingerprint(result):
    entry, harmless = FINGERPRINTED[result]
    read = [card.module for card in datasets.values()] if result == "scene" else []
    assert not {path for path in closure(entry, *read) if not covered(path, (*DECIDES[result], *harmless))}


def test_profiles_never_differ_in_code():
    named = {}
    for pipeline in PROFILES:
        params = load(pipeline.with_name("params.yaml"))
        for name, variant in params.variants.items():
            named.setdefault(name, set()).add(variant.method)
        for run in params.runs.values():
            named.setdefault(("run", run.variant), set()).add(run.code)
    assert not {what: codes for what, codes in named.items() if len(codes) > 1}


def test_paths_that_stand_for_nothing_repeat_a_dependency(stages):
    """DVC has no optional dependencies: where a run has no codebook, its scenes stand there twice."""
    trained = [stage for stage in stages if verb(stage) == "train"]
    repeated = [stage for stage in trained if len(stage["deps"]) > len(set(stage["deps"]))]
    assert repeated and len(repeated) < len(trained)


def test_dry_run_prints_what_is_read_and_written(bench):
    answer = bench("summarize", "--dry-run")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("run    python -m bench")
    assert "write  reports/demo/metrics.json" in answer.stdout


def test_dry_run_of_an_unknown_name_is_answered(bench):
    answer = bench("train", "ahdr--panoramas--s0", "--dry-run")
    assert answer.returncode == 2
    assert "Did you mean" in answer.stderr
