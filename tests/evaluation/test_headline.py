"""The line of the main result: with few examples it begins with what is certain."""

import pytest
import scipy.stats

import tfl
from tfl.evaluation import describe_headline

CLASSES = tfl.Metadata("MobileNetV2", 1.0, 224, "multiclass", ("ant", "bee"))
VALUES = tfl.Metadata("MobileNetV2", 1.0, 224, "regression", ("weight",))


def line(right, count):
    return describe_headline(CLASSES, {"accuracy": right / count, "num_examples": count})


def test_few_examples_are_told_by_their_interval():
    assert line(8, 8) == "accuracy between 0.68 and 1.00 (95 % interval; 8 of 8 images right)"
    assert line(1, 1) == "accuracy between 0.21 and 1.00 (95 % interval; 1 of 1 image right)"
    assert line(0, 12) == "accuracy between 0.00 and 0.24 (95 % interval; 0 of 12 images right)"


@pytest.mark.parametrize(("right", "count"), [(99, 99), (57, 99), (3, 99)])
def test_the_interval_is_wilsons(right, count):
    low, high = scipy.stats.binomtest(right, count).proportion_ci(method="wilson")
    assert line(right, count) == (
        f"accuracy between {low:.2f} and {high:.2f} (95 % interval; {right} of {count} images right)"
    )


def test_from_100_examples_on_the_value_comes_first():
    low, high = scipy.stats.binomtest(93, 100).proportion_ci(method="wilson")
    assert line(93, 100) == f"accuracy 0.9300 (95 % interval {low:.4f} to {high:.4f}) on 100 images"


def test_a_value_that_is_no_share_begins_with_its_interval_if_there_is_one():
    few, many = ({"mean_absolute_error": 3.8, "num_examples": count} for count in (24, 240))
    intervals = {"mean_absolute_error": (3.1, 4.52)}
    assert describe_headline(VALUES, few, intervals) == (
        "mean absolute error between 3.1 and 4.52 (95 % interval; 3.8 on 24 images)"
    )
    assert describe_headline(VALUES, many, intervals) == (
        "mean absolute error 3.8 (95 % interval 3.1 to 4.52) on 240 images"
    )
    assert describe_headline(VALUES, few) == "mean absolute error 3.8 on 24 images"
