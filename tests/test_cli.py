"""The command line: what it says, what it imports, and how it fails."""

import errno
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from bench import __version__
from bench.__main__ import app, main
from bench.cli import cost, stages
from bench.cli.settings import ROOT, locate
from bench.core.errors import BenchError, TrainingFailed
from bench.core.registry import protocols

HEAVY = ("torch", "numpy", "pandas", "scipy", "matplotlib", "skimage", "cv2", "numba", "dvc", "OpenEXR", "tifffile")

IMPORTED = """
import runpy, sys
sys.argv = ["bench", *sys.argv[1:]]
try:
    runpy.run_module("bench", run_name="__main__", alter_sys=True)
except SystemExit as end:
    assert not end.code, end.code
print("\\nimported:", *sorted({name.split(".")[0] for name in sys.modules}))
"""


def commands(command, path=()):
    """Every verb that runs something, as a tuple of words."""
    inner = getattr(command, "commands", None)
    if inner is None:
        return [path]
    return [found for name, sub in inner.items() for found in commands(sub, (*path, name))]


VERBS = commands(typer.main.get_command(app))


@pytest.fixture
def stage(monkeypatch):
    """Put a stage called summarize in place, whose work the test gives, and run it with the command line."""
    monkeypatch.chdir(ROOT)

    def run(work, *options, params):
        monkeypatch.setitem(sys.modules, "bench.stages.scoring.summarize", types.SimpleNamespace(run=work))
        monkeypatch.setattr(sys, "argv", ["bench", "--params", str(params), *options, "summarize"])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code

    return run


def test_the_version_is_told(bench):
    answer = bench("--version")
    assert (answer.returncode, answer.stdout) == (0, f"bench {__version__}\n")


@pytest.mark.parametrize(
    ("hours", "said"),
    [(0, "0 us"), (3.37e-07, "1.21 ms"), (1e-3, "3.6 s"), (0.5, "30 min"), (3.372, "3.37 h"), (1234.5, "1234 h")],
)
def test_times_stand_in_a_unit_that_reads_well(hours, said):
    assert cost._time(hours) == said


def test_the_verbs_of_the_pipeline_are_there():
    wanted = {"fetch", "prepare", "codebook", "train", "evaluate", "inspect", "summarize", "report", "list", "doctor"}
    assert wanted <= {verb[0] for verb in VERBS}


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_has_help_with_an_example(verb):
    answer = CliRunner().invoke(app, [*verb, "--help"])
    assert answer.exit_code == 0
    assert "Example: python -m bench" in answer.output


@pytest.mark.parametrize("verb", ["codebook", "train", "evaluate", "inspect"])
def test_the_example_of_a_stage_names_what_is_there(verb, monkeypatch):
    monkeypatch.chdir(ROOT)
    example = getattr(stages, verb).__doc__.partition("Example: python -m bench ")[2]
    answer = CliRunner().invoke(app, [*example.split(), "--dry-run"])
    assert answer.exit_code == 0, answer.output


@pytest.mark.parametrize(
    ("arguments", "forbidden"),
    [
        (["--help"], HEAVY),
        (["train", "--help"], HEAVY),
        (["list", "methods"], [name for name in HEAVY if name != "numpy"]),
        (["list", "metrics", "--json"], [name for name in HEAVY if name != "numpy"]),
        (["list", "protocols"], HEAVY),
    ],
    ids=" ".join,
)
def test_light_commands_import_nothing_heavy(arguments, forbidden):
    command = [sys.executable, "-c", IMPORTED, *arguments]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    imported = answer.stdout.rpartition("imported:")[2].split()
    assert "bench" in imported
    assert not set(forbidden) & set(imported)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list", "metods"], "Did you mean 'methods'"),
        (["protocol", "show", "whole-flaot"], "Did you mean 'whole-float'"),
        (["--params", "nowhere.yaml", "list", "variants"], "'nowhere.yaml' not found"),
        (
            ["--params", "profile/smoke/params.yaml", "list", "variants"],
            "'profile/smoke/params.yaml' not found. Did you mean 'profiles/smoke/params.yaml'",
        ),
        (["frobnicate"], "No such command"),
        (["list", "methods", "--frobnicate"], "No such option"),
        (["train"], "Missing argument"),
        (["score", "."], "name the data set with --dataset, or a folder of ground truth with --truth"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_sentence_and_exit_code_2(bench, arguments, message):
    answer = bench(*arguments)
    assert answer.returncode == 2
    assert message in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not answer.stdout


@pytest.mark.parametrize(
    ("verb", "name", "meant"),
    [
        ("fetch", "panorama", "panoramas"),
        ("prepare", "panorama", "panoramas"),
        ("codebook", "ocl-64--panoramas--s0", "olc-64--panoramas--s0"),
        ("train", "ahdrnet--panoramas--s9", "ahdrnet--panoramas--s0"),
        ("evaluate", "triangle-merge--panorama", "triangle-merge--panoramas"),
        ("inspect", "ocl-64--panoramas--s0", "olc-64--panoramas--s0"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(bench, write_params, small_params, verb, name, meant):
    answer = bench("--params", str(write_params(small_params)), verb, name)
    assert answer.returncode == 2
    assert f"'{meant}'" in answer.stderr.partition("Did you mean")[2]
    assert len(answer.stderr.splitlines()) == 1


def test_a_stage_gets_the_parameters(stage, write_params, small_params, capsys):
    path = write_params(small_params)
    assert stage(lambda params: print(params.profile), params=path) == 0
    assert capsys.readouterr().out == "small\n"
    assert stage(lambda params: print(params.profile), "--quiet", params=path) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("failure", "code", "message"),
    [
        (BenchError("the sea is dry."), 1, "error: the sea is dry."),
        (TrainingFailed("step 3: loss is nan."), 1, "error: step 3: loss is nan."),
        (OSError(errno.ENOSPC, "No space left on device", "scene.exr"), 2, "the disk is full while writing scene.exr"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), 2, "the disk is full; free some space"),
        (
            SyntaxError("invalid syntax", ("/x/parts.py", 3, 1, "")),
            2,
            "error: /x/parts.py:3: this isn't Python (invalid",
        ),
        (SyntaxError("null bytes"), 2, "error: a file of the code: this isn't Python (null bytes)"),
        (KeyboardInterrupt(), 130, "interrupted; the same command goes on"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_a_failing_stage_ends_with_its_sentence(stage, write_params, small_params, capsys, failure, code, message):
    def fail(params):
        raise failure

    assert stage(fail, params=write_params(small_params)) == code
    assert message in capsys.readouterr().err


def test_other_errors_keep_their_traceback(stage, write_params, small_params):
    def fail(params):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stage(fail, params=write_params(small_params))


def test_it_works_from_another_folder(tmp_path):
    command = [sys.executable, "-m", "bench", "list", "methods"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    answer = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert "triangle-merge" in answer.stdout


def test_parameter_files_are_looked_for_here_and_in_the_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert locate(Path("params.yaml")) == Path("params.yaml")
    (tmp_path / "params.yaml").touch()
    assert locate(Path("params.yaml")) == tmp_path / "params.yaml"


def test_json_holds_every_field(bench):
    cards = json.loads(bench("list", "methods", "--json").stdout)
    card = next(card for card in cards if card["name"] == "triangle-merge")
    assert card["module"] == "methods.triangle_merge"
    assert card["trains"] is False


@pytest.mark.parametrize("kind", ["methods", "datasets", "metrics", "protocols", "variants"])
def test_lists_have_a_heading_and_aligned_columns(bench, write_params, small_params, kind):
    answer = bench("--params", str(write_params(small_params)), "list", kind)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("name ")


def test_protocol_show_states_settings_source_and_libraries(bench):
    lines = bench("protocol", "show", "safnet-matlab").stdout.splitlines()
    shown = {line.split("  ")[0].strip(): line for line in lines if "  " in line}
    assert "1.0  (peak value" in shown["psnr.peak"]
    assert "volume  (" in shown["ssim.channels"]
    assert "0.55  (from eye to screen)" in shown["hdrvdp2.pixels_per_degree.distance_m"]
    assert "MATLAB evaluation of SAFNet" in shown["source"]
    assert lines[-1].startswith("computed with torch 2.")


def test_protocol_list_names_the_metrics(bench):
    heading, *rows = bench("protocol", "list").stdout.splitlines()
    assert heading.split() == ["name", "version", "title", "metrics"]
    start = heading.index("metrics")
    assert {row.split()[0]: row[start:] for row in rows}["lrt-hdr"] == "psnr-mu hdrvdp2"
    assert len(rows) == len(protocols)


def test_protocol_diff_is_aligned_and_holds_settings_only(bench):
    heading, *rows = bench("protocol", "diff", "safnet", "deephdr").stdout.splitlines()
    assert heading.split() == ["setting", "safnet@1", "deephdr@2"]
    columns = [heading.index(word) for word in heading.split()]
    cells = {row[: columns[1]].strip(): (row[columns[1] : columns[2]].strip(), row[columns[2] :]) for row in rows}
    assert cells["values.clip"] == ("prediction", "none")
    assert cells["psnr.identical"] == ("inf", "100.0")
    assert cells["region.crop.centre"] == ("-", "960 1440")
    assert set(cells) == {
        "metrics", "region.crop", "values.clip", "psnr.identical", "masks.metrics", "region.crop.centre"
    }  # fmt: skip


@pytest.mark.parametrize("pair", [("whole-float", "whole-float"), ("sctnet", "afunet")])
def test_protocol_diff_of_equals_is_empty(bench, pair):
    assert bench("protocol", "diff", *pair).stdout == "no setting differs\n"


@pytest.mark.parametrize(
    ("name", "use", "said"),
    [
        ("panorama", {}, "no dataset (datasets in "),
        ("panoramas", {"layout": "folder"}, "no layout (datasets.panoramas.layout in "),
    ],
)
def test_a_dataset_that_is_not_there_is_answered_before_anything_runs(
    bench, write_params, small_params, name, use, said
):
    small_params["datasets"][name] = use
    answer = bench("--params", str(write_params(small_params)), "report")
    assert answer.returncode == 2
    assert said in answer.stderr and "Did you mean" in answer.stderr


def test_a_misspelt_option_of_a_variant_is_answered_before_its_codebook_is_trained(bench, write_params, small_params):
    small_params["variants"]["olc-pa-sum"] = {"method": "olc", "preset": "smoke", "options": {"skipp": "sum"}}
    answer = bench("--params", str(write_params(small_params)), "codebook", "olc-64--panoramas--s0")
    assert answer.returncode == 2 and len(answer.stderr.splitlines()) == 1
    assert "no option of olc (variants.olc-pa-sum in " in answer.stderr and "Did you mean 'skip'?" in answer.stderr


def test_a_profile_without_trainings_says_so(bench, write_params, small_params):
    answer = bench("--params", str(write_params(small_params | {"train": {}})), "train", "ahdrnet--panoramas--s0")
    assert answer.returncode == 2 and len(answer.stderr.splitlines()) == 1
    assert "asks for nothing to train; see its variants and `train`" in answer.stderr
