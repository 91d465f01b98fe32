"""Calibration error against NumPy, and temperatures that are known."""

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from tfl.evaluation import (
    Predictions,
    calibration_error,
    confidences,
    describe_calibration,
    fit_temperature,
    reliability_bins,
)
from tfl.evaluation.calibration import mean_loss
from tfl.evaluation.temperature import BOUNDS


def honest(target, count, seed=0, outputs=3):
    """A table whose labels are drawn from its own probabilities: its best temperature is 1."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, 1 if target == "binary" else outputs)) * 2
    if target == "multiclass":
        uniform = rng.random((count, 1))
        labels = (scipy.special.softmax(logits, axis=1).cumsum(axis=1) < uniform).sum(axis=1)
    else:
        labels = (rng.random(logits.shape) < scipy.special.expit(logits)).astype(int)
        labels = labels[:, 0] if target == "binary" else labels
    return Predictions(np.arange(count), labels, logits, target)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 60), num_bins=st.integers(1, 20))
def test_calibration_error_equals_a_loop(seed, count, num_bins):
    rng = np.random.default_rng(seed)
    sure, right = np.round(rng.random(count), seed % 4), rng.random(count) < 0.6
    edges = np.linspace(0, 1, num_bins + 1)
    edges[0] = -1.0  # a confidence of 0 is in the first bin
    expected = 0.0
    rows = reliability_bins(sure, right, num_bins)
    for number, row in enumerate(rows):
        inside = (sure > edges[number]) & (sure <= edges[number + 1])
        assert row.count == inside.sum()
        if inside.any():
            assert row.accuracy == pytest.approx(right[inside].mean())
            assert row.confidence == pytest.approx(sure[inside].mean())
            expected += inside.mean() * abs(right[inside].mean() - sure[inside].mean())
        else:
            assert row.accuracy is row.confidence is None
    assert calibration_error(sure, right, num_bins) == pytest.approx(expected)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 80))
def test_adaptive_bins_hold_equally_many_and_do_not_depend_on_the_order(seed, count):
    rng = np.random.default_rng(seed)
    sure, right = rng.random(count), rng.random(count) < 0.6
    parts = np.array_split(np.argsort(sure), 4) if count % 4 == 0 else []  # where all four are of one size
    error = calibration_error(sure, right, 4, adaptive=True)
    if parts:
        expected = sum(len(p) / count * abs(right[p].mean() - sure[p].mean()) for p in parts)
        assert error == pytest.approx(expected, abs=2.1 / count)  # a quantile may fall beside the cut
    tied = np.round(sure, 1)
    order = rng.permutation(count)
    shuffled = calibration_error(tied[order], right[order], 4, adaptive=True)
    assert shuffled == pytest.approx(calibration_error(tied, right, 4, adaptive=True))


def test_known_errors():
    sure = np.array([0.9] * 10 + [0.6] * 10)
    right = np.array([True] * 7 + [False] * 3 + [True] * 6 + [False] * 4)
    for adaptive in (False, True):
        assert calibration_error(sure, right, adaptive=adaptive) == pytest.approx(0.1)
    assert calibration_error(np.ones(5), np.ones(5, bool)) == 0.0
    assert calibration_error(np.ones(5), np.zeros(5, bool)) == 1.0


def test_a_perfect_model_has_the_error_that_chance_gives():
    few, many = honest("multiclass", 100), honest("multiclass", 20_000)
    errors = [describe_calibration(honest("multiclass", 100, seed)) for seed in range(40)]
    by_chance = np.mean([each.ece_by_chance for each in errors])
    assert np.mean([each.ece for each in errors]) == pytest.approx(by_chance, rel=0.15)
    assert describe_calibration(many).ece_by_chance < describe_calibration(few).ece_by_chance / 8
    assert describe_calibration(many.at(0.3)).ece > 5 * describe_calibration(many.at(0.3)).ece_by_chance


@pytest.mark.parametrize("target", ["multiclass", "binary", "multilabel"])
@pytest.mark.parametrize("wrong_by", [0.3, 1.0, 4.0])
def test_the_temperature_that_was_put_in_is_found_and_mends_the_error_elsewhere(target, wrong_by):
    validation, test = (honest(target, 4000, seed) for seed in (0, 1))
    validation, test = (table.at(1.0 / wrong_by) for table in (validation, test))
    fit = fit_temperature(validation)
    assert fit.temperature == pytest.approx(wrong_by, rel=0.07)
    assert fit.reason == ""
    assert fit.loss_after == pytest.approx(mean_loss(validation.at(fit.temperature)))
    assert fit.loss_after <= fit.loss_before
    for nearby in (0.98, 1.02):
        assert fit.loss_after <= mean_loss(validation.at(fit.temperature * nearby))
    before, after = (describe_calibration(table) for table in (test, test.at(fit.temperature)))
    assert after.ece < 0.025
    if wrong_by != 1.0:
        for name in ("ece", "adaptive_ece", "loss"):
            assert getattr(after, name) < getattr(before, name)


@pytest.mark.parametrize("target", ["multiclass", "binary", "multilabel"])
def test_the_class_that_is_said_stays_the_same(target):
    table = honest(target, 300)
    cold, metrics = table.at(7.3).metrics(), table.metrics()
    for name in metrics.keys() & {"accuracy", "macro_f1", "cohen_kappa", "roc_auc", "micro_f1"}:
        assert cold[name] == pytest.approx(metrics[name])
    assert cold["loss"] != metrics["loss"]


@pytest.mark.parametrize(
    ("logits", "labels", "target"),
    [
        ([[0.1, 0.0], [0.0, 0.2]], [0, 1], "multiclass"),
        ([[0.1], [-0.2]], [1, 0], "binary"),
        ([[0.1, -0.1], [-0.2, 3.0]], [[1, 0], [0, 1]], "multilabel"),
    ],
)
def test_examples_that_are_all_right_make_nobody_certain(logits, labels, target):
    fit = fit_temperature(Predictions(np.arange(2), np.array(labels), np.array(logits), target))
    assert fit.temperature == 1.0
    assert "every validation example is right" in fit.reason


def test_the_range_ends_somewhere():
    wrong = fit_temperature(
        Predictions(np.arange(2), np.array([1, 0]), np.array([[3.0, 0.0], [0.0, 3.0]]), "multiclass")
    )
    assert wrong.temperature == pytest.approx(BOUNDS[1], rel=1e-2)
    assert "end of its range" in wrong.reason
    timid = honest("multiclass", 500).at(100.0)
    assert fit_temperature(timid).temperature == pytest.approx(BOUNDS[0], rel=1e-2)


def test_where_there_is_nothing_to_fit_it_stays_1():
    table = honest("multiclass", 20)
    flat = Predictions(table.ids, table.labels, np.zeros((20, 3)), "multiclass")
    values = Predictions(table.ids, table.labels, table.logits[:, :1], "regression")
    for nothing, reason in (
        (None, "no examples"),
        (table.take(table.ids[:0]), "no examples"),
        (values, "no temp"),
        (flat, "no other"),
    ):
        fit = fit_temperature(nothing)
        assert (fit.temperature, reason in fit.reason) == (1.0, True)


def test_confidences_of_each_target():
    table = Predictions(np.arange(2), np.array([1, 1]), np.log([[0.2, 0.8], [0.7, 0.3]]), "multiclass")
    sure, right = confidences(table)
    np.testing.assert_allclose(sure, [0.8, 0.7])
    np.testing.assert_array_equal(right, [True, False])
    labels = Predictions(np.arange(1), np.array([[1, 0]]), scipy.special.logit([[0.9, 0.4]]), "multilabel")
    sure, right = confidences(labels)
    np.testing.assert_allclose(sure, [0.9, 0.4])
    np.testing.assert_array_equal(right, [True, False])
