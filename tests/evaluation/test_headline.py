"""The main result in one line, and the number of examples that would show a difference."""

import numpy as np
import pytest
from scipy import stats

import tfl
from tfl.evaluation import (
    SMALL_TEST,
    balanced_text,
    examples_to_tell_apart,
    headline_text,
    needed_text,
    wilson_interval,
)
from tfl.report.wording import percent

CLASSES = tfl.Metadata("MobileNetV2", 1.0, 224, "multiclass", ("ant", "bee"))
SETS = tfl.Metadata("MobileNetV2", 1.0, 224, "multilabel", ("ant", "bee"))
VALUES = tfl.Metadata("MobileNetV2", 1.0, 224, "regression", ("price",))


def test_a_small_test_set_is_told_by_its_interval():
    of_eight = {"accuracy": 1.0, "num_examples": 8}
    assert headline_text(CLASSES, of_eight) == "accuracy between 0.68 and 1.00 (95 % interval; 8 of 8 images right)"
    assert headline_text(SETS, of_eight).endswith("8 of 8 images with every label right)")
    assert "between 67.6\xa0% and 100\xa0%" in headline_text(CLASSES, of_eight, write=percent)
    assert headline_text(CLASSES, {"accuracy": 0.0, "num_examples": 1}).endswith("0 of 1 image right)")
    for count in (SMALL_TEST - 1, SMALL_TEST):
        low, high = wilson_interval(count, count)
        text = headline_text(CLASSES, {"accuracy": 1.0, "num_examples": count})
        expected = f"between {low:.2f} and {high:.2f}" if count < SMALL_TEST else f"1.0000 (95 % interval {low:.4f} to"
        assert expected in text


def test_values_have_the_interval_that_was_measured():
    measured = {"mean_absolute_error": 0.5, "num_examples": 20}
    intervals = {"mean_absolute_error": (0.25, 0.75)}
    text = "mean absolute error between 0.25 and 0.75 (95 % interval; 0.5 on 20 images)"
    assert headline_text(VALUES, measured, intervals) == text
    assert headline_text(VALUES, measured) == "mean absolute error 0.5 on 20 images"
    assert needed_text(VALUES, measured) == ""


def test_the_needed_number_is_told_until_it_is_there():
    text = needed_text(CLASSES, {"accuracy": 0.9, "num_examples": 50})
    needed = examples_to_tell_apart(45, 50)
    assert f"about {needed:,} test images are needed, {needed - 50:,} more." in text
    assert needed_text(CLASSES, {"accuracy": 0.9, "num_examples": 10_000}) == ""


@pytest.mark.parametrize(("share", "difference"), [(0.95, 0.05), (0.7, 0.1), (0.3, 0.1)])
def test_so_many_examples_find_the_difference_as_often_as_promised(share, difference):
    """The power of the two-sided z-test of two shares, summed over all its outcomes."""
    many = 10**9  # the middle of the interval is then the share itself
    size = examples_to_tell_apart(round(share * many), many, difference)
    second = share - difference if share > 0.5 else share + difference
    counts = np.arange(size + 1)
    chances = np.outer(stats.binom.pmf(counts, size, share), stats.binom.pmf(counts, size, second))
    pooled = (counts[:, None] + counts) / (2 * size)
    error = np.sqrt(2 * pooled * (1 - pooled) / size)
    found = np.abs(counts[:, None] - counts) / size > stats.norm.ppf(0.975) * error
    assert chances[found].sum() == pytest.approx(0.8, abs=0.02)


def line(right, count):
    return headline_text(CLASSES, {"accuracy": right / count, "num_examples": count})


def test_few_examples_are_told_by_their_interval():
    assert line(8, 8) == "accuracy between 0.68 and 1.00 (95 % interval; 8 of 8 images right)"
    assert line(1, 1) == "accuracy between 0.21 and 1.00 (95 % interval; 1 of 1 image right)"
    assert line(0, 12) == "accuracy between 0.00 and 0.24 (95 % interval; 0 of 12 images right)"


@pytest.mark.parametrize(("right", "count"), [(99, 99), (57, 99), (3, 99)])
def test_the_interval_is_wilsons(right, count):
    low, high = stats.binomtest(right, count).proportion_ci(method="wilson")
    assert line(right, count) == (
        f"accuracy between {low:.2f} and {high:.2f} (95 % interval; {right} of {count} images right)"
    )


def test_from_100_examples_on_the_value_comes_first():
    low, high = stats.binomtest(93, 100).proportion_ci(method="wilson")
    assert line(93, 100) == f"accuracy 0.9300 (95 % interval {low:.4f} to {high:.4f}) on 100 images"


def test_a_value_that_is_no_share_begins_with_its_interval_if_there_is_one():
    few, many = ({"mean_absolute_error": 3.8, "num_examples": count} for count in (24, 240))
    intervals = {"mean_absolute_error": (3.1, 4.52)}
    assert headline_text(VALUES, few, intervals) == (
        "mean absolute error between 3.1 and 4.52 (95 % interval; 3.8 on 24 images)"
    )
    assert headline_text(VALUES, many, intervals) == (
        "mean absolute error 3.8 (95 % interval 3.1 to 4.52) on 240 images"
    )
    assert headline_text(VALUES, few) == "mean absolute error 3.8 on 24 images"


def test_balanced_accuracy_is_said_if_the_accuracy_hides_a_class():
    intervals = {"balanced_accuracy": (0.49, 0.55)}
    hidden = {"accuracy": 0.95, "balanced_accuracy": 0.5, "num_examples": 200}
    said = "balanced accuracy 0.5000 (95 % interval 0.4900 to 0.5500): the classes are not found equally often"
    assert balanced_text(CLASSES, hidden, intervals) == said
    assert balanced_text(CLASSES, hidden) == said.replace(" (95 % interval 0.4900 to 0.5500)", "")
    assert balanced_text(CLASSES, hidden | {"balanced_accuracy": 0.94}, intervals) == ""
    assert (
        balanced_text(CLASSES, hidden | {"accuracy": 0.75, "num_examples": 4}, intervals) == ""
    )  # so few do not show a difference
    assert balanced_text(SETS, {"accuracy": 0.5, "num_examples": 200}) == ""
    assert balanced_text(VALUES, {"mean_absolute_error": 0.5, "num_examples": 200}) == ""
