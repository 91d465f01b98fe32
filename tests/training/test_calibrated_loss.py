"""The loss that epochs are chosen by, against the temperature that is fitted for shipping."""

import numpy as np
import pytest
import tensorflow as tf

from tfl.evaluation import Predictions, compare_losses, fit_temperature
from tfl.evaluation.calibration import mean_loss
from tfl.training import make_loss
from tfl.training.objective.calibrated_loss import CalibratedLoss

TARGETS = {"multiclass": 4, "binary": 1, "multilabel": 3}


def drawn(target, seed=0, count=200, spread=3.0):
    """Logits that are too sure, and labels that agree with them 6 times in 10."""
    rng = np.random.default_rng(seed)
    logits = (spread * rng.normal(size=(count, TARGETS[target]))).astype(np.float32)
    if target == "multiclass":
        labels = np.where(rng.random(count) < 0.6, logits.argmax(axis=1), rng.integers(0, 4, count))
    else:
        labels = (logits + 4 * rng.normal(size=logits.shape) > 0).astype(np.int64)
        labels = labels[:, 0] if target == "binary" else labels.astype(np.float32)
    return Predictions(np.arange(count), labels, logits, target)


def measure(table, weights=None):
    metric = CalibratedLoss(make_loss(table.task))
    assert np.isnan(float(metric.result()))
    for part in (slice(0, 70), slice(70, None)):  # uneven batches
        own = None if weights is None else tf.constant(weights[part], tf.float32)
        metric.update_state(tf.constant(table.labels[part]), tf.constant(table.logits[part]), own)
    return float(metric.result())


@pytest.mark.parametrize("target", TARGETS)
def test_it_is_the_loss_at_the_fitted_temperature(target):
    table = drawn(target)
    fit = fit_temperature(table)
    assert fit.loss_after < 0.9 * fit.loss_before
    assert measure(table) == pytest.approx(fit.loss_after, rel=1e-3)


@pytest.mark.parametrize("target", TARGETS)
def test_where_all_is_correct_it_is_the_loss_at_1(target):
    table = drawn(target)
    right = table.logits.argmax(axis=1) if target == "multiclass" else (table.logits > 0).astype(np.float32)
    table = Predictions(table.ids, right[:, 0].astype(int) if target == "binary" else right, table.logits, target)
    assert measure(table) == pytest.approx(mean_loss(table), rel=1e-5)


def test_weights_count_as_copies_do():
    table = drawn("multiclass", count=90)
    counts = np.random.default_rng(1).integers(0, 4, 90)
    copies = table.take(np.repeat(np.arange(90), counts))
    assert measure(table, counts) == pytest.approx(measure(copies), rel=1e-6)


def test_of_two_models_each_is_judged_at_its_own_temperature():
    """A model that is only ten times too sure is as good as before; at temperature 1 it would look far worse."""
    good = drawn("multiclass", spread=1.0)
    too_sure = Predictions(good.ids[::-1], good.labels[::-1], 10 * good.logits[::-1], "multiclass")
    choice = compare_losses(too_sure, good)
    assert mean_loss(too_sure) > 2 * mean_loss(good)
    assert choice.difference == pytest.approx(0.0, abs=1e-6) and choice.num_examples == 200
    worse = Predictions(good.ids, (good.labels + (good.ids % 3 == 0)) % 4, good.logits, "multiclass")
    choice = compare_losses(good, Predictions(good.ids, good.labels, worse.logits[:, ::-1], "multiclass"))
    assert choice.high < 0 and choice.low < choice.difference < choice.high
    weights = (good.labels == 0).astype(float)
    only = good.take(good.labels == 0)
    other = Predictions(good.ids, good.labels, good.logits[:, ::-1], "multiclass")
    weighted = compare_losses(good, other, weights)
    at = good.at(fit_temperature(good).temperature).take(good.labels == 0)
    assert weighted.first == pytest.approx(mean_loss(at)) and len(only) < 200
