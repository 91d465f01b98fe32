"""Metrics and prediction tables against scikit-learn, on random and degenerate inputs."""

import csv

import numpy as np
import pytest
import sklearn.metrics as skm
from hypothesis import given, settings
from hypothesis import strategies as st

from tfl.evaluation import Predictions, compute_metrics, to_probabilities


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), num_classes=st.integers(2, 8), count=st.integers(1, 50))
def test_multiclass_metrics_equal_scikit_learn(seed, num_classes, count):
    rng = np.random.default_rng(seed)
    logits = np.round(rng.normal(size=(count, num_classes)), 1 if seed % 2 else 8)  # with ties, and without
    labels = rng.integers(0, num_classes, count)  # often with classes missing
    metrics = compute_metrics("multiclass", logits, labels)
    predicted = logits.argmax(axis=1)
    assert metrics["num_examples"] == count
    assert metrics["accuracy"] == pytest.approx(skm.accuracy_score(labels, predicted))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = skm.log_loss(labels, probabilities, labels=np.arange(num_classes))
    assert metrics["loss"] == pytest.approx(expected, rel=1e-9)
    recalls = [np.mean(predicted[labels == c] == c) for c in np.unique(labels)]
    assert metrics["balanced_accuracy"] == pytest.approx(np.mean(recalls))
    assert ("top_5_accuracy" in metrics) == (num_classes > 5)


def test_all_wrong_is_zero_and_all_right_is_one():
    labels = np.array([0, 1, 2, 0])
    right = 10 * np.eye(3)[labels]
    assert compute_metrics("multiclass", right, labels)["accuracy"] == 1.0
    assert compute_metrics("multiclass", -right, labels)["accuracy"] == 0.0


def test_huge_logits_do_not_overflow():
    metrics = compute_metrics("multiclass", np.array([[1e4, -1e4]]), np.array([1]))
    assert metrics["loss"] == pytest.approx(2e4)


def test_binary_metrics_equal_scikit_learn():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(40, 1)), rng.integers(0, 2, 40)
    metrics = compute_metrics("binary", logits, labels)
    assert metrics["accuracy"] == pytest.approx(skm.accuracy_score(labels, logits[:, 0] > 0))
    assert metrics["loss"] == pytest.approx(skm.log_loss(labels, 1 / (1 + np.exp(-logits[:, 0]))))


def test_multilabel_metrics_equal_scikit_learn():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(40, 3)), rng.integers(0, 2, (40, 3))
    metrics = compute_metrics("multilabel", logits, labels.astype(np.float32))
    assert metrics["accuracy"] == pytest.approx(skm.accuracy_score(labels, logits > 0))
    assert metrics["label_accuracy"] == pytest.approx(1 - skm.hamming_loss(labels, logits > 0))
    assert metrics["macro_f1"] == pytest.approx(skm.f1_score(labels, logits > 0, average="macro"))


def test_regression_metrics_equal_scikit_learn():
    rng = np.random.default_rng(0)
    predicted, labels = rng.normal(size=(40, 1)), rng.normal(size=40)
    metrics = compute_metrics("regression", predicted, labels)
    assert metrics["loss"] == pytest.approx(skm.mean_squared_error(labels, predicted))
    assert metrics["mean_absolute_error"] == pytest.approx(skm.mean_absolute_error(labels, predicted))
    assert metrics["r2"] == pytest.approx(skm.r2_score(labels, predicted))


def test_probabilities_of_each_target():
    logits = np.array([[0.0, np.log(3.0)]])
    np.testing.assert_allclose(to_probabilities(logits, "multiclass"), [[0.25, 0.75]])
    np.testing.assert_allclose(to_probabilities(logits, "multilabel"), [[0.5, 0.75]])
    np.testing.assert_allclose(to_probabilities(logits[:, 1:], "binary"), [[0.25, 0.75]])
    np.testing.assert_allclose(to_probabilities(logits, "regression"), logits)


def test_the_table_on_disk_says_what_the_metrics_say(tmp_path):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(20, 3)).astype(np.float32), rng.integers(0, 3, 20)
    table = Predictions(np.arange(20)[::-1], labels, logits, "multiclass")
    names, classes = [f"bild-ä{row}.jpg" for row in range(20)], ("a", "b,c", "d")
    table.write_csv(tmp_path / "predictions.csv", names, classes)
    with (tmp_path / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == names[::-1]
    assert np.mean([row["label"] == row["predicted"] for row in rows]) == pytest.approx(table.metrics()["accuracy"])
    for row, probabilities in zip(rows, table.probabilities, strict=True):
        np.testing.assert_allclose([float(row[f"p_{name}"]) for name in classes], probabilities, atol=1e-5)


def test_multilabel_and_regression_tables(tmp_path):
    table = Predictions(np.array([0]), np.array([[1.0, 0.0, 1.0]]), np.array([[3.0, -3.0, -3.0]]), "multilabel")
    table.write_csv(tmp_path / "p.csv", ["x"], ("a", "b", "c"))
    assert (tmp_path / "p.csv").read_text().splitlines()[1].startswith("x,a|c,a,")
    table = Predictions(np.array([0]), np.array([1.5]), np.array([[1.25]]), "regression")
    table.write_csv(tmp_path / "p.csv", ["x"], ("height",))
    assert (tmp_path / "p.csv").read_text().splitlines()[1] == "x,1.5,1.25,1.25"
