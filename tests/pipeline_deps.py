"""`make deps`: write the code that each stage of dvc.yaml depends on, from what the stage imports.

A folder of code is named whole (rooms of `stages` and `report` one by one) where a stage imports a quarter of its files
or more; of other folders the files are named. A file outside these rules would go unnoticed if it weren't for
tests/test_pipeline.py, which compares dvc.yaml with what is computed here, and this with what stages really load.
"""

import re
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path

import grimp
import yaml

from bench.core.registry import datasets, methods, metrics
from tests.stage_modules import stage_module

ROOT = Path(__file__).resolve().parents[1]
PIPELINE = ROOT / "dvc.yaml"
PACKAGES = ("bench", "methods", "datasets")

WHOLE = 0.25
"""Share of a folder's files from which on the folder is named."""

ROOMS = {"stages", "report"}
"""Folders of bench whose sub-folders count one by one."""

SCORES = ("bench.metrics.protocol", *(card.module for card in metrics.every.values()))
"""What a protocol's name leads to: the metrics, too, are found by their names."""


@cache
def graph():
    return grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True, cache_dir=None)


def source(module):
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() and (path / "__init__.py").exists() else path.with_suffix(".py")


@cache
def closure(*entries):
    """Files that the modules import, directly or not, at once or inside a function; empty packages are left out."""
    modules = set(entries).union(*(graph().find_upstream_modules(entry) for entry in entries))
    files = {source(module) for module in modules}
    return {str(path.relative_to(ROOT)) for path in files if path.name != "__init__.py" or "import" in path.read_text()}


def loaded_by_name(verb):
    """Modules that registries load while the stage runs, besides those whose file stands below ${item.code}."""
    if verb in {"fetch", "prepare"}:
        return [card.module for card in datasets.values()]
    if verb in {"train", "evaluate", "inspect", "sizes"}:
        scores = SCORES if verb == "evaluate" else ()
        return [*(card.module for card in methods.values()), *scores]
    return [*SCORES] if verb == "report" else []


def folder_of(path):
    parts = Path(path).parts
    depth = 3 if len(parts) > 3 and parts[1] in ROOMS else 2
    return Path(*parts[:depth])


def code(verb):
    """Return files and folders of bench that the stage `verb` depends on; others stand in dvc.yaml by hand."""
    used = defaultdict(set)
    files = closure(stage_module(verb), *loaded_by_name(verb))
    for path in files:
        if path.startswith("bench/"):
            used[folder_of(path)].add(path)
    found = set()
    for folder, names in used.items():
        files = [p for p in (ROOT / folder).rglob("*.py") if p.name != "__init__.py"] if len(folder.parts) > 1 else []
        whole = (ROOT / folder).is_dir() and folder.parts[-1] not in ROOMS and len(names) >= WHOLE * len(files)
        found |= {str(folder)} if whole else names
    return sorted(found)


def groups():
    """Name and verb of each stage of dvc.yaml."""
    content = yaml.safe_load(PIPELINE.read_text(encoding="utf-8"))
    stages = {name: (body.get("do") or body)["cmd"] for name, body in content["stages"].items()}
    return {name: re.search(r"\$\{plan\.params\} (\w+)", command)[1] for name, command in stages.items()}


def rewritten(text):
    """Return the pipeline with the code of each stage in its `deps`, everything else as it is."""
    lines, verbs, name, inside = [], groups(), "", False
    for line in text.splitlines():
        if stage := re.fullmatch(r"  (\w+):", line):
            name = stage[1]
        if re.fullmatch(r" +deps:", line):
            indent = " " * (len(line) - len(line.lstrip()) + 2)
            lines += [line, *(f"{indent}- {path}" for path in code(verbs[name]))]
            inside = True
        elif not (inside and line.lstrip().startswith("- bench/")):
            inside = inside and line.lstrip().startswith("- ")
            lines.append(line)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    before = PIPELINE.read_text(encoding="utf-8")
    after = rewritten(before)
    PIPELINE.write_text(after, encoding="utf-8")
    print(f"{PIPELINE.name} {'agrees with the imports' if after == before else 'is rewritten'}")
    sys.exit(0)
