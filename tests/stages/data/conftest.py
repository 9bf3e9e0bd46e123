"""Parameters of datasets alone, in a folder of their own."""

import pytest
import yaml

from bench.core.params import load


@pytest.fixture
def dataset_params(tmp_path, monkeypatch, small_params):
    """Write parameters that use one dataset and train nothing, and load them; the current folder is theirs.

    Downloads are kept in store/, their checksums in checksums.json.
    """
    monkeypatch.chdir(tmp_path)
    small_params |= {"train": {}, "variants": {"proposed": {"method": "olc"}}}
    small_params["downloads"] = {"folder": "store", "checksums": "checksums.json"}

    def write(dataset, use=None, file="params.yaml", **changes):
        datasets = {dataset: use or {}}
        (tmp_path / file).write_text(yaml.safe_dump({**small_params, "datasets": datasets, **changes}))
        return load(tmp_path / file)

    return write
