"""How far a figure may be off because the test images are a sample: 95 % intervals."""

from collections.abc import Iterable

import numpy as np
import scipy.stats

from tfl.evaluation.predictions import Predictions
from tfl.evaluation.resampling import draw_counts

LEVEL = 0.95
NUM_RESAMPLES = 1000


def bootstrap_intervals(
    table: Predictions, *, num_resamples: int = NUM_RESAMPLES, level: float = LEVEL, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Return the percentile bootstrap interval of each metric: between which values it stays in resampled test sets.

    Examples are drawn, not images of one object or patients: where several are of the same thing, the truth is
    wider. The intervals say nothing of another seed of training.

    Args:
        table: the predictions.
        num_resamples: tables that are drawn.
        level: share of them that lies within, above 0 and below 1.
        seed: of the draws; the same table has the same intervals.

    Returns:
        `{metric: (low, high)}`, for the metrics of `Task.statistic`; absent where most resampled tables have none.

    Reference:
        Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
    """
    if not len(table):
        return {}
    statistic = table.task.statistic(table.logits, table.labels)
    blocks = [statistic(counts) for counts in draw_counts(len(table), num_resamples, seed)]
    values = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    return {name: interval for name, drawn in values.items() if (interval := percentiles(drawn, level)) is not None}


def percentiles(values: np.ndarray, level: float = LEVEL) -> tuple[float, float] | None:
    """Return the middle `level` of some values; None where more than half of them are undefined."""
    known = values[np.isfinite(values)]
    if 2 * len(known) < len(values) or not len(known):
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def wilson_interval(successes: int, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the interval of a proportion that is sensible also near 0 and 1 and for few trials.

    Reference:
        Wilson 1927, Probable inference, the law of succession, and statistical inference.
    """
    if not trials:
        return 0.0, 1.0
    interval = scipy.stats.binomtest(int(successes), int(trials)).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)


def difference_interval(
    first: float, first_count: int, second: float, second_count: int, level: float = LEVEL
) -> tuple[float, float]:
    """Return the interval of first - second, two shares of independent examples.

    Of two models on the same examples it is wider than need be: `compare_predictions` pairs them.

    Args:
        first: a share, in [0, 1].
        first_count: of how many examples.
        second: another share.
        second_count: of how many examples.
        level: how often it holds the true difference.

    Reference:
        Newcombe 1998, Interval estimation for the difference between independent proportions, method 10.
    """
    low, high = wilson_interval(round(first * first_count), first_count, level)
    second_low, second_high = wilson_interval(round(second * second_count), second_count, level)
    difference = first - second
    return (
        float(difference - np.hypot(first - low, second_high - second)),
        float(difference + np.hypot(high - first, second - second_low)),
    )


def mean_interval(values: Iterable[float], *, level: float = LEVEL, seed: int = 0) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a mean, `(low, high)`; of no values it is undefined and refused."""
    values = np.asarray(list(values), np.float64)
    means = [counts @ values / len(values) for counts in draw_counts(len(values), NUM_RESAMPLES, seed)]
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
