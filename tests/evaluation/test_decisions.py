"""Thresholds and selective accuracy against loops over all examples."""

import dataclasses
import json

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from tfl.evaluation import (
    Predictions,
    choose_dont_know,
    precision_thresholds,
    selective_curve,
    summarize,
    wilson_interval,
)
from tfl.evaluation.rows import to_json
from tfl.evaluation.selective import confidence_of


def drawn(seed, count, num_classes=3):
    rng = np.random.default_rng(seed)
    logits = np.round(rng.normal(size=(count, num_classes)), 1 + seed % 3)
    labels = np.where(rng.random(count) < 0.6, logits.argmax(axis=1), rng.integers(0, num_classes, count))
    return Predictions(np.arange(count), labels, logits, "multiclass")


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 60))
def test_the_selective_curve_is_what_answering_above_the_threshold_gives(seed, count):
    validation, test = drawn(seed, count), drawn(seed + 1, max(1, count // 2))
    curve = selective_curve(validation, test)
    json.dumps(to_json(curve), allow_nan=False)
    assert curve[0].threshold == 0.0 and curve[0].coverage == curve[0].validation_coverage == 1.0
    assert curve[0].accuracy == pytest.approx(test.metrics()["accuracy"])
    for table, prefix in ((validation, "validation_"), (test, "")):
        sure, right = table.probabilities.max(axis=1), table.logits.argmax(axis=1) == table.labels
        for row in curve:
            answered = sure >= row.threshold
            assert getattr(row, f"{prefix}coverage") == np.mean(answered)
            expected = pytest.approx(right[answered].mean()) if answered.any() else None
            assert getattr(row, f"{prefix}accuracy") == expected
            if not prefix and answered.any():
                assert (row.low, row.high) == wilson_interval(right[answered].sum(), answered.sum())
                assert (row.coverage_low, row.coverage_high) == wilson_interval(answered.sum(), len(sure))
    assert [row.threshold for row in curve] == sorted({row.threshold for row in curve})
    assert {row.threshold for row in curve[1:]} <= set(validation.probabilities.max(axis=1))


def hesitating(count, seed, wrong_where_unsure=True):
    """A model that is wrong on a tenth of the images: those that it is least sure of, or any."""
    rng = np.random.default_rng(seed)
    sure = rng.permutation(np.linspace(0.5, 6.0, count))
    wrong = sure < np.quantile(sure, 0.1) if wrong_where_unsure else rng.random(count) < 0.1
    labels = rng.integers(0, 3, count)
    logits = sure[:, None] * np.eye(3)[np.where(wrong, (labels + 1) % 3, labels)]
    return Predictions(np.arange(count), labels, logits, "multiclass")


def test_when_to_say_nothing_is_chosen_on_validation_and_measured_on_test():
    validation, test = hesitating(100, 0), hesitating(80, 1)
    row = choose_dont_know(validation, test)
    assert row is not None and row in selective_curve(validation, test)
    assert row.validation_coverage >= 0.7 and row.validation_accuracy >= 0.95
    shuffled = dataclasses.replace(test, labels=np.random.default_rng(2).permutation(test.labels))
    other = choose_dont_know(validation, shuffled)
    assert other is not None
    assert (other.threshold, other.coverage) == (row.threshold, row.coverage)
    assert other.accuracy < row.accuracy - 0.3


@pytest.mark.parametrize(
    "validation",
    [
        hesitating(100, 3, wrong_where_unsure=False),
        hesitating(8, 4),
        dataclasses.replace(drawn(5, 40), labels=drawn(5, 40).logits.argmax(axis=1)),
    ],
    ids=["errors anywhere", "few images", "no errors"],
)
def test_where_no_threshold_is_found_nothing_is_said(validation):
    assert choose_dont_know(validation, hesitating(200, 1)) is None
    summary = summarize(hesitating(200, 1), "abc", validation=validation)
    assert summary.selective.dont_know is None and "dont_know" not in summary.to_dict()["decisions"]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 40))
def test_the_lowest_threshold_that_is_precise_enough_is_found(seed, count):
    validation, test = drawn(seed, count), drawn(seed + 1, count)
    rows = precision_thresholds(validation, ("a", "b", "c"), (0.7, 0.95), test)
    json.dumps(to_json(rows), allow_nan=False)
    assert [(row.name, row.precision) for row in rows] == [(c, p) for c in "abc" for p in (0.7, 0.95)]
    for place, row in enumerate(rows):
        truth, score = validation.labels == place // 2, validation.probabilities[:, place // 2]
        good = [
            s for s in np.unique(score) if (truth & (score >= s)).any() and truth[score >= s].mean() >= row.precision
        ]
        if not good:
            assert row.threshold is row.recall is row.test_precision is row.test_recall is None
            continue
        assert row.threshold == good[0]
        assert row.recall == pytest.approx(np.mean(score[truth] >= good[0]))
        truth, said = test.labels == place // 2, test.probabilities[:, place // 2] >= good[0]
        assert row.test_precision == (pytest.approx(truth[said].mean()) if said.any() else None)
        if said.any():
            assert (row.low, row.high) == wilson_interval(int(truth[said].sum()), int(said.sum()))
        assert row.test_recall == (pytest.approx(said[truth].mean()) if truth.any() else None)


def test_a_set_of_labels_is_as_sure_as_its_least_sure_label():
    logits = scipy.special.logit([[0.9, 0.4], [0.1, 0.05]])
    table = Predictions(np.arange(2), np.array([[1, 0], [1, 0]]), logits, "multilabel")
    np.testing.assert_allclose(confidence_of(table), [0.6, 0.9])
    last = selective_curve(table, table)[-1]
    assert [last.threshold, last.coverage, last.accuracy] == pytest.approx([0.9, 0.5, 0.0])
