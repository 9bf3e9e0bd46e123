"""Others' weights: judged before they are loaded, told apart by what they hold, refused for values no network has.

What becomes of sound ones stands in tests/stages/own_files/test_import_weights.py.
"""

import io
import os
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file
from torch import nn

from bench.core.errors import UsageError
from bench.core.registry import methods
from bench.nn import checkpoints
from bench.nn.published import fill

NAMES = {"weight": "conv.weight", "bias": "conv.bias"}


def state(**changed):
    return {"conv.weight": torch.ones(2, 3), "conv.bias": torch.ones(2), **changed}


def filled(**changed):
    network = nn.Linear(3, 2)
    fill(network, state(**changed), NAMES, "Somebody")
    return network


def read(path):
    """The likeliest way to understand a file."""
    return next(checkpoints.readings(path)).state


def pickled(content, **options):
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def arrays(save=np.savez, **changed):
    buffer = io.BytesIO()
    save(buffer, **{name: value.numpy() for name, value in state(**changed).items()})
    return buffer.getvalue()


def squeezed(content, **longer):
    """The members of a zip, compressed, and some of them replaced by so many zero bytes, by the end of their names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            size = next((n for end, n in longer.items() if name.endswith(end)), None)
            new.writestr(name, old.read(name) if size is None else bytes(size))
    return buffer.getvalue()


def lying(shape, dtype="<f4", stated=(1, 0)):
    """An npz whose one array says that it has another shape."""
    array, buffer = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(array, {"descr": dtype, "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(buffer, "w") as made:
        content = array.getvalue()
        made.writestr("a.npy", content[:6] + bytes(stated) + content[8:])
    return buffer.getvalue()


BROKEN = {
    "bomb.npz": (squeezed(arrays(), **{"bias.npy": 40_000_000}), "would unpack to 40,000"),
    "bomb.pth": (squeezed(pickled(state()), **{"data/0": 40_000_000}), "would unpack to 40,0"),
    "pickle.pth": (squeezed(pickled(state()), **{"data.pkl": 5_000_000}), "its pickle is too long"),
    "many.pth": (b"\x80\x02]" + b"}a" * 20_000 + b".", "its pickle is too long"),
    "length.pth": (b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.", "makes a bytearray of any size"),
    "storage.pth": (
        pickled({"a": torch.zeros(200)}, _use_new_zipfile_serialization=False).replace(b"K\xc8", b"J\0\0\0\x70"),
        "names a tensor of 1,879,048,192 elements",
    ),
    "lie.npz": (lying((10**12,)), r"a\.npy is said to hold 4,000,000,000,000 bytes"),
    "negative.npz": (lying((-1, -5)), "is said to hold"),
    "unicode.npz": (lying((3,), stated=(3, 0)), "can't be read as npz of plain arrays"),
    "empty.npz": (b"", "empty.npz is empty; the download may have failed"),
    "cut.npz": (arrays()[:-30], "cut.npz is cut short"),
    "array.npz": (b"\x93NUMPY\x01\x00", "is a single array of NumPy. Save all"),
    "keras.pth": (b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
    "short.safetensors": (save(state())[:-3], "is damaged or no safetensors file"),
    "type.safetensors": (save(state()).replace(b"F32", b"F31"), "is damaged or no safetensors file"),
    "both.pth": (pickled(state(**{"module.conv.bias": torch.zeros(2)})), "holds 'conv.bias' twice, also as 'module"),
    "colour\x1b[31m.pth": (b"hello", r"colour\\x1b\[31m.pth is no PyTorch"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_is_judged_before_it_is_loaded(name, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "OPERATIONS", 30_000)
    content, said = BROKEN[name]
    (tmp_path / name).write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match=said) as caught:
            read(tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < 30e6
    finally:
        tracemalloc.stop()
    assert str(caught.value).isprintable()


def test_damage_anywhere_in_an_archive_is_a_sentence(tmp_path):
    """Whatever a decompressor raises: zlib.error, EOFError, NotImplementedError, RuntimeError for a password."""
    content = arrays(np.savez_compressed)
    for place in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        (tmp_path / "x.npz").write_bytes(damaged)
        try:
            read(tmp_path / "x.npz")
        except UsageError as error:
            assert "\n" not in str(error)


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.pth")
    with pytest.raises(UsageError, match="this is a named pipe"):
        read(tmp_path / "pipe.pth")
    (tmp_path / "zero.npz").symlink_to("/dev/zero")
    with pytest.raises(UsageError, match="this is a device"):
        read(tmp_path / "zero.npz")
    with (tmp_path / "huge.safetensors").open("wb") as file:
        file.truncate(checkpoints.LARGEST + 1)
    with pytest.raises(UsageError, match=r"has 2,147,483,649 bytes, more than"):
        read(tmp_path / "huge.safetensors")


@pytest.mark.parametrize(
    "content",
    [save(state()), pickled(state()), pickled(state(), _use_new_zipfile_serialization=False), arrays()],
    ids=["safetensors", "zip", "pickle", "npz"],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".npz", ".ckpt", ""])
def test_what_a_file_holds_decides_whatever_it_is_called(content, suffix, tmp_path):
    (tmp_path / f"theirs{suffix}").write_bytes(content)
    found = read(tmp_path / f"theirs{suffix}")
    assert found.keys() == state().keys() and all(torch.equal(found[name], value) for name, value in state().items())


def test_arrays_of_other_machines_become_ours(tmp_path):
    wide = {name: value.numpy().astype(">f8") for name, value in state().items()}
    np.savez(tmp_path / "x.npz", **wide | {"long": np.ones(2, np.longdouble), "text": np.array(["a"])})
    found = read(tmp_path / "x.npz")
    assert {name: value.dtype for name, value in found.items()} == dict.fromkeys(
        ("conv.weight", "conv.bias", "long"), torch.float64
    )


NOT_VALUES = {
    "NaN": (torch.tensor([1, float("nan")]), "holds NaN or infinite values"),
    "infinite": (torch.tensor([1, float("inf")]), "holds NaN or infinite values"),
    "infinite as float32": (torch.tensor([1, 1e300], dtype=torch.float64), "holds NaN or infinite values"),
    "integer": (torch.ones(2, dtype=torch.int8), "holds values of type torch.int8, expected floating-point numbers"),
    "bool": (torch.ones(2, dtype=torch.bool), "holds values of type torch.bool, expected floating-point"),
    "float8": (torch.ones(2).to(torch.float8_e4m3fn), "holds values of type torch.float8_e4m3fn"),
    "complex": (torch.ones(2, dtype=torch.complex64), "holds values of type torch.complex64"),
    "sparse": (torch.ones(2).to_sparse(), "is sparse, nested or quantised; expected a plain tensor"),
    "meta": (torch.ones(2, device="meta"), r"has no values \(a meta tensor\)"),
    "array": (np.array([1, np.nan]), "holds NaN or infinite values"),
}


@pytest.mark.parametrize("kind", NOT_VALUES)
def test_values_that_no_network_has_are_refused(kind):
    value, said = NOT_VALUES[kind]
    network = nn.Linear(3, 2)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(UsageError, match=rf"Somebody's conv\.bias {said}"):
        fill(network, state(**{"conv.bias": value}), NAMES, "Somebody")
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_shorter_and_longer_numbers_are_taken(dtype):
    assert torch.equal(filled(**{"conv.bias": torch.full((2,), 0.5, dtype=dtype)}).bias, torch.full((2,), 0.5))


def test_a_name_with_and_without_module_is_refused():
    with pytest.raises(UsageError, match=r"'conv\.bias' is there twice"):
        filled(**{"module.conv.bias": torch.ones(2)})


@pytest.mark.parametrize("method", ["ahdrnet", "hdr-gan", "kalantari2017", "safnet"])
def test_published_weights_in_a_network_with_a_head_of_ours_are_refused(method):
    card = methods[method]
    network = card.build("smoke", head="mu-residual")
    with pytest.raises(UsageError, match="this network has the head 'mu-residual'; build it with head='published'"):
        card.load_published(network, {})


def test_weights_of_our_own_are_checked_too(tmp_path):
    file, network = tmp_path / "x.safetensors", nn.Linear(3, 2)
    save_file({"weight": torch.ones(2, 3), "bias": torch.ones(2, dtype=torch.int8)}, file)
    with pytest.raises(UsageError, match=r"bias holds values of type torch\.int8"):
        checkpoints.fit(network, checkpoints.load(file), file)
    save_file({"weight": torch.ones(2, 3), "bias": torch.full((2,), float("nan"))}, file)
    with pytest.raises(UsageError, match="bias holds NaN"):
        checkpoints.load(file)
    file.write_bytes(b"x")
    with pytest.raises(UsageError, match=r"x\.safetensors is damaged or no safetensors file"):
        checkpoints.load(file)


def test_a_mapping_that_stands_in_many_places_is_searched_once(tmp_path):
    shared = {str(n): {} for n in range(200)}
    wide = {str(n): shared for n in range(200)}
    torch.save({str(n): wide for n in range(200)}, tmp_path / "x.pth")
    with pytest.raises(UsageError, match="the file holds no tensors"):
        read(tmp_path / "x.pth")
