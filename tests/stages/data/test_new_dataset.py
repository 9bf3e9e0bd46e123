"""Adding a dataset is one file and one line of parameters: CONTRIBUTING's example is fetched and prepared."""

import numpy as np
import yaml
from PIL import Image

from bench.core import layout
from bench.core.params import load
from bench.io.container import read_scene
from tests.data import builders
from tests.test_docs import FILES

NEW = "datasets/snapshots.py"


def test_contributings_dataset_goes_through_the_command_line(site, command, tmp_path):
    for seed, name in enumerate(("garden", "yard")):
        (tmp_path / "mine" / name).mkdir(parents=True)
        for time, file in ((1.0, "short"), (4.0, "middle"), (16.0, "long")):
            frame = (builders.frame(builders.light(seed), time) // 257).astype(np.uint8)
            Image.fromarray(frame).save(tmp_path / "mine" / name / f"{file}.png")
    (site.folder / NEW).write_text(FILES[NEW], encoding="utf-8")
    file = site.folder / "params.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    content["datasets"]["snapshots"] = {"on_disk": str(tmp_path / "mine")}
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    for words in (("plan",), ("fetch", "snapshots"), ("prepare", "snapshots")):
        answer = command(site, *words)
        assert answer.returncode == 0, answer.stderr
    scenes = site.folder / layout.scenes(load(file), "snapshots", "all")
    assert [path.name for path in sorted(scenes.iterdir())] == ["garden", "yard"]
    assert read_scene(scenes / "yard").times.tolist() == [1, 4, 16]
    assert "My brackets" in command(site, "list", "datasets").stdout
