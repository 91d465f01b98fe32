"""Every metric against scikit-learn or NumPy, on random and degenerate inputs; what is undefined is absent."""

import json
import warnings

import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.metrics as skm
from hypothesis import given, settings
from hypothesis import strategies as st

from tfl.errors import InputError
from tfl.evaluation import Predictions, confusion_matrix, per_class_metrics
from tfl.evaluation.rows import to_json
from tfl.tasks import get_task


@pytest.fixture(autouse=True)
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def drawn(seed, num_classes, count):
    """Random logits and labels: with ties or without, often with classes missing, sometimes all wrong or one class."""
    rng = np.random.default_rng(seed)
    logits = np.round(rng.normal(size=(count, num_classes)), seed % 3)
    labels = rng.integers(0, num_classes, count)
    if seed % 5 == 0:
        labels[:] = labels[0]
    if seed % 7 == 0:  # all wrong
        labels = (logits.argmax(axis=1) + 1) % num_classes
    return logits, labels


def check_ranking(metrics, truth, scores):
    for name, function in (("roc_auc", skm.roc_auc_score), ("average_precision", skm.average_precision_score)):
        occurs = truth.any(axis=0) if name == "average_precision" else truth.any(axis=0) & ~truth.all(axis=0)
        values = [function(t, s) for t, s in zip(truth.T[occurs], scores.T[occurs], strict=True)]
        assert metrics.get(f"macro_{name}") == (pytest.approx(np.mean(values)) if values else None)
        defined = truth.any() and (name == "average_precision" or not truth.all())
        micro = function(truth.ravel(), scores.ravel()) if defined else None
        assert metrics.get(f"micro_{name}") == (pytest.approx(micro) if defined else None)


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 10**6), num_classes=st.integers(2, 8), count=st.integers(1, 50))
def test_multiclass_metrics_equal_scikit_learn(seed, num_classes, count):
    logits, labels = drawn(seed, num_classes, count)
    metrics = compute_metrics("multiclass", logits, labels)
    json.dumps(metrics, allow_nan=False)
    predicted, every = logits.argmax(axis=1), np.arange(num_classes)
    probabilities = scipy.special.softmax(logits, axis=1)
    assert metrics["num_examples"] == count
    assert metrics["accuracy"] == pytest.approx(skm.accuracy_score(labels, predicted))
    assert metrics["loss"] == pytest.approx(skm.log_loss(labels, probabilities, labels=every), rel=1e-9)
    recalls = [np.mean(predicted[labels == c] == c) for c in np.unique(labels)]
    assert metrics["balanced_accuracy"] == pytest.approx(np.mean(recalls))
    f1 = {c: f1_of(labels == c, predicted == c) for c in np.union1d(labels, predicted)}
    assert metrics["macro_f1"] == pytest.approx(np.mean([f1[c] for c in np.unique(labels)]))  # of those that occur
    assert metrics["weighted_f1"] == pytest.approx(np.mean([f1[label] for label in labels]))
    for k in (3, 5):
        assert (f"top_{k}_accuracy" in metrics) == (num_classes > k)
        if num_classes > k:
            expected = skm.top_k_accuracy_score(labels, logits, k=k, labels=every)
            assert metrics[f"top_{k}_accuracy"] == pytest.approx(expected)
    check_ranking(metrics, labels[:, None] == every, probabilities)
    check_kappa(metrics, labels, predicted)


def f1_of(truth, predicted):
    return 2 * np.sum(truth & predicted) / (np.sum(truth) + np.sum(predicted))


def check_kappa(metrics, labels, predicted):
    classes = np.union1d(labels, predicted)
    by_chance = sum(np.mean(labels == c) * np.mean(predicted == c) for c in classes)
    assert ("cohen_kappa" in metrics) == (len(classes) > 1)
    if len(classes) > 1:
        kappa = (np.mean(labels == predicted) - by_chance) / (1 - by_chance)
        assert metrics["cohen_kappa"] == pytest.approx(kappa)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 40))
def test_binary_metrics_equal_scikit_learn_and_those_of_two_classes(seed, count):
    logits, labels = drawn(seed, 2, count)
    metrics = compute_metrics("binary", logits[:, 1:] - logits[:, :1], labels)
    json.dumps(metrics, allow_nan=False)
    two = compute_metrics("multiclass", logits, labels)
    for name, value in two.items():
        if seed % 3 == 0 or not name.endswith(("roc_auc", "average_precision")):  # else rounding makes and breaks ties
            assert metrics[name] == pytest.approx(value, rel=1e-9), name
    score = scipy.special.expit(logits[:, 1] - logits[:, 0])
    assert metrics["loss"] == pytest.approx(skm.log_loss(labels, score, labels=[0, 1]))
    assert ("roc_auc" in metrics) == (len(set(labels)) == 2)
    if "roc_auc" in metrics:
        assert metrics["roc_auc"] == pytest.approx(skm.roc_auc_score(labels, score))
    assert ("average_precision" in metrics) == bool(labels.any())
    if labels.any():
        assert metrics["average_precision"] == pytest.approx(skm.average_precision_score(labels, score))


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), num_labels=st.integers(1, 5), count=st.integers(1, 40))
def test_multilabel_metrics_equal_scikit_learn(seed, num_labels, count):
    rng = np.random.default_rng(seed)
    logits = np.round(rng.normal(size=(count, num_labels)), seed % 3)
    labels = rng.integers(0, 2, (count, num_labels)) * (seed % 4 > 0) | (seed % 6 == 0)  # random, none, or all present
    metrics = compute_metrics("multilabel", logits, labels.astype(np.float32))
    json.dumps(metrics, allow_nan=False)
    predicted = (logits > 0).astype(int)
    assert metrics["accuracy"] == pytest.approx(np.mean((labels == predicted).all(axis=1)))
    assert metrics["label_accuracy"] == pytest.approx(np.mean(labels == predicted))
    f1 = np.array([f1_of(t > 0, p > 0) if (t | p).any() else 0.0 for t, p in zip(labels.T, predicted.T, strict=True)])
    support = labels.sum(axis=0)
    assert metrics.get("macro_f1") == (pytest.approx(f1[support > 0].mean()) if support.any() else None)
    assert metrics["weighted_f1"] == pytest.approx(f1 @ support / support.sum() if support.any() else 0.0)
    both = (labels | predicted).any()
    assert metrics["micro_f1"] == pytest.approx(f1_of(labels.ravel() > 0, predicted.ravel() > 0) if both else 0.0)
    check_ranking(metrics, labels > 0, scipy.special.expit(logits))


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), outputs=st.integers(1, 3), count=st.integers(1, 40))
def test_regression_metrics_equal_scikit_learn_and_scipy(seed, outputs, count):
    rng = np.random.default_rng(seed)
    labels, predicted = np.round(rng.normal(size=(2, count, outputs)), seed % 3)
    if seed % 5 == 0:
        predicted[:] = 0.1  # what a model that learnt nothing says
    if seed % 7 == 0:
        labels[:] = 0.1
    metrics = compute_metrics("regression", predicted, labels[:, 0] if outputs == 1 else labels)
    json.dumps(metrics, allow_nan=False)
    assert metrics["loss"] == pytest.approx(skm.mean_squared_error(labels, predicted))
    assert metrics["mean_absolute_error"] == pytest.approx(skm.mean_absolute_error(labels, predicted))
    assert metrics["median_absolute_error"] == pytest.approx(skm.median_absolute_error(labels, predicted))
    assert metrics["root_mean_squared_error"] == pytest.approx(skm.root_mean_squared_error(labels, predicted))
    vary = bool(np.ptp(labels, axis=0).all())
    assert ("r2" in metrics) == vary
    assert ("pearson" in metrics) == ("spearman" in metrics) == (vary and bool(np.ptp(predicted, axis=0).all()))
    if vary:
        assert metrics["r2"] == pytest.approx(skm.r2_score(labels, predicted))
    for name, function in (("pearson", scipy.stats.pearsonr), ("spearman", scipy.stats.spearmanr)):
        if name in metrics:
            columns = zip(labels.T, predicted.T, strict=True)
            assert metrics[name] == pytest.approx(np.mean([function(*c).statistic for c in columns]))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), num_classes=st.integers(2, 5), count=st.integers(1, 30))
def test_each_class_by_itself_equals_scikit_learn(seed, num_classes, count):
    logits, labels = drawn(seed, num_classes, count)
    table = Predictions(np.arange(count), labels, logits, "multiclass")
    names = [f"c{c}" for c in range(num_classes)]
    predicted, rows = logits.argmax(axis=1), per_class_metrics(table, names)
    json.dumps(to_json(rows), allow_nan=False)
    assert [row.name for row in rows] == names
    for c, row in enumerate(rows):
        truth, said = labels == c, predicted == c
        assert row.support == truth.sum()
        assert row.precision == (pytest.approx(truth[said].mean()) if said.any() else None)
        assert row.recall == (pytest.approx(said[truth].mean()) if truth.any() else None)
        assert row.f1 == (pytest.approx(f1_of(truth, said)) if (truth | said).any() else None)
        defined = truth.any() and not truth.all()
        auc = skm.roc_auc_score(truth, table.probabilities[:, c]) if defined else None
        assert row.roc_auc == (pytest.approx(auc) if defined else None)
    matrix = confusion_matrix(table, num_classes)
    np.testing.assert_array_equal(
        matrix,
        np.array([[sum((labels == i) & (predicted == j)) for j in range(num_classes)] for i in range(num_classes)]),
    )


def test_nothing_at_all_has_no_metrics():
    assert compute_metrics("multiclass", np.zeros((0, 3)), np.zeros(0, int)) == {"num_examples": 0}


def test_huge_logits_do_not_overflow():
    metrics = compute_metrics("multiclass", np.array([[1e4, -1e4]]), np.array([1]))
    assert metrics["loss"] == pytest.approx(2e4)


def compute_metrics(target, logits, labels):
    return Predictions(np.arange(len(labels)), labels, logits, target).metrics()


def probabilities_of(logits, target, temperature=1.0):
    return get_task(target).scores(logits, temperature)


def test_probabilities_of_each_target_at_each_temperature():
    logits = np.array([[0.0, np.log(9.0)]])
    np.testing.assert_allclose(probabilities_of(logits, "multiclass"), [[0.1, 0.9]])
    np.testing.assert_allclose(probabilities_of(logits, "multiclass", 2.0), [[0.25, 0.75]])
    np.testing.assert_allclose(probabilities_of(logits, "multilabel", 2.0), [[0.5, 0.75]])
    np.testing.assert_allclose(probabilities_of(logits[:, 1:], "binary", 2.0), [[0.25, 0.75]])
    np.testing.assert_allclose(probabilities_of(logits, "regression", 2.0), logits)
    assert probabilities_of(np.array([[50.0]]), "binary")[0, 0] == pytest.approx(np.exp(-50.0))


@pytest.mark.parametrize(
    ("target", "outputs"), [("multiclass", 3), ("binary", 1), ("multilabel", 3), ("regression", 2)]
)
def test_logits_of_probabilities_give_them_back(target, outputs):
    logits = np.random.default_rng(0).normal(size=(20, outputs)) * 5
    probabilities = probabilities_of(logits, target)
    np.testing.assert_allclose(
        get_task(target).scores(get_task(target).outputs(probabilities)), probabilities, rtol=1e-9
    )
    assert np.isfinite(get_task(target).outputs(np.round(probabilities))).all()


@pytest.mark.parametrize("target", ["multiclass", "binary", "multilabel", "regression"])
def test_a_target_in_any_case_is_the_same_target(target):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20, 1 if target == "binary" else 3))
    labels = rng.integers(0, 2, 20) if target in ("multiclass", "binary") else rng.integers(0, 2, (20, 3))
    table = Predictions(np.arange(20), labels, logits, target.title())
    assert table.task.name == target
    assert compute_metrics(target.upper(), logits, labels) == compute_metrics(target, logits, labels) == table.metrics()
    with pytest.raises(InputError, match="`target` must be a known name"):
        Predictions(np.arange(20), labels, logits, target + "x")
