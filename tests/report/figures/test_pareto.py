import io
import itertools
import re

import numpy as np
import pytest
from PIL import Image

from bench.report.figures import pareto
from bench.report.figures.pareto import AFTER, LEARNED, PLAIN, Plane, Point, front, pareto_figure, places, ticks

NAMES = (
    "Sen 2012", "Kalantari 2017", "DeepHDR", "AHDRNet", "NHDRRNet", "HDR-GAN", "ADNet", "CA-ViT", "SCTNet", "SAFNet",
    "AFUNet", "Proposed", "Reference only", "Triangle merge", "MTB + merge", "ECC + merge", "Homography + merge",
    "DIS flow + merge", "Debevec (OpenCV)", "Robertson (OpenCV)",
)  # fmt: skip


def table1(seed=0):
    """As many points as Table 1 has rows, most of them within a decibel; two panels of other costs."""
    rng = np.random.default_rng(seed)
    kinds = [PLAIN, *[LEARNED] * 8, *[AFTER] * 2, LEARNED, *[PLAIN] * 8]
    values = [30 + rng.normal(1.7, 0.2) if kind != PLAIN else rng.uniform(25, 31) for kind in kinds]
    times = np.exp(rng.uniform(-3, 5, len(NAMES)))
    counts = [0.0 if kind == PLAIN else float(np.exp(rng.uniform(-1, 4))) for kind in kinds]
    return [
        Plane("Time", "seconds", tuple(map(Point, NAMES, map(float, times), values, kinds))),
        Plane("Size", "parameters", tuple(map(Point, NAMES, counts, values, kinds))),
    ]


@pytest.fixture
def figure(monkeypatch):
    """Draw, and return the figure instead of its bytes."""
    monkeypatch.setattr(pareto, "drawn", lambda figure: figure)
    return lambda panels, caption="": pareto_figure(panels, "PSNR, dB", caption)


def test_front_by_hand():
    points = [Point("a", 1, 30), Point("b", 2, 29), Point("c", 3, 31), Point("d", 3, 32), Point("e", 9, 32)]
    assert [point.label for point in front(points)] == ["a", "d"]


def test_front_by_definition():
    points = table1(3)[0].points
    for point in points:
        beaten = any(o.cost <= point.cost and o.value >= point.value and o != point for o in points)
        assert (point in front(points)) != beaten


def test_what_costs_nothing_takes_no_part_in_the_front(figure):
    points = (Point("free", 0, 40, PLAIN), Point("small", 1, 30), Point("large", 9, 32), Point("beaten", 5, 29))
    assert [point.label for point in front(points)] == ["small", "large"]
    (axes,) = figure([Plane("x", "x", points)]).axes
    marks = {line.get_ydata()[0]: line.get_alpha() for line in axes.lines if line.get_marker() not in ("None", None)}
    assert (marks[40], marks[30]) == (1.0, 1.0) and marks[29] < 1
    (line,) = [line for line in axes.lines if len(line.get_xdata()) == 4]
    assert max(line.get_ydata()) == 32


@pytest.mark.parametrize(("number", "label"), [(1, pareto.PART), (0, pareto.WHOLE)])
def test_the_legend_says_what_the_front_is_of(figure, number, label):
    assert figure(table1()[number : number + 1]).legends[0].get_texts()[0].get_text() == label


def test_no_cost_lies_left_of_the_cheapest():
    points = [Point("none", 0, 1), Point("small", 2, 1), Point("large", 200, 1)]
    first, *rest = places(points)
    assert 0 < first < 2 and rest == [2, 200]
    assert len(set(places([Point("a", 0, 1), Point("b", 0, 2)]))) == 1


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.05, 0.6, [0.05, 0.1, 0.2, 0.5]), (1, 500, [1, 3, 10, 30, 100, 300]), (0.01, 900, [0.01, 0.1, 1, 10, 100])],
)
def test_ticks_are_round(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(2))
def test_names_are_readable(figure, seed):
    made = figure(table1(seed), "a caption " * 40)
    frame = made.bbox
    for axes in made.axes:
        boxes = [text.get_window_extent() for text in axes.texts]
        assert len(boxes) == len(NAMES)
        assert not [1 for a, b in itertools.combinations(boxes, 2) if a.overlaps(b)]
        for box in boxes:
            assert axes.bbox.x0 - 1 <= box.x0 and box.x1 <= axes.bbox.x1 + 1
        assert frame.x0 <= axes.bbox.x0 and axes.bbox.x1 <= frame.x1
        assert min(text.get_fontsize() for text in axes.texts) >= 7
    caption = made._supxlabel.get_window_extent()
    assert frame.x0 <= caption.x0 and caption.x1 <= frame.x1 and frame.y0 <= caption.y0


@pytest.mark.parametrize("number", [1, 2])
def test_legend_and_caption_fit(figure, number):
    made = figure(table1()[-number:], "a caption " * 40)
    for part in (made.legends[0], made._supxlabel):
        box = part.get_window_extent()
        assert made.bbox.x0 <= box.x0 and box.x1 <= made.bbox.x1
    assert len(made.legends[0].get_texts()) == 4


def test_kinds_differ_in_marks_and_the_front_is_drawn_through_the_best(figure):
    (axes, _) = figure(table1()).axes
    marks = {line.get_marker() for line in axes.lines} - {"None"}
    assert marks == {"o", "D", "s"}
    best = front(table1()[0].points)
    (line,) = [line for line in axes.lines if len(line.get_xdata()) == 2 * len(best)]
    assert {(point.cost, point.value) for point in best} <= set(zip(*line.get_data(), strict=True))
    assert axes.get_xscale() == "log"


def test_methods_without_parameters_have_a_place_that_says_so(figure):
    (_, axes) = figure(table1()).axes
    assert axes.get_xticklabels()[0].get_text() == "none"
    (alone,) = figure([Plane("x", "x", (Point("a", 0, 1), Point("b", 0, 2)))]).axes
    assert alone.get_xticklabels()[0].get_text() == "none"


@pytest.mark.usefixtures("coarse")
def test_files_are_the_same_each_time_and_hold_no_date():
    first, second = (pareto_figure(table1(), "PSNR, dB", "caption") for _ in range(2))
    assert first == second and set(first) == {"png", "svg", "pdf"}
    assert first["svg"].startswith(b"<?xml") and first["pdf"].startswith(b"%PDF")
    assert not re.search(rb"20\d\d-\d\d-\d\d|CreationDate|matplotlib v", first["svg"] + first["pdf"])
    assert np.asarray(Image.open(io.BytesIO(first["png"])).convert("RGB")).std() > 10
