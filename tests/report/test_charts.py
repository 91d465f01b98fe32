"""Charts put values where they belong, and say in words what they show."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tfl.files.pictures import thumbnail
from tfl.report import read_facts
from tfl.report.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Series, draw, ticks
from tfl.report.figures import confusion_picture, curves, l2_path, reliability, selective


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.83, 0.91), (-3, 12), (1e-5, 3e-4), (0, 60000)])
def test_ticks_are_few_and_round(low, high):
    found = np.array(ticks(low, high))
    steps = np.diff(found)
    assert 3 <= len(found) <= 7
    assert found[0] >= low - 1e-12 and found[-1] <= high + 1e-12
    np.testing.assert_allclose(steps, steps[0])
    mantissa = steps[0] / 10 ** np.floor(np.log10(steps[0]) + 1e-9)
    assert round(mantissa, 6) in (1, 2, 5)


def test_values_stand_where_they_belong():
    chart = draw(
        [Series("a", [0, 5, 10], [0.0, 0.5, 1.0]), Series("", [5], [0.5], sizes=[3])],
        alt="1", caption="", x_label="x", y_label="y", x_range=(0, 10), y_range=(0, 1),
    )  # fmt: skip
    middle = (LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2
    places = [tuple(map(float, place.split(","))) for place in chart.lines[0][1].split()]
    assert places == [(LEFT, HEIGHT - BOTTOM), middle, (WIDTH - RIGHT, TOP)]
    assert chart.dots == [("first", *middle, 3)]
    assert chart.legend == [("first", "a")]
    assert {text: x for x, text in chart.x_ticks}["10"] == WIDTH - RIGHT


def test_decades_are_equally_far_apart_and_epochs_have_no_halves():
    chart = draw([Series("", [1e-3, 1e-1, 1e1], [1, 2, 3])], alt="1", caption="", x_label="", y_label="", log_x=True)
    xs = [float(place.split(",")[0]) for place in chart.lines[0][1].split()]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.11)
    assert [text for _, text in chart.x_ticks] == ["1e-3", "1e-2", "1e-1", "1e0", "1e1"]
    chart = draw([Series("", [1, 2], [1, 2])], alt="1", caption="", x_label="", y_label="")
    assert [text for _, text in chart.x_ticks] == ["1", "2"]


@pytest.mark.parametrize("ys", [[0.0, 0.0], [5.0, 5.0], [1e-9, 2e-9]])
def test_flat_curves_have_a_scale(ys):
    chart = draw([Series("", [0, 1], ys)], alt="1", caption="", x_label="", y_label="")
    assert all(TOP <= float(place.split(",")[1]) <= HEIGHT - BOTTOM for place in chart.lines[0][1].split())
    assert len(chart.y_ticks) >= 2


def test_the_words_of_the_charts_are_their_numbers(make_run):
    run = make_run()
    facts = read_facts(run.path)
    loss, accuracy, rate = curves(facts)
    assert "validation from 0.700 to 0.600; the validation loss is lowest after epoch 2" in loss.alt
    assert "Accuracy by epoch" in accuracy.alt
    assert "at most 0.0001" in rate.alt and "6 steps" in rate.alt
    assert "lowest at λ = 0.01 with 1.000" in l2_path(facts).alt
    before, after = reliability(facts)
    assert f"{100 * run.evaluation['calibration']['before']['ece']:.1f}\xa0points" in before.alt
    assert "T = 1.20" in after.caption
    bins = [row for row in run.evaluation["calibration"]["before"]["bins"] if row["count"]]
    assert len(before.dots) == len(bins)
    accuracy = run.metrics["test"]["accuracy"]
    assert f"{100 * accuracy:.1f}\xa0% on 100\xa0% of the images" in selective(facts).alt


def decoded(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_a_large_matrix_is_a_picture_of_the_shares_of_its_rows():
    matrix = np.array([[3, 1], [0, 0]])
    pixels = np.asarray(decoded(confusion_picture(matrix)))
    np.testing.assert_allclose(pixels[..., 3], [[255 * 0.75**0.5, 127.5], [0, 0]], atol=0.6)


@pytest.mark.parametrize(("shape", "size"), [((400, 200), (200, 100)), ((100, 300), (67, 200)), ((0, 0), (200, 200))])
def test_a_thumbnail_has_the_shape_of_the_photo(shape, size):
    picture = decoded(thumbnail(np.full((32, 32, 3), 90, np.uint8), shape))
    assert picture.size == size and picture.format == "JPEG"
    assert abs(int(np.asarray(picture).mean()) - 90) <= 2
