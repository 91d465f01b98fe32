"""The loss of two views is the formula of the paper, and a batch is at fault only with the examples that broke it."""

import numpy as np
import pytest
import tensorflow as tf

from tfl.training.objective.losses import per_example_loss, values_at_fault
from tfl.training.objective.views import EmbeddingSpread, ViewsLoss


def barlow_twins(values: np.ndarray) -> float:
    """Equations 1 and 2 of arXiv:2103.03230, with its weight 0.005, in float64."""
    first, second = values[::2].astype(np.float64), values[1::2].astype(np.float64)
    size = first.shape[1]
    loss = 0.0
    for i in range(size):
        for j in range(size):
            a, b = first[:, i] - first[:, i].mean(), second[:, j] - second[:, j].mean()
            correlation = np.sum(a * b) / np.sqrt(np.sum(a**2) * np.sum(b**2))
            loss += (1 - correlation) ** 2 if i == j else 0.005 * correlation**2
    return loss


@pytest.mark.parametrize("scale", [0.05, 0.5, 3.0])
def test_the_loss_is_the_formula(scale):
    values = np.random.default_rng(0).normal(0.3, scale, (22, 5)).astype(np.float32)
    assert float(ViewsLoss().call(None, values)) == pytest.approx(barlow_twins(values), rel=5e-3)
    shared = np.repeat(values[::2], 2, axis=0)  # equal views: only what dimensions share is left
    assert float(ViewsLoss().call(None, shared)) == pytest.approx(barlow_twins(shared), abs=1e-3 * scale**-1)


def test_equal_embeddings_cost_one_a_dimension_and_have_a_finite_gradient():
    values = tf.Variable(tf.ones((8, 4)))
    with tf.GradientTape() as tape:
        loss = ViewsLoss().call(None, tf.convert_to_tensor(values))
    assert float(loss) == pytest.approx(4.0)
    assert np.isfinite(tape.gradient(loss, values)).all()


def test_labels_change_nothing_and_the_loss_of_the_batch_is_that_of_each_example():
    values = np.random.default_rng(1).normal(size=(12, 3)).astype(np.float32)
    losses = [
        per_example_loss(ViewsLoss(), tf.constant(labels), tf.constant(values))
        for labels in (np.zeros(12), np.ones(12))
    ]
    np.testing.assert_array_equal(losses[0], losses[1])
    np.testing.assert_allclose(losses[0], np.full(12, barlow_twins(values)), rtol=1e-4)


def test_only_the_examples_that_are_not_finite_are_at_fault():
    values = np.ones((6, 3), np.float32)
    values[3, 1] = np.nan
    assert not np.isfinite(per_example_loss(ViewsLoss(), tf.zeros(6), tf.constant(values))).any()
    found = values_at_fault(ViewsLoss(), tf.zeros(6), tf.constant(values))
    assert np.isfinite(found).tolist() == [True, True, True, False, True, True]


def test_spread_is_one_in_all_directions_and_zero_for_equal_embeddings():
    rng, metric = np.random.default_rng(2), EmbeddingSpread()
    values = rng.normal(size=(4000, 16)).astype(np.float32)
    metric.update_state(None, values)
    unit = values / np.linalg.norm(values, axis=1, keepdims=True)
    assert float(metric.result()) == pytest.approx(unit.std(axis=0).mean() * 4, rel=1e-4)
    assert float(metric.result()) == pytest.approx(1.0, abs=0.02)
    metric.reset_state()
    metric.update_state(None, np.ones((8, 16), np.float32))
    assert float(metric.result()) == pytest.approx(0.0, abs=1e-5)
