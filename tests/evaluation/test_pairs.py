"""Two models on the same examples, against SciPy and what is known."""

import dataclasses
import itertools

import numpy as np
import pytest
import scipy.stats

from tfl.errors import InputError
from tfl.evaluation import Predictions, compare_predictions
from tfl.evaluation.pairs import adjust_holm, flip_groups, mcnemar, paired_interval, wilcoxon


def table_of(right, target="multiclass"):
    """A table of two classes, right where it is told to be."""
    right = np.asarray(right, bool)
    logits = np.where(right, 1.0, -1.0)[:, None]
    labels = np.ones(len(right), int)
    return Predictions(
        np.arange(len(right)), labels, logits if target == "binary" else np.hstack([-logits, logits]), target
    )


@pytest.mark.parametrize("target", ["multiclass", "binary"])
def test_what_one_alone_has_right_is_counted(target):
    first = [True] * 8 + [True] * 5 + [False] * 1 + [False] * 6
    second = [True] * 8 + [False] * 5 + [True] * 1 + [False] * 6
    result = compare_predictions(table_of(first, target), table_of(second, target))
    assert (result.only_first, result.only_second, result.test) == (5, 1, "McNemar")
    assert (result.first, result.second) == (13 / 20, 9 / 20)
    assert result.difference == pytest.approx(0.2)
    assert result.p_value == pytest.approx(2 * (1 + 6) / 2**6)  # both tails of 6 coins with at most one tail
    assert result.low <= 0.2 <= result.high
    back = compare_predictions(table_of(second, target), table_of(first, target))
    assert back.p_value == result.p_value
    assert (back.low, back.high) == pytest.approx((-result.high, -result.low))


def test_the_paired_interval_is_that_of_the_mean_of_differences():
    rng = np.random.default_rng(0)
    first, second = rng.random(400) < 0.9, rng.random(400) < 0.8
    low, high = paired_interval(table_of(first), table_of(second), "accuracy")
    difference = first.astype(float) - second
    half = 1.96 * difference.std() / 20
    assert (low, high) == pytest.approx((difference.mean() - half, difference.mean() + half), abs=0.01)


def test_pairing_knows_more_than_two_intervals():
    rng = np.random.default_rng(0)
    hard = rng.random(500) < 0.3
    second = ~hard
    first = second | (rng.random(500) < 0.04)
    low, high = paired_interval(table_of(first), table_of(second), "accuracy")
    assert 0 < low < high < 0.03


def test_equal_models_differ_by_chance_alone():
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(7, 7) == 1.0
    assert wilcoxon(np.zeros(5)) == 1.0
    rng = np.random.default_rng(1)
    found = [mcnemar(*np.bincount(rng.integers(0, 2, 40), minlength=2)) < 0.05 for _ in range(500)]
    assert np.mean(found) < 0.07  # exact: at most 0.05 in the long run


def test_many_differing_examples_equal_the_chi_squared_test():
    chi_squared = (abs(5300 - 5000) - 1) ** 2 / 10300
    assert mcnemar(5300, 5000) == pytest.approx(scipy.stats.chi2.sf(chi_squared, 1), rel=0.02)


def test_values_are_compared_by_their_errors():
    rng = np.random.default_rng(0)
    labels = rng.normal(size=60)
    near, far = (labels[:, None] + rng.normal(scale=s, size=(60, 1)) for s in (0.1, 0.5))
    result = compare_predictions(*(Predictions(np.arange(60), labels, values, "regression") for values in (near, far)))
    assert (result.metric, result.test) == ("mean_absolute_error", "Wilcoxon")
    assert result.high < 0  # smaller errors
    assert result.only_first > result.only_second
    errors = np.abs(near[:, 0] - labels) - np.abs(far[:, 0] - labels)
    assert result.p_value == pytest.approx(scipy.stats.wilcoxon(errors).pvalue)


def test_every_label_of_an_example_must_be_right():
    labels = np.array([[1, 0], [1, 1], [0, 0]])
    one, other = ([[1, -1], [1, 1], [-1, -1]], [[1, 1], [1, -1], [-1, -1]])
    tables = [Predictions(np.arange(3), labels, np.array(logits), "multilabel") for logits in (one, other)]
    assert compare_predictions(*tables).only_first == 2


def test_holm():
    assert adjust_holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert adjust_holm([0.6, 0.9]) == pytest.approx([1.0, 1.0])
    assert adjust_holm([0.02]) == [0.02]
    assert adjust_holm([]) == []


def test_other_examples_are_refused():
    table = table_of([True, False])
    for other in (table_of([True, False, True]), table.take(np.array([1, 0])), table_of([True, False], "binary")):
        with pytest.raises(InputError, match="same examples, labels and target"):
            compare_predictions(table, other)


def test_whole_groups_change_their_sign():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(10), 3)
    differences = rng.normal(0.3, 1, 30)
    sums = differences.reshape(10, 3).sum(axis=1)
    signs = np.array(list(itertools.product((-1, 1), repeat=10)))
    expected = np.mean(np.abs(signs @ sums) >= abs(sums.sum()) - 1e-12)
    assert flip_groups(differences, groups) == pytest.approx(expected)
    assert flip_groups(np.zeros(30), groups) == flip_groups(differences[:3], groups[:3]) == 1.0


def test_with_groups_equal_models_differ_by_chance_alone():
    """Answers of one group are alike, so McNemar's test finds a difference far too often."""
    rng = np.random.default_rng(0)
    groups, found = np.repeat(np.arange(30), 6), {"groups": 0, "examples": 0}
    for _ in range(200):
        right = [np.repeat(rng.random(30) < 0.5, 6) for _ in range(2)]
        first, second = map(table_of, right)
        grouped = dataclasses.replace(first, groups=groups)
        found["groups"] += flip_groups(right[0].astype(float) - right[1], groups) < 0.05
        found["examples"] += mcnemar(int(np.sum(right[0] & ~right[1])), int(np.sum(right[1] & ~right[0]))) < 0.05
    assert found["groups"] <= 20 and found["examples"] >= 60
    comparison = compare_predictions(grouped, second)
    assert comparison.test == "sign flips of groups"
    assert comparison.high - comparison.low > 1.5 * np.subtract(*paired_interval(first, second, "accuracy")[::-1])
