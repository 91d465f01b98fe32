"""Thresholds and selective accuracy against loops over all examples."""

import json

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from tfl.evaluation import Predictions, precision_thresholds, selective_curve
from tfl.evaluation.decisions import certainty


def drawn(seed, count, num_classes=3):
    rng = np.random.default_rng(seed)
    logits = np.round(rng.normal(size=(count, num_classes)), 1 + seed % 3)
    labels = np.where(rng.random(count) < 0.6, logits.argmax(axis=1), rng.integers(0, num_classes, count))
    return Predictions(np.arange(count), labels, logits, "multiclass")


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 60))
def test_the_selective_curve_is_what_answering_above_the_threshold_gives(seed, count):
    table = drawn(seed, count)
    sure, right = table.probabilities.max(axis=1), table.logits.argmax(axis=1) == table.labels
    curve = selective_curve(table)
    assert curve[0]["coverage"] == 1.0
    assert curve[0]["accuracy"] == pytest.approx(table.metrics()["accuracy"])
    for row in curve:
        assert row["coverage"] == np.mean(sure >= row["threshold"])
        assert row["accuracy"] == pytest.approx(right[sure >= row["threshold"]].mean())
    assert [row["threshold"] for row in curve] == sorted({row["threshold"] for row in curve})


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 40))
def test_the_lowest_threshold_that_is_precise_enough_is_found(seed, count):
    validation, test = drawn(seed, count), drawn(seed + 1, count)
    rows = precision_thresholds(validation, ("a", "b", "c"), (0.7, 0.95), test)
    json.dumps(rows, allow_nan=False)
    assert [(row["class"], row["precision"]) for row in rows] == [(c, p) for c in "abc" for p in (0.7, 0.95)]
    for place, row in enumerate(rows):
        truth, score = validation.labels == place // 2, validation.probabilities[:, place // 2]
        good = [
            s for s in np.unique(score) if (truth & (score >= s)).any() and truth[score >= s].mean() >= row["precision"]
        ]
        if not good:
            assert row["threshold"] is row["recall"] is row["test_precision"] is row["test_recall"] is None
            continue
        assert row["threshold"] == good[0]
        assert row["recall"] == pytest.approx(np.mean(score[truth] >= good[0]))
        truth, said = test.labels == place // 2, test.probabilities[:, place // 2] >= good[0]
        assert row["test_precision"] == (pytest.approx(truth[said].mean()) if said.any() else None)
        assert row["test_recall"] == (pytest.approx(said[truth].mean()) if truth.any() else None)


def test_a_set_of_labels_is_as_sure_as_its_least_sure_label():
    logits = scipy.special.logit([[0.9, 0.4], [0.1, 0.05]])
    table = Predictions(np.arange(2), np.array([[1, 0], [1, 0]]), logits, "multilabel")
    np.testing.assert_allclose(certainty(table), [0.6, 0.9])
    assert selective_curve(table)[-1] == pytest.approx({"threshold": 0.9, "coverage": 0.5, "accuracy": 0.0})
