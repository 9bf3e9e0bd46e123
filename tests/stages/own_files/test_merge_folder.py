"""Merge a folder: what may stand in it beside the frames."""

import io
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.core.errors import UsageError
from bench.core.params import load
from bench.core.registry import methods
from bench.data import exposures
from bench.data.user_bracket import read_bracket
from bench.io.camera import EXIF_FOLDER
from bench.io.radiance import read_exr
from bench.stages.own_files import merge
from bench.stages.own_files.merge import MergeRequest, frames_of

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def bracket(tmp_path):
    """Three frames in a folder of their own, with a text file of their exposures."""
    folder = tmp_path / "bracket"
    folder.mkdir()
    light = np.random.default_rng(0).random((16, 24, 3))
    for number, ev in enumerate((0, 2, 4), 1):
        frame = np.rint(255 * np.clip(light * 2**ev / 16, 0, 1) ** (1 / 2.2)).astype(np.uint8)
        Image.fromarray(frame).save(folder / f"{number}.png")
    (folder / "exposure.txt").write_text("0\n2\n4\n")
    return folder


@pytest.fixture
def ask(bracket, tmp_path):
    """Merge the folder as the command line would."""
    params = load(ROOT / "profiles/smoke/params.yaml")

    def run(**changes):
        values = {"out": tmp_path / "out.exr", "preview": None, "method": "triangle-merge"} | changes
        frames = frames_of([bracket], [values["out"], values["preview"]])
        merge.run(params, MergeRequest(frames=frames, **values))
        return read_exr(values["out"])

    return run


def frames(folder):
    return tuple(folder / f"{number}.png" for number in (1, 2, 3))


@pytest.mark.parametrize("truth", ["HDRImg.hdr", "hdr_img.hdr", "truth.exr", "ref_hdr_aligned_linear.hdr"])
def test_a_truth_is_no_frame(bracket, ask, truth):
    (bracket / truth).touch()
    assert frames_of([bracket]) == frames(bracket)
    assert ask().shape == (16, 24, 3)


def test_a_truth_that_is_named_itself_is_taken(bracket):
    assert frames_of([bracket / "truth.exr"]) == (bracket / "truth.exr",)


def test_what_merge_wrote_into_the_folder_is_no_frame(bracket, ask):
    written = {"out": bracket / "out.exr", "preview": bracket / "p.png"}
    first = ask(**written)
    np.testing.assert_array_equal(ask(**written, force=True), first)


def test_a_destination_in_another_folder_hides_no_frame(bracket, tmp_path):
    assert frames_of([bracket], [tmp_path / "1.png", None]) == frames(bracket)


@pytest.mark.parametrize("told", ["exif", "by name", "by stem"])
def test_a_frame_is_never_replaced_by_the_preview(bracket, ask, tmp_path, told):
    preview = (bracket / "1.png").rename(bracket / "a.png")
    if told == "exif":
        exif = Image.Exif()
        exif[0x0112] = 1  # Pillow writes no PNG of the EXIF folder alone
        exif.get_ifd(EXIF_FOLDER)[exposures.TIME] = 0.5
        Image.open(preview).save(preview, exif=exif)
    else:
        name = preview.name if told == "by name" else preview.stem
        (bracket / "exposure.txt").write_text(f"{name} 0\n2.png 2\n3.png 4\n")
    before = preview.read_bytes()
    with pytest.raises(UsageError, match=r"--preview .* is one of the frames; choose another name"):
        ask(preview=preview, force=True)
    assert preview.read_bytes() == before and not (tmp_path / "out.exr").exists()


def test_the_pairing_of_frames_and_exposures_is_printed(bracket, ask, capsys):
    """Also where it is refused: then it is what one looks at first."""
    ask(exposures="1/320,1/80,1/20")
    assert capsys.readouterr().out.splitlines()[:3] == [
        "1.png: +0.00 EV: 1/320 (--exposures)",
        "2.png: +2.00 EV, the reference: 1/80 (--exposures)",
        "3.png: +4.00 EV: 1/20 (--exposures)",
    ]
    (bracket / "exposure.txt").write_text("# EV\n3.png 0\n2.png 2\n1.png 4\n")
    with pytest.raises(UsageError, match=r"frame 2 \(2\.png\) isn't brighter than frame 1 \(3\.png\)"):
        ask(force=True)
    assert "1.png: +4.00 EV: 4 (exposure.txt, line 4)" in capsys.readouterr().out


def test_inverse_times_are_told(bracket, ask):
    (bracket / "exposure.txt").rename(bracket / "exposure_times.txt").write_text("1.png 320\n2.png 80\n3.png 20\n")
    with pytest.raises(
        UsageError, match=r"may be|are the exposures inverse \(320 for 1/320 s, as in lists for OpenCV\)"
    ):
        ask()


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_only_files_are_frames(bracket, tmp_path, kind):
    path = tmp_path / "x.png"
    {"pipe": os.mkfifo, "folder": Path.mkdir, "device": lambda path: path.symlink_to("/dev/zero")}[kind](path)
    request = MergeRequest(frames=(*frames(bracket), path), method="triangle-merge", out=tmp_path / "o.exr")
    with pytest.raises(UsageError, match=r"x\.png: this is a"):
        merge.run(load(ROOT / "profiles/smoke/params.yaml"), request)


class TestNames:
    """Names of files come in every script and length."""

    @pytest.fixture
    def run(self, bracket, tmp_path, monkeypatch):
        """Merge with the command line, whose standard output has an encoding; return the code and what it printed."""
        from bench import __main__

        def run(name, encoding, *words):
            printed = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
            monkeypatch.chdir(tmp_path)
            monkeypatch.setattr(sys, "stdout", printed)
            monkeypatch.setattr(
                sys, "argv", ["bench", *words, "merge", "bracket", "--method", "triangle-merge", "-o", name]
            )
            with pytest.raises(SystemExit) as end:
                __main__.main()
            printed.flush()
            return end.value.code or 0, printed.buffer.getvalue().decode(encoding)

        return run

    @pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252", "utf-8", "shift-jis"])
    @pytest.mark.parametrize("quiet", [(), ("--quiet",)])
    def test_what_the_terminal_cannot_show_is_escaped(self, run, bracket, tmp_path, encoding, quiet):
        name = "\u00b2\u6771\u4eac\U0001f600 \u2212"
        (bracket / "2.png").rename(bracket / f"{name}.png")
        (bracket / "exposure.txt").write_text(f"1.png 0\n{name}.png 2\n3.png 4\n", encoding="utf-8")
        code, printed = run(f"{name}.exr", encoding, *quiet)
        assert code == 0 and (tmp_path / f"{name}.exr").exists()
        assert quiet or r"\U0001f600" in printed or name in printed

    def test_names_as_long_as_disks_take_are_written(self, run, tmp_path):
        name = f"{'n' * 251}.exr"
        assert run(name, "utf-8")[0] == 0 and (tmp_path / name).exists()

    @pytest.mark.parametrize("words", [(), ("--params", "p" * 300)])
    def test_names_beyond_what_disks_take_end_in_a_sentence(self, run, capsys, words):
        code, _ = run("n" * 300 + ("" if words else ".exr"), "utf-8", *words)
        said = capsys.readouterr().err
        assert code == 2 and ("this name is too long" in said or "can't be read" in said or "not found" in said)
        assert len(said.splitlines()) == 1


def seven(folder):
    light = np.random.default_rng(0).random((16, 24, 3))
    for ev in range(7):
        frame = np.rint(255 * np.clip(light * 2**ev, 0, 1) ** (1 / 2.2)).astype(np.uint8)
        Image.fromarray(frame).save(folder / f"{ev + 1}.png")


def test_frames_that_cover_the_range_are_advised(bracket, tmp_path):
    """Of seven frames, 1 EV apart, not the longest three: the shortest of those is saturated."""
    seven(bracket)
    scene = read_bracket("s", [bracket / f"{n}.png" for n in range(1, 8)], [2.0**ev for ev in range(7)])
    said = str(merge._not_three(methods["ahdrnet"], scene))
    assert re.search(r"takes 3 frames, 7 were given\. These cover the range: 1\.png \d\.png \d\.png .*EV; ", said)


@pytest.mark.parametrize("name", ["triangle-merge", "flow-merge", "mtb-merge"])
def test_frames_that_cover_the_range_are_advised_for_methods_without_weights(ask, bracket, name):
    seven(bracket)
    with pytest.raises(UsageError, match=r"takes 3 frames, 7 were given\. These cover the range: 1\.png .*pass them"):
        ask(exposures="0ev,1ev,2ev,3ev,4ev,5ev,6ev", method=name)


@pytest.mark.parametrize("stated", ["", "0ev,2ev,4ev"])
def test_what_was_taken_for_a_frame_is_named(bracket, ask, tmp_path, stated):
    shutil.copy(bracket / "1.png", bracket / "other.png")
    with pytest.raises(UsageError, match=r"3 value\(s\) for 4 frames \(other\.png, 1\.png, 2\.png, 3\.png\)"):
        ask(exposures=stated)
    (bracket / "other.png").unlink()
    with pytest.raises(UsageError, match=r"3 value\(s\) for 2 frames \(2\.png, 3\.png\)"):
        ask(exposures=stated, preview=bracket / "1.png", force=True)
    assert not (tmp_path / "out.exr").exists()
