"""The workflows of GitHub, `.ci` and the nightly targets of the Makefile: what they run exists, and can't rot.

A night takes an hour, so the real run is `make nightly`, which has the workflow's steps in the workflow's order. Here
every `run:` line of every workflow is executed by bash in order, as the runner would, in a sandbox of the Makefile and
`.ci`, where `make` is a wrapper: it notes the target and prints its recipe (`make -n`) instead of running it; a target
that isn't there fails, as it would at night. What the recipes would have called is then checked command by command:
`python -m bench ...` is parsed by the real command line down to the last option, with the verb's work taken out, and
files, pipelines and scripts must exist. `.ci/step`, `.ci/summary` and `.ci/run` really run.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import typer
import yaml

from bench.__main__ import app
from bench.core.params import load
from bench.core.registry import ROOT

PLACE = ROOT / ".github/workflows"
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in sorted(PLACE.glob("*.yml"))}
FLOWS = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
JOBS = {(name, job): content for name, flow in FLOWS.items() for job, content in flow["jobs"].items()}
STEPS = [(*place, step) for place, job in JOBS.items() for step in job["steps"]]
SCRIPTS = ("run", "step", "summary")
BASELINE = ROOT / "tests/baselines/smoke/scores.csv"


def triggers(flow):
    """YAML 1.1 reads a bare `on` as true."""
    return flow[True]


def runs(name, job):
    return [step["run"] for step in JOBS[name, job]["steps"] if "run" in step]


class Sandbox:
    """A checkout of Makefile and `.ci`: `make` notes its target and prints the recipe, `python` prints its words."""

    def __init__(self, folder: Path):
        self.checkout, self.calls, self.page = folder / "checkout", folder / "calls", folder / "page.md"
        shutil.copytree(ROOT / ".ci", self.checkout / ".ci")
        for name in ("Makefile", "pyproject.toml", "requirements.lock", ".gitignore"):
            shutil.copy(ROOT / name, self.checkout)
        (folder / "bin").mkdir()
        python = self.checkout / ".venv/bin/python"
        python.parent.mkdir(parents=True)
        python.write_text('#!/bin/sh\necho .venv/bin/python "$@"\n', encoding="utf-8")
        python.chmod(0o755)
        (self.checkout / ".venv/installed").touch()
        self.wrap(f'echo "$*" >>{self.calls}; exec {shutil.which("make")} -n "$@"')
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "GIT_"))},
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "GITHUB_STEP_SUMMARY": str(self.page),
        }
        self.run("git init -q . && git add . && git -c user.name=x -c user.email=x@x commit -qm x")

    def wrap(self, body):
        """Put a program called `make` first on the path."""
        program = self.checkout.parent / "bin/make"
        program.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        program.chmod(0o755)

    def run(self, line, **variables):
        """Run one line as GitHub's runner does with `shell: bash`."""
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", line]
        environment = {**self.environment, **variables}
        return subprocess.run(
            command, cwd=self.checkout, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    def made(self):
        """Return the targets in the order in which they were made, and forget them."""
        lines = self.calls.read_text(encoding="utf-8").splitlines()
        self.calls.unlink()
        return lines


@pytest.fixture
def sandbox(tmp_path):
    return Sandbox(tmp_path)


def values(flow):
    """The environments under which a workflow's lines run: one for every choice of an input."""
    inputs = (triggers(flow).get("workflow_dispatch") or {}).get("inputs", {})
    options = next((entry["options"] for entry in inputs.values() if entry["type"] == "choice"), [None])
    given = {key: value for key, value in flow.get("env", {}).items() if "inputs." in value}
    return [dict.fromkeys(given, option) for option in options]


NIGHTS = [
    pytest.param(name, job, variables, id="-".join((name, job, *variables.values())))
    for name, job in JOBS
    for variables in values(FLOWS[name])
]


@pytest.fixture
def idle():
    """The command line with the work of every verb taken out: parsing and checking of options is what remains."""

    def take_out(command):
        if not hasattr(command, "commands"):
            command.callback = lambda **_: None
        for inner in getattr(command, "commands", {}).values():
            take_out(inner)
        return command

    return take_out(typer.main.get_command(app))


def check(command, idle):
    """Check one command of a recipe, given as words, as far as that is possible without running it."""
    match command:
        case [".venv/bin/python", "-m", "bench", *words]:
            with pytest.raises(SystemExit) as end:
                idle.main(words, prog_name="bench")
            assert not end.value.code, command
            assert all((ROOT / word).is_file() for word in words if word.endswith("params.yaml"))
        case [".venv/bin/python", "-m", "pytest", *words]:
            assert all((ROOT / word).exists() for word in words if word.startswith("tests/"))
        case [".venv/bin/python", "-m", "pip", *words]:
            assert (ROOT / words[-1] / "pyproject.toml").is_file()
        case [".venv/bin/python", script, *_]:
            assert (ROOT / script).is_file()
        case [".venv/bin/dvc", "repro", *pipelines]:
            assert all((ROOT / pipeline).is_file() for pipeline in pipelines)
        case [program, *_]:
            assert program in {".venv/bin/ruff", ".venv/bin/mypy", ".venv/bin/lint-imports"}, command


def commands(text):
    """Yield the commands of `.venv` in what bash would run, each as words."""
    for found in re.findall(r"\.venv/bin/(?!activate)\S[^|;&\n]*", text.replace("\\\n", " ")):
        yield shlex.split(found.removesuffix(" 2>"))


@pytest.mark.parametrize(("name", "job", "variables"), NIGHTS)
def test_every_line_runs_and_calls_what_exists(sandbox, idle, name, job, variables):
    printed = ""
    for line in runs(name, job):
        answer = sandbox.run(line, **variables)
        assert answer.returncode == 0, (line, answer.stdout, answer.stderr)
        printed += answer.stdout
    called = list(commands(printed))
    for command in called:
        check(command, idle)
    assert len(called) >= len(sandbox.made()) - 1  # all but `setup`, whose work is done in a sandbox


def test_an_unknown_target_or_option_would_be_noticed(sandbox, idle):
    assert sandbox.run(".ci/step make smok").returncode != 0
    for wrong in ("python -m bench summarize --frobnicate", "python none.py", "dvc repro none/dvc.yaml", "none"):
        with pytest.raises(AssertionError):
            check(shlex.split(f".venv/bin/{wrong}"), idle)


@pytest.mark.parametrize("job", ["nightly", "weekly"])
def test_make_runs_the_steps_of_the_workflow_in_the_same_order(sandbox, job):
    for line in runs("nightly", job):
        sandbox.run(line)
    wanted, page = sandbox.made(), sandbox.page.read_text(encoding="utf-8")
    answer = sandbox.run(f"{shutil.which('make')} {job}")
    assert answer.returncode == 0, answer.stderr
    assert sandbox.made() == wanted
    assert re.findall(r"^\| ([a-z-]+) \| ok", page, re.M) == wanted
    assert re.findall(r"^\| ([a-z-]+) \| ok", answer.stdout, re.M) == wanted


class TestNight:
    def test_it_goes_on_after_a_failure_and_skips_what_builds_on_it(self, sandbox):
        sandbox.wrap('echo "$1"; test "$1" != smoke || { echo "the sea is dry" >&2; exit 3; }')
        answer = sandbox.run(f"{shutil.which('make')} nightly")
        assert answer.returncode != 0
        rows = re.findall(r"^\| ([a-z-]+) \| (ok|skipped: .*|failed .*?)(?: after .*| in .*)? \|$", answer.stdout, re.M)
        skipped = dict.fromkeys(("smoke-again", "compare-smoke"), "skipped: smoke failed")
        fine = dict.fromkeys(("setup", "test", "frozen", "ratios"), "ok")
        assert dict(rows) == {**fine, **skipped, "smoke": "failed with exit code 3"}
        assert "## smoke: failed with exit code 3" in answer.stdout
        assert answer.stdout.partition("## smoke")[2].count("the sea is dry") == 1

    def test_without_an_environment_nothing_else_is_tried(self, sandbox):
        sandbox.wrap("exit 1")
        answer = sandbox.run(f"{shutil.which('make')} nightly")
        assert answer.stdout.count("skipped: ") == 6

    def test_a_step_shows_its_own_page(self, sandbox):
        sandbox.wrap('mkdir -p work/nightly; echo "| $1 |" >work/nightly/$1.md; test "$1" != ratios')
        sandbox.run(".ci/step make setup; .ci/step make frozen; .ci/step make ratios || true")
        page = sandbox.run(".ci/summary").stdout
        assert page.index("## ratios: failed") < page.index("| ratios |\n") < page.index("<summary>frozen</summary>")

    def test_a_step_that_was_cut_off_counts_as_failed(self, sandbox):
        sandbox.wrap("kill -9 $PPID")
        assert sandbox.run(".ci/step make setup").returncode == -signal.SIGKILL
        answer = sandbox.run(".ci/summary")
        assert answer.returncode == 1
        assert "## setup: unfinished" in answer.stdout

    def test_an_interrupted_night_ends(self, sandbox):
        sandbox.wrap(f"echo $1 >>{sandbox.calls}; kill -TERM $PPID; exit 2")
        assert sandbox.run(f"{shutil.which('make')} nightly").returncode != 0
        assert sandbox.made() == ["setup"]

    def test_setup_begins_a_new_night(self, sandbox):
        sandbox.wrap("exit 0")
        sandbox.run(".ci/step make smoke; .ci/step make setup")
        assert "smoke" not in sandbox.run(".ci/summary").stdout

    def test_no_night_is_a_mistake(self, sandbox):
        answer = sandbox.run(".ci/summary")
        assert (answer.returncode, answer.stdout) == (2, "")
        assert "no step ran" in answer.stderr


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_strict_and_executable(name):
    script = ROOT / ".ci" / name
    assert os.access(script, os.X_OK)
    text = script.read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in text


def test_actions_are_pinned_to_one_commit_each():
    uses = [line for text in TEXTS.values() for line in re.findall(r"uses: (.+)", text)]
    pins = {re.fullmatch(r"(actions/[a-z-]+)(?:/[a-z]+)?@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)", line) for line in uses}
    assert uses and None not in pins, uses
    assert len({pin.groups() for pin in pins}) == len({pin[1] for pin in pins})


@pytest.mark.parametrize("name", FLOWS)
def test_workflows_may_do_little(name):
    flow = FLOWS[name]
    assert flow["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in flow["jobs"].values())
    assert "secrets." not in TEXTS[name]
    assert "pull_request_target" not in triggers(flow)
    checkouts = [step for flow_name, _, step in STEPS if flow_name == name and "checkout" in step.get("uses", "")]
    assert checkouts and all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize("name", FLOWS)
def test_workflows_end_and_never_run_twice_at_once(name):
    flow = FLOWS[name]
    assert {"group", "cancel-in-progress"} == set(flow["concurrency"])
    assert all(job["timeout-minutes"] > 0 for job in flow["jobs"].values())


@pytest.mark.parametrize("name", FLOWS)
def test_lines_are_strict_and_hold_no_expression(name):
    """An expression in a line would let a branch's name become a command; inputs come as variables."""
    assert FLOWS[name]["defaults"]["run"]["shell"] == "bash"
    assert not any("${{" in line for job in FLOWS[name]["jobs"] for line in runs(name, job))


def test_only_a_person_starts_a_machine_of_ones_own():
    own = {name for name, job in JOBS if "self-hosted" in JOBS[name, job]["runs-on"]}
    assert own == {"gpu"}
    assert set(triggers(FLOWS["gpu"])) == {"workflow_dispatch"}


def test_the_night_goes_on_after_a_failure():
    after = [step for name, _, step in STEPS if name != "ci" and "run" in step and step["run"] != ".ci/step make setup"]
    assert {step.get("if") for step in after} == {"${{ !cancelled() }}", "${{ always() }}"}


def test_sunday_is_the_same_day_in_every_condition():
    crons = {entry["cron"] for entry in triggers(FLOWS["nightly"])["schedule"]}
    named = set(re.findall(r"github\.event\.schedule [!=]= '(.+?)'", TEXTS["nightly"]))
    assert len(crons) == 2
    assert named and named < crons


def test_the_smoke_baseline_covers_the_smoke_profile(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert BASELINE.exists(), "run: make smoke accept-smoke"
    params, rows = load(Path("profiles/smoke/params.yaml")), pd.read_csv(BASELINE)
    assert set(rows["profile"]) == {params.profile}
    assert len(rows.drop_duplicates(["variant", "trainset", "seed", "dataset"])) == len(params.evaluations)
