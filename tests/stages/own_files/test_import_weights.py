"""Others' weights: any container in, our names and a card out, a row of its own kind; nothing in a file is executed."""

import io
import json
import pickle
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from bench.core import layout
from bench.core.errors import UsageError
from bench.core.params import load
from bench.core.registry import methods
from bench.io.tables import read_scores
from bench.nn import checkpoints
from bench.nn.published import renamed
from bench.stages.own_files import import_weights
from methods.ahdrnet import _RENAMED
from tests.shared import undrawn


class Surprise:
    """A class whose unpickling would leave a trace."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.fixture(scope="module")
def theirs():
    """Weights of the smoke-sized AHDRNet under its authors' names, and the network that they should give."""
    torch.manual_seed(5)
    network = methods["ahdrnet"].build("smoke", head="published")
    state = network.state_dict()
    return {renamed(ours, _RENAMED): value.clone() for ours, value in state.items()}, state


@pytest.fixture
def desk(tmp_path, monkeypatch, small_params, write_params):
    """Parameters of a small profile; the current folder is an empty one."""
    (tmp_path / "desk").mkdir()
    monkeypatch.chdir(tmp_path / "desk")
    return load(write_params(small_params))


def wrapped(state):
    return {"state_dict": {f"module.{name}": value for name, value in state.items()}, "epoch": 7, "optimizer": {"a": 1}}


WRITERS = {
    "plain.pth": lambda path, state: torch.save(state, path),
    "wrapped.pth": lambda path, state: torch.save(wrapped(state), path),
    "model.tar": lambda path, state: torch.save({"model": state, "step": 3}, path),
    "old.pt": lambda path, state: torch.save(state, path, _use_new_zipfile_serialization=False),
    "plain.safetensors": lambda path, state: save_file(state, path),
    "arrays.npz": lambda path, state: np.savez(
        path, **{f"{name}:0": v.numpy() for name, v in state.items()}, beta1_power=0.9,
        global_step=np.int64(3), **{f"{next(iter(state))}/Adam": np.zeros(3)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
def test_every_container_gives_the_same_weights(name, theirs, desk, tmp_path, capsys):
    WRITERS[name](tmp_path / name, theirs[0])
    import_weights.run(desk, "ahdrnet", tmp_path / name, "smoke", "authors")
    found = load_file(layout.foreign("authors"))
    assert found.keys() == theirs[1].keys()
    assert all(torch.equal(value, theirs[1][key]) for key, value in found.items())
    card = json.loads(layout.foreign("authors").with_suffix(".json").read_text())
    assert (card["source"], card["preset"], card["head"], card["method"]) == (name, "smoke", "published", "ahdrnet")
    assert card["source_sha256"] == sha256((tmp_path / name).read_bytes()).hexdigest()
    assert card["kind"] == "third-party weights" and card["finite"] and card["conventions"]["ours"]["colours"] == "RGB"
    assert "weights: weights/authors.safetensors" in capsys.readouterr().out


def prefixed(state, prefix):
    return {f"{prefix}{name}": value for name, value in state.items()}


ROUND = {
    "compiled": (lambda state: prefixed(state, "_orig_mod."), "without the prefix '_orig_mod.'"),
    "parallel and compiled": (
        lambda state: prefixed(state, "_orig_mod.module."),
        "without the prefix '_orig_mod.'",
    ),  # and `module.`, as always
    "model": (lambda state: prefixed(state, "model."), "without the prefix 'model.'"),
    "net": (lambda state: {"state_dict": prefixed(state, "net.")}, "inside state_dict and without the prefix 'net.'"),
    "beside an optimiser": (
        lambda state: {"optimizer": OPTIMISERS["Adam"](), "state_dict": prefixed(state, "net.")},
        "inside state_dict and without the prefix 'net.'",
    ),
    "any": (lambda state: prefixed(state, "backbone.hdr."), "without the prefix 'backbone.hdr.'"),
    "GAN": (lambda state: {"netD": {"a": torch.ones(1)}, "netG": state}, "inside netG"),
    "GAN in one": (
        lambda state: prefixed(state, "generator.") | {f"critic.{n}": torch.ones(1) for n in range(99)},
        "without the prefix 'generator.', 99 other entries left out",
    ),
    "weights": (lambda state: {"weights": state, "epoch": 3}, "inside weights"),
    "deep": (lambda state: {"a": {"b": {"params": state}}}, "inside a.b.params"),
    "lightning": (
        lambda state: {"state_dict": prefixed(state, "model.") | {"loss.vgg": torch.ones(1)}},
        "inside state_dict and without the prefix 'model.', 1 other entries left out",
    ),
}


@pytest.mark.parametrize("name", ROUND)
def test_wrappers_and_prefixes_are_tried_and_said(name, theirs, desk, tmp_path, capsys):
    wrap, said = ROUND[name]
    torch.save(wrap(theirs[0]), tmp_path / "x.pth")
    import_weights.run(desk, "ahdrnet", tmp_path / "x.pth", "smoke", "authors")
    found = load_file(layout.foreign("authors"))
    assert all(torch.equal(value, theirs[1][key]) for key, value in found.items())
    assert f"x.pth: the weights {said}\n" in capsys.readouterr().out


def doubled(state):
    return {name: 2 * value for name, value in state.items()}


SEVERAL = {
    "two": (lambda state: {"a": state, "b": {n: 0 * v for n, v in state.items()}}, "2 .*: inside a; inside b"),
    "known wrappers": (lambda state: {"model": state, "net": doubled(state)}, "2 .*: inside model; inside net"),
    "prefixes": (
        lambda state: prefixed(state, "a.") | prefixed(doubled(state), "b."),
        "2 .*: without the prefix 'a.', .*; without the prefix 'b.'",
    ),
    "two averages": (lambda state: {"ema": state, "params_ema": doubled(state)}, "2 .*: inside params_ema; inside ema"),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_of_several_weights_that_fit_none_is_guessed(name, theirs, desk, tmp_path):
    wrap, said = SEVERAL[name]
    torch.save(wrap(theirs[0]), tmp_path / "x.pth")
    with pytest.raises(UsageError, match=rf"x\.pth holds {said}.*Nobody knows which are meant: save those alone"):
        import_weights.run(desk, "ahdrnet", tmp_path / "x.pth", "smoke", "authors")
    assert not layout.foreign("authors").exists()


@pytest.mark.parametrize(("average", "other"), [("params_ema", "params"), ("ema", "model"), ("netG_ema", "netG")])
def test_averages_are_preferred_and_the_others_named(average, other, theirs, desk, tmp_path, capsys):
    torch.save({other: doubled(theirs[0]), average: theirs[0]}, tmp_path / "x.pth")
    import_weights.run(desk, "ahdrnet", tmp_path / "x.pth", "smoke", "authors")
    found = load_file(layout.foreign("authors"))
    assert all(torch.equal(value, theirs[1][key]) for key, value in found.items())
    assert (
        f"the weights inside {average}, their running averages; left out: inside {other}\n" in capsys.readouterr().out
    )


@pytest.mark.parametrize("change", [torch.clone, lambda value: value / 0])
def test_copies_and_broken_others_hinder_nothing(change, theirs, desk, tmp_path, capsys):
    torch.save({"a": theirs[0], "b": {n: change(v) for n, v in theirs[0].items()}}, tmp_path / "x.pth")
    import_weights.run(desk, "ahdrnet", tmp_path / "x.pth", "smoke", "authors")
    assert "x.pth: the weights inside a\n" in capsys.readouterr().out


def test_a_refusal_names_what_was_tried(theirs, desk, tmp_path):
    state = prefixed(theirs[0], "net.")
    state.pop("net.conv1.bias")
    torch.save({"ema": state}, tmp_path / "x.pth")
    with pytest.raises(
        UsageError,
        match=r"missing \['conv1.bias'\], left over .*Tried: inside ema; inside ema and without the prefix 'net\.'",
    ):
        import_weights.run(desk, "ahdrnet", tmp_path / "x.pth", "smoke")
    state["net.conv1.bias"] = torch.full((8,), float("nan"))
    torch.save({"ema": state}, tmp_path / "x.pth")
    with pytest.raises(UsageError, match=r"AHDRNet's conv1\.bias holds NaN"):
        import_weights.run(desk, "ahdrnet", tmp_path / "x.pth", "smoke")
    assert not layout.foreign("ahdrnet").exists()


def test_a_pickled_class_is_refused_with_advice_and_never_runs(desk, tmp_path):
    trace, file = tmp_path / "trace", tmp_path / "model.pth"
    with file.open("wb") as out:
        pickle.dump({"state_dict": Surprise(trace)}, out)
    with pytest.raises(UsageError, match=r"never opened here.*torch\.save\(dict\(s\), 'plain\.pth'\)") as caught:
        import_weights.run(desk, "ahdrnet", file, "smoke")
    assert not trace.exists()
    assert "\n" not in str(caught.value)
    whole = tmp_path / "whole.pth"
    torch.save(methods["ahdrnet"].build("smoke"), whole)
    with pytest.raises(UsageError, match=r"isn't a file of plain tensors \(it names methods\.ahdrnet\.AHDRNet\)\. One"):
        import_weights.run(desk, "ahdrnet", whole, "smoke")
    assert not layout.foreign("ahdrnet").exists()


def stored(*, zipped=True):
    """What torch.save writes of plain tensors, as bytes."""
    buffer = io.BytesIO()
    torch.save({"state_dict": {"a": torch.zeros(200)}}, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"hello", r"no PyTorch checkpoint: it starts with b'hello'; the download may have failed"),
        (b"<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning", "starts with b'<!DOCTYPE html>"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4f\nsize 9\n",
            "starts with b'version https://git-lfs",
        ),
        (b"Rar!\x1a\x07\x00", "no PyTorch checkpoint"),
        (b"", "x.pth is empty; the download may have failed"),
        (stored()[: len(stored()) // 2], "x.pth is cut short"),
        (stored()[:2], "x.pth is cut short"),
        (stored()[:60] + bytes(40) + stored()[100:], "damaged, cut short or of another kind"),
        (stored(zipped=False)[:-50], "damaged, cut short or of another kind"),
        (stored(zipped=False)[:10], "damaged, cut short or of another kind"),
        (b"\x80\x02h\x69.", "damaged, cut short or of another kind"),
        (b"\x80\x02" + bytes(range(90, 130)), "damaged, cut short or of another kind"),
    ],
    ids=range(12),
)
def test_a_failed_download_is_named_without_advice_to_unpickle_it(content, said, desk, tmp_path):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(UsageError, match=said) as caught:
        import_weights.run(desk, "ahdrnet", tmp_path / "x.pth", "smoke")
    message = str(caught.value)
    assert "weights_only" not in message and "PyTorch 2.6" not in message and "\n" not in message


def test_a_pickle_inside_npz_is_refused(desk, tmp_path):
    np.savez(tmp_path / "x.npz", a=np.array([Surprise(tmp_path / "trace")], dtype=object))
    with pytest.raises(UsageError, match="npz of plain arrays"):
        import_weights.run(desk, "ahdrnet", tmp_path / "x.npz", "smoke")
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("name", ["model.ckpt.index", "checkpoint", "model.ckpt-3.data-00000-of-00001"])
def test_a_tensorflow_checkpoint_is_answered_with_how_to_export_it(name, desk, tmp_path):
    (tmp_path / name).write_bytes(b"\x00\x01\x02")
    with pytest.raises(UsageError, match=r"TensorFlow checkpoint.*numpy\.savez\('weights\.npz'"):
        import_weights.run(desk, "ahdrnet", tmp_path / name, "smoke")


def test_a_method_may_read_its_own_raw_file(desk, tmp_path, theirs, monkeypatch):
    file = tmp_path / "x.data-00000-of-00001"
    file.write_bytes(b"\x00" * 8)
    monkeypatch.setattr(
        methods["ahdrnet"].load(), "read_published", staticmethod(lambda path: theirs[0]), raising=False
    )
    import_weights.run(desk, "ahdrnet", file, "smoke", "raw")
    assert load_file(layout.foreign("raw")).keys() == theirs[1].keys()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("ahdrnot", "a.pth"), "Did you mean 'ahdrnet'"),
        (("ahdrnet", "none.pth"), "no such file"),
        (("triangle-merge", "a.pth"), "has no network to build"),
        (("transhdr", "a.pth"), "can't be run: no public code"),
        (("ahdrnet", "a.pth", "published"), "not AHDRNet's published weights"),
        (("ahdrnet", "empty.pth", "smoke"), "AHDRNet: the file holds no tensors by name, but epoch"),
        (("ahdrnet", "list.pth", "smoke"), "the file holds a list, expected a mapping"),
    ],
)
def test_mistakes_are_sentences(words, message, theirs, desk, tmp_path):
    torch.save(theirs[0], tmp_path / "a.pth")
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    method, file, *preset = words
    with pytest.raises(UsageError, match=message):
        import_weights.run(desk, method, tmp_path / file, *preset)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ({"epoch": 1, "params": {"a": torch.ones(1)}}, "a"),
        ({"module.a": torch.ones(1), "n": 3}, "a"),
        ({"myModel/conv1/kernel/.ATTRIBUTES/VARIABLE_VALUE": torch.ones(1)}, "conv1/kernel"),
    ],
    ids=["wrapped", "parallel", "TensorFlow"],
)
def test_what_a_checkpoint_holds_beside_the_network_is_left_out(content, name, tmp_path):
    torch.save(content, tmp_path / "x.pth")
    (reading,) = checkpoints.readings(tmp_path / "x.pth")
    assert reading.state.keys() == {name}


def optimised(build):
    """The state of a real optimiser after a step, over 120 parameters."""
    parameters = [torch.ones(2, 2, requires_grad=True) for _ in range(120)]
    optimiser = build(parameters)
    sum(parameter.square().sum() for parameter in parameters).backward()
    optimiser.step()
    return optimiser.state_dict()


OPTIMISERS = {
    "Adam": lambda: optimised(lambda p: torch.optim.Adam(p, amsgrad=True)),
    "momentum": lambda: optimised(lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)),
    "RMSprop": lambda: optimised(lambda p: torch.optim.RMSprop(p, centered=True, momentum=0.9)),
    "unknown": lambda: {"state": {n: {"s": torch.ones(1), "p0": torch.ones(1)} for n in range(120)}},
    "by name": lambda: {f"net.{n}": {"exp_avg": torch.ones(1), "step": torch.ones(())} for n in range(120)},
    "by slot": lambda: {"exp_avg": {f"net.{n}": torch.ones(1) for n in range(120)}},
}


@pytest.mark.parametrize("first", [True, False], ids=["optimiser-first", "weights-first"])
@pytest.mark.parametrize("wrapper", ["state_dict", "weights"])
@pytest.mark.parametrize("kind", OPTIMISERS)
def test_an_optimisers_state_takes_no_tries_from_the_prefixes(kind, wrapper, first, tmp_path):
    weights, optimiser = {wrapper: {f"net.{n}.weight": torch.ones(1) for n in range(120)}}, OPTIMISERS[kind]()
    content = {"optimizer": optimiser, **weights} if first else {**weights, "optimizer": optimiser}
    torch.save({"step": torch.tensor(3), **content}, tmp_path / "x.pth")
    ways = [reading.how for reading in checkpoints.readings(tmp_path / "x.pth")]
    assert ways == [f"inside {wrapper}", f"inside {wrapper} and without the prefix 'net.'"]


@pytest.fixture
def with_imported(site, theirs, tmp_path, capsys):
    """A site whose parameters name a variant with imported weights."""
    torch.save(theirs[0], tmp_path / "authors.pth")
    import_weights.run(site.params, "ahdrnet", tmp_path / "authors.pth", "smoke", "authors")
    file = str(layout.foreign("authors"))
    rows = {**site.params.rows(1), "AHDRNet, authors' weights": "theirs"}
    return site.change(
        variants={"theirs": {"method": "ahdrnet", "preset": "smoke", "weights": file}},
        tables={"1": {"rows": rows}},
    )


def test_weights_of_another_file_are_replaced_only_by_force(theirs, desk, tmp_path):
    torch.save(theirs[0], tmp_path / "one.pth")
    torch.save({name: 2 * value for name, value in theirs[0].items()}, tmp_path / "two.pth")
    kept = Path("weights/mine.safetensors")

    def bring(file, name="mine", **options):
        import_weights.run(desk, "ahdrnet", tmp_path / file, "smoke", name, **options)
        return kept.read_bytes()

    first = bring("one.pth")
    assert bring("one.pth") == first  # the same again
    said = r"mine\.safetensors holds weights of another file; .* --name, or .* --force"
    for name in ("mine", "MINE"):
        with pytest.raises(UsageError, match=said):
            bring("two.pth", name)
    assert kept.read_bytes() == first and bring("two.pth", force=True) != first


def test_weights_that_are_all_zero_were_never_trained(theirs, desk, tmp_path):
    torch.save({name: torch.zeros_like(value) for name, value in theirs[0].items()}, tmp_path / "zero.pth")
    with pytest.raises(UsageError, match=r"zero\.pth: every weight is 0"):
        import_weights.run(desk, "ahdrnet", tmp_path / "zero.pth", "smoke")


def test_the_row_is_of_its_own_kind_and_ranked(with_imported, monkeypatch):
    from bench.stages.training.networks import read_foreign

    network = read_foreign(with_imported.params, "theirs")
    assert network.head.kind == "published", "the profile's head isn't the weights'"
    with_imported.run("evaluate", "theirs--panoramas")
    rows = read_scores([layout.scores(with_imported.params, "theirs--panoramas")])
    assert set(rows["variant"]) == {"theirs"} and rows["seed"].isna().all()
    undrawn(monkeypatch)
    with_imported.run("summarize")
    with_imported.run("report")
    text = (with_imported.params.reports / "tables" / "table1.csv").read_text()
    (row,) = [line for line in text.splitlines() if "authors' weights" in line]
    assert "measured-third-party-weights" in row and "weights by others (authors.pth, sha256" in row
    assert "not trained here" in (with_imported.params.reports / "tables" / "table1.md").read_text()


def test_missing_weights_are_answered_with_the_command(with_imported):
    layout.foreign("authors").unlink()
    with pytest.raises(UsageError, match=r"import-weights ahdrnet FILE --preset smoke --name authors"):
        with_imported.run("evaluate", "theirs--panoramas")


def test_a_variant_with_weights_is_not_trained(with_imported):
    entry = with_imported.params.variants["theirs"].model_dump(exclude_unset=True)
    with pytest.raises(UsageError, match="isn't trained here: it has others' weights"):
        with_imported.change(variants={"theirs": {**entry, "train": {"panoramas": [0]}}})
