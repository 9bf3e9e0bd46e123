"""The files of `reports/literature` that are made from its numbers."""

from collections.abc import Sequence
from pathlib import Path

from bench.io.files import write_bytes_atomic
from bench.report.literature.figure import spread_figure
from bench.report.literature.numbers import KnownCause, PrintedNumber
from bench.report.literature.text import files

FIGURES = {"kalantari": ("psnr-mu", "hdrvdp2"), "hu": ("psnr-mu", "hdrvdp2")}
"""Data set -> metrics of its figure; of the others, too few numbers were measured twice."""


def write(folder: Path, rows: Sequence[PrintedNumber], causes: Sequence[KnownCause]) -> list[Path]:
    """Write a table for each large data set, one of all others, and the figures; return their paths."""
    made = {name: text.encode() for name, text in files(rows, causes).items()}
    made |= {f"{name}.png": spread_figure(rows, name, metrics) for name, metrics in FIGURES.items()}
    for name, content in made.items():
        write_bytes_atomic(folder / name, content)
    return [folder / name for name in made]
