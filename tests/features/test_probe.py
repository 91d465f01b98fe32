"""The solved head against scikit-learn, closed forms and finite differences."""

import numpy as np
import pytest
import scipy.optimize
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss

from tfl.errors import InputError
from tfl.features.probe import choose_head, mean_loss, solve_head
from tfl.models.inference import Outputs
from tfl.models.objective import as_targets, loss_and_residual


def make_problem(num_classes, num_examples=120, dim=30, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, num_examples)
    centers = rng.normal(size=(num_classes, dim))
    # float64: scikit-learn solves in the precision of its input, and stops early in float32
    return centers[labels] + 2.0 * rng.normal(size=(num_examples, dim)) + 2.0, labels


def outputs(values, labels):
    return Outputs(values, labels, np.arange(len(labels)))


@pytest.mark.parametrize("l2", [1e-4, 1e-2, 1.0])
@pytest.mark.parametrize("num_classes", [3, 7])
def test_multiclass_reaches_the_optimum_of_scikit_learn(num_classes, l2):
    features, labels = make_problem(num_classes)
    head = solve_head(features, labels, l2=l2)
    reference = LogisticRegression(C=1 / (2 * l2 * len(labels)), tol=1e-10, max_iter=50000).fit(features, labels)
    expected = log_loss(labels, reference.predict_proba(features)) + l2 * np.sum(reference.coef_**2)
    assert head.objective == pytest.approx(expected, rel=1e-6)
    # The kernel is unique; biases are only up to a common shift.
    np.testing.assert_allclose(head.kernel, reference.coef_.T, atol=2e-4)
    shift = head.bias - reference.intercept_
    np.testing.assert_allclose(shift, shift.mean(), atol=2e-3)


def test_two_classes_as_softmax_are_half_the_penalty_of_scikit_learns_sigmoid():
    features, labels = make_problem(2)
    l2 = 1e-2
    head = solve_head(features, labels, l2=l2)
    reference = LogisticRegression(C=1 / (l2 * len(labels)), tol=1e-10, max_iter=50000).fit(features, labels)
    np.testing.assert_allclose(head.kernel[:, 1] - head.kernel[:, 0], reference.coef_[0], atol=2e-4)


def test_binary_equals_scikit_learn():
    features, labels = make_problem(2)
    head = solve_head(features, labels, l2=1e-2, target="binary")
    reference = LogisticRegression(C=1 / (2 * 1e-2 * len(labels)), tol=1e-10, max_iter=50000).fit(features, labels)
    assert head.kernel.shape == (30, 1)
    np.testing.assert_allclose(head.kernel[:, 0], reference.coef_[0], atol=2e-4)
    np.testing.assert_allclose(head.bias, reference.intercept_, atol=2e-3)


def test_multilabel_is_one_logistic_regression_a_label():
    features, _ = make_problem(2)
    labels = (np.random.default_rng(1).random((120, 3)) < 0.4).astype(np.float32)
    head = solve_head(features, labels, l2=1e-2, target="multilabel")
    for k in range(3):  # the loss is a mean over 3 labels, so each label's own λ is 3 times as large
        reference = LogisticRegression(C=1 / (2 * 3e-2 * 120), tol=1e-10, max_iter=50000).fit(features, labels[:, k])
        np.testing.assert_allclose(head.kernel[:, k], reference.coef_[0], atol=2e-4)


def test_regression_is_ridge():
    features, _ = make_problem(2)
    labels = features @ np.random.default_rng(2).normal(size=(30, 2)) + 5.0
    head = solve_head(features, labels, l2=1e-2, target="regression")
    reference = Ridge(alpha=1e-2 * 120 * 2).fit(features.astype(np.float64), labels)
    np.testing.assert_allclose(head.kernel, reference.coef_.T, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(head.bias, reference.intercept_, rtol=1e-6)


@pytest.mark.parametrize("target", ["multiclass", "binary", "multilabel", "regression"])
def test_residual_is_the_slope_of_the_loss(target):
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(1, 1 if target == "binary" else 4))
    labels = {
        "multiclass": np.array([2]),
        "binary": np.array([1.0]),
        "multilabel": np.array([[1.0, 0.0, 1.0, 0.0]]),
        "regression": rng.normal(size=(1, 4)),
    }[target]
    labels = as_targets(target, labels)
    _, residual = loss_and_residual(target, logits, labels)
    numeric = scipy.optimize.approx_fprime(
        logits.ravel(), lambda flat: loss_and_residual(target, flat.reshape(logits.shape), labels)[0][0], 1e-7
    )
    np.testing.assert_allclose(residual.ravel(), numeric, atol=1e-5)


@pytest.mark.parametrize("target", ["multiclass", "binary", "multilabel", "regression"])
def test_loss_equals_the_keras_loss_that_trains_the_network(target):
    from tfl.training.losses import make_loss

    rng = np.random.default_rng(4)
    logits = (3 * rng.normal(size=(8, 1 if target == "binary" else 4))).astype(np.float32)
    labels = {
        "multiclass": rng.integers(0, 4, 8),
        "binary": rng.integers(0, 2, 8),
        "multilabel": rng.integers(0, 2, (8, 4)),
        "regression": rng.normal(size=(8, 4)),
    }[target]
    ours, _ = loss_and_residual(target, logits.astype(np.float64), as_targets(target, labels))
    y_true = as_targets(target, labels)
    np.testing.assert_allclose(ours, make_loss(target)(y_true, logits).numpy(), rtol=2e-5, atol=1e-6)


def test_the_optimum_is_flat_and_a_start_does_not_move_it():
    features, labels = make_problem(4)
    cold = solve_head(features, labels, l2=1e-3)
    warm = solve_head(features, labels, l2=1e-3, start=solve_head(features, labels, l2=1e-1))
    assert cold.gradient_norm < 1e-6
    assert warm.objective == pytest.approx(cold.objective, rel=1e-9)


def test_large_offset_of_the_features_changes_nothing_but_the_bias():
    features, labels = make_problem(3)
    head = solve_head(features, labels, l2=1e-2)
    moved = solve_head(features.astype(np.float64) + 1000.0, labels, l2=1e-2)
    np.testing.assert_allclose(moved.kernel, head.kernel, atol=1e-5)


def test_lambda_of_the_smallest_validation_loss_is_chosen():
    features, labels = make_problem(4, num_examples=200)
    train, validation = outputs(features[:120], labels[:120]), outputs(features[120:], labels[120:])
    result = choose_head(train, validation)
    losses = [loss for _, _, loss in result.path]
    assert len(losses) == 15
    assert mean_loss(result.chosen, validation, "multiclass") == pytest.approx(min(losses))
    assert losses[0] > min(losses) < losses[-1]  # the path brackets the optimum
    alone = solve_head(train.values, train.labels, l2=result.chosen.l2)
    assert result.chosen.objective == pytest.approx(alone.objective, rel=1e-8)


def test_a_class_that_train_lacks_still_has_a_logit():
    features, labels = make_problem(3)
    head = solve_head(features, labels, l2=1e-2, num_outputs=5)
    assert head.kernel.shape == (30, 5)
    assert np.all(head.logits(features).argmax(axis=1) < 3)


@pytest.mark.parametrize("l2", [0.0, -1.0, float("nan")])
def test_a_lambda_without_an_optimum_is_refused(l2):
    features, labels = make_problem(3)
    with pytest.raises(InputError, match="`l2` must be positive"):
        solve_head(features, labels, l2=l2)


def test_features_with_nan_are_refused():
    features, labels = make_problem(3)
    features[3, 4] = np.nan
    with pytest.raises(InputError, match="`features` must be finite"):
        solve_head(features, labels, l2=1.0)
