"""Accuracy of a task over the number of examples that its network was pre-trained on."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfl.selection.worth import ends, resampled_means


@dataclasses.dataclass(frozen=True)
class SourcePoint:
    """The accuracy of a task after pre-training on a number of examples.

    Attributes:
        examples: of pre-training, the mean over the seeds; 0: random weights.
        accuracy: on the test examples of the task, the mean over the seeds.
        low: lower end of its 95 % interval over seeds and test examples.
        high: upper end.
        gain: accuracy less that of the point before; 0 for the first point.
        gain_low: lower end of its paired 95 % interval.
        gain_high: upper end.
    """

    examples: float
    accuracy: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float


def summarize(hits: np.ndarray, examples: Sequence[float], groups: np.ndarray | None = None) -> tuple[SourcePoint, ...]:
    """Return the points of a curve.

    Args:
        hits: `(P, S, T)`, whether each of T test examples is right after pre-training on part P with seed S.
        examples: `(P,)`, number of examples of each part.
        groups: `(T,)`, equal for test examples that are not independent; None: all are.

    Example:
        >>> hits = np.array([[[0, 1, 0, 1]] * 2, [[1, 1, 1, 1]] * 2])
        >>> [point.accuracy for point in summarize(hits, [0, 50])]
        [0.5, 1.0]
    """
    means, drawn = hits.mean(axis=(1, 2)), resampled_means(hits, groups)
    points = []
    for place, count in enumerate(examples):
        before = max(0, place - 1)
        gain = ends(drawn[:, place] - drawn[:, before])
        points.append(
            SourcePoint(
                float(count), float(means[place]), *ends(drawn[:, place]), float(means[place] - means[before]), *gain
            )
        )
    return tuple(points)


def describe(points: Sequence[SourcePoint]) -> tuple[str, ...]:
    """Return what the points say, in sentences: what all examples brought, and whether the last ones still did."""
    first, last, before = points[0], points[-1], points[-2]
    found = [
        f"Pre-training on all {last.examples:,.0f} training examples of the source gives accuracy {last.accuracy:.3f} "
        f"({last.low:.3f} to {last.high:.3f}); random weights give {first.accuracy:.3f}."
    ]
    if last.accuracy < first.accuracy:
        found.append("Negative transfer: this pre-training is worse than none.")
    if before is first:
        return tuple(found)
    change = f"{last.gain:+.3f} ({last.gain_low:+.3f} to {last.gain_high:+.3f})"
    step = f"From {before.examples:,.0f} to {last.examples:,.0f} examples the accuracy changes by {change}"
    if last.gain_low > 0:
        found.append(f"{step}: more examples may bring more.")
    elif last.gain_high < 0:
        found.append(f"{step}: the last examples made it worse.")
    else:
        found.append(f"{step}: that may be chance, so more of the same examples are not sure to help.")
    return tuple(found)
