"""The golden cases: what the authors' program returned for 35 pairs, and an independent program to compare with."""

import csv
import json
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from bench.metrics.functional.images import one_thread
from bench.metrics.hdrvdp2 import hdrvdp2
from tests.metrics.hdrvdp2 import oracle as program

GOLDEN = Path(__file__).parent / "golden"


@cache
def rows(name):
    with (GOLDEN / name).open() as file:
        return list(csv.DictReader(file))


CASES = {row["case_id"]: row for row in rows("results.csv")}


class Case:
    """One golden case: images as the reference program saw them, its settings and its answers."""

    def __init__(self, name):
        self.row = CASES[name]
        self.terms = [row for row in rows("q_terms.csv") if row["case_id"] == name]
        with np.load(GOLDEN / self.row["pair_file"]) as pair:
            scale = float(self.row["input_scale"])
            self.test, self.reference = (pair[key].astype(np.float64) * scale for key in ("test", "reference"))
        self.settings = {
            "color_encoding": self.row["color_encoding"],
            "pixels_per_degree": float(self.row["pixels_per_degree"]),
            "surround_l": float(self.row["surround_l"]),
            "rgb_display": None if self.row["rgb_display"] == "default" else self.row["rgb_display"],
        }

    def __getitem__(self, column):
        return float(self.row[column])

    def result(self, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some pairs are in [0, 1] on purpose
            return hdrvdp2(self.test, self.reference, **self.settings, **options)


@pytest.fixture(scope="session")
def golden():
    return cache(Case)


@pytest.fixture(scope="session")
def tables():
    return json.loads((GOLDEN / "tables.json").read_text())


@pytest.fixture(scope="session")
def oracle():
    """The slow program of oracle.py, which shares nothing with the product."""
    return program


@pytest.fixture(autouse=True)
def _one_thread():
    """Small images are computed faster by one thread, and the same everywhere."""
    with one_thread():
        yield
