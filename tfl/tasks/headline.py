"""The main metric of a task, the results of examples that people look at, and further outputs of exported models."""

import dataclasses
from typing import NamedTuple

import numpy as np


@dataclasses.dataclass(frozen=True)
class Headline:
    """The main metric of a run, which is reported everywhere.

    Attributes:
        metric: its name among the metrics.
        higher_is_better: whether a higher value is better.
        is_share: whether it is a share of the examples. If so, its interval is Wilson's, and McNemar's test compares
            two models; if not, the bootstrap gives the interval, and Wilcoxon's test compares two models.
        digits: format of the number.
        is_mean: whether it is the mean of the values of the examples, see `Task.headline_values`. If not, these values
            only say which examples are better.
    """

    metric: str
    higher_is_better: bool
    is_share: bool
    digits: str
    is_mean: bool = True

    @property
    def noun(self) -> str:
        """The metric in words."""
        return self.metric.replace("_", " ").replace(" iou", " IoU")


ACCURACY = Headline("accuracy", higher_is_better=True, is_share=True, digits=".4f")


@dataclasses.dataclass(frozen=True)
class Outcomes:
    """The result of every example, to choose the examples that a person should look at.

    Attributes:
        predicted: int64 `(N,)`, the predicted class; for sets of labels, the label that `confidence` belongs to; for
            several values, the value with the largest error.
        is_correct: bool `(N,)`, whether the prediction is correct; for sets of labels, whether all labels are correct;
            for values always False.
        confidence: float64 `(N,)`, the probability of the prediction, in [0, 1]. For sets of labels it is the highest
            confidence among the wrong labels, or, if all are correct, the lowest confidence. For values it is the
            absolute error.
    """

    predicted: np.ndarray
    is_correct: np.ndarray
    confidence: np.ndarray


class FurtherOutput(NamedTuple):
    """An output that exported models have beside the scores.

    Attributes:
        meaning: description with the type, for people.
        is_class: whether its values are numbers of classes.
    """

    meaning: str
    is_class: bool = False
