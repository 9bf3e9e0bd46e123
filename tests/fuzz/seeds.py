"""Small valid files of every kind that is read. Equal on every machine but for what libraries write into headers."""

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tifffile
import yaml
from PIL import Image

from bench.core.registry import ROOT
from bench.io.radiance import write_rgbe
from bench.io.rgbe import from_float
from bench.io.tables import ScoreRow, write_scores

HEIGHT, WIDTH = 16, 24

PARAMS: dict[str, Any] = {
    "profile": "fuzz",
    "threads": 1,
    "protocol": "safnet",
    "head": "mu-residual",
    "datasets": {"panoramas": {}, "kalantari": {"on_disk": "there", "waive": {"scale": "made for a test of readers"}}},
    "simulate": {
        "train": ["city", "forest"],
        "test": ["courtyard", "sunset"],
        "train_views": 1,
        "width": 96,
        "height": 64,
        "roll": 1.5,
    },
    "patches": {"size": 32, "stride": 16},
    "perceptual": {"backbone": "none"},
    "stage1": {"steps": 2},
    "stage2": {"steps": 2, "lr": 0.003},
    "codebooks": {"olc-64": {"segments": "olc", "codes": 64, "options": {"eta": "per-sample"}}},
    "train": {"panoramas": [0, 1]},
    "evaluate": ["panoramas"],
    "variants": {
        "ahdrnet": {"method": "ahdrnet", "preset": "smoke", "evaluate": ["panoramas"], "stage2": {"lr": 2e-4}},
        "proposed": {"method": "olc", "preset": "smoke", "codebook": "olc-64", "options": {"prior": "rf"}},
        "triangle-merge": {"method": "triangle-merge"},
    },
    "tables": {"1": {"rows": [{"Proposed": "proposed"}, "triangle-merge"]}},
    "regression": {"retrained": {"psnr-mu": 1.5, "psnr-l": 1.5}, "retrained_means": {"psnr-mu": 0.5, "psnr-l": 0.5}},
}
"""A parameter file in which every section is used."""

STRESS = b"""# Where does it break?
profile: stress
metrics: [psnr-mu]
keep_predictions: false
sensitivity: []
datasets:
  stress: {waive: {steps: "simulated with known steps"}}
simulate:
  stress: {step: [1, 2], electrons: [20000, 500.0]}
evaluate: [stress]
variants:
  triangle-merge: &merge {method: triangle-merge}
  again: *merge
  safnet: {method: safnet, preset: demo, weights: weights/demo/safnet--panoramas--s0.safetensors}
tables: {floors: [triangle-merge]}
"""
"""A parameter file as people write it."""


def radiance(height: int = HEIGHT, width: int = WIDTH) -> Any:
    """Return (H, W, 3) float32 in [0, 1]: coloured patches from dark to bright."""
    random = np.random.default_rng(7)
    patches = random.random((height // 4, width // 4, 3)) ** 3
    return np.clip(patches.repeat(4, 0).repeat(4, 1) * random.uniform(0.9, 1.1, (height, width, 3)), 0, 1).astype(
        np.float32
    )


def frame(time: float = 1.0) -> Any:
    """Return what a camera stores of it, (H, W, 3) uint16."""
    return np.rint(65535 * np.clip(radiance() * time, 0, 1) ** (1 / 2.2)).astype(np.uint16)


def small(time: float = 1.0) -> Any:
    """Return the same in 8 bits."""
    return (frame(time) // 257).astype(np.uint8)


def _written(write: Callable[[Path], object], name: str = "x") -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        return path.read_bytes()


def _buffered(write: Callable[[io.BytesIO], object]) -> bytes:
    out = io.BytesIO()
    write(out)
    return out.getvalue()


def exr_lines() -> list[bytes]:
    """Scan lines: float and half, with and without alpha, packed in several ways, two parts."""
    import OpenEXR

    pixels, alpha = radiance(), np.ones((HEIGHT, WIDTH, 4), np.float32)
    alpha[..., :3] = pixels
    packings = (OpenEXR.NO_COMPRESSION, OpenEXR.ZIP_COMPRESSION, OpenEXR.PIZ_COMPRESSION, OpenEXR.RLE_COMPRESSION)
    kinds = [(p, {"RGB": pixels}) for p in packings]
    kinds += [
        (OpenEXR.ZIPS_COMPRESSION, {"RGB": pixels.astype(np.float16)}),
        (OpenEXR.ZIP_COMPRESSION, {"RGBA": alpha}),
    ]
    header = {"type": OpenEXR.scanlineimage}
    files = [OpenEXR.File({**header, "compression": packing}, channels) for packing, channels in kinds]
    depth = OpenEXR.Part(dict(header), {"Z": np.ascontiguousarray(pixels[..., 0])}, "depth")
    files.append(OpenEXR.File([depth, OpenEXR.Part(dict(header), {"RGB": pixels}, "beauty")]))
    return [_written(lambda path, file=file: file.write(str(path)), "x.exr") for file in files]


def exr_tiles() -> list[bytes]:
    """Tiles: one level, and smaller levels beside it."""
    import OpenEXR

    sizes = [OpenEXR.TileDescription(), OpenEXR.TileDescription()]
    sizes[1].xSize = sizes[1].ySize = 16
    header = {"type": OpenEXR.tiledimage, "compression": OpenEXR.ZIP_COMPRESSION}
    files = [OpenEXR.File({**header, "tiles": size}, {"RGB": radiance()}) for size in sizes]
    return [_written(lambda path, file=file: file.write(str(path)), "x.exr") for file in files]


def hdr() -> list[bytes]:
    """Radiance pictures: run lengths, and flat with an exposure."""
    quads = from_float(radiance())
    head = f"#?RADIANCE\n# made by hand\nEXPOSURE=1.0\nFORMAT=32-bit_rle_rgbe\n\n-Y {HEIGHT} +X {WIDTH}\n"
    return [_written(lambda path: write_rgbe(path, radiance())), head.encode() + quads.tobytes()]


def npy(dtypes: Sequence[str] = ("<f4", "<f8", "<f2")) -> list[bytes]:
    """Arrays (H, W, 3)."""
    return [_buffered(lambda out, kind=kind: np.save(out, radiance().astype(kind))) for kind in dtypes]


def _tiffs(pixels: Any, **options: Any) -> list[bytes]:
    ways = ({}, {"compression": "zlib"}, {"rowsperstrip": 4}, {"planarconfig": "separate"}, {"byteorder": ">"})
    found = []
    for way in ways:
        out = io.BytesIO()
        planes = pixels.transpose(2, 0, 1) if "planarconfig" in way else pixels
        tifffile.imwrite(out, planes, photometric="rgb", metadata=None, **way, **options)
        found.append(out.getvalue())
    return found


def tiff_float() -> list[bytes]:
    """TIFFs of float32: plain, packed, in strips, in planes, big-endian, BigTIFF."""
    return [*_tiffs(radiance()), *_tiffs(radiance(), bigtiff=True)[:1]]


def tiff() -> list[bytes]:
    """TIFFs of 8 and 16 bits."""
    packed = [
        _buffered(lambda out, k=k: Image.fromarray(small()).save(out, "TIFF", compression=k))
        for k in ("tiff_lzw", "packbits")
    ]
    return [*_tiffs(frame()), *_tiffs(small()), *packed]


def png() -> list[bytes]:
    """PNGs of 8 and 16 bits."""
    import cv2

    deep = cv2.imencode(".png", np.ascontiguousarray(frame()[..., ::-1]))[1].tobytes()
    return [_buffered(lambda out: Image.fromarray(small()).save(out, "PNG")), deep]


def jpeg() -> list[bytes]:
    """JPEGs, one of them progressive."""
    return [
        _buffered(lambda out, way=way: Image.fromarray(small()).save(out, "JPEG", quality=95, progressive=way))
        for way in (False, True)
    ]


def grey() -> list[bytes]:
    """A mask: PNG of 8 bits, grey."""
    mask = np.where(radiance()[..., 0] > 0.5, np.uint8(255), np.uint8(0))
    return [_buffered(lambda out: Image.fromarray(mask).save(out, "PNG"))]


def photograph(time: float, tags: dict[int, Any]) -> bytes:
    """Return a JPEG with these tags in EXIF."""
    data = Image.Exif()
    data[0x0112] = 1
    data.get_ifd(0x8769).update(tags)
    return _buffered(lambda out: Image.fromarray(small(time)).save(out, "JPEG", quality=95, exif=data))


def exif() -> list[bytes]:
    """Photographs whose EXIF tells time, aperture and speed, plainly and as powers of two."""
    return [
        photograph(1.0, {33434: 1 / 320, 33437: 8.0, 34855: 100}),
        photograph(1.0, {37377: 8.32, 37378: 6.0, 34855: 100}),
    ]


def exposures() -> list[bytes]:
    """What people write beside three frames: seconds in their order, by name, and with comments."""
    return [
        b"1/320\n1/80\n1/20\n",
        b"0.003125, 0.0125, 0.05\n",
        b"short.png 1/320\nmiddle.png 1/80\nlong.png 1/20\n",
        b"# seconds\nshort.png: 1/320 s\nmiddle.png: 1/80 s\n\nlong.png: 1/20 s\n",
    ]


def evs() -> list[bytes]:
    """Exposure files of the public sets: three EVs."""
    return [b"0\n2\n4\n", b"-2.00 0.00 2.00\r\n"]


def tursun() -> list[bytes]:
    """Camera settings of one frame."""
    return [
        b"ExposureTime: 1/60\nISO: 100\nFNumber: 8.0\n",
        b"\xef\xbb\xbfExposureTime = 1/60\r\nISO = 100\r\nFNumber = 8\r\n",
    ]


def yaml_text(content: Any) -> bytes:
    """Return YAML as the project writes it."""
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=None).encode()


def json_text(content: Any) -> bytes:
    """Return JSON as the project writes it."""
    return json.dumps(content, indent=2).encode()


def params() -> list[bytes]:
    """Parameter files: one that says all, one that is laid over another (`base.yaml` beside it), one by hand."""
    over = b"include: base.yaml\nprofile: other\nvariants:\n  proposed: null\ntables: null\n"
    return [yaml_text(PARAMS), over, STRESS]


def scores() -> list[bytes]:
    """Score rows of two runs, three scenes, two metrics and two seeds."""
    of = "panoramas"
    rows = [
        ScoreRow("fuzz", run, run, of, seed, of, f"scene-{n:02d}", metric, 30.5 + n + seed / 8, "safnet@1")
        for run in ("ahdrnet", "proposed")
        for seed in (0, 1)
        for n in range(3)
        for metric in ("psnr-l", "psnr-mu")
    ]
    return [_written(lambda path: write_scores(path, rows), "scores.csv")]


def submission() -> list[bytes]:
    """Rows of somebody else's results, as `score --submit` keeps them."""
    rows = [
        ScoreRow("fuzz", "submitted", "mutant", "", None, "panoramas", f"scene-{n:02d}", "psnr-mu", 30.5, "safnet@1")
        for n in range(3)
    ]
    return [_written(lambda path: write_scores(path, rows), "scores.csv")]


def lock(md5: str) -> list[bytes]:
    """A dvc.lock of four stages that tells of the scores with this md5."""

    def file(path: str, digest: str = "adf65a4979761f357c0c756cf614e717", size: int = 5880) -> dict[str, Any]:
        return {"path": path, "hash": "md5", "md5": digest, "size": size}

    scenes = {**file("work/fuzz/scenes/panoramas", "0" * 32 + ".dir"), "nfiles": 9}
    code, scored = file("bench/metrics"), "work/fuzz/scores/ahdrnet--panoramas--s0--panoramas.csv"
    stages = {
        "prepare@panoramas": {"cmd": "python -m bench prepare panoramas", "deps": [code], "outs": [scenes]},
        "train@ahdrnet--panoramas--s0": {
            "cmd": "python -m bench train ahdrnet--panoramas--s0",
            "deps": [scenes, file("requirements.lock")],
            "params": {"plan.yaml": {"plan.stage2": {"steps": 2, "lr": 0.003}, "plan.head": "mu-residual"}},
            "outs": [file("work/fuzz/weights/ahdrnet--panoramas--s0.safetensors")],
        },
        "evaluate@ahdrnet--panoramas--s0--panoramas": {
            "cmd": "python -m bench evaluate ahdrnet--panoramas--s0--panoramas",
            "deps": [file("work/fuzz/weights/ahdrnet--panoramas--s0.safetensors"), scenes],
            "outs": [file(scored)],
        },
        "summarize": {
            "cmd": "python -m bench summarize",
            "deps": [file(scored)],
            "outs": [file("reports/fuzz/scores.csv", md5)],
        },
    }
    return [yaml_text({"schema": "2.0", "stages": stages})]


def requirements() -> list[bytes]:
    """A lock file of libraries."""
    return [b"# locked\nnumpy==1.26.4\ntorch==2.4.1+cpu\n\nPillow==10.4.0\n"]


@cache
def _theirs() -> dict[str, Any]:
    """Weights of the smallest AHDRNet by its authors' names."""
    import torch

    from bench.core.registry import methods
    from bench.nn.published import renamed
    from methods.ahdrnet import _RENAMED

    torch.manual_seed(5)
    network = methods["ahdrnet"].build("smoke", head="published")
    return {renamed(name, _RENAMED): value.clone() for name, value in network.state_dict().items()}


def safetensors() -> list[bytes]:
    """An authors' checkpoint."""
    from safetensors.torch import save

    return [save(_theirs())]


def pth() -> list[bytes]:
    """The same by torch.save: plain, wrapped, and in its older format."""
    import torch

    wrapped = {"state_dict": {f"module.{name}": value for name, value in _theirs().items()}, "epoch": 7}
    return [
        _buffered(lambda out: torch.save(_theirs(), out)),
        _buffered(lambda out: torch.save(wrapped, out)),
        _buffered(lambda out: torch.save(_theirs(), out, _use_new_zipfile_serialization=False)),
    ]


def npz() -> list[bytes]:
    """The same by NumPy: stored and packed."""
    arrays = {f"{name}:0": value.numpy() for name, value in _theirs().items()}
    return [_buffered(lambda out: np.savez(out, **arrays)), _buffered(lambda out: np.savez_compressed(out, **arrays))]


def archive() -> list[bytes]:
    """Zip archives of a data set: packed and stored."""
    found = []
    for packing in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", packing) as bundle:
            for name in ("Test/EXTRA/001/exposure.txt", "Test/EXTRA/001/HDRImg.hdr", "Test/readme.md"):
                bundle.writestr(zipfile.ZipInfo(name), evs()[0] * 20, packing)
        found.append(out.getvalue())
    return found


def table() -> list[bytes]:
    """A table of a report."""
    head = b"dataset,method,variant,scenes,psnr_mu,psnr_l\n"
    return [head + b"panoramas,1. AHDRNet,ahdrnet,3,31.5,30.5\npanoramas,Triangle,triangle-merge,3,29.1,28.2\n"]


def words() -> list[bytes]:
    """Exposures on the command line."""
    return [b"1/320,1/80,1/20", b"0ev,2ev,4ev"]


def protocol() -> list[bytes]:
    """A protocol of ours."""
    return [(ROOT / "bench/metrics/protocols/safnet.yaml").read_bytes()]


def state() -> list[bytes]:
    """What is noted of a download that was cut off."""
    return [json_text({"mark": '"5d8c72a5edda8"'}), json_text({"mark": None})]


def note() -> list[bytes]:
    """What `fetch` notes of a set that is read in place."""
    return [json_text({"folder": "there"})]
