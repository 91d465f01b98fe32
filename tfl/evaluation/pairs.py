"""Compare two models on the same examples: how much they differ, and whether that is more than chance."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.stats

from tfl.errors import InputError
from tfl.evaluation.intervals import LEVEL, NUM_RESAMPLES, percentiles
from tfl.evaluation.predictions import Predictions
from tfl.evaluation.resampling import draw_counts
from tfl.tasks import Headline


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Difference between two models on the same examples.

    Attributes:
        headline: the metric that is compared: the headline metric of the task.
        first: the metric of the first model.
        second: the metric of the second model.
        difference: first - second.
        low: lower end of the 95 % interval of the difference, from a paired bootstrap.
        high: upper end of the same interval.
        only_first: number of examples that only the first model predicts correctly (for regression: on which the
            first model is closer).
        only_second: the same number for the second model.
        test: "McNemar", or "Wilcoxon" for regression; with groups "sign flips of groups".
        p_value: probability of a difference at least as large if the two models are equally good.
    """

    headline: Headline
    first: float
    second: float
    difference: float
    low: float
    high: float
    only_first: int
    only_second: int
    test: str
    p_value: float

    @property
    def metric(self) -> str:
        """The name of the metric: "accuracy", or "mean_absolute_error" for regression."""
        return self.headline.metric


def compare_predictions(first: Predictions, second: Predictions, seed: int = 0) -> Comparison:
    """Compare two models on the same examples, in the same order.

    The bootstrap resamples both tables together. Hard examples lower both figures at once, so the difference is known
    more precisely than either figure. If the separate intervals of the two models overlap, the models can still
    differ significantly. If the tables have groups, the bootstrap draws whole groups, and the test flips the sign of
    the difference of whole groups, because the examples of one group are not independent.

    Args:
        first: predictions of one model; its groups count.
        second: predictions of the other model.
        seed: seed of the bootstrap.

    Returns:
        The difference with its 95 % interval and p-value.

    Raises:
        InputError: the two tables have different examples, labels or targets.

    Example:
        >>> comparison = tfl.compare_predictions(finetuned, frozen)
        >>> is_better = comparison.difference > 0 and comparison.p_value < 0.05

    Reference:
        McNemar 1947, Note on the sampling error of the difference between correlated proportions or percentages;
        Dietterich 1998, Approximate statistical tests for comparing supervised classification learning algorithms.
    """
    _check_pair(first, second)
    headline = first.task.headline
    low, high = paired_interval(first, second, headline.metric, seed)
    values = [np.asarray(t.task.headline_values(t.logits, t.labels)) for t in (first, second)]
    gains = values[0].astype(np.float64) - values[1]
    counts = int(np.sum(gains > 0)), int(np.sum(gains < 0))
    better, worse = counts if headline.higher_is_better else counts[::-1]
    if first.groups is not None:
        test, p_value = "sign flips of groups", flip_groups(gains, first.groups, seed)
    else:
        test, p_value = ("McNemar", mcnemar(better, worse)) if headline.is_share else ("Wilcoxon", wilcoxon(gains))
    own, other = first.headline_value(), second.headline_value()
    return Comparison(headline, own, other, own - other, low, high, better, worse, test, p_value)


def paired_interval(
    first: Predictions, second: Predictions, metric: str, seed: int = 0, weights: np.ndarray | float = 1.0
) -> tuple[float, float]:
    """Return the 95 % interval of the difference first - second of a metric; both tables are resampled together.

    Args:
        first: predictions of one model; its groups count.
        second: predictions of the other model, in the same order.
        metric: its name.
        seed: of the bootstrap.
        weights: `(N,)`, of the examples, with mean 1.
    """
    statistics = [table.task.statistic(table.logits, table.labels) for table in (first, second)]
    drawn = (counts * weights for counts in draw_counts(len(first), NUM_RESAMPLES, seed, first.groups))
    differences = [statistics[0](counts)[metric] - statistics[1](counts)[metric] for counts in drawn]
    interval = percentiles(np.concatenate(differences), LEVEL)
    if interval is None:
        raise InputError(f"`metric` must be defined on these examples. Received: metric={metric!r}.")
    return interval


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the exact two-sided p-value of McNemar's test: if two models differ, is one of them correct more often?

    Args:
        only_first: number of examples that only the first model predicts correctly.
        only_second: number of examples that only the second model predicts correctly.
    """
    differing = only_first + only_second
    return float(scipy.stats.binomtest(only_first, differing).pvalue) if differing else 1.0


def wilcoxon(differences: np.ndarray) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test; 1 if all differences are 0."""
    if not np.any(differences):
        return 1.0
    result: Any = scipy.stats.wilcoxon(differences)
    return float(result.pvalue)


def flip_groups(differences: np.ndarray, groups: np.ndarray, seed: int = 0) -> float:
    """Return the two-sided p-value of a permutation test that flips the signs of the differences of whole groups.

    If two models are equally good, the difference of each group is as likely to have the other sign. With up to 13
    groups the test tries all signs, else it draws 9,999 of them.

    Args:
        differences: `(N,)`, of the two models on each example.
        groups: `(N,)`, equal for the examples of one group.
        seed: of the drawn signs.

    Example:
        >>> flip_groups(np.ones(8), np.array([0, 0, 1, 1, 2, 2, 3, 3]))  # 2 of the 16 signs are as far from 0
        0.125

    Reference:
        Good 2005, Permutation, parametric and bootstrap tests of hypotheses, section 3.2.
    """
    sums = np.bincount(np.unique(groups, return_inverse=True)[1].reshape(-1), weights=differences)
    sums = sums[sums != 0]  # their sign does not matter
    if not len(sums):
        return 1.0
    if len(sums) == 1:
        return 1.0  # both signs are as far from 0
    result = scipy.stats.permutation_test(
        (sums,), np.sum, permutation_type="samples", vectorized=True, n_resamples=9999, rng=seed
    )
    return float(result.pvalue)


def adjust_holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for the number of tests, by Holm's method.

    With n tests the smallest p-value is multiplied by n, the next by n - 1, and so on; none becomes smaller than
    the one before it.

    Reference:
        Holm 1979, A simple sequentially rejective multiple test procedure.
    """
    order = np.argsort(p_values)
    factors = len(order) - np.arange(len(order))
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(np.asarray(p_values, np.float64)[order] * factors))
    return adjusted.tolist()


def _check_pair(first: Predictions, second: Predictions) -> None:
    same = first.task.name == second.task.name and np.array_equal(first.ids, second.ids)
    if not (same and np.array_equal(first.labels, second.labels)):
        raise InputError(
            "`second` must be of the same examples, labels and target as `first`, in one order. "
            f"Received: {len(second)} {second.task.name} and {len(first)} {first.task.name} examples that differ."
        )
