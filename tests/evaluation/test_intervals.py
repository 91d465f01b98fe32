"""Intervals: the metrics of resampled tables are those of the tables drawn out, and they cover the truth."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from tfl.evaluation import Predictions, bootstrap_intervals, summarize, wilson_interval
from tfl.evaluation.intervals import mean_interval, percentiles, share_interval, student_interval
from tfl.evaluation.resampling import draw_counts


def drawn(target, seed, count):
    rng = np.random.default_rng(seed)
    outputs = {"binary": 1, "regression": 2}.get(target, int(rng.integers(2, 7)))
    logits = np.round(rng.normal(size=(count, outputs)), seed % 3)
    labels = {
        "multiclass": rng.integers(0, outputs, count),
        "binary": rng.integers(0, 2, count),
        "multilabel": rng.integers(0, 2, (count, outputs)),
        "regression": rng.normal(size=(count, outputs)),
    }[target]
    return Predictions(np.arange(count), labels, logits, target)


@pytest.mark.parametrize("target", ["multiclass", "binary", "multilabel", "regression"])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 30))
def test_a_weighted_metric_is_that_of_the_table_drawn_out(target, seed, count):
    table = drawn(target, seed, count)
    counts = np.vstack([np.ones(count), next(iter(draw_counts(count, 5, seed)))])
    values = table.task.statistic(table.logits, table.labels)(counts)
    for row, weights in enumerate(counts):
        metrics = table.take(np.repeat(np.arange(count), weights.astype(int))).metrics()
        for name, value in values.items():
            if name in metrics:
                assert value[row] == pytest.approx(metrics[name], rel=1e-6, abs=1e-9), name
            else:
                assert not np.isfinite(value[row]), name
    expected = {"regression": {"loss", "r2"}, "multilabel": {"micro_f1", "macro_average_precision"}}
    assert expected.get(target, {"cohen_kappa", "macro_roc_auc", "balanced_accuracy"}) <= values.keys()


def test_counts_are_those_of_drawing_with_replacement():
    counts = np.vstack(list(draw_counts(300_000, 20, 0)))  # more than one block
    assert counts.shape == (20, 300_000)
    assert (counts.sum(axis=1) == 300_000).all()
    assert np.mean(counts == 0) == pytest.approx(np.exp(-1), abs=0.002)
    assert len({tuple(row[:50]) for row in counts}) == 20


def test_intervals_are_repeatable_and_hold_the_metric():
    table = drawn("multiclass", 1, 200)
    intervals, metrics = bootstrap_intervals(table), table.metrics()
    assert intervals == bootstrap_intervals(table)
    assert intervals != bootstrap_intervals(table, seed=1)
    for name in ("accuracy", "macro_f1", "loss", "macro_roc_auc"):
        low, high = intervals[name]
        assert low < metrics[name] < high
        narrow = bootstrap_intervals(table, level=0.5)[name]
        assert low < narrow[0] < narrow[1] < high


def test_intervals_of_a_proportion_cover_it_about_as_often_as_they_say():
    rng, truth, covered, agree = np.random.default_rng(0), 0.7, 0, []
    for _ in range(200):
        right = rng.random(80) < truth
        logits = np.where(right[:, None], [[0.0, 1.0]], [[1.0, 0.0]])
        low, high = bootstrap_intervals(Predictions(np.arange(80), np.ones(80, int), logits, "multiclass"))["accuracy"]
        covered += low <= truth <= high
        agree.append(np.subtract((low, high), wilson_interval(right.sum(), 80)))
    assert 0.90 <= covered / 200 <= 0.99
    assert np.abs(agree).max() < 0.03


def test_wilson_near_the_ends():
    z = 1.959963984540054
    assert wilson_interval(0, 10) == (pytest.approx(0.0, abs=1e-12), pytest.approx(z**2 / (10 + z**2)))
    assert wilson_interval(10, 10)[0] == pytest.approx(10 / (10 + z**2))
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_what_is_mostly_undefined_has_no_interval():
    one_class = Predictions(np.arange(5), np.zeros(5, int), np.ones((5, 2)), "multiclass")
    assert not {"macro_roc_auc", "cohen_kappa"} & bootstrap_intervals(one_class).keys()
    assert bootstrap_intervals(one_class.take(np.arange(0))) == {}
    assert percentiles(np.array([np.nan, 1.0, 2.0, 3.0])) == pytest.approx((1.05, 2.95))
    assert percentiles(np.full(3, np.nan)) is None


def test_the_interval_of_a_mean_is_that_of_its_standard_error():
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    half = 1.96 * values.std() / 20
    assert mean_interval(values) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)


@settings(max_examples=50, deadline=None)
@given(values=st.lists(st.floats(0, 1), min_size=2, max_size=12), level=st.floats(0.5, 0.99))
def test_the_interval_over_seeds_is_that_of_a_t_test(values, level):
    if np.ptp(values) < 1e-9:
        assert student_interval(values) == pytest.approx((values[0], values[0]), abs=1e-7)
        return
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval(level)
    assert student_interval(values, level) == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-9)


def test_two_seeds_have_a_wide_interval_and_one_has_none():
    """By hand: the standard deviation is 0.1 / sqrt(2), t of one degree of freedom is tan(0.475 pi) = 12.7062."""
    half = np.tan(0.475 * np.pi) * 0.1 / np.sqrt(2) / np.sqrt(2)
    assert student_interval([0.8, 0.9]) == pytest.approx((0.85 - half, 0.85 + half))
    assert student_interval([0.8]) is None


def test_groups_are_drawn_whole():
    groups = np.array([7, 3, 7, 9, 3, 7])
    counts = np.vstack(list(draw_counts(6, 50, 0, groups)))
    for group in (3, 7, 9):
        assert (counts[:, groups == group] == counts[:, groups == group][:, :1]).all()
    assert (counts[:, [0, 1, 3]].sum(axis=1) == 3).all()  # as many draws as groups
    alone = np.vstack(list(draw_counts(6, 50, 0, np.arange(6))))
    np.testing.assert_array_equal(alone, np.vstack(list(draw_counts(6, 50, 0))))


def test_intervals_of_correlated_groups_cover_the_truth():
    """40 groups of 5 examples; the share of right answers differs between groups (intraclass correlation 1/3)."""
    rng = np.random.default_rng(0)
    groups, covered = np.repeat(np.arange(40), 5), {"groups": 0, "examples": 0, "mean of groups": 0}
    for _ in range(300):
        hits = rng.random(200) < rng.beta(1.6, 0.4, 40)[groups]
        values = rng.normal(size=40)[groups] + rng.normal(size=200)
        intervals = {
            "groups": (share_interval(hits, groups), 0.8),
            "examples": (share_interval(hits), 0.8),
            "mean of groups": (mean_interval(values, groups=groups), 0.0),
        }
        for name, ((low, high), truth) in intervals.items():
            covered[name] += low <= truth <= high
    assert covered["groups"] >= 0.9 * 300 and covered["mean of groups"] >= 0.9 * 300
    assert covered["examples"] < 0.87 * 300


def test_a_share_without_groups_has_wilsons_interval_and_full_marks_count_groups():
    hits = np.ones(60, bool)
    assert share_interval(hits) == wilson_interval(60, 60)
    assert share_interval(hits, np.repeat(np.arange(12), 5)) == wilson_interval(12, 12)


def test_an_evaluation_of_groups_says_so_and_is_less_certain():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    labels = rng.integers(0, 2, 200)
    right = np.repeat(rng.random(40) < 0.8, 5)  # all examples of a group are right, or none
    logits = 3.0 * np.eye(2)[np.where(right, labels, 1 - labels)]
    alone = Predictions(np.arange(200), labels, logits, "multiclass")
    grouped = Predictions(np.arange(200), labels, logits, "multiclass", groups)
    first, second = (summarize(table, ("a", "b"), validation=table) for table in (alone, grouped))
    assert (first.num_groups, second.num_groups) == (0, 40)
    assert "num_groups" not in first.to_dict() and second.to_dict()["num_groups"] == 40
    assert first.test == second.test
    for name in ("accuracy", "balanced_accuracy", "loss"):
        (low, high), (grouped_low, grouped_high) = first.intervals[name], second.intervals[name]
        assert grouped_high - grouped_low > 1.5 * (high - low), name
    for one, other in zip(first.conformal, second.conformal, strict=True):
        assert other.high - other.low >= one.high - one.low
