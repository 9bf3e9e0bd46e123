"""Names of a parameter file: what may become a folder, a stage or a word of a shell, and what DVC makes of it."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.core.errors import UsageError
from bench.core.params import load
from bench.core.reading import NAME
from bench.stages import plan

ROOT = Path(__file__).resolve().parents[2]

EVIL = (
    "../../../../x",
    "/tmp/x",
    "..",
    ".hidden",
    "-rf",
    "$(touch x)",
    "`touch x`",
    "a;touch x",
    "a b",
    "a\nb",
    "a\x1b[31m",
    "<b>",
    "${plan.root}",
    "a@b",
    "ä",
    "",
    "a" * 101,
)

ODD = ("1e3", "0o7", "+1E5", "2017", "on", "null", "true", "a+b", "A_b--c", "9" * 90)
"""Names that a shell takes as they are; YAML has other ideas of some."""

RESOLVE = """
import json, sys
from dvc.repo import Repo
from dvc.repo.index import Index
from dvc.stage import PipelineStage
found = []
for stage in Index.from_file(Repo(), "dvc.yaml").stages:
    if isinstance(stage, PipelineStage):
        params = [dep for dep in stage.deps if type(dep).__name__ == "ParamsDependency"]
        missing = [key for dep in params for key in dep.params if key not in dep.read_params()]
        found.append([stage.name, stage.cmd, [str(out.def_path) for out in stage.outs], missing])
print(json.dumps(found))
"""


@pytest.mark.parametrize("name", EVIL, ids=range(len(EVIL)))
@pytest.mark.parametrize("part", ["profile", "datasets", "codebooks", "variants"])
def test_a_name_that_a_path_or_a_shell_reads_otherwise_is_refused(part, name, write_params, small_params):
    entry = {"datasets": {}, "codebooks": {"segments": "olc", "codes": 8}, "variants": {"method": "flow-merge"}}
    if part == "profile":
        small_params["profile"] = name
    else:
        small_params[part][name] = entry[part]
    with pytest.raises(UsageError, match=rf"{part} .*: a name has letters, digits, dots, dashes") as caught:
        load(write_params(small_params))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("part", ["codebooks", "variants"])
def test_names_that_some_disks_take_for_one_are_refused(part, write_params, small_params):
    name = next(iter(small_params[part]))
    small_params[part][name.upper()] = dict(small_params[part][name])
    with pytest.raises(UsageError, match=f"'{name.upper()}' and '{name}' are one file on a disk"):
        load(write_params(small_params))


@pytest.mark.parametrize("part", ["codebooks", "variants"])
def test_a_dot_in_a_name_is_refused_since_dvc_reads_it_as_a_level(part, write_params, small_params):
    entry = {"codebooks": {"segments": "olc", "codes": 8}, "variants": {"method": "flow-merge"}}
    small_params[part]["v1.5"] = entry[part]
    with pytest.raises(UsageError, match=r"'v1\.5': DVC reads a dot .* such as v1-5"):
        load(write_params(small_params))
    small_params[part].pop("v1.5")
    assert load(write_params({**small_params, "profile": "v1.5"})).work == Path("work/v1.5")


def test_dvc_finds_what_it_needs_for_every_name_and_writes_below_work_and_reports_alone(
    tmp_path, monkeypatch, write_params, small_params
):
    small_params["variants"] |= {name: {"method": "flow-merge", "evaluate": ["panoramas"]} for name in ODD[:-1]}
    small_params["codebooks"]["1e4"] = {"segments": "vanilla", "codes": 8}
    small_params["variants"][ODD[-1]] = {"method": "olc", "preset": "smoke", "codebook": "1e4"}
    small_params |= {"train": {"panoramas": [2**53]}, "evaluate": ["panoramas"]}
    write_params(small_params)
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = True\n    analytics = false\n")
    monkeypatch.chdir(tmp_path)
    params = load(Path("params.yaml"))
    plan.write(params)
    command = [sys.executable, "-W", "ignore", "-c", RESOLVE]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout.splitlines()[-1])
    assert {f"evaluate@{key}" for key in params.evaluations} <= {name for name, *_ in found}
    for name, cmd, outs, missing in found:
        assert not missing, name
        assert not re.search(r"[^A-Za-z0-9 ._+/-]", cmd) and shlex.split(cmd) == cmd.split()
        assert NAME.fullmatch(cmd.split()[-1]) or name == "plan"
        assert all(Path(out).parts[0] in ("work", "reports") and ".." not in Path(out).parts for out in outs)


def test_a_parameter_file_in_a_folder_that_a_shell_would_read_otherwise_has_no_plan(tmp_path, small_params):
    folder = tmp_path / "$(touch x)"
    folder.mkdir()
    file = folder / "params.yaml"
    file.write_text(json.dumps(small_params))
    with pytest.raises(UsageError, match=r"\$\(touch x\)/params\.yaml': the path of a parameter file becomes a word"):
        plan.text(load(file))


def test_a_profile_that_evaluates_nothing_is_refused_before_dvc_trains_it(write_params, small_params):
    for variant in small_params["variants"].values():
        variant.pop("evaluate", None)
    with pytest.raises(UsageError, match=r"evaluates nothing.*evaluate: \[panoramas\]"):
        plan.text(load(write_params(small_params)))


def test_the_guard_of_the_pipeline_refuses_changed_parameters(tmp_path, monkeypatch, bench, write_params, small_params):
    """DVC's first stage: every other depends on what it writes."""
    file = write_params(small_params)
    plan.write(load(file))
    small_params["variants"]["$(touch x)"] = {"method": "flow-merge", "evaluate": ["panoramas"]}
    write_params(small_params)
    answer = bench("--params", str(file), "plan", "--check")
    assert answer.returncode == 2 and "variants '$(touch x)': a name has" in answer.stderr
    small_params["variants"].pop("$(touch x)")
    write_params(small_params)
    sound = plan.path(load(file)).read_text()
    plan.path(load(file)).write_text(sound.replace("triangle-merge--panoramas", "$(touch x)--panoramas"))
    answer = bench("--params", str(file), "plan", "--check")
    assert answer.returncode == 2 and "the parameters have changed since, or it was edited" in answer.stderr


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "-x", "a\nb", ".x", "x" * 300])
def test_names_on_the_command_line_are_checked_as_well(name, bench, tmp_path):
    for words in (
        ("import-weights", "ahdrnet", "none.pth", f"--name={name}"),
        ("score", str(tmp_path), "--dataset", "x", "--truth", str(tmp_path), f"--submit={name}"),
        ("new", "profile", "--", name),
        ("new", "method", "--", name),
        ("evaluate", "--", name),
    ):
        answer = bench(*words)
        assert answer.returncode == 2 and answer.stderr.startswith("error: ") and answer.stderr.count("\n") == 1, words
