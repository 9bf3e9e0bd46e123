"""Merge a folder: what may stand in it beside the frames."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.core.errors import UsageError
from bench.core.params import load
from bench.data import exposures
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
        exif.get_ifd(exposures.EXIF_FOLDER)[exposures.TIME] = 0.5
        Image.open(preview).save(preview, exif=exif)
    else:
        name = preview.name if told == "by name" else preview.stem
        (bracket / "exposure.txt").write_text(f"{name} 0\n2.png 2\n3.png 4\n")
    before = preview.read_bytes()
    with pytest.raises(UsageError, match=r"--preview .* is one of the frames; choose another name"):
        ask(preview=preview, force=True)
    assert preview.read_bytes() == before and not (tmp_path / "out.exr").exists()


@pytest.mark.parametrize("stated", ["", "0ev,2ev,4ev"])
def test_what_was_taken_for_a_frame_is_named(bracket, ask, tmp_path, stated):
    shutil.copy(bracket / "1.png", bracket / "other.png")
    with pytest.raises(UsageError, match=r"3 value\(s\) for 4 frames \(other\.png, 1\.png, 2\.png, 3\.png\)"):
        ask(exposures=stated)
    (bracket / "other.png").unlink()
    with pytest.raises(UsageError, match=r"3 value\(s\) for 2 frames \(2\.png, 3\.png\)"):
        ask(exposures=stated, preview=bracket / "1.png", force=True)
    assert not (tmp_path / "out.exr").exists()
