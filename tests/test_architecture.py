"""The shape of the code: who imports whom, and what modules are called."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import datasets

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = sorted(path for folder in ("bench", "methods", "datasets") for path in (ROOT / folder).rglob("*.py"))
FILES = [*PRODUCT, *sorted((ROOT / "tests").rglob("*.py"))]


def test_datasets_is_ours():
    assert Path(datasets.__file__).is_relative_to(ROOT)


def test_import_contracts_hold():
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert answer.returncode == 0, answer.stdout


def test_no_module_is_a_drawer():
    assert not [path for path in FILES if path.stem in {"utils", "util", "helpers", "misc", "common"}]


def test_no_class_name_of_bench_stands_twice():
    """One word, one thing: a name that is searched for leads to one place."""
    classes = [
        (node.name, str(path.relative_to(ROOT)))
        for path in PRODUCT
        if path.is_relative_to(ROOT / "bench")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    counted = Counter(name for name, _ in classes)
    assert not {place for place in classes if counted[place[0]] > 1}


def test_every_package_says_what_it_is_for():
    assert all(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) for path in PRODUCT)


def test_the_lock_pins_every_requirement():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    for name in (
        "raw",
        "browser",
        "perceptual",
    ):  # used where somebody installed them; no number that we publish depends on them
        extras.pop(name)
    groups = [project["dependencies"], *extras.values()]
    wanted = {line.split(">")[0].split("=")[0].lower() for group in groups for line in group}
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = dict(line.lower().split("==") for line in lines if not line.startswith("#"))
    assert wanted <= set(pins)
    assert not [version for version in pins.values() if "+" in version], "a local version can't be installed elsewhere"
