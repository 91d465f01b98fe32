"""What is asked of an example: the one object that says which head, loss, metrics and answers belong together."""

import abc
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from tfl.errors import InputError
from tfl.tasks.convex import Convex
from tfl.tasks.label_formats import LabelFormat

CALIBRATION, PER_CLASS, CONFUSION = "calibration", "per_class", "confusion_matrix"
SELECTIVE, PRECISION, CONFORMAL = "selective", "precision_thresholds", "conformal"
OF_CLASSIFIERS = (CALIBRATION, PER_CLASS, SELECTIVE, PRECISION)

Statistic = Callable[[np.ndarray], dict[str, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Headline:
    """The one number of a run, that is said of it everywhere.

    Attributes:
        metric: its name among the metrics.
        higher_is_better: which way is good.
        is_share: whether it is a share of the examples: its interval is then Wilson's, and two models are compared
            by McNemar's test; else the bootstrap and Wilcoxon's.
        digits: how it is written.
    """

    metric: str
    higher_is_better: bool
    is_share: bool
    digits: str

    @property
    def noun(self) -> str:
        """The metric in words."""
        return self.metric.replace("_", " ")


ACCURACY = Headline("accuracy", higher_is_better=True, is_share=True, digits=".4f")


@dataclasses.dataclass(frozen=True)
class Judged:
    """What became of every example, for the choice of those that are worth a look.

    Attributes:
        predicted: int64 `(N,)`, the class that was said; of several labels the one that decided `certainty`; of values
            the one with the largest error.
        is_hit: bool `(N,)`; of several labels whether all are right; of values all False.
        certainty: float64 `(N,)`: the probability of what was said, in [0, 1]. Of several labels that of the surest
            wrong one, or where all are right, of the least sure one. Of values the absolute error.
    """

    predicted: np.ndarray
    is_hit: np.ndarray
    certainty: np.ndarray


class Task(abc.ABC):
    """What is asked of an example, where the answer is a row of numbers.

    The rooms of tfl ask a task what they need and never ask its name. Outputs are those of the model, `(N, K)` logits
    or values; scores are what they stand for, `(N, C)` probabilities or values.

    Attributes:
        name: as in `head.target`.
        labels: what the truth is.
        headline: the one number of a run.
        analyses: what is looked at beside the metrics.
        is_classifier: whether scores are probabilities, and what is said of an example is right or wrong.
        convex: the loss of a head that is solved; None where the head is trained.
        activation: what turns outputs into scores for metrics of Keras: "softmax", "sigmoid" or "".
        has_temperature: whether outputs are logits that a temperature may divide.
        smooths_labels: whether the loss takes label smoothing.
        standardizes: whether targets are brought to mean 0 and deviation 1 while a head is trained.
        nouns: what one output and several stand for, for people.
        output_kind: what an output is, for people.
        compared_as: name of the task that its table of scores is read as beside those of other runs.
    """

    name: ClassVar[str]
    labels: ClassVar[LabelFormat]
    headline: ClassVar[Headline] = ACCURACY
    analyses: ClassVar[tuple[str, ...]] = ()
    is_classifier: ClassVar[bool] = False
    convex: ClassVar[Convex | None] = None
    activation: ClassVar[str] = ""
    has_temperature: ClassVar[bool] = True
    smooths_labels: ClassVar[bool] = False
    standardizes: ClassVar[bool] = False
    nouns: ClassVar[tuple[str, str]] = ("class", "classes")
    output_kind: ClassVar[str] = "one logit a class"

    @property
    def compared_as(self) -> str:
        """The name of the task that its table of scores is read as; its own where a task does not say another."""
        return self.name

    # The head and how it is trained.

    def num_outputs(self, num_names: int) -> int:
        """Return how many outputs a model has for so many names.

        Raises:
            InputError: there is no such model.
        """
        return num_names

    def num_classes(self, num_outputs: int) -> int:
        """Return how many classes, labels or values so many outputs tell apart: the inverse of `num_outputs`."""
        return num_outputs

    @abc.abstractmethod
    def loss(self, label_smoothing: float = 0.0) -> keras.losses.Loss:
        """Return a loss of Keras on outputs, `reduction="none"`: `(B,)`.

        Args:
            label_smoothing: in [0, 1); 0 where `smooths_labels` is False.
        """

    def metrics(self) -> list[keras.metrics.Metric]:
        """Return the metrics that are shown while it trains, on outputs; none where a task has no others."""
        return []

    @abc.abstractmethod
    def as_targets(self, labels: np.ndarray, num_outputs: int) -> np.ndarray:
        """Return labels in the form that `convex` takes: `(N,)` int64 class numbers, or `(N, K)` float64.

        Args:
            labels: as an index holds them.
            num_outputs: K of the model.
        """

    # From outputs to what is said.

    @abc.abstractmethod
    def scores(self, outputs: np.ndarray, temperature: float = 1.0) -> np.ndarray:
        """Return what outputs stand for, `(N, C)` float64: probabilities, or values."""

    @abc.abstractmethod
    def outputs(self, scores: np.ndarray) -> np.ndarray:
        """Return outputs `(N, K)` float64 that `scores` turns into these; 0 and 1 become finite logits."""

    @abc.abstractmethod
    def decode(self, outputs: tf.Tensor, temperature: float) -> tf.Tensor:
        """Return the scores `(N, C)` float32 in the graph: what is shipped."""

    @abc.abstractmethod
    def is_correct(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return whether each example is predicted right, bool `(N,)`; never for values."""

    @abc.abstractmethod
    def decide(self, scores: np.ndarray) -> np.ndarray:
        """Return labels, as in an index, that scores say: what `labels.text` writes."""

    @abc.abstractmethod
    def judge(self, scores: np.ndarray, labels: np.ndarray) -> Judged:
        """Compare what was said with what is true, example by example."""

    def explained_output(self, scores: np.ndarray) -> np.ndarray:
        """Return the column of the scores that an explanation is of where nobody names one, int64 `(N,)`."""
        return scores.argmax(axis=1)

    def explained_score(self, outputs: tf.Tensor, columns: np.ndarray) -> tf.Tensor:
        """Return the output that stands for one column of each example, `(N,)`; an explanation takes its slope."""
        return tf.gather(outputs, tf.constant(columns), batch_dims=1)

    # How good it is.

    @abc.abstractmethod
    def losses(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the loss of each example, without any penalty, float64 `(N,)`."""

    @abc.abstractmethod
    def headline_values(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return what each example adds to the headline, `(N,)`: their mean is the headline."""

    @abc.abstractmethod
    def measure(self, outputs: np.ndarray, labels: np.ndarray) -> dict[str, float | int]:
        """Return the exact metrics of at least one example, ready for JSON; what is undefined is absent, never NaN."""

    @abc.abstractmethod
    def statistic(self, outputs: np.ndarray, labels: np.ndarray) -> Statistic:
        """Return a function from counts `(b, N)` to the metrics of b resampled tables, each `(b,)`.

        The metrics have the names, and with all counts 1 the values, of `measure`; NaN where undefined.
        """

    # What people and other programs are told.

    def check_names(self, names: Sequence[str]) -> None:  # noqa: B027
        """Refuse names that no model of this task has.

        Raises:
            InputError: there are too many or too few.
        """

    def check_scores(self, scores: np.ndarray, ids: Sequence[str]) -> None:
        """Refuse scores that no model gives; those of a file have nine digits.

        Raises:
            ValueError: says which example has them.
        """
        refuse_impossible(scores, np.isfinite(scores), ids)

    @abc.abstractmethod
    def agree(self, scores: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Return for each example whether two tables of scores say the same, bool `(N,)`; the certificate asks it."""

    def spread(self, expected: np.ndarray) -> float:
        """Return by what differences of scores are divided before they are compared with a tolerance."""
        return 1.0

    @abc.abstractmethod
    def answer(self, scores: np.ndarray, names: Sequence[str], top: int) -> dict[str, Any]:
        """Return what is said of one example, `(C,)`, ready for JSON."""

    def table_header(self, names: Sequence[str], top: int) -> list[str]:
        """Return the columns that `table_row` gives."""
        return ["class", "probability", f"top_{top}"]

    @abc.abstractmethod
    def table_row(self, scores: np.ndarray, names: Sequence[str], top: int) -> list[str]:
        """Return what is said of one example, `(C,)`, as cells of a table."""


def refuse_impossible(scores: np.ndarray, possible: np.ndarray, ids: Sequence[str]) -> None:
    """Raise `ValueError` about the first score that is not possible."""
    if not possible.all():
        row, column = np.argwhere(~possible)[0]
        raise ValueError(f"{ids[row]!r} has {scores[row, column]:g}")


def check_smoothing(task: Task, label_smoothing: float) -> None:
    """Refuse a label smoothing that a task does not take.

    Raises:
        InputError: it is not in [0, 1), or not 0 where labels are not smoothed.
    """
    if not 0 <= label_smoothing < 1 or (label_smoothing and not task.smooths_labels):
        raise InputError(
            "`label_smoothing` must be in [0, 1), and 0 for regression. "
            f"Received: label_smoothing={label_smoothing!r}, target={task.name!r}."
        )
