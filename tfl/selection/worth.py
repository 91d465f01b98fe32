"""What pre-training was worth, in labels: the horizontal distance between two curves of accuracy over labels."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import isotonic_regression

from tfl.evaluation.intervals import LEVEL, NUM_RESAMPLES
from tfl.evaluation.resampling import draw_counts

EQUAL = 1e-9  # accuracies that differ by less are the same


def resampled_means(hits: np.ndarray, groups: np.ndarray | None = None, seed: int = 0) -> np.ndarray:
    """Return the means of resampled measurements: the seeds are drawn, and the test examples are drawn.

    All curves have the same draws, so that the differences between them are paired.

    Args:
        hits: `(P, S, T)`, whether each of T test examples is predicted correctly in P measurements with S seeds.
        groups: `(T,)`, equal for test examples that are not independent; None: all are.
        seed: of the draws.

    Returns:
        `(B, P)`, the accuracy of each measurement in each resample.

    Example:
        >>> resampled_means(np.ones((2, 3, 10))).shape
        (1000, 2)

    Reference:
        Owen 2007, The pigeonhole bootstrap, arXiv:0712.1111 (two factors are drawn independently).
    """
    num_seeds = hits.shape[1]
    blocks = draw_counts(hits.shape[2], NUM_RESAMPLES, seed, groups)
    tests = np.concatenate([counts / counts.sum(axis=1, keepdims=True) for counts in blocks])
    rng = np.random.default_rng([seed, 1])
    seeds = rng.multinomial(num_seeds, np.full(num_seeds, 1 / num_seeds), NUM_RESAMPLES) / num_seeds
    return np.einsum("psb,bs->bp", np.asarray(hits, np.float64) @ tests.T, seeds)


def ends(values: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Return the ends of the middle share of some values, which may be infinite."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return float(low), float(high)


def rising(accuracies: np.ndarray) -> np.ndarray:
    """Return the nearest curves that never fall with more labels (isotonic regression).

    Args:
        accuracies: `(..., P)`, from few labels to many.

    Example:
        >>> rising(np.array([0.5, 0.75, 0.25])).tolist()
        [0.5, 0.5, 0.5]
    """
    return np.apply_along_axis(lambda curve: isotonic_regression(curve).x, -1, accuracies)


def labels_needed(labels: Sequence[float], accuracies: np.ndarray, target: float) -> float:
    """Return how many labels a curve needs for an accuracy; it is linear in the logarithm of the labels.

    Args:
        labels: `(P,)`, rising and positive.
        accuracies: `(P,)`, at these numbers of labels, which never fall: see `rising`.
        target: the accuracy.

    Returns:
        The number of labels; infinity if the curve never reaches the accuracy, and 0 if its first point is above it.

    Example:
        >>> round(labels_needed([1, 10, 100], np.array([0.5, 0.7, 0.9]), 0.8), 1)
        31.6
    """
    place = int(np.searchsorted(accuracies, target - EQUAL))
    if place == len(accuracies):
        return float("inf")
    if place == 0:
        return float(labels[0]) if accuracies[0] <= target + EQUAL else 0.0
    share = (target - accuracies[place - 1]) / (accuracies[place] - accuracies[place - 1])
    low, high = np.log(labels[place - 1]), np.log(labels[place])
    return float(np.exp(low + share * (high - low)))


def describe_times(times: float, labels: float, others: Sequence[float]) -> str:
    """Say how many times as many labels the other curve needs, if it was measured from `others[0]` to `others[-1]`.

    Example:
        >>> describe_times(float("inf"), 5, [1, 50])
        'more than 10 times'
    """
    if times == float("inf"):
        return f"more than {_two_digits(others[-1] / labels)} times"
    if times == 0:
        return f"less than {_two_digits(others[0] / labels)} times"
    return f"{_two_digits(times)} times"


def _two_digits(value: float) -> str:
    return f"{float(f'{value:.2g}'):,g}"
