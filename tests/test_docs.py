"""The documents: their commands exist, and their examples run."""

import copy
import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

import bench
import bench.metrics
import datasets
import methods
from bench.__main__ import app
from bench.core import registry
from bench.core.dataset import DatasetCard
from bench.core.method import MethodCard
from bench.core.metric import MetricCard, SectionCard
from bench.core.params import Params, load
from bench.core.registry import Registry
from bench.core.scene import Scene

from . import cost_blocks, readme_block

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in DOCUMENTS}
COMMANDS = sorted(
    {line for text in TEXTS.values() for line in re.findall(r"^(?:python -m bench|make) .+$", text, re.M)}
    | {" ".join(words.split()) for text in TEXTS.values() for words in re.findall(r"`(python -m bench\s[^`]+)`", text)}
)
TARGETS = sorted({target for text in TEXTS.values() for target in re.findall(r"`make ([a-z-]+)`", text)})
FILES = dict(re.findall(r"<!-- test: (\S+\.py) -->\n```python\n(.*?)```", TEXTS["CONTRIBUTING.md"], re.S))
(PROTOCOL,) = re.findall(r"<!-- test: protocol -->\n```yaml\n(.*?)```", TEXTS["CONTRIBUTING.md"], re.S)
ENTRIES = re.findall(r"<!-- test: params -->\n```yaml\n(.*?)```", TEXTS["CONTRIBUTING.md"], re.S)


def targets():
    return re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)


def merge(tree, addition):
    """Put the leaves of `addition` into a copy of `tree`, items of lists behind what is there."""
    merged = copy.deepcopy(tree)
    for key, value in addition.items():
        if isinstance(value, dict):
            merged[key] = merge(merged.get(key, {}), value)
        else:
            there = merged.get(key, [])
            there = [there] if isinstance(there, dict) else there
            merged[key] = [*there, *value] if isinstance(value, list) else value
    return merged


@pytest.fixture
def example(tmp_path, monkeypatch):
    """Write an example of CONTRIBUTING.md into a copy of the tree, and return its card."""
    # Registries read their folder once, when first asked: ours must be read before ROOT moves.
    assert all(known.every for known in (registry.methods, registry.datasets, registry.metrics, registry.sections))
    monkeypatch.setattr(registry, "ROOT", tmp_path)

    def install(path, package, card):
        target = tmp_path / path
        target.parent.mkdir(parents=True)
        target.write_text(FILES[path], encoding="utf-8")
        monkeypatch.setattr(package, "__path__", [str(target.parent), *package.__path__])
        monkeypatch.delitem(sys.modules, ".".join(Path(path).with_suffix("").parts), raising=False)
        importlib.invalidate_caches()
        folder = package.__name__.replace(".", "/")
        (found,) = Registry(card.__name__.removesuffix("Card").lower(), folder, card).values()
        return found

    return install


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_exist(command):
    program, *words = shlex.split(command, comments=True)
    if program == "make":
        settings = {word.partition("=")[0] for word in words if "=" in word}
        assert {word for word in words if "=" not in word} <= set(targets())
        assert settings <= set(re.findall(r"\$\(([A-Z_]+)\)", (ROOT / "Makefile").read_text(encoding="utf-8")))
        return
    words = words[2:]
    while words[0].startswith("--"):
        words = words[2:]
    verb = words[:2] if words[0] in ("cost", "data", "protocol") else words[:1]
    answer = CliRunner().invoke(app, [*verb, "--help"])
    assert answer.exit_code == 0, answer.output


@pytest.mark.parametrize("target", TARGETS)
def test_targets_exist(target):
    assert target in targets()


@pytest.mark.parametrize(
    "command", [line for line in COMMANDS if re.search(r"bench (list (?!variants)|protocol)", line)]
)
def test_cheap_commands_run(command):
    words = [sys.executable, *shlex.split(command, comments=True)[1:]]
    answer = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("name", DOCUMENTS)
def test_named_files_exist(name):
    text = re.sub(r"```.*?```", "", TEXTS[name], flags=re.S)
    folder = (ROOT / name).parent
    places = re.findall(r"`((?:bench|methods|datasets|profiles|\.ci)/[\w./-]+)`", text)
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    missing = [place for place in set(places) - set(FILES) if not (ROOT / place).exists()]
    missing += [link for link in links if not (folder / link).exists()]
    assert not missing


def test_the_readme_leads_to_every_document_and_soon_to_a_success():
    lines = TEXTS["README.md"].splitlines()
    assert {name for name in DOCUMENTS if f"]({name})" in TEXTS["README.md"]} >= {*DOCUMENTS} - {"README.md"}
    first = next(number for number, line in enumerate(lines) if line.startswith("python -m bench rank"))
    assert first <= 30
    assert "](reports/demo/figures/" in "\n".join(lines[:12]), "a picture on top"


def test_python_of_the_documents_runs(capsys):
    blocks = re.findall(r"```python\n(.*?)```", TEXTS["docs/metrics.md"], re.S)
    for block in blocks:
        exec(compile(block, "docs/metrics.md", "exec"), {})
    assert blocks
    assert "psnr-mu" in capsys.readouterr().out


def test_a_method_without_training_in_one_file(example, tiny_bracket):
    card = example("methods/hat_merge.py", methods, MethodCard)
    radiance = card.predict(tiny_bracket)
    assert radiance.dtype == np.float32
    assert radiance.shape == tiny_bracket.frames.shape[1:]
    assert (radiance >= 0).all()
    assert np.abs(radiance - 0.2).max() < 0.01


def test_a_learned_method_in_one_file(example):
    import torch

    card = example("methods/three_layers.py", methods, MethodCard)
    for head in card.heads:
        network = card.build("smoke", head=head)
        assert network(torch.rand(2, 3, 6, 16, 24)).shape == (2, 3, 16, 24)
    fidelity = importlib.import_module("bench.nn.losses").Fidelity(None, 0.0)
    terms = network.losses(torch.rand(1, 3, 6, 16, 16), torch.rand(1, 3, 16, 16), fidelity, {})
    sum(terms.values()).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_a_dataset_in_one_file(example, tmp_path):
    from PIL import Image

    card = example("datasets/snapshots.py", datasets, DatasetCard)
    folder = tmp_path / "snapshots" / "garden"
    folder.mkdir(parents=True)
    for value, name in enumerate(("short.png", "middle.png")):
        Image.new("RGB", (8, 6), (40 * value,) * 3).save(folder / name)
    with pytest.raises(bench.core.errors.UsageError, match=r"garden/long\.png: no such file"):
        list(card.scenes(folder.parent, "all"))
    Image.new("RGB", (8, 6), (255, 255, 255)).save(folder / "long.png")
    (scene,) = card.scenes(folder.parent, "all")
    assert scene.frames.shape == (3, 6, 8, 3)


def test_a_metric_in_one_file(example, monkeypatch):
    card = example("bench/metrics/outliers.py", bench.metrics, MetricCard)
    (own,) = Registry("section", "bench/metrics", SectionCard).values()
    for registered, found in ((registry.metrics, card), (registry.sections, own)):
        monkeypatch.setitem(registered.every, found.name, found)
    default = registry.protocols["whole-float"]
    assert "outliers" not in default.model_dump()  # a new metric leaves other protocols as they are
    content = default.model_dump() | yaml.safe_load(PROTOCOL)
    protocol = type(default).model_validate(content | {"masks": {"metrics": ["outliers-mu"]}})
    truth = np.full((12, 13, 3), 0.5, np.float32)
    pred = truth.copy()
    pred[:6] = 0.05  # off by 0.27 after the mu-law
    assert protocol.evaluate(pred, truth)["outliers-mu"] == pytest.approx(0.5)
    assert bench.metrics.outliers_mu(pred, truth, mask=np.ones((12, 13), bool)) == pytest.approx(0.5)
    assert bench.metrics.outliers_mu(pred, truth, tolerance=0.3) == 0
    with pytest.raises(bench.core.errors.UsageError, match=r"outliers\.tolerance: .* greater than 0, got -1"):
        bench.metrics.outliers_mu(pred, truth, tolerance=-1)
    with pytest.raises(
        bench.core.errors.UsageError, match="has no setting peak; it has: tolerance, constant, negative"
    ):
        bench.metrics.outliers_mu(pred, truth, peak=1)


@pytest.fixture
def examples(tmp_path, monkeypatch):
    """Register the methods that CONTRIBUTING.md adds, beside ours."""
    known = registry.methods.every
    for path in FILES:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(FILES[path], encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(registry, "ROOT", tmp_path)
        added = dict(Registry("method", "methods", MethodCard))
    assert set(added) == {"hat-merge", "three-layers"} and not set(added) & set(known)
    for name, card in added.items():
        monkeypatch.setitem(registry.methods._cards, name, card)


@pytest.mark.usefixtures("examples")
@pytest.mark.parametrize("entry", ENTRIES)
def test_entries_for_the_parameter_file_are_valid(entry, small_params):
    Params.model_validate(merge(small_params, yaml.safe_load(entry)))


@pytest.mark.skipif(not (ROOT / "params.yaml").exists(), reason="params.yaml is not there")
@pytest.mark.usefixtures("examples")
@pytest.mark.parametrize("entry", ENTRIES)
def test_entries_fit_the_shipped_parameter_file(entry, write_params):
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    addition = yaml.safe_load(entry)
    params = load(write_params(merge(content, addition)))
    assert set(addition["variants"]) <= set(params.variants)


def test_citation_is_complete_and_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors", "license", "references"} <= set(citation)
    assert citation["version"] == bench.__version__
    assert citation["references"][0]["title"] in " ".join(TEXTS["README.md"].split())


def test_changelog_has_an_unreleased_section():
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.fixture
def tiny_bracket():
    """Three 8-bit frames of a grey wall of radiance 0.2 that suit the times 1, 2 and 4."""
    times = np.array([1.0, 2.0, 4.0])
    frames = np.rint(255 * (0.2 * times) ** (1 / 2.2)).astype(np.uint8)
    return Scene("wall", np.broadcast_to(frames[:, None, None, None], (3, 4, 5, 3)), times, reference=1)


def test_results_in_the_documents_are_those_of_the_committed_demo():
    """Compared with the commit, because another machine's `make repro` rounds differently and rewrites the reports."""
    if readme_block.committed(readme_block.SCORES) is None:
        pytest.skip("not a git checkout with a committed demo")
    wanted = readme_block.block(readme_block.committed)
    assert readme_block.standing("results") == wanted, f"run `make readme`; expected is:\n{wanted}"


@pytest.mark.parametrize("name", ["metrics", "protocols"])
def test_lists_in_the_documents_are_those_of_the_registries(name):
    wanted = readme_block.BLOCKS[name][1](readme_block.on_disk)
    assert readme_block.standing(name) == wanted, "run `make readme`"


def test_results_for_the_readme_follow_the_reports():
    values = {"psnr-mu": 30.126, "hdrvdp2": 61.5, "ssim-mu": 0.9}
    scenes = [(name, metric, scene) for name in readme_block.ROWS for metric in values for scene in "ab"]
    scores = pd.DataFrame(scenes, columns=["variant", "metric", "scene"]).assign(seed=0, protocol="own@1")
    scores["value"] = scores["metric"].map(values) + scores["scene"].map({"a": -1, "b": 1})
    scores.loc[(scores["variant"] == "ahdrnet") & (scores["metric"] == "psnr-mu"), "value"] += 2
    compared = pd.DataFrame(
        [
            ("x", "own@1", 30, 1, 0),
            ("x", "z@2", 31, 2, -1),
            ("x", "v@1", 30, 1, 0),
            ("y", "own@1", 29, 2, 0),
            ("y", "z@2", 33, 1, 1),
            ("y", "v@1", 29, 2, 0),
            ("y", "w@1", None, None, None),
            ("f", "own@1", 31, 1, 0),
            ("f", "v@1", 20, 3, -2),
        ],
        columns=["variant", "protocol", "value", "rank", "rank_change"],
    ).assign(metric="psnr-mu", change_against="psnr-mu own@1", kind="measured")
    compared.loc[compared["variant"] == "f", "kind"] = "floor"  # fmt: skip
    sizes = pd.DataFrame({"params_m": [None, 0.5, 0.1], "published_params_m": [None, 2.0, 1.0]})
    files = {readme_block.SCORES: scores.to_csv(index=False), readme_block.SIZES: sizes.to_csv(index=False)}
    assert "What the protocol alone does" not in readme_block.block(files.get)
    text = readme_block.block({**files, readme_block.PROTOCOLS: compared.to_csv(index=False)}.get)
    assert "4 to 10 times fewer parameters" in text
    assert "| AHDRNet | `ahdrnet` | 32.13 | 61.50 | +2.00 |" in text
    assert f"| {readme_block.ROWS['flow-merge']} | `flow-merge` | 30.13 | 61.50 | \u2013 |" in text
    plain = scores[scores["variant"] != "dis-brighter-where-clipped"]  # the base of networks on registered frames
    others = readme_block.block({**files, readme_block.SCORES: plain.to_csv(index=False)}.get)
    assert readme_block.GAIN in text and readme_block.GAIN not in others and "dis-brighter" not in others
    assert "means of 2 test views, one seed" in text
    assert "`f` have 20.00 dB PSNR-μ under `v` and\n31.00 under `own`" in text
    assert "1 of the 2 other protocols that define PSNR-μ rank the 2 variants\n(floors left out) otherwise" in text


def test_what_the_readme_says_of_the_study_stands_in_its_report():
    said = TEXTS["docs/reproduce.md"].replace("\n", " ")
    support = (ROOT / "reports/study/tables/support.md").read_text(encoding="utf-8")
    found = {
        "that RF helps": "That RF helps is supported",
        "adding D_VQ without it doesn't": "That D_VQ helps is contradicted",
        "OLC and vanilla codebooks can't be told apart": "OLC is better than a vanilla codebook is not supported at K",
        "drawn at random and trained along does as well": "not distinguishable from its control",
    }
    for words, sentence in found.items():
        assert words in said
        assert sentence in support


def test_pictures_of_the_documents_exist():
    found = {name: re.findall(r"!\[[^]]+\]\(([^)]+)\)", text) for name, text in TEXTS.items()}
    assert found["README.md"] and found["docs/results.md"]
    assert all(((ROOT / name).parent / path).is_file() for name, paths in found.items() for path in paths)


@pytest.mark.parametrize("name", ("docs/reproduce.md", "docs/real-data.md", "docs/scale.md", "Makefile"))
def test_hours_are_those_of_what_was_counted(name):
    """Mended by `make costs`."""
    assert (ROOT / name).read_text(encoding="utf-8") == cost_blocks.wanted()[name]
