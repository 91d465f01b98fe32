"""95 % intervals: how large the error of a figure may be because the test images are only a sample."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import scipy.stats

from tfl.evaluation.predictions import Predictions
from tfl.evaluation.resampling import draw_counts
from tfl.tasks import Headline

LEVEL = 0.95
NUM_RESAMPLES = 1000
FEW_GROUPS = 30  # with fewer groups the intervals of the cluster bootstrap are too narrow


def bootstrap_intervals(
    table: Predictions, *, num_resamples: int = NUM_RESAMPLES, level: float = LEVEL, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Return the percentile bootstrap interval of each metric: its range over resampled test sets.

    The bootstrap draws single examples, or whole groups (such as all images of one patient) if the table has groups:
    see `draw_counts`. With fewer than about 30 groups these intervals are too narrow. The intervals do not include the
    effect of the training seed.

    Args:
        table: the predictions.
        num_resamples: number of resampled tables.
        level: share of the resampled values inside the interval, above 0 and below 1.
        seed: seed of the draws; the same table always has the same intervals.

    Returns:
        `{metric: (low, high)}`, for the metrics of `Task.statistic`. A metric is absent if it is undefined in most
        resampled tables.

    Reference:
        Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
    """
    if not len(table):
        return {}
    statistic = table.task.statistic(table.logits, table.labels)
    blocks = [statistic(counts) for counts in draw_counts(len(table), num_resamples, seed, table.groups)]
    values = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    return {name: interval for name, drawn in values.items() if (interval := percentiles(drawn, level)) is not None}


def percentiles(values: np.ndarray, level: float = LEVEL) -> tuple[float, float] | None:
    """Return the ends of the middle share `level` of some values; None if more than half of them are undefined."""
    known = values[np.isfinite(values)]
    if 2 * len(known) < len(values) or not len(known):
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def named_ends(values: np.ndarray) -> dict[str, float]:
    """Return the ends of the middle 95 % of some values as "low" and "high"; {} if they are equal or not known."""
    ends = percentiles(values)
    return {"low": ends[0], "high": ends[1]} if ends is not None and ends[0] < ends[1] else {}


def known_or_none(value: float) -> float | None:
    """Return a number for JSON; None if it is not finite."""
    return float(value) if np.isfinite(value) else None


def wilson_interval(successes: int, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """Return Wilson's interval of a proportion, which is also usable near 0 and 1 and for few trials.

    Reference:
        Wilson 1927, Probable inference, the law of succession, and statistical inference.
    """
    if not trials:
        return 0.0, 1.0
    interval = scipy.stats.binomtest(int(successes), int(trials)).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)


def share_interval(hits: np.ndarray, groups: np.ndarray | None = None) -> tuple[float, float]:
    """Return the interval of the share of true values.

    Args:
        hits: bool `(N,)`.
        groups: `(N,)`, equal for the examples of one group; None: the examples are independent.

    Returns:
        Wilson's interval; with groups that of the cluster bootstrap. If all resampled shares are equal, for example
        because all values are true, it is Wilson's interval of as many examples as there are groups.
    """
    if groups is None or not len(hits):
        return wilson_interval(int(hits.sum()), len(hits))
    low, high = mean_interval(hits, groups=groups)
    number = len(np.unique(groups))
    return (low, high) if low < high else wilson_interval(round(float(hits.mean()) * number), number)


def share_with_interval(
    hits: np.ndarray, groups: np.ndarray | None = None
) -> tuple[float, float, float] | tuple[None, None, None]:
    """Return a share and the two ends of its interval, see `share_interval`; None if there is nothing to count."""
    return (float(hits.mean()), *share_interval(hits, groups)) if len(hits) else (None, None, None)


def difference_interval(
    first: float, first_count: int, second: float, second_count: int, level: float = LEVEL
) -> tuple[float, float]:
    """Return the interval of the difference first - second of two shares, measured on independent examples.

    For two models on the same examples this interval is wider than necessary. Use `compare_predictions` for them.

    Args:
        first: a share, in [0, 1].
        first_count: number of examples of the first share.
        second: another share, in [0, 1].
        second_count: number of examples of the second share.
        level: how often the interval contains the true difference.

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


def mean_interval(
    values: Iterable[float], *, level: float = LEVEL, seed: int = 0, groups: np.ndarray | None = None
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a mean, `(low, high)`; without values it raises an error.

    Args:
        values: N numbers.
        level: how often the interval contains the true mean.
        seed: seed of the draws.
        groups: see `draw_counts`.
    """
    values = np.asarray(list(values), np.float64)
    drawn = draw_counts(len(values), NUM_RESAMPLES, seed, groups)
    means = [counts @ values / counts.sum(axis=1) for counts in drawn]
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def student_interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, float] | None:
    """Return Student's t interval of the mean of independent values, for example of runs with different seeds.

    It takes the values as a sample of a normal distribution. It is not cut at the ends of a metric's range, so that
    the interval of two values shows how little they say.

    Args:
        values: one for each run.
        level: how often the interval contains the true mean.

    Returns:
        `(low, high)`; None for fewer than two values.

    Reference:
        Student 1908, The probable error of a mean.
    """
    if len(values) < 2:
        return None
    half = student_factor(len(values), level) * np.std(values, ddof=1)
    return float(np.mean(values) - half), float(np.mean(values) + half)


def student_factor(count: int, level: float = LEVEL) -> float:
    """Return the half width of the interval of a mean of `count` values, in standard deviations of the values.

    Example:
        >>> [round(student_factor(count), 1) for count in (2, 3, 5, 10)]
        [9.0, 2.5, 1.2, 0.7]
    """
    return float(scipy.stats.t.ppf((1 + level) / 2, count - 1) / np.sqrt(count))


def headline_interval(
    headline: Headline, metrics: Mapping[str, float], intervals: Mapping[str, Sequence[float]] | None = None
) -> Sequence[float] | None:
    """Return the interval of the main metric of a run, `(low, high)`; None if it is not known.

    For a share that has no measured interval it is Wilson's.

    Args:
        headline: of the task.
        metrics: of one split.
        intervals: by metric, as the evaluation measured them.
    """
    measured = intervals or {}
    ends = measured.get(f"{headline.metric}_wilson") or measured.get(headline.metric)  # the first: of older runs
    if headline.is_share and not (ends and ends[0] < ends[1]):
        count = int(metrics["num_examples"])
        return wilson_interval(round(metrics[headline.metric] * count), count)
    return ends
