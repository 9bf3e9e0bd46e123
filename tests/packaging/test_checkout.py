"""The checkout as pip sees it, with what runs leave there."""

import shutil
import subprocess
import sys

from bench.core.registry import ROOT


def test_setting_up_again_after_a_launch_does_not_walk_through_its_clones(tmp_path):
    """Workers' clones link to the checkout's own folders: following these links has no end within an hour."""
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, tmp_path)
    for package in ("bench", "methods", "datasets"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text('"""A package."""\n\n__version__ = "1"\n')
    for clone in range(8):
        (tmp_path / f"runs/clone{clone}").mkdir(parents=True)
        (tmp_path / f"runs/clone{clone}/runs").symlink_to("../../runs")
    code = "from setuptools.build_meta import get_requires_for_build_editable as ask; ask()"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=60, capture_output=True)
    found = (tmp_path / "olc_hdr_bench.egg-info/top_level.txt").read_text().split()
    assert found == ["bench", "datasets", "methods"]


def test_every_folder_with_code_is_a_package():
    folders = {path.parent for name in ("bench", "methods", "datasets") for path in (ROOT / name).rglob("*.py")}
    assert not [folder for folder in sorted(folders) if not (folder / "__init__.py").exists()]
