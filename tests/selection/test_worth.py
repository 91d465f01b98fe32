"""Nested subsets, the worth in labels, forecasts and similarity, each against a direct computation."""

import itertools

import numpy as np
import pytest

from tfl.selection.curves import forecast
from tfl.selection.similarity import linear_cka
from tfl.selection.subsets import default_sizes, entry_sizes
from tfl.selection.value import summarize
from tfl.selection.worth import describe_times, labels_needed, resampled_means, rising


@pytest.mark.parametrize("seed", range(5))
def test_subsets_are_nested_whole_in_groups_and_as_large_as_asked(seed):
    rng = np.random.default_rng(seed)
    labels, groups = rng.integers(0, 3, 60), rng.integers(0, 40, 60)  # some groups have examples of several classes
    entry = entry_sizes(labels, groups, seed)
    assert all(len(set(entry[groups == group])) == 1 for group in groups)
    for size in range(1, entry.max() + 1):
        counts = np.bincount(labels[entry <= size], minlength=3)
        assert np.all(counts >= np.minimum(size, np.bincount(labels, minlength=3)))


def test_without_groups_each_class_has_exactly_so_many():
    labels = np.array([0] * 7 + [1] * 3)
    entry = entry_sizes(labels, np.arange(10), 4)
    assert sorted(entry[labels == 0]) == list(range(1, 8)) and sorted(entry[labels == 1]) == [1, 2, 3]
    assert not np.array_equal(entry, entry_sizes(labels, np.arange(10), 5))
    assert default_sizes(7) == [1, 2, 5, 7] and default_sizes(1) == [1]


def test_labels_needed_are_those_of_a_known_curve():
    labels = [1, 10, 100]
    curve = np.array([0.5, 0.6, 0.9])
    assert labels_needed(labels, curve, 0.75) == pytest.approx(10**1.5)
    assert labels_needed(labels, curve, 0.5) == 1 and labels_needed(labels, curve, 0.4) == 0
    assert labels_needed(labels, curve, 0.91) == np.inf
    assert rising(np.array([[0.5, 0.7, 0.6]])) == pytest.approx(np.array([[0.5, 0.65, 0.65]]))
    assert describe_times(0, 5, labels) == "less than 0.2 times" and describe_times(3.14, 5, labels) == "3.1 times"
    assert describe_times(np.inf, 1, [1, 123.4]) == "more than 120 times"


def test_the_spread_of_resampled_means_is_that_of_the_two_factors():
    """The variance is close to that of the mean over seeds plus that of the mean over test examples."""
    rng = np.random.default_rng(0)
    hits = (rng.normal(size=(8, 1)) + rng.normal(size=(1, 300)) + rng.normal(size=(8, 300)) > 0)[None]
    drawn = resampled_means(hits)[:, 0]
    expected = hits[0].mean(axis=1).var() / 8 + hits[0].mean(axis=0).var() / 300
    assert drawn.mean() == pytest.approx(hits.mean(), abs=0.02)
    assert drawn.var() == pytest.approx(expected, rel=0.25)


def test_equal_measurements_have_no_gain_and_are_worth_one_time():
    hits = np.random.default_rng(0).random((4, 3, 200)) < np.array([0.5, 0.6, 0.7, 0.8])[:, None, None]
    summary = summarize({"scratch": hits, "frozen": hits}, [1, 2, 5, 10], [1, 2, 5, 10])
    assert all(one.gain == one.gain_low == one.gain_high == 0 for one in summary.worth)
    assert all(one.times == pytest.approx(1) for one in summary.worth)
    assert "not sure to pay from 1 labels" in " ".join(summary.sentences)


@pytest.mark.parametrize(("scratch", "tuned", "said"), [
    ([0.5, 0.5, 0.5, 0.5], [0.9, 0.9, 0.9, 0.9], "worth more than 10 times the labels"),
    ([0.9, 0.9, 0.9, 0.9], [0.5, 0.5, 0.5, 0.5], "Negative transfer: the fine-tuned network is surely worse"),
    ([0.5, 0.6, 0.7, 0.9], [0.9, 0.9, 0.9, 0.9], "not sure to pay from 10 labels"),
])  # fmt: skip
def test_the_answer_is_said_plainly(scratch, tuned, said):
    rng = np.random.default_rng(1)
    hits = {
        way: rng.random((4, 3, 400)) < np.array(shares)[:, None, None]
        for way, shares in (("scratch", scratch), ("finetuned", tuned))
    }
    assert said in " ".join(summarize(hits, [1, 2, 5, 10], [1, 2, 5, 10]).sentences)


@pytest.mark.parametrize(
    "truth",
    [lambda x: 0.95 - 0.5 * x**-0.6, lambda x: 0.4 + 0.08 * np.log(x), lambda x: 0.9 - 0.4 * np.exp(-0.05 * x)],
)
def test_a_forecast_contains_a_curve_of_each_form(truth):
    labels = np.array([1, 2, 5, 10, 20, 50])
    found = forecast(labels, truth(labels), truth(labels)[None], 100)
    assert found.low - 1e-6 <= truth(100) <= found.high + 1e-6
    assert min(abs(value - truth(100)) for value in found.forms.values()) < 1e-3


def test_too_few_points_give_no_forecast():
    assert forecast([1, 2], np.array([0.5, 0.6]), np.array([[0.5, 0.6]]), 4) is None


def test_cka_equals_the_formula_with_feature_covariances():
    rng = np.random.default_rng(0)
    for width, other in itertools.product((3, 50), (4, 30)):
        x, y = rng.normal(size=(20, width)) + 3, rng.normal(size=(20, 2, other // 2))
        a, b = x - x.mean(axis=0), (y - y.mean(axis=0)).reshape(20, -1)
        direct = np.sum((b.T @ a) ** 2) / np.sqrt(np.sum((a.T @ a) ** 2) * np.sum((b.T @ b) ** 2))
        assert linear_cka(x, y) == pytest.approx(direct, abs=1e-9)
        turn = np.linalg.qr(rng.normal(size=(width, width)))[0]
        assert linear_cka(x, 5 * x @ turn) == pytest.approx(1, abs=1e-9)
