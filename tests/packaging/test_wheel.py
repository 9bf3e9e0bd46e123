"""The wheel of the metrics: built, installed into an empty folder, and run where nothing but torch and NumPy is."""

import json
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

import bench.metrics
from bench.core.registry import protocols
from bench.metrics.functional.metrics import MEASURES

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / "packaging"
ORIGINS = {part: f"bench/metrics/{part}" for part in ("functional", "hdrvdp2", "hdrvdp3")}
"""Sub-package of the wheel -> the benchmark's folder that it is."""

SCRIPT = """
import contextlib, doctest, importlib, importlib.util, io, json, pkgutil, sys

given = json.load(open(sys.argv[1]))
seen = [name for name in given["names"] if importlib.util.find_spec(name)]
printed = io.StringIO()
with contextlib.redirect_stdout(printed):
    exec(given["example"])
import hdr_metrics, numpy
pairs = numpy.load(sys.argv[2])
images, rules = (pairs["pred"], pairs["truth"]), given["protocol"]
names = hdr_metrics.functional.metrics.MEASURES
scores = {name: hdr_metrics.measured(name, *images, protocol=rules).tolist() for name in names}
try:
    hdr_metrics.psnr_mu(*images, protocol={"mu": {"constnat": 3}})
except hdr_metrics.UsageError as error:
    said = str(error)
modules = [found.name for found in pkgutil.walk_packages(hdr_metrics.__path__, "hdr_metrics.")]
examples = {name: doctest.testmod(importlib.import_module(name)) for name in modules}
print(json.dumps({"seen": seen, "printed": printed.getvalue(), "scores": scores, "said": said, "examples": examples}))
"""
"""What runs where only the wheel, torch and NumPy are, in one process: it takes seconds to import torch."""

NAMES = ("bench", "yaml", "pydantic", "scipy", "torch", "numpy", "hdr_metrics")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build it from a link to the checkout's folders, so that nothing is written beside them."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(PLACE, folder / "packaging", ignore=shutil.ignore_patterns("build", "*.egg-info"), symlinks=True)
    for name in ("bench", "LICENSE", "THIRD_PARTY_NOTICES.md"):
        (folder / name).symlink_to(ROOT / name)
    command = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", "found"]
    subprocess.run([sys.executable, "-m", *command, "./packaging"], cwd=folder, check=True, timeout=120)
    (found,) = (folder / "found").glob("hdr_metrics-*.whl")
    return found


@pytest.fixture(scope="module")
def pairs():
    rng = np.random.default_rng(0)
    truth = rng.random((2, 3, 24, 31)).astype(np.float32)
    return (truth * rng.normal(1, 0.05, truth.shape)).astype(np.float32), truth


@pytest.fixture(scope="module")
def alone(wheel, pairs, tmp_path_factory):
    """Run the script in a Python that sees the installed wheel, torch, NumPy and what these two need."""
    place, folder = tmp_path_factory.mktemp("alone"), tmp_path_factory.mktemp("given")
    command = ["pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(place), str(wheel)]
    subprocess.run([sys.executable, "-m", *command], check=True, timeout=120)
    for name in _needed("torch", "numpy"):
        parts = {file.parts[0] for file in distribution(name).files}
        for top in parts - {"..", "__pycache__", *(path.name for path in place.iterdir())}:
            (place / top).symlink_to(Path(distribution(name).locate_file(top)))
    given = {"names": NAMES, "example": _example(), "protocol": protocols["whole-float"].model_dump()}
    (folder / "given.json").write_text(json.dumps(given))
    np.savez(folder / "pairs.npz", pred=pairs[0], truth=pairs[1])
    start = f"import sys; sys.path.insert(0, {str(place)!r})\n"
    words = [sys.executable, "-I", "-S", "-W", "error", "-c", start + SCRIPT, "given.json", "pairs.npz"]
    answer = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, cwd=folder)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def _example():
    (example,) = (part.split("```")[0] for part in (PLACE / "README.md").read_text().split("```python\n")[1:])
    return example


def _needed(*names):
    """Names of distributions and of all that they need here, extras left out."""
    found, left = set(), [*names]
    while left:
        if (name := left.pop().lower()) in found:
            continue
        found.add(name)
        wanted = (Requirement(line) for line in distribution(name).requires or ())
        left += [one.name for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    return found


def test_it_holds_the_benchmarks_own_files(wheel):
    assert wheel.stat().st_size < 1_000_000
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        for part, origin in ORIGINS.items():
            files = {path.name for path in (ROOT / origin).iterdir() if path.is_file()}
            assert {Path(name).name for name in names if name.startswith(f"hdr_metrics/{part}/")} == files
            for name in files:
                assert archive.read(f"hdr_metrics/{part}/{name}") == (ROOT / origin / name).read_bytes()
        (about,) = (name for name in names if name.endswith("METADATA"))
        metadata = Parser().parsestr(archive.read(about).decode())
        licences = {Path(name).name: archive.read(name) for name in names if "/licenses/" in name}
    assert {Requirement(line).name for line in metadata.get_all("Requires-Dist")} == {"torch", "numpy"}
    assert licences == {name: (ROOT / name).read_bytes() for name in ("LICENSE", "THIRD_PARTY_NOTICES.md")}


def test_nothing_else_can_be_imported_there(alone):
    assert alone["seen"] == ["torch", "numpy", "hdr_metrics"]


def test_the_readmes_example_runs(alone):
    assert len([line for line in _example().splitlines() if line]) == 3
    assert alone["printed"].count("tensor([") == 3


@pytest.mark.parametrize("name", MEASURES)
def test_its_values_are_the_benchmarks(name, alone, pairs):
    function = getattr(bench.metrics, name.replace("-", "_"))
    assert alone["scores"][name] == function(*pairs, protocol=protocols["whole-float"].model_dump()).tolist()


def test_every_example_runs_there(alone):
    assert not [name for name, (failed, *_) in alone["examples"].items() if failed]
    assert alone["examples"]["hdr_metrics.functional.metrics"][1] > 10


def test_its_errors_are_the_benchmarks(alone):
    assert alone["said"] == "no setting of the section mu is called 'constnat'. Did you mean 'constant'?"
