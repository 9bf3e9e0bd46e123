"""What users get wrong: one clear sentence, exit code 2, nothing half-written; through the command line."""

import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
import tifffile

from bench.core import layout
from bench.io import files
from bench.io.radiance import read_exr, read_rgbe, write_rgbe
from bench.stages.data import fetch
from tests.stages.conftest import with_code


def bracket(site):
    """Folder of one raw training scene."""
    return min((layout.raw(site.params, "panoramas") / "Training").iterdir())


def remove(name):
    def apply(folder):
        sorted(folder.glob("*.tif"))[name].unlink()

    return apply


def as_float(folder):
    path = min(folder.glob("*.tif"))
    tifffile.imwrite(path, tifffile.imread(path).astype(np.float32) / 65535, photometric="rgb")


def one_of_8_bits(folder):
    path = max(folder.glob("*.tif"))
    tifffile.imwrite(path, (tifffile.imread(path) >> 8).astype(np.uint8), photometric="rgb")


def scaled(factor):
    def apply(folder):
        path = folder / "HDRImg.hdr"
        write_rgbe(path, read_rgbe(path) * np.float32(factor))

    return apply


def exposures(text):
    return lambda folder: (folder / "exposure.txt").write_text(text)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (remove(2), ["2 exposures found, 3 expected", "Missing: the short or the long exposure"]),
        (remove(1), ["2 exposures found, 3 expected", "Missing: the middle exposure"]),
        (as_float, [".tif: pixels are float32; expected 8 or 16 bits"]),
        (one_of_8_bits, ["uint8", "uint16", "a bracket's frames must agree"]),
        (exposures("short\nmiddle\nlong\n"), ["exposure.txt holds 'short", "expected 3 numbers"]),
        (scaled(4), ["the truth is 4", "expected 1", "2^2", "another origin"]),
        (scaled(0.25), ["the truth is 0.25", "expected 1", "2^-2"]),
    ],
    ids=["no long frame", "no middle frame", "float frames", "mixed bits", "letters", "4 times", "a quarter"],
)
def test_a_bracket_that_is_not_one(site, refused, damage, words):
    scene = bracket(site)
    damage(scene)
    shutil.rmtree(layout.scenes(site.params, "panoramas"))
    said = refused(site, "prepare", "panoramas")
    assert scene.name in said
    assert not [word for word in words if word not in said], said
    assert not (layout.scenes(site.params, "panoramas", "train") / scene.name).exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"#?RADIANCE\nFORMAT", ["not an OpenEXR file"]), (None, ["damaged or cut short", "again"])],
    ids=["another kind", "cut short"],
)
def test_a_panorama_that_is_not_an_exr(fresh, refused, monkeypatch, content, words):
    monkeypatch.setattr(fetch, "ROOT", fresh.folder)
    path = fresh.folder / "datasets" / "panoramas" / "forest.exr"
    path.write_bytes(content or path.read_bytes()[:5000])
    said = refused(fresh, "fetch", "panoramas")
    assert "datasets/panoramas/forest.exr" in said
    assert not [word for word in words if word not in said], said
    assert not layout.raw(fresh.params, "panoramas").joinpath("views.csv").exists()
    assert not list(fresh.folder.rglob("*.part"))


def edit(old, new):
    """Replace text in the parameter file."""

    def apply(site):
        path = site.folder / "params.yaml"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    return apply


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (edit("method: ahdrnet", "method: ahdrnt"), ["variants.ahdrnet", "'ahdrnt'", "Did you mean 'ahdrnet'"]),
        (
            edit("method: adnet", "method: adnet\n    preset: smoek"),
            ["variants.adnet", "'smoek'", "mean 'smoke'?"],
        ),
        (edit("\npreset: smoke", "\npreset: smoek"), ["preset of olc (preset in", "'smoek'", "Did you mean 'smoke'?"]),
        (edit("protocol: whole-float", "protocol: whole-flaot"), ["'whole-flaot'", "Did you mean 'whole-float'"]),
        (edit("threads:", "treads:"), ["params.yaml: treads: unknown key"]),
        (edit("schedule: one-cycle", "schedual: one-cycle"), ["stage1.schedual: unknown key"]),
        (edit("schedule: one-cycle", "schedule: two-cycle"), ["stage1.schedule", "'one-cycle'"]),
        (edit("profile: tiny", "profile: [tiny"), ["not valid YAML"]),
    ],
    ids=["method", "preset", "codebooks' preset", "protocol", "key", "inner key", "value", "YAML"],
)
def test_a_mistake_in_the_parameter_file_is_said_before_anything_runs(fresh, refused, change, words):
    change(fresh)
    said = refused(fresh, "fetch", "panoramas")
    assert "params.yaml" in said
    assert not [word for word in words if word not in said], said
    assert not (fresh.folder / "work").exists()


def test_an_unknown_run_is_answered_with_the_nearest(site, refused):
    said = refused(site, "train", site.plain.replace("panoramas", "panorama"))
    assert f"Did you mean '{site.plain}'" in said


@pytest.mark.parametrize(("file", "words"), [("nowhere.yaml", "not found"), ("bench", "this is a folder")])
def test_a_parameter_file_that_is_none(fresh, refused, file, words):
    said = refused(fresh, "--params", file, "prepare", "panoramas")
    assert file in said
    assert words in said


@pytest.mark.parametrize(
    ("words", "missing", "verb"),
    [
        (("prepare", "panoramas"), "raw/panoramas", "fetch panoramas"),
        (("codebook", "{codebook}"), "scenes/panoramas/train", "prepare panoramas"),
        (("train", "{vq}"), "codebooks/{codebook}.safetensors", "codebook {codebook}"),
        (("evaluate", "{plain}--panoramas"), "weights/{plain}.safetensors", "train {plain}"),
        (("inspect", "{codebook}"), "codebooks/{codebook}.safetensors", "codebook {codebook}"),
        (("inspect", "network-{vq}"), "weights/{vq}.safetensors", "train {vq}"),
        (("summarize",), "scores/{plain}--panoramas.csv", "evaluate {plain}--panoramas"),
        (("report",), "reports/tiny/scores.csv", "summarize"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_stage_before_its_turn_says_what_makes_its_input(site, main_in, capsys, words, missing, verb):
    names = {"codebook": site.codebook, "plain": site.plain, "vq": site.vq}
    path = Path(missing.format(**names))
    path = path if path.parts[0] == "reports" else site.params.work / path
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert main_in(site, *(word.format(**names) for word in words)) == 2
    said = capsys.readouterr().err
    assert (
        f"{path} doesn't exist yet. Make it with: python -m bench {verb.format(**names)}, or run: dvc repro\n" in said
    )


def test_the_command_named_is_that_of_the_profile(site):
    params = site.params.model_copy(update={"params_file": "profiles/smoke/params.yaml"})
    wanted = "python -m bench --params profiles/smoke/params.yaml train x, or run: dvc repro profiles/smoke/dvc.yaml"
    assert layout.remake(params, "train x") == wanted


@pytest.mark.parametrize("stage", ["fetch", "prepare"])
def test_the_pipeline_is_not_named_for_a_dataset_that_it_does_not_know(site, stage):
    assert layout.remake(site.params, f"{stage} kalantari") == f"python -m bench {stage} kalantari"
    assert layout.remake(site.params, f"{stage} panoramas").endswith(f"{stage} panoramas, or run: dvc repro")


@pytest.mark.parametrize("kind", ["junk", "cut short", "of another network"])
def test_weights_that_cannot_be_used(site, main_in, capsys, kind):
    path = layout.weights(site.params, site.plain)
    whole, other = path.read_bytes(), layout.weights(site.params, site.vq).read_bytes()
    path.write_bytes({"junk": b"weights", "cut short": whole[:-100], "of another network": other}[kind])
    assert main_in(site, "evaluate", f"{site.plain}--panoramas") == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert f"error: {path} " in said
    assert ("another network" if kind == "of another network" else "is damaged") in said
    assert f"Delete it, then make it with: python -m bench train {site.plain}" in said


def test_a_damaged_codebook_stops_the_training_on_it(site, main_in, capsys):
    path = layout.codebook(site.params, site.codebook)
    path.write_bytes(b"codes")
    assert main_in(site, "train", site.vq) == 2
    assert f"error: {path} is damaged" in capsys.readouterr().err


class TestFullDisk:
    """A disk that fills up while predictions are written."""

    @pytest.fixture
    def namespace(self):
        """Words that run a script in a mount namespace of its own, where a small disk can be mounted."""
        words = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
        if shutil.which("unshare") is None:
            pytest.skip("unshare isn't installed")
        trial = subprocess.run([*words, "mount -t tmpfs -o size=64k tmpfs /mnt"], capture_output=True, check=False)
        if trial.returncode != 0:
            pytest.skip("mounting isn't permitted here")
        return words

    @pytest.fixture
    def on_small_disk(self, site, namespace, environment):
        """Run a script that mounts its own disk, in the site's folder."""

        def run(script):
            words = [*namespace, script]
            folder = with_code(site).folder
            return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)

        return run

    def test_a_really_full_disk(self, site, on_small_disk):
        name, entry = next(iter(site.params.evaluations.items()))
        folder = layout.predictions(site.params, entry.run, entry.dataset)
        first, second = sorted((folder / "test").iterdir())
        wanted = read_exr(first)
        layout.scores(site.params, name).unlink()
        room = first.stat().st_size * 3 // 2
        script = (
            f"mount -t tmpfs -o size={room} tmpfs work/tiny/predictions && '{sys.executable}' -m bench evaluate {name};"
            "code=$?; cp -R work/tiny/predictions survivors; exit $code"
        )
        answer = on_small_disk(script)
        assert answer.returncode == 2, answer.stderr
        assert len(answer.stderr.splitlines()) == 1
        assert f"error: {second}: could not be written" in answer.stderr
        assert "the disk is full" in answer.stderr
        assert "free some space" in answer.stderr
        left = [path for path in Path("survivors").rglob("*") if path.is_file()]
        assert left == [Path("survivors") / first.relative_to(site.params.work / "predictions")]
        np.testing.assert_array_equal(read_exr(left[0]), wanted)
        assert not layout.scores(site.params, name).exists()

    def test_earlier_predictions_remain(self, site, main_in, capsys, monkeypatch):
        name, entry = next(iter(site.params.evaluations.items()))
        folder = layout.predictions(site.params, entry.run, entry.dataset)
        before = {path: path.read_bytes() for path in folder.rglob("*.exr")}
        written, write = [], OpenEXR.File.write

        def fill(file, path):
            written.append(path)
            if len(written) < 2:
                return write(file, path)
            Path(path).write_bytes(b"half")
            raise RuntimeError("No space left on device.")

        monkeypatch.setattr(OpenEXR.File, "write", fill)
        monkeypatch.setattr(files.shutil, "disk_usage", lambda _: namedtuple("Usage", "free")(0))
        assert main_in(site, "evaluate", name) == 2
        assert "the disk is full" in capsys.readouterr().err
        assert len(written) == 2
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before

    def test_a_full_disk_leaves_no_half_written_checkpoint(self, site, on_small_disk):
        site.change(register="none")  # registered frames lie in runs/ too
        script = (
            f"mount -t tmpfs -o size=16k tmpfs runs && '{sys.executable}' -m bench train {site.plain};"
            "code=$?; find runs -type f; exit $code"
        )
        answer = on_small_disk(script)
        assert answer.returncode == 2, answer.stderr
        assert "last.pt: could not be written" in answer.stderr
        assert not answer.stdout
