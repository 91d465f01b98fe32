"""`Task`, the one class that says which head, loss, metrics and answers belong together."""

import abc
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import keras
import numpy as np
import tensorflow as tf

from tfl.data.label_formats import LabelFormat
from tfl.errors import InputError
from tfl.tasks.convex import Convex
from tfl.tasks.headline import ACCURACY, FurtherOutput, Headline, Outcomes
from tfl.tasks.loss_options import LossOptions

CALIBRATION, PER_CLASS, CONFUSION = "calibration", "per_class", "confusion_matrix"
REGIONS, BOXES = "regions", "boxes"
SELECTIVE, PRECISION, CONFORMAL = "selective", "precision_thresholds", "conformal"
OF_CLASSIFIERS = (CALIBRATION, PER_CLASS, SELECTIVE, PRECISION)

Statistic = Callable[[np.ndarray], dict[str, np.ndarray]]


class Task(abc.ABC):
    """What a model predicts for an example, as a row of numbers.

    The packages of tfl use the methods and attributes of a task and never its name. Outputs are the outputs of the
    model, `(N, K)` logits or values. Scores are their meaning, `(N, C)` probabilities or values.

    Attributes:
        name: as in `task.name`.
        labels: the format of the true labels.
        headline: the main metric of a run.
        analyses: the analyses besides the metrics.
        is_classifier: whether scores are probabilities, and a prediction is either correct or wrong.
        convex: the loss for a head that is solved; None if the head must be trained.
        activation: turns outputs into scores for metrics of Keras: "softmax", "sigmoid" or "".
        has_temperature: whether outputs are logits that a temperature may divide.
        smooths_labels: whether the loss takes label smoothing.
        is_cross_entropy: whether the loss is the cross-entropy of `activation`, so that `with_loss` can change it.
        standardizes: whether targets are scaled to mean 0 and standard deviation 1 while a head is trained.
        nouns: names for the meaning of one output, and of several, for people.
        output_kind: description of the outputs, for people.
        stands_on: what the head gets for each example: "vector", one row of features, "map", one for each position, or
            "boxes", one for each cell that may have a box.
        sources: the kinds of sources that have its labels, with what to write for each; {} if it can have any.
        agreement: what `agree` measures, for people.
        tolerance_factor: how many times the limit for float32 exports a score may differ, for the certificate.
        further_outputs: the outputs that exported models have beside the scores, by name.
        compared_as: name of the task whose rules apply when its scores are compared with those of other runs.
    """

    name: ClassVar[str]
    labels: ClassVar[LabelFormat]
    headline: ClassVar[Headline] = ACCURACY
    analyses: ClassVar[tuple[str, ...]] = ()
    is_classifier: ClassVar[bool] = False
    convex: Convex | None = None
    activation: ClassVar[str] = ""
    has_temperature: ClassVar[bool] = True
    smooths_labels: ClassVar[bool] = False
    is_cross_entropy: ClassVar[bool] = False
    standardizes: ClassVar[bool] = False
    nouns: ClassVar[tuple[str, str]] = ("class", "classes")
    output_kind: ClassVar[str] = "one logit a class"
    stands_on: ClassVar[str] = "vector"
    sources: ClassVar[Mapping[str, str]] = types.MappingProxyType({})
    kept_by_headline: ClassVar[bool] = False  # whether the headline decides which phase is kept; if not, the loss
    agreement: ClassVar[str] = "agreement of values"
    tolerance_factor: ClassVar[float] = 1.0
    further_outputs: ClassVar[Mapping[str, FurtherOutput]] = types.MappingProxyType({})
    columns: ClassVar[str] = "p_"  # prefix of the columns of a table of predictions, one for each name

    @property
    def compared_as(self) -> str:
        """Name of the task whose rules apply when scores of several runs are compared; by default its own name."""
        return self.name

    @property
    def solved_as(self) -> "Task":
        """The task of one row of features, whose head is solved: this task, but for maps that of one position."""
        return self

    # The head and its training.

    def num_outputs(self, num_names: int) -> int:
        """Return the number of outputs of a model with `num_names` names.

        Raises:
            InputError: the task has no model with this number of names.
        """
        return num_names

    def num_classes(self, num_outputs: int) -> int:
        """Return the number of classes, labels or values of a model: the inverse of the method `num_outputs`."""
        return num_outputs

    @abc.abstractmethod
    def loss(self, label_smoothing: float = 0.0) -> keras.losses.Loss:
        """Return a loss of Keras on outputs, `reduction="none"`: `(B,)`.

        Args:
            label_smoothing: in [0, 1); must be 0 if `smooths_labels` is False.
        """

    def with_loss(self, options: LossOptions) -> Self:
        """Return the same task with another loss, which a head is solved with and a network trained with.

        `losses`, by which models are compared, and `convex` take the offsets and the weights, and never another form.

        Args:
            options: see `LossOptions`.

        Raises:
            InputError: the task has no cross-entropy.
        """
        raise InputError(f"`target` must be a task with a cross-entropy. Received: target={self.name!r}, {options}.")

    def metrics(self) -> list[keras.metrics.Metric]:
        """Return the Keras metrics that are shown during training, computed from outputs; none by default."""
        return []

    @abc.abstractmethod
    def as_targets(self, labels: np.ndarray, num_outputs: int) -> np.ndarray:
        """Return labels in the form that `convex` takes: `(N,)` int64 class numbers, or `(N, K)` float64.

        Args:
            labels: in the form of an index.
            num_outputs: K of the model.
        """

    # From outputs to predictions.

    def collect(self, outputs: tf.Tensor, labels: tf.Tensor | None) -> tf.Tensor:
        """Return what a table of predictions keeps of a batch, `(B, M)`, computed in the graph; by default the outputs.

        The other methods of this class take the rows of such a table as `outputs`.

        Args:
            outputs: of the model, `(B, ..., K)`.
            labels: of the batch, as the source prepares them; None if they are not known.
        """
        return outputs

    def table_of(self, scores: np.ndarray, labels: np.ndarray, num_names: int) -> np.ndarray:
        """Return what a table of predictions keeps of scores and labels, `(N, M)`; without outputs, the loss may be 0.

        Args:
            scores: of N examples.
            labels: of a batch, as the source prepares them.
            num_names: number of the names of a model.
        """
        return np.asarray(self.collect(tf.constant(self.outputs(scores), tf.float32), labels))

    def table_width(self, num_outputs: int) -> int:
        """Return M, the number of columns that `collect` gives for K outputs."""
        return num_outputs

    def steady(self, rows: np.ndarray) -> np.ndarray:
        """Return the columns of a table that change little if outputs change little, `(N, M)`; by default all."""
        return rows

    @abc.abstractmethod
    def scores(self, outputs: np.ndarray, temperature: float = 1.0) -> np.ndarray:
        """Return the scores of outputs, `(N, C)` float64: probabilities, or values."""

    @abc.abstractmethod
    def outputs(self, scores: np.ndarray) -> np.ndarray:
        """Return outputs `(N, K)` float64 from which `scores` gives these scores; 0 and 1 become finite logits."""

    @abc.abstractmethod
    def decode(self, outputs: tf.Tensor, temperature: float) -> tf.Tensor:
        """Return the scores `(N, C)` float32, computed in the TensorFlow graph, as in exported models."""

    def decode_further(self, scores: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the tensors of `further_outputs` by their names, computed from the scores in the graph."""
        return {}

    @abc.abstractmethod
    def is_correct(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return whether each prediction is correct, bool `(N,)`; always False for values."""

    @abc.abstractmethod
    def decide(self, scores: np.ndarray) -> np.ndarray:
        """Return the predicted labels of scores, in the form of an index, for `labels.text`."""

    @abc.abstractmethod
    def outcomes(self, scores: np.ndarray, labels: np.ndarray) -> Outcomes:
        """Compare predictions with true labels, example by example."""

    def explained_output(self, scores: np.ndarray) -> np.ndarray:
        """Return the column of the scores that is explained by default, int64 `(N,)`."""
        return scores.argmax(axis=1)

    def explained_score(self, outputs: tf.Tensor, columns: np.ndarray) -> tf.Tensor:
        """Return the output that belongs to one column of each example, `(N,)`; an explanation takes its gradient."""
        return tf.gather(outputs, tf.constant(columns), batch_dims=1)

    # Quality of predictions.

    def losses(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the loss of each example, without any penalty, float64 `(N,)`: that of `convex`, if there is one."""
        if self.convex is None:
            raise NotImplementedError(f"a task without a convex loss must define its losses: {self.name}")
        outputs = np.asarray(outputs, np.float64)
        return self.convex.loss_and_residual(outputs, self.as_targets(labels, outputs.shape[1]))[0]

    @abc.abstractmethod
    def headline_values(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return a value for each example, `(N,)`, whose mean is the main metric; see `Headline.is_mean`."""

    @abc.abstractmethod
    def measure(self, outputs: np.ndarray, labels: np.ndarray) -> dict[str, float | int]:
        """Return the exact metrics of one or more examples, ready for JSON; undefined metrics are absent, never NaN."""

    @abc.abstractmethod
    def statistic(self, outputs: np.ndarray, labels: np.ndarray) -> Statistic:
        """Return a function from counts `(b, N)` to the metrics of b resampled tables, each `(b,)`.

        The metrics have the names of `measure`, and with all counts 1 also its values; NaN if undefined.
        """

    def table_scores(self, outputs: np.ndarray) -> np.ndarray:
        """Return the scores that a file of predictions has for each example, `(N, C)`: one column for each name."""
        return self.scores(outputs)

    def decisions(self, scores: np.ndarray) -> np.ndarray:
        """Return the predicted labels that a file of predictions has for `table_scores`, for `labels.text`."""
        return self.decide(scores)

    def extra_columns(self, outputs: np.ndarray) -> dict[str, list[str]]:
        """Return further columns of a file of predictions, N texts by name; none by default."""
        return {}

    def table_outputs(self, scores: np.ndarray, columns: Mapping[str, Sequence[Any]]) -> np.ndarray:
        """Return the rows of a table of predictions from its file: the inverse of `table_scores`.

        Args:
            scores: `(N, C)`.
            columns: all columns of the file, by name.

        Raises:
            KeyError, ValueError: a column is missing or has another form.
        """
        return self.outputs(scores)

    # Answers for people and other programs.

    def check_installed(self) -> None:  # noqa: B027
        """Refuse the task if a package that it needs is not installed.

        Raises:
            InputError: it is not.
        """

    def check_names(self, names: Sequence[str]) -> None:  # noqa: B027
        """Refuse class names that no model of this task can have.

        Raises:
            InputError: there are too many or too few names.
        """

    def check_scores(self, scores: np.ndarray, ids: Sequence[str]) -> None:
        """Refuse scores that no model can give; scores from a file have nine digits.

        Raises:
            ValueError: a score is not possible; the message names the example.
        """
        refuse_impossible(scores, np.isfinite(scores), ids)

    @abc.abstractmethod
    def agree(self, scores: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Return how far two tables of scores predict the same, for the certificate, `(N,)`.

        For each example whether they do, bool; for maps the share of its positions where they do, in [0, 1].
        """

    def distance(self, outputs: np.ndarray, recorded: np.ndarray) -> np.ndarray:
        """Return how far two tables of predictions of the same examples are apart, `(N,)`.

        By default the largest difference of a score, divided by the largest recorded score if that is above 1.
        """
        scores, expected = self.table_scores(outputs), self.table_scores(recorded)
        return np.abs(scores - expected).max(axis=1) / np.maximum(1.0, np.abs(expected).max(axis=1))

    def difference(self, scores: np.ndarray, expected: np.ndarray) -> float:
        """Return how much two tables of scores differ, for the certificate: by default the largest difference."""
        return float(np.abs(scores - expected).max()) / self.spread(expected)

    def spread(self, expected: np.ndarray) -> float:
        """Return the scale of the scores: differences are divided by it before a comparison with a tolerance."""
        return 1.0

    @abc.abstractmethod
    def answer(self, scores: np.ndarray, names: Sequence[str], top: int) -> dict[str, Any]:
        """Return the answer for one example with scores `(C,)`, ready for JSON."""

    @property
    def answers_masks(self) -> bool:
        """Whether `kept` gives a mask for each example, which prediction writes as a picture."""
        return False

    @property
    def answers_boxes(self) -> bool:
        """Whether `kept` gives boxes for each example, rows of x1, y1, x2, y2, score, class in pixels of the input."""
        return False

    @property
    def answers_places(self) -> bool:
        """Whether answers are masks or boxes, which belong to the pixels of the example itself."""
        return self.answers_masks or self.answers_boxes

    def kept(self, scores: np.ndarray) -> np.ndarray:
        """Return what is kept of the scores of a batch for its answers; `answer` and `table_row` take its rows."""
        return scores

    def table_header(self, names: Sequence[str], top: int) -> list[str]:
        """Return the names of the columns of `table_row`."""
        return ["class", "probability", f"top_{top}"]

    @abc.abstractmethod
    def table_row(self, scores: np.ndarray, names: Sequence[str], top: int) -> list[str]:
        """Return the answer for one example with scores `(C,)`, as cells of a table."""

    def table_rows(self, scores: np.ndarray, names: Sequence[str], top: int) -> list[list[str]]:
        """Return the answer for one example as the rows of a table; by default one row."""
        return [self.table_row(scores, names, top)]


def refuse_impossible(scores: np.ndarray, possible: np.ndarray, ids: Sequence[str]) -> None:
    """Raise `ValueError` about the first score that is not possible; `possible` is bool `(N, C)`."""
    if not possible.all():
        row, column = np.argwhere(~possible)[0]
        raise ValueError(f"{ids[row]!r} has {scores[row, column]:g}")


def check_smoothing(task: Task, label_smoothing: float) -> None:
    """Refuse a label smoothing that a task does not accept.

    Raises:
        InputError: it is not in [0, 1), or it is not 0 for a task without label smoothing.
    """
    if not 0 <= label_smoothing < 1 or (label_smoothing and not task.smooths_labels):
        raise InputError(
            "`label_smoothing` must be in [0, 1), and 0 for regression. "
            f"Received: label_smoothing={label_smoothing!r}, target={task.name!r}."
        )
