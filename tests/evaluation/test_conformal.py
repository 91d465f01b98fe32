"""Prediction sets hold the truth as often as promised: in theory, and on real features."""

import math

import numpy as np
import pytest
import scipy.special

from tfl.errors import InputError
from tfl.evaluation import Predictions, fit_conformal, wilson_interval
from tfl.evaluation.conformal import describe_conformal
from tfl.evaluation.rows import to_json


def drawn(count, seed, target="multiclass", skew=3.0):
    """Predictions that are far too sure: the promise must not depend on the model."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, 1 if target == "regression" else 5))
    if target == "regression":
        return Predictions(np.arange(count), logits[:, 0] + rng.standard_t(3, count), logits, target)
    labels = (scipy.special.softmax(logits, axis=1).cumsum(axis=1) < rng.random((count, 1))).sum(axis=1)
    return Predictions(np.arange(count), labels, skew * logits, target)


@pytest.mark.parametrize("target", ["multiclass", "regression"])
@pytest.mark.parametrize("method", ["lac", "aps"])
@pytest.mark.parametrize("coverage", [0.8, 0.95])
def test_coverage_is_reached_over_50_seeds(target, method, coverage):
    n = 99
    found = []
    for seed in range(50):
        sets = fit_conformal(drawn(n, seed, target), coverage, method)
        found.append(sets.covers(drawn(400, 1000 + seed, target)).mean())
    # The coverage of one calibration set is Beta distributed, with a mean between coverage and coverage + 1 / (n + 1).
    error = 3 * math.sqrt(coverage * (1 - coverage) * (1 / n + 1 / 400) / 50)
    assert coverage - error <= np.mean(found) <= coverage + 1 / (n + 1) + error


def test_the_score_is_the_finite_sample_quantile():
    probabilities = np.linspace(0.99, 0.5, 50)
    table = Predictions(
        np.arange(50), np.zeros(50, int), np.log(np.stack([probabilities, 1 - probabilities], 1)), "multiclass"
    )
    sets = fit_conformal(table, 0.9)
    assert sets.threshold == pytest.approx(probabilities[math.ceil(51 * 0.9) - 1])
    np.testing.assert_array_equal(sets.contains(table)[:, 0], probabilities >= sets.threshold - 1e-12)
    np.testing.assert_array_equal(sets.covers(table), sets.contains(table)[:, 0])
    assert fit_conformal(table.take(np.arange(19)), 0.95).score == pytest.approx(
        1 - probabilities[18]
    )  # 20 * 0.95 = 19


def test_too_few_examples_promise_only_everything():
    sets = fit_conformal(drawn(18, 0), 0.95)
    assert (sets.score, sets.threshold) == (math.inf, 0.0)
    assert sets.contains(drawn(10, 1)).all()
    values = drawn(18, 0, "regression")
    assert [row.coverage for row in describe_conformal(values, values)] == [0.8, 0.9]


def test_aps_takes_the_most_probable_until_enough_is_together():
    table = Predictions(np.arange(1), np.array([1]), np.log([[0.3, 0.2, 0.5]]), "multiclass")
    sets = fit_conformal(
        Predictions(np.arange(9), np.zeros(9, int), np.log([[0.85, 0.15]] * 9), "multiclass"), 0.5, "aps"
    )
    assert sets.score == pytest.approx(0.85)
    np.testing.assert_array_equal(sets.contains(table), [[True, False, True]])  # 0.5, 0.8, 1.0
    assert not sets.covers(table).any()


def test_intervals_are_as_wide_as_the_widest_error_of_all_outputs():
    labels = np.zeros((9, 2))
    table = Predictions(np.arange(9), labels, np.stack([np.arange(9) / 10, -np.arange(9) / 5], 1), "regression")
    sets = fit_conformal(table, 0.5)
    assert sets.score == pytest.approx(0.8)
    (row,) = [row for row in describe_conformal(table, table) if row.coverage == 0.8]
    assert to_json(row) == {
        "coverage": 0.8,
        "threshold": pytest.approx(1.4),
        "test_coverage": pytest.approx(8 / 9),
        "low": pytest.approx(wilson_interval(8, 9)[0]),
        "high": pytest.approx(wilson_interval(8, 9)[1]),
        "mean_set_size": pytest.approx(2.8),
    }


@pytest.mark.parametrize(
    ("options", "rule"),
    [({"coverage": 1.0}, "`coverage` must be above 0"), ({"method": "raps"}, "`method` must be one of lac, aps")],
)
def test_other_options_are_refused(options, rule):
    with pytest.raises(InputError, match=rule):
        fit_conformal(drawn(20, 0), **options)
    with pytest.raises(InputError, match="`calibration` must be"):
        fit_conformal(Predictions(np.arange(2), np.ones((2, 2)), np.ones((2, 2)), "multilabel"))
