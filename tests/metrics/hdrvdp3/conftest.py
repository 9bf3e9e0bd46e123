"""The golden cases: what the authors' program returned for 50 pairs, and an independent program to compare with."""

import csv
import json
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from bench.metrics.functional.images import one_thread
from bench.metrics.hdrvdp3 import hdrvdp3
from tests.metrics.hdrvdp3 import oracle as program

GOLDEN = Path(__file__).parent / "golden"
PAIRS = {"hdrvdp3": GOLDEN, "hdrvdp2": GOLDEN.parents[1] / "hdrvdp2" / "golden"}
"""Some pairs serve both releases."""


@cache
def rows(name):
    with (GOLDEN / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


class Case:
    """One golden case: images as the reference program saw them, its settings and its answers."""

    def __init__(self, name):
        (self.row,) = (row for row in rows("results") if row["case_id"] == name)
        self.terms = [row for row in rows("terms") if row["case_id"] == name]
        release, _, file = self.row["pair_file"].partition("/")
        with np.load(PAIRS[release] / file) as pair:
            scale = float(self.row["input_scale"])
            self.test, self.reference = (pair[key].astype(np.float64) * scale for key in ("test", "reference"))
        options = json.loads(self.row["other_options"] or "{}")
        around = self.row["surround"]
        self.settings = {
            "task": self.row["task"],
            "encoding": self.row["color_encoding"],
            "pixels_per_degree": self["pixels_per_degree"],
            "display": None if self.row["rgb_display"] == "default" else self.row["rgb_display"],
            "age": self["age"],
            "surround": around if around in ("none", "mean") else float(around),
            "mtf": self.row["mtf"],
            "options": {**options, "sensitivity_correction": self["sensitivity_correction"]},
        }

    def __getitem__(self, column):
        return float(self.row[column])

    def result(self, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some pairs hold NaN, or are in [0, 1], on purpose
            return hdrvdp3(self.test, self.reference, **self.settings, **options)


@pytest.fixture(scope="session")
def golden():
    return cache(Case)


@pytest.fixture(scope="session")
def table():
    return rows


@pytest.fixture(scope="session")
def oracle():
    """The slow program of oracle.py."""
    return program


@pytest.fixture(autouse=True)
def _one_thread():
    """Small images are computed faster by one thread, and the same everywhere."""
    with one_thread():
        yield
