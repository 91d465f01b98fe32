"""Base class of the tasks whose scores are probabilities: of classes, or of labels."""

import abc
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from tfl.tasks import statistics
from tfl.tasks.convex import Convex
from tfl.tasks.ranking import ranking_metrics
from tfl.tasks.task import OF_CLASSIFIERS, Statistic, Task, refuse_impossible

ROUNDING = 1e-4  # largest error of a sum of thousands of probabilities that are rounded to nine digits


class Classification(Task):
    """A task whose scores are probabilities, so that a prediction has a confidence."""

    convex: Convex
    analyses: ClassVar[tuple[str, ...]] = OF_CLASSIFIERS
    is_classifier: ClassVar[bool] = True
    smooths_labels: ClassVar[bool] = True
    agreement: ClassVar[str] = "top-1 agreement"
    positive: ClassVar[int | None] = None  # the column of the positive class, if there is one

    @abc.abstractmethod
    def predict(self, outputs: np.ndarray) -> np.ndarray:
        """Return the predictions: class numbers int64 `(N,)`, or 0 or 1 for each label `(N, C)`."""

    @abc.abstractmethod
    def as_classes(self, labels: np.ndarray) -> np.ndarray:
        """Return labels as whole numbers, in the shape of the result of `predict`."""

    @abc.abstractmethod
    def one_vs_rest(self, classes: np.ndarray, num_classes: int) -> np.ndarray:
        """Return for each class or label whether it is present, bool `(N, C)`, from `predict` or from labels."""

    @abc.abstractmethod
    def confidences(self, outputs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return confidences and whether each is correct, both `(M,)`, for the measures of calibration.

        For classes M = N: the probability of the predicted class. For sets of labels every pair of example and
        label counts: the probability of the label, and whether the example has it.
        """

    @abc.abstractmethod
    def confidence(self, scores: np.ndarray) -> np.ndarray:
        """Return the confidence of the model in its prediction for each example, `(N,)`."""

    @abc.abstractmethod
    def _own_metrics(self, classes: np.ndarray, predicted: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
        """Return the metrics of the task other than the loss and the ranking metrics."""

    @abc.abstractmethod
    def _own_means(self, classes: np.ndarray, predicted: np.ndarray, outputs: np.ndarray) -> dict[str, np.ndarray]:
        """Return for each metric that is a plain mean the values of the examples, `(N,)`."""

    @abc.abstractmethod
    def _own_confusion(self, truth: np.ndarray, predicted: np.ndarray) -> Statistic:
        """Return the statistic of the metrics that compare true and predicted classes, both bool `(N, C)`."""

    def example_metrics(self, classes: np.ndarray, predicted: np.ndarray) -> dict[str, np.ndarray]:
        """Return further metrics that are plain means, as the values of the examples `(N,)`; none by default.

        Args:
            classes: from `as_classes`.
            predicted: from `predict`.
        """
        return {}

    def headline_values(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """See `Task`."""
        further = self.example_metrics(self.as_classes(labels), self.predict(outputs))
        return further[self.headline.metric] if self.headline.metric in further else self.is_correct(outputs, labels)

    def measure(self, outputs: np.ndarray, labels: np.ndarray) -> dict[str, float | int]:
        """See `Task`."""
        outputs = np.asarray(outputs, np.float64)
        loss = self.losses(outputs, labels)
        classes, predicted, scores = self.as_classes(labels), self.predict(outputs), self.scores(outputs)
        ranking = ranking_metrics(self.one_vs_rest(classes, scores.shape[1]), scores)
        shared = {"loss": float(loss.mean()), "num_examples": len(loss)}
        own = self._own_metrics(classes, predicted, outputs)
        extra = self._extra_metrics(classes, scores, outputs)
        further = {name: float(np.mean(values)) for name, values in self.example_metrics(classes, predicted).items()}
        return shared | own | ranking | extra | further

    def _extra_metrics(self, classes: np.ndarray, scores: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
        """Return extra metrics, which come after the ranking metrics; none by default."""
        return {}

    def statistic(self, outputs: np.ndarray, labels: np.ndarray) -> Statistic:
        """See `Task`."""
        outputs = np.asarray(outputs, np.float64)
        classes, predicted, scores = self.as_classes(labels), self.predict(outputs), self.scores(outputs)
        truth, chosen = (self.one_vs_rest(part, scores.shape[1]) for part in (classes, predicted))
        return statistics.join(
            statistics.means(
                {"loss": self.losses(outputs, labels)}
                | self._own_means(classes, predicted, outputs)
                | self.example_metrics(classes, predicted)
            ),
            self._own_confusion(truth, chosen),
            statistics.ranking(truth, scores, self.positive),
        )

    def check_scores(self, scores: np.ndarray, ids: Sequence[str]) -> None:
        """See `Task`."""
        refuse_impossible(scores, np.isfinite(scores) & (scores >= 0) & (scores <= 1 + ROUNDING), ids)

    def answer(self, scores: np.ndarray, names: Sequence[str], top: int) -> dict[str, Any]:
        """See `Task`."""
        order = np.argsort(-scores, kind="stable")[:top]
        return {"classes": [{"class": names[k], "probability": float(scores[k])} for k in order]}

    def table_row(self, scores: np.ndarray, names: Sequence[str], top: int) -> list[str]:
        """See `Task`."""
        order = [int(k) for k in np.argsort(-scores, kind="stable")[:top]]
        listed = "; ".join(f"{names[k]} {scores[k]:.4f}" for k in order)
        return [names[order[0]], f"{scores[order[0]]:.6f}", listed]
