"""Merge: a real bracket in any order to one picture, and a sentence for each way to ask for the impossible."""

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from safetensors.torch import save_file

from bench.core.errors import UsageError
from bench.core.registry import methods
from bench.core.runs import RULE
from bench.data import exposures
from bench.data.user_bracket import read_bracket
from bench.io.camera import EXIF_FOLDER
from bench.io.radiance import read_exr
from bench.stages.own_files import merge
from bench.stages.own_files.merge import MergeRequest, frames_of
from bench.stages.scoring import predict
from tests.data import builders

GOLDEN = Path(__file__).resolve().parents[2] / "data" / "golden" / "unis_bracket"
SHOTS = tuple(GOLDEN / f"UNIS_EV{name}.jpg" for name in ("-2", "0", "2"))


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.exr"


@pytest.fixture
def ask(workshop, out, monkeypatch):
    """Merge in the finished workshop, whose weights are at hand."""
    monkeypatch.chdir(workshop.folder)

    def run(*frames, **changes):
        values = {"frames": tuple(frames) or SHOTS, "method": "triangle-merge", "out": out} | changes
        merge.run(workshop.params, MergeRequest(**values))
        return read_exr(values["out"])

    return run


def without_exif(folder, *frames):
    made = []
    for path in frames:
        Image.open(path).save(folder / f"{path.stem}.png")
        made.append(folder / f"{path.stem}.png")
    return made


def with_exif(path, **tags):
    """Write a picture that states these EXIF values."""
    exif = Image.Exif()
    exif.get_ifd(EXIF_FOLDER).update({getattr(exposures, name): value for name, value in tags.items()})
    Image.new("RGB", (16, 16), (90, 90, 90)).save(path, exif=exif)
    return path


def test_a_result_that_is_no_light_is_not_written(ask, out, monkeypatch):
    """As of finite weights whose sums overflow."""
    lost = np.full((6, 9, 3), np.nan, np.float32)
    lost[0] = 1
    monkeypatch.setattr(merge, "predictor", lambda *_, **__: lambda scene: lost)
    with pytest.raises(UsageError, match="the result holds 135 NaN or infinite of 162 values, so nothing is written"):
        ask()
    assert not out.exists()


@pytest.mark.parametrize("held", range(1, 9))
def test_photographs_come_upright_however_the_camera_was_held(tmp_path, held):
    paths = []
    for time in (1, 4):
        exif = Image.Exif()
        exif[0x0112] = held
        stored = np.random.default_rng(7).integers(0, 60, (6, 9, 3)).astype(np.uint8) * time
        paths.append(tmp_path / f"{time}.png")
        Image.fromarray(stored).save(paths[-1], exif=exif)
    scene = read_bracket("s", paths, [1.0, 4.0], upright=True)
    for path, frame in zip(paths, scene.frames, strict=True):
        np.testing.assert_array_equal(frame, ImageOps.exif_transpose(Image.open(path)))
    beside_a_truth = read_bracket("s", paths, [1.0, 4.0])
    assert beside_a_truth.frames.shape == (2, 6, 9, 3)


def test_exposures_of_a_real_bracket_are_the_times_not_the_bias():
    times, _, notes = exposures.of_frames(SHOTS)
    np.testing.assert_allclose(np.log2(np.array(times) / times[0]), [0, 1.966, 4.966], atol=0.001)
    assert notes == []


@pytest.mark.parametrize("method", ["triangle-merge", "reference-only"])
def test_a_real_bracket_is_merged(ask, out, tmp_path, capsys, method):
    radiance = ask(method=method, preview=tmp_path / "look.png")
    assert radiance.shape == (192, 256, 3) and np.isfinite(radiance).all() and radiance.min() >= 0
    look = np.asarray(Image.open(tmp_path / "look.png"))
    assert look.shape == (192, 256, 3) and look.dtype == np.uint8 and look.max() == 255
    printed = capsys.readouterr().out
    assert "UNIS_EV0.jpg: +1.97 EV, the reference" in printed
    assert "EV apart where 1.97 is stated" in printed and "another curve than gamma 2.2" in printed


@pytest.mark.parametrize(
    ("method", "preset", "said"),
    [
        ("triangle-merge", "foo", "has no presets; leave --preset out"),
        ("sen2012", "hihg", "no preset of sen2012 is called 'hihg'. Did you mean 'high'"),
        ("olc", "huge", "no preset of olc is called 'huge'. Known: demo, published, smoke"),
    ],
)
def test_a_preset_that_the_method_has_not_is_refused_before_anything_else(ask, out, capsys, method, preset, said):
    with pytest.raises(UsageError, match=said):
        ask(method=method, preset=preset)
    assert not out.exists() and not capsys.readouterr().out


def test_the_order_of_the_frames_does_not_matter(ask, out):
    results = set()
    for frames in itertools.permutations(SHOTS):
        ask(*frames, force=True)
        results.add(out.read_bytes())
    assert len(results) == 1


def test_frames_without_exif_with_given_exposures_are_merged_the_same(ask, tmp_path):
    frames = without_exif(tmp_path, *SHOTS)
    wanted = ask(out=tmp_path / "a.exr")
    seconds = ask(*frames, exposures="1/1250,1/320,1/40", out=tmp_path / "b.exr")
    np.testing.assert_array_equal(seconds, wanted)
    (tmp_path / "exposure_times.txt").write_text(
        "".join(f"{p.name} {t}\n" for p, t in zip(frames, ("1/1250", "1/320", "1/40"), strict=True))
    )
    np.testing.assert_array_equal(ask(*frames, out=tmp_path / "c.exr"), wanted)


def test_linear_frames_are_read(ask, tmp_path):
    from bench.io.radiance import write_exr

    for number, time in enumerate((1, 4, 16)):
        write_exr(tmp_path / f"{number}.exr", np.clip(builders.light() * time, 0, 1))
    merged = ask(*(tmp_path / f"{n}.exr" for n in range(3)), exposures="0ev,2ev,4ev")
    np.testing.assert_allclose(merged, builders.light(), atol=2e-4)


@pytest.mark.parametrize("kind", ["plain", "vq"])
def test_a_network_with_the_weights_of_a_run(ask, workshop, kind):
    run = getattr(workshop, kind)
    entry = workshop.params.runs[run]
    weights = workshop.folder / "work" / "tiny" / "weights" / f"{run}.safetensors"
    method = workshop.params.variants[entry.variant].method
    whole = ask(method=method, weights=weights)
    assert whole.shape == (192, 256, 3) and np.isfinite(whole).all()
    assert ask(method=method, weights=weights, tile=128, force=True).shape == whole.shape


@pytest.mark.parametrize("network", ["A+attn", "B", "C"])
@pytest.mark.parametrize("random", [False, True])
def test_weights_with_another_vqgan_are_loaded(ask, tmp_path, network, random):
    vqgan = {"codes": 16, "segments": "olc", "network": network}
    chosen = {"prior_weights": "random"} if random else {}
    made = methods["olc"].build("smoke", **chosen, vqgan=vqgan)
    weights = tmp_path / "w.safetensors"
    save_file({name: value.contiguous() for name, value in made.state_dict().items()}, weights)
    told = {"options": {**chosen, "vqgan": vqgan}, "stage1": None} if random else {"stage1": {"network": network}}
    weights.with_suffix(".json").write_text(json.dumps({"method": "olc", "preset": "smoke", **told}))
    assert np.isfinite(ask(method="olc", weights=weights)).all()


def test_weights_without_card_need_the_preset(ask, workshop, tmp_path):
    weights = workshop.folder / "work" / "tiny" / "weights" / f"{workshop.plain}.safetensors"
    shutil.copy(weights, tmp_path / "w.safetensors")
    wanted = ask(method="ahdrnet", weights=weights, out=tmp_path / "a.exr")
    with pytest.raises(UsageError, match=r"no card \(w\.json\).*--preset published\|ytzhang99\|demo\|smoke"):
        ask(method="ahdrnet", weights=tmp_path / "w.safetensors")
    with pytest.raises(UsageError, match="doesn't fit AHDRNet, preset 'demo'"):
        ask(method="ahdrnet", weights=tmp_path / "w.safetensors", preset="demo")
    told = {"method": "ahdrnet", "preset": "smoke", "head": "rule-residual", "register": "dis", "base": RULE}
    (tmp_path / "w.json").write_text(json.dumps(told))
    np.testing.assert_array_equal(ask(method="ahdrnet", weights=tmp_path / "w.safetensors"), wanted)


def test_frames_are_registered_as_the_card_of_the_weights_says(ask, workshop, tmp_path, monkeypatch):
    """Older cards say nothing: their networks saw frames as taken, unless the method registers."""
    weights = workshop.folder / "work" / "tiny" / "weights" / f"{workshop.plain}.safetensors"
    shutil.copy(weights, tmp_path / "w.safetensors")
    seen, card = [], json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
    monkeypatch.setattr(predict, "registered", lambda scene, name: seen.append(name) or scene)
    older = {name: value for name, value in card.items() if name != "register"}
    for told in (card, {**card, "register": "none"}, older):
        (tmp_path / "w.json").write_text(json.dumps(told), encoding="utf-8")
        ask(method="ahdrnet", weights=tmp_path / "w.safetensors", force=True)
    assert card["register"] == "dis" and seen == ["dis", "none", "none"]


def test_a_folder_stands_for_its_frames():
    assert sorted(frames_of([GOLDEN])) == sorted(SHOTS)


class TestRefusals:
    def test_frames_without_exposure_times(self, ask, tmp_path, out):
        frames = without_exif(tmp_path, *SHOTS[1:])
        with pytest.raises(UsageError, match=r"UNIS_EV0\.png, UNIS_EV2\.png: no exposure time.*--exposures"):
            ask(SHOTS[0], *frames)
        assert not out.exists()

    def test_frames_of_other_sizes(self, ask, tmp_path):
        path = with_exif(tmp_path / "small.jpg", TIME=0.5, APERTURE=2.0, SPEED=100)
        with pytest.raises(UsageError, match=r"small\.jpg is 16x16 uint8, UNIS_EV-2\.jpg is 256x192"):
            ask(*SHOTS[:2], path)

    @pytest.mark.parametrize("count", [1, 2])
    def test_fewer_frames_than_a_network_needs(self, ask, workshop, count):
        weights = workshop.folder / "work" / "tiny" / "weights" / f"{workshop.plain}.safetensors"
        with pytest.raises(
            UsageError, match=r"1 frame\(s\); a bracket has two|AHDRNet needs 3 frames .*; 2 were given"
        ):
            ask(*SHOTS[:count], method="ahdrnet", weights=weights)

    def test_more_frames_than_it_takes_names_three(self, ask, workshop, tmp_path):
        weights = workshop.folder / "work" / "tiny" / "weights" / f"{workshop.plain}.safetensors"
        names = [f"{number}.png" for number in range(5)]
        for name in names:
            Image.new("RGB", (16, 16)).save(tmp_path / name)
        with pytest.raises(
            UsageError, match=r"5 were given\. These cover the range: 0\.png 2\.png 4\.png \(\+0\.00 \+2\.00 \+4\.00 EV"
        ):
            ask(*(tmp_path / n for n in names), exposures="0ev,1ev,2ev,3ev,4ev", method="ahdrnet", weights=weights)

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"method": "triangel-merge"}, "Did you mean 'triangle-merge'"),
            ({"method": "ahdrnet"}, "AHDRNet is a network and needs --weights"),
            ({"weights": Path("x.safetensors")}, "Triangle merge has no weights"),
            ({"method": "ahdrnet", "weights": Path("none.safetensors")}, r"none\.safetensors: can't be read"),
            ({"out": Path("x.png")}, r"-o x\.png: expected a name that ends in \.exr or \.hdr"),
            ({"out": Path("/proc/x/out.exr")}, "can't be made|can't be written"),
            ({"preview": Path("x.webp")}, r"expected a name that ends in \.png or \.jpg"),
            ({"exposures": "1/320,1/80"}, r"holds 2 value\(s\) for 3 frames"),
            ({"exposures": "1,2,three"}, "exposure 'three' is neither seconds"),
            ({"exposures": "1,2,0"}, "exposure '0' isn't possible"),
            ({"exposures": "1,2,nan"}, "exposure 'nan'"),
            ({"exposures": "1,1,2"}, "have the same exposure"),
            ({"frames": (*SHOTS[:2], SHOTS[0])}, "a frame is named twice"),
            ({"frames": (*SHOTS[:2], Path("none.jpg"))}, "none.jpg: no such file"),
        ],
    )
    def test_everything_else(self, ask, changes, said):
        with pytest.raises(UsageError, match=said):
            ask(**changes)

    def test_what_is_there_is_not_replaced_unless_told(self, ask, out):
        ask()
        with pytest.raises(UsageError, match=r"exists; choose another name, or replace it with --force"):
            ask()
        ask(force=True)

    def test_a_frame_is_never_the_destination(self, ask, tmp_path):
        from bench.io.radiance import write_exr

        write_exr(tmp_path / "1.exr", builders.light())
        with pytest.raises(UsageError, match="is one of the frames"):
            ask(tmp_path / "1.exr", *SHOTS, exposures="1,2,4,8", out=tmp_path / "1.exr", force=True)


class TestExif:
    def read(self, tmp_path, *tags):
        return exposures.from_exif([with_exif(tmp_path / f"{n}.jpg", **values) for n, values in enumerate(tags)])

    def test_iso_and_aperture_count(self, tmp_path):
        base = {"TIME": 0.01, "APERTURE": 4.0, "SPEED": 100}
        times, _, _ = self.read(tmp_path, base, {**base, "SPEED": 400}, {**base, "APERTURE": 2.0})
        np.testing.assert_allclose(np.array(times) / times[0], [1, 4, 4])

    def test_what_no_frame_tells_is_taken_as_equal_and_said(self, tmp_path):
        times, _, notes = self.read(tmp_path, {"TIME": 0.01}, {"TIME": 0.04})
        assert times[1] / times[0] == pytest.approx(4)
        assert [note.split()[0] for note in notes] == ["speed", "aperture"]

    def test_what_only_some_frames_tell_is_refused(self, tmp_path):
        with pytest.raises(UsageError, match="speed is stored in some of the frames only"):
            self.read(tmp_path, {"TIME": 0.01, "SPEED": 100}, {"TIME": 0.04})

    @pytest.mark.parametrize("value", [0, (1, 0)])
    def test_impossible_times_are_none(self, tmp_path, value):
        from PIL.TiffImagePlugin import IFDRational

        time = IFDRational(*value) if isinstance(value, tuple) else value
        with pytest.raises(UsageError, match=r"0\.jpg: the exposure time that is stored, \d/\d, can't be right"):
            self.read(tmp_path, {"TIME": time})


def test_the_command_line_takes_paths_from_where_it_was_typed(workshop, tmp_path, main_in, monkeypatch, capsys):
    shutil.copytree(GOLDEN, tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    words = ("merge", "mine", "--method", "triangle-merge", "-o", "out.exr", "--preview", "out.png")
    assert main_in(workshop, *words) == 0
    assert (tmp_path / "out.exr").exists() and (tmp_path / "out.png").exists()
    monkeypatch.chdir(tmp_path)  # commands end in the project's root
    assert main_in(workshop, *words) == 2
    assert "-o " in (said := capsys.readouterr().err) and "exists; choose another name" in said


def test_the_command_line_replaces_what_it_wrote_beside_the_frames(workshop, tmp_path, main_in, monkeypatch):
    shutil.copytree(GOLDEN, tmp_path / "mine")
    words = ("merge", "mine", "--method", "triangle-merge", "-o", "mine/out.exr", "--preview", "mine/p.png", "--force")
    for _ in range(2):
        monkeypatch.chdir(tmp_path)  # commands end in the project's root
        assert main_in(workshop, *words) == 0
