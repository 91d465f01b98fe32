"""The task with a class for each position of an example (semantic segmentation): softmax at every pixel."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import scipy.special
import tensorflow as tf

from tfl.data.label_formats import ClassLabels, LabelFormat, MaskLabels
from tfl.data.masks.table import VOID
from tfl.tasks.classes import Multiclass
from tfl.tasks.convex import Convex, SoftmaxOfShares
from tfl.tasks.regions import confusions, dice, iou, mean_of_known, pixel_accuracy
from tfl.tasks.task import REGIONS, FurtherOutput, Headline, Outcomes, Statistic, Task, check_smoothing

MASK = "mask"  # output of exported models: the number of the class at each position
PIXELS = "pixels"  # column of a file of predictions: the counts of the confusion matrix that are not 0


class Position(Multiclass):
    """The task of one position: its label is the share of each class among the pixels there."""

    name = "position"
    labels: ClassVar[LabelFormat] = ClassLabels("classes", "classes")
    convex: Convex = SoftmaxOfShares()

    def as_targets(self, labels: np.ndarray, num_outputs: int) -> np.ndarray:
        """See `Task`: shares of the classes, `(N, K)`."""
        return np.asarray(labels, np.float32)

    def is_correct(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the share of the pixels of each position that have the predicted class, `(N,)`."""
        return labels[np.arange(len(labels)), self.predict(outputs)]


class Segmentation(Task):
    """A class for each position: outputs are maps of logits `(B, H, W, K)` at the size of the input.

    A table of predictions keeps for each example its confusion matrix, and its mean loss, as one row `(K K + 1,)`. All
    metrics are sums over such rows, so that an evaluation needs little memory, and the bootstrap resamples examples.
    Positions with the label `VOID` do not count.
    """

    name = "segmentation"
    labels: ClassVar[LabelFormat] = MaskLabels()
    headline = Headline("mean_iou", higher_is_better=True, is_share=False, digits=".4f", is_mean=False)
    analyses = (REGIONS,)
    has_temperature = False
    activation = "softmax"
    output_kind = "one map of logits a class"
    stands_on = "map"
    sources: ClassVar[Mapping[str, str]] = {"masks": "masks:PATH", "csv": "csv:FILE with a column of masks"}
    kept_by_headline = True
    further_outputs: ClassVar[Mapping[str, FurtherOutput]] = {
        MASK: FurtherOutput("Number of the class at each position, uint8", is_class=True)
    }
    agreement = "mask agreement"
    tolerance_factor = 10.0  # the largest difference of millions of scores is larger than that of a hundred
    columns = "iou_"

    @property
    def solved_as(self) -> Task:
        """See `Task`: the head gives every position its class by the same weights."""
        return Position()

    def loss(self, label_smoothing: float = 0.0) -> keras.losses.Loss:
        """See `Task`: the mean cross-entropy of the positions of an example that count."""
        check_smoothing(self, label_smoothing)
        return PositionCrossEntropy()

    def as_targets(self, labels: np.ndarray, num_outputs: int) -> np.ndarray:
        """See `Task`; not for tables, which have no masks."""
        return np.asarray(labels, np.int64)

    def collect(self, outputs: tf.Tensor, labels: tf.Tensor | None) -> tf.Tensor:
        """See `Task`: confusion matrix and mean loss of each example, `(B, K K + 1)` float32."""
        num_classes = outputs.shape[-1]
        if labels is None:
            return tf.zeros((tf.shape(outputs)[0], num_classes**2 + 1))
        truth, predicted = tf.cast(labels, tf.int32), tf.argmax(outputs, axis=-1, output_type=tf.int32)
        counted = truth != VOID
        cells = tf.where(counted, truth * num_classes + predicted, num_classes**2)
        flat = tf.reshape(cells, (tf.shape(cells)[0], -1))
        length = num_classes**2 + 1
        confusion = tf.math.bincount(flat, minlength=length, maxlength=length, axis=-1)[:, :-1]
        losses = PositionCrossEntropy()(labels, outputs)
        return tf.concat([tf.cast(confusion, tf.float32), losses[:, None]], axis=1)

    def table_width(self, num_outputs: int) -> int:
        """See `Task`."""
        return num_outputs**2 + 1

    def scores(self, outputs: np.ndarray, temperature: float = 1.0) -> np.ndarray:
        """See `Task`: probabilities of the classes at each position, `(N, H, W, K)`."""
        return scipy.special.softmax(np.asarray(outputs, np.float64), axis=-1)

    def outputs(self, scores: np.ndarray) -> np.ndarray:
        """See `Task`."""
        return np.log(np.maximum(np.asarray(scores, np.float64), np.finfo(np.float64).tiny))

    def decode(self, outputs: tf.Tensor, temperature: float) -> tf.Tensor:
        """See `Task`: probabilities of the classes at each position, `(B, H, W, K)`."""
        return tf.nn.softmax(outputs)

    def decode_further(self, scores: tf.Tensor) -> dict[str, tf.Tensor]:
        """See `Task`: "mask", the number of the class at each position, uint8 `(B, H, W)`."""
        return {MASK: tf.cast(tf.argmax(scores, axis=-1, output_type=tf.int32), tf.uint8)}

    def decide(self, scores: np.ndarray) -> np.ndarray:
        """Return the class of each position, int64 `(N, H, W)`."""
        return np.asarray(scores).argmax(axis=-1)

    def is_correct(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return whether every position of an example that counts has the right class, bool `(N,)`."""
        return pixel_accuracy(confusions(outputs)) == 1.0

    def outcomes(self, scores: np.ndarray, labels: np.ndarray) -> Outcomes:
        """See `Task`; the confidence is the mean IoU of the example, and `scores` are the rows of a table."""
        each = self.headline_values(scores, labels)
        return Outcomes(np.zeros(len(each), np.int64), self.is_correct(scores, labels), each)

    def losses(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """See `Task`: the mean cross-entropy of the positions of each example that count."""
        return np.asarray(outputs, np.float64)[:, -1]

    def headline_values(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the mean IoU of each example alone, `(N,)`; their mean is not that of all examples together."""
        return np.nan_to_num(mean_of_known(iou(confusions(outputs))))

    def measure(self, outputs: np.ndarray, labels: np.ndarray) -> dict[str, float | int]:
        """See `Task`: mean IoU and mean dice over the classes that occur, pixel accuracy, and loss."""
        measured = {
            name: values[0] for name, values in self.statistic(outputs, labels)(np.ones((1, len(outputs)))).items()
        }
        loss = measured.pop("loss")
        figures = {"loss": float(loss), "num_examples": len(outputs)}
        return figures | {name: float(value) for name, value in measured.items() if np.isfinite(value)}

    def statistic(self, outputs: np.ndarray, labels: np.ndarray) -> Statistic:
        """See `Task`."""
        rows = np.asarray(outputs, np.float64)
        size = confusions(rows).shape[1:]

        def metrics(counts: np.ndarray) -> dict[str, np.ndarray]:
            sums = counts @ rows
            confusion = sums[:, :-1].reshape(-1, *size)
            return {
                "loss": sums[:, -1] / counts.sum(axis=1),
                "mean_iou": mean_of_known(iou(confusion)),
                "mean_dice": mean_of_known(dice(confusion)),
                "pixel_accuracy": pixel_accuracy(confusion),
            }

        return metrics

    def table_scores(self, outputs: np.ndarray) -> np.ndarray:
        """See `Task`: the IoU of each class in each example, `(N, K)`; NaN if it does not occur there."""
        return iou(confusions(outputs))

    def decisions(self, scores: np.ndarray) -> np.ndarray:
        """See `Task`: a mask is no text, so the column is empty."""
        return np.full(len(scores), "")

    def extra_columns(self, outputs: np.ndarray) -> dict[str, list[str]]:
        """See `Task`: loss, mean IoU, and the counts of the confusion matrix, as "true>predicted:count"."""
        matrices = confusions(outputs)
        texts = [
            " ".join(f"{true}>{guess}:{matrix[true, guess]:.0f}" for true, guess in np.argwhere(matrix))
            for matrix in matrices
        ]
        numbers = {"loss": self.losses(outputs, outputs), "mean_iou": mean_of_known(iou(matrices))}
        return {name: [f"{value:.9g}" for value in values] for name, values in numbers.items()} | {PIXELS: texts}

    def table_outputs(self, scores: np.ndarray, columns: Mapping[str, Sequence[Any]]) -> np.ndarray:
        """See `Task`; the counts give the scores, too."""
        num_classes = scores.shape[1]
        rows = np.zeros((len(scores), num_classes**2 + 1))
        for row, text in zip(rows, columns[PIXELS], strict=True):
            for cell in str(text).split():
                pair, _, count = cell.partition(":")
                true, guess = map(int, pair.split(">"))
                if not (0 <= true < num_classes and 0 <= guess < num_classes):
                    raise ValueError(f"{cell!r} is no pair of the {num_classes} classes")
                row[true * num_classes + guess] = float(count)
        rows[:, -1] = [float(value) for value in columns["loss"]]
        return rows

    def check_scores(self, scores: np.ndarray, ids: Sequence[str]) -> None:
        """See `Task`: a class that does not occur in an example has no IoU."""

    def agree(self, scores: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Return the share of the positions of each example with the same class, `(N,)`."""
        return (self.decide(scores) == self.decide(expected)).mean(axis=(1, 2))

    def distance(self, outputs: np.ndarray, recorded: np.ndarray) -> np.ndarray:
        """See `Task`: the share of the positions that moved to another cell of the confusion matrix."""
        ours, theirs = confusions(outputs), confusions(recorded)
        return np.abs(ours - theirs).sum(axis=(1, 2)) / 2 / np.maximum(theirs.sum(axis=(1, 2)), 1)

    @property
    def answers_masks(self) -> bool:
        """See `Task`."""
        return True

    def kept(self, scores: np.ndarray) -> np.ndarray:
        """See `Task`: the class of each position, uint8 `(N, H, W)`."""
        return self.decide(scores).astype(np.uint8)

    def answer(self, scores: np.ndarray, names: Sequence[str], top: int) -> dict[str, Any]:
        """See `Task`: the share of the positions of each class that occurs, the largest first; of a mask."""
        shares = _shares(scores, len(names))
        order = np.argsort(-shares, kind="stable")
        return {"areas": [{"class": names[k], "share": float(shares[k])} for k in order if shares[k] > 0]}

    def table_header(self, names: Sequence[str], top: int) -> list[str]:
        """See `Task`."""
        return list(names)

    def table_row(self, scores: np.ndarray, names: Sequence[str], top: int) -> list[str]:
        """See `Task`: the share of the positions of each class; of a row of `kept`."""
        return [f"{share:.6f}" for share in _shares(scores, len(names))]


class PositionCrossEntropy(keras.losses.Loss):
    """Mean softmax cross-entropy over the positions of each example that count; 0 if none counts."""

    def __init__(self) -> None:
        super().__init__(name="cross_entropy", reduction="none")

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the loss of each example, `(B,)`, of class numbers `(B, H, W)` and logits `(B, H, W, K)`."""
        truth = tf.cast(y_true, tf.int32)
        counted = tf.cast(truth != VOID, y_pred.dtype)
        safe = tf.where(truth == VOID, 0, truth)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(safe, y_pred) * counted
        return tf.math.divide_no_nan(tf.reduce_sum(losses, axis=(1, 2)), tf.reduce_sum(counted, axis=(1, 2)))


def _shares(mask: np.ndarray, num_classes: int) -> np.ndarray:
    return np.bincount(mask.ravel(), minlength=num_classes) / mask.size
