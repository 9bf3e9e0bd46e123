"""Prepared scenes: what is written is read, once, whole, and altered files are noticed."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.core.errors import BenchError, UsageError
from bench.core.scene import Scene
from bench.io.container import list_scenes, read_card, read_scene, write_scene


@pytest.fixture
def scene() -> Scene:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 65536, (3, 10, 12, 3), np.uint16)
    truth = rng.random((10, 12, 3), np.float32)
    uncovered = rng.random((10, 12)) < 0.3
    return Scene("city-01", frames, np.array([1.0, 4.0, 16.0]), 1, truth, {"capture": "city"}, uncovered)


@pytest.mark.parametrize("with_truth", [True, False])
def test_round_trip(tmp_path: Path, scene: Scene, with_truth: bool) -> None:
    scene = scene if with_truth else replace(scene, radiance=None)
    write_scene(tmp_path / "s", scene)
    back = read_scene(tmp_path / "s", verify=True)
    assert (back.id, back.reference, dict(back.metadata)) == (scene.id, scene.reference, dict(scene.metadata))
    np.testing.assert_array_equal(back.frames, scene.frames)
    np.testing.assert_array_equal(back.times, scene.times)
    assert isinstance(back.frames, np.memmap)
    assert (tmp_path / "s" / "radiance.npy").is_file() == with_truth
    if with_truth:
        np.testing.assert_array_equal(back.radiance, scene.radiance)


def test_what_is_uncovered_is_kept_where_it_is_known(tmp_path: Path, scene: Scene) -> None:
    write_scene(tmp_path / "known", scene)
    back = read_scene(tmp_path / "known", verify=True)
    assert back.uncovered is not None
    assert back.uncovered.dtype == np.bool_
    np.testing.assert_array_equal(back.uncovered, scene.uncovered)
    card = read_card(tmp_path / "known")
    assert {"uncovered.npy", "ldr.npy", "radiance.npy"} == set(card["sha256"])
    assert "another frame doesn't show" in card["pixel_unit"]["uncovered"]
    # Sets that don't know it have the containers that they always had.
    write_scene(tmp_path / "unknown", replace(scene, uncovered=None))
    assert {p.name for p in (tmp_path / "unknown").iterdir()} == {"ldr.npy", "radiance.npy", "scene.json"}
    assert set(read_card(tmp_path / "unknown")["sha256"]) == {"ldr.npy", "radiance.npy"}
    assert read_scene(tmp_path / "unknown", verify=True).uncovered is None
    np.save(tmp_path / "known" / "uncovered.npy", ~np.array(back.uncovered))
    with pytest.raises(UsageError, match="differ from their sha256"):
        read_scene(tmp_path / "known", verify=True)


@pytest.mark.parametrize("area", [np.zeros((10, 11), bool), np.zeros((10, 12), np.uint8)])
def test_uncovered_pixels_of_another_kind_are_refused(scene: Scene, area: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"the uncovered pixels are .*; expected bool of shape \(10, 12\)"):
        replace(scene, uncovered=area)


def test_writing_again_changes_nothing(tmp_path: Path, scene: Scene) -> None:
    write_scene(tmp_path / "s", scene)
    before = {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in (tmp_path / "s").iterdir()}
    write_scene(tmp_path / "s", scene)
    assert {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in (tmp_path / "s").iterdir()} == before


def test_an_altered_or_other_scene_is_replaced(tmp_path: Path, scene: Scene) -> None:
    write_scene(tmp_path / "s", scene)
    (tmp_path / "s" / "radiance.npy").unlink()
    write_scene(tmp_path / "s", scene)
    write_scene(tmp_path / "s", replace(scene, radiance=None, uncovered=None))
    assert {p.name for p in (tmp_path / "s").iterdir()} == {"ldr.npy", "scene.json"}
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


def test_a_failure_leaves_what_was_there(tmp_path: Path, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    write_scene(tmp_path / "s", scene)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(BenchError, match=r"could not be written \(No space left on device\)"):
        write_scene(tmp_path / "s", replace(scene, reference=0))
    assert read_scene(tmp_path / "s", verify=True).reference == 1
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


def test_altered_pixels_are_noticed(tmp_path: Path, scene: Scene) -> None:
    write_scene(tmp_path / "s", scene)
    frames = scene.frames.copy()
    frames[0, 0, 0, 0] ^= 1
    np.save(tmp_path / "s" / "ldr.npy", frames)
    with pytest.raises(UsageError, match="differ from their sha256"):
        read_scene(tmp_path / "s", verify=True)


@pytest.mark.parametrize("name", ["ldr.npy", "radiance.npy", "uncovered.npy", "scene.json"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"\x93NUMPY"])
def test_incomplete_scenes_are_refused(tmp_path: Path, scene: Scene, name: str, content: bytes | None) -> None:
    write_scene(tmp_path / "s", scene)
    (tmp_path / "s" / name).unlink()
    if content is not None:
        (tmp_path / "s" / name).write_bytes(content)
    with pytest.raises(UsageError, match="not a complete prepared scene"):
        read_scene(tmp_path / "s")


def test_listing_is_sorted_and_never_empty(tmp_path: Path, scene: Scene) -> None:
    with pytest.raises(UsageError, match="no prepared scenes"):
        list_scenes(tmp_path)
    for name in ("b", "a", "c"):
        write_scene(tmp_path / name, scene)
    assert [p.name for p in list_scenes(tmp_path)] == ["a", "b", "c"]


def card_with(**values: object):
    """Change values of a card; None deletes one."""

    def change(folder: Path) -> None:
        card = json.loads((folder / "scene.json").read_text())
        card |= values
        kept = {name: value for name, value in card.items() if value is not None}
        (folder / "scene.json").write_text(json.dumps(kept))

    return change


def card_of(text: str):
    return lambda folder: (folder / "scene.json").write_text(text)


def header_with(old: bytes, new: bytes):
    """Change the header of ldr.npy, padded to its length."""

    def change(folder: Path) -> None:
        data = (folder / "ldr.npy").read_bytes()
        end = data.index(b"\n") + 1
        head = data[:end].replace(old, new).rstrip().ljust(end - 1)[: end - 1] + b"\n"
        (folder / "ldr.npy").write_bytes(head + data[end:])

    return change


SUMS = {"ldr.npy": "0" * 64}

DAMAGE = {
    "list": (card_of("[]"), "expected a JSON object"),
    "null": (card_of("null"), "expected a JSON object"),
    "number": (card_of("3"), "expected a JSON object"),
    "brackets": (card_of("[" * 100_000), "not valid JSON"),
    "digits": (card_of('{"times": [' + "9" * 5000 + "]}"), "not valid JSON"),
    "no times": (card_with(times=None), "no 'times' in scene.json"),
    "times": (card_with(times=[1.0, "x", 4.0]), "times in scene.json are no list of numbers"),
    "nested times": (card_with(times=[[1.0, 4.0, 16.0]]), "times in scene.json are no list of numbers"),
    "endless times": (card_with(times=[1.0, 4.0, float("inf")]), "times in scene.json aren't finite"),
    "large times": (card_with(times=[1.0, 4.0, 10**400]), "too large"),
    "two times": (card_with(times=[1.0, 4.0]), "expected one per frame"),
    "reference": (card_with(reference=7), "reference in scene.json"),
    "reference of text": (card_with(reference="1"), "reference in scene.json"),
    "id": (card_with(id=["a"]), "id or metadata in scene.json"),
    "metadata": (card_with(metadata=3), "id or metadata in scene.json"),
    "sums": (card_with(sha256=["ldr.npy"]), "sha256 in scene.json"),
    "no frames": (card_with(sha256={"radiance.npy": ""}), "sha256 in scene.json"),
    "elsewhere": (card_with(sha256={**SUMS, "../../secret.npy": ""}), "sha256 in scene.json"),
    "bracket": (header_with(b"(3,", b"(3["), "isn't a readable"),
    "name": (header_with(b"'descr'", b"'descrx'"), "isn't a readable"),
    "expression": (header_with(b"False", b"0x" * 20), "isn't a readable"),
    "TiB": (header_with(b"(3, 10, 12, 3)", b"(30000, 10000, 12000, 3)"), "isn't a readable"),
    "objects": (header_with(b"'<u2'", b"'|O'"), "isn't a readable"),
    "floats": (header_with(b"'<u2'", b"'<f2'"), "expected uint8 or uint16"),
    "python 2": (header_with(b"(3, 10", b"(3L, 10"), ""),
}


@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize(("damage", "words"), DAMAGE.values(), ids=DAMAGE)
def test_damaged_cards_and_headers_are_one_sentence(
    tmp_path: Path, scene: Scene, capfd: pytest.CaptureFixture[str], damage, words: str, verify: bool
) -> None:
    write_scene(tmp_path / "s", scene)
    damage(tmp_path / "s")
    if words:
        with pytest.raises(UsageError, match=f"s: not a complete prepared scene .*{re.escape(words)}") as caught:
            read_scene(tmp_path / "s", verify)
        assert str(caught.value).isprintable()
    else:
        np.testing.assert_array_equal(read_scene(tmp_path / "s", verify).frames, scene.frames)
    assert tuple(capfd.readouterr()) == ("", "")
    write_scene(tmp_path / "s", scene)  # is mended by writing again
    assert read_scene(tmp_path / "s", verify=True).reference == scene.reference
