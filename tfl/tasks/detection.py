"""The task with boxes of classes (object detection): a softmax and a box for each cell of a grid."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from tfl.data.label_formats import BoxLabels, LabelFormat
from tfl.tasks.boxes.matching import check_installed
from tfl.tasks.cell_loss import CellLoss
from tfl.tasks.cells import MOST_BOXES, SIDES, choose_boxes, overlaps
from tfl.tasks.classes import Multiclass
from tfl.tasks.detections import FIRST, PREDICTED, SURE, TRUTH, Detections
from tfl.tasks.task import BOXES, FurtherOutput, Headline, Outcomes, Statistic, Task, check_smoothing

OF_BOXES, OF_SCORES, OF_CLASSES, NUM_BOXES = "boxes", "scores", "classes", "num_boxes"  # outputs of exported models
AGREED_OVERLAP = 0.9  # of two boxes at which two models agree
AGREED_SCORE = 0.5  # boxes below it need no partner


class Detection(Task):
    """Boxes with a class and a score: outputs are `(B, h, w, K + 5)`, for each cell logits and a box.

    The logits are those of the K classes and of the background. The box is x1, y1, x2, y2 in pixels of the input. A
    table of predictions keeps for each example its loss, its predicted boxes after non-maximum suppression, and its
    true boxes, see `Detections`. Scores are the predicted boxes, `(N, 100, 6)`.
    """

    name = "detection"
    labels: ClassVar[LabelFormat] = BoxLabels()
    headline = Headline("ap", higher_is_better=True, is_share=False, digits=".4f", is_mean=False)
    analyses = (BOXES,)
    has_temperature = False
    output_kind = "logits and a box for each cell"
    stands_on = "boxes"
    kept_by_headline = True
    sources: ClassVar[Mapping[str, str]] = {"boxes": "boxes:PATH"}
    further_outputs: ClassVar[Mapping[str, FurtherOutput]] = {
        OF_BOXES: FurtherOutput("Corners x1, y1, x2, y2 of each box, the best box first, float32"),
        OF_SCORES: FurtherOutput("Score of each box, 0 if it is none, float32"),
        OF_CLASSES: FurtherOutput("Number of the class of each box, -1 if it is none, int32", is_class=True),
        NUM_BOXES: FurtherOutput("Number of boxes, int32"),
    }
    agreement = "matched boxes"
    columns = "boxes_"

    @property
    def solved_as(self) -> Task:
        """See `Task`: the class of a cell."""
        return Multiclass()

    def check_installed(self) -> None:
        """See `Task`."""
        check_installed()

    def num_outputs(self, num_names: int) -> int:
        """See `Task`: a logit for each class and for the background, and the four sides of a box."""
        return num_names + 1 + SIDES

    def num_classes(self, num_outputs: int) -> int:
        """See `Task`."""
        return num_outputs - 1 - SIDES

    def loss(self, label_smoothing: float = 0.0) -> keras.losses.Loss:
        """See `Task`: mean cross-entropy of the cells of an example, and how little its boxes overlap with the true."""
        check_smoothing(self, label_smoothing)
        return CellLoss()

    def as_targets(self, labels: np.ndarray, num_outputs: int) -> np.ndarray:
        """See `Task`; not for tables, which have no boxes of cells."""
        return np.asarray(labels)

    def collect(self, outputs: tf.Tensor, labels: tf.Tensor | None) -> tf.Tensor:
        """See `Task`: loss, predicted boxes and true boxes of each example, `(B, M)` float32."""
        found = tf.reshape(self.decode(outputs, 1.0), (-1, MOST_BOXES * PREDICTED))
        classes = tf.fill((tf.shape(found)[0], 1), float(self.num_classes(outputs.shape[-1])))
        if labels is None:
            return tf.concat([tf.zeros_like(classes), classes, found], axis=1)
        truth = tf.reshape(tf.cast(labels, tf.float32), (-1, labels.shape[1] * TRUTH))
        return tf.concat([CellLoss()(labels, outputs)[:, None], classes, found, truth], axis=1)

    def table_of(self, scores: np.ndarray, labels: np.ndarray, num_names: int) -> np.ndarray:
        """See `Task`: predicted and true boxes, with losses of 0."""
        found = scores.reshape(len(scores), MOST_BOXES * PREDICTED)
        first = np.stack([np.zeros(len(scores)), np.full(len(scores), num_names)], axis=1)
        return np.concatenate([first, found, np.asarray(labels).reshape(len(scores), -1)], axis=1)

    def table_width(self, num_outputs: int) -> int:
        """See `Task`: without true boxes, whose number is that of the source."""
        return FIRST + MOST_BOXES * PREDICTED

    def steady(self, rows: np.ndarray) -> np.ndarray:
        """See `Task`: the loss, because rounding may choose the other one of two boxes of nearly the same score."""
        return rows[:, :1]

    def scores(self, outputs: np.ndarray, temperature: float = 1.0) -> np.ndarray:
        """See `Task`: the predicted boxes, `(N, 100, 6)`."""
        return self.decode(tf.convert_to_tensor(outputs, tf.float32), temperature).numpy().astype(np.float64)

    def outputs(self, scores: np.ndarray) -> np.ndarray:
        """See `Task`; boxes do not say what the cells said, so they stay as they are."""
        return np.asarray(scores, np.float64)

    def decode(self, outputs: tf.Tensor, temperature: float) -> tf.Tensor:
        """See `Task`: the predicted boxes, `(B, 100, 6)`, rows of x1, y1, x2, y2, score, class; see `choose_boxes`."""
        cells, width = outputs.shape[1] * outputs.shape[2], outputs.shape[3]
        flat = tf.reshape(outputs, (-1, cells, width))
        return choose_boxes(flat[..., -SIDES:], tf.nn.softmax(flat[..., :-SIDES])[..., :-1])

    def decode_further(self, scores: tf.Tensor) -> dict[str, tf.Tensor]:
        """See `Task`: the columns of the boxes, and their number in each example."""
        classes = tf.cast(scores[..., 5], tf.int32)
        return {
            OF_BOXES: scores[..., :SIDES],
            OF_SCORES: scores[..., 4],
            OF_CLASSES: classes,
            NUM_BOXES: tf.reduce_sum(tf.cast(classes >= 0, tf.int32), axis=-1),
        }

    def decide(self, scores: np.ndarray) -> np.ndarray:
        """Return the predicted boxes themselves."""
        return np.asarray(scores)

    def is_correct(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return whether all objects of an example are found without a false alarm, bool `(N,)`."""
        return self.headline_values(outputs, labels) == 1.0

    def outcomes(self, scores: np.ndarray, labels: np.ndarray) -> Outcomes:
        """See `Task`; the confidence is the F1 of the example, and `scores` are the rows of a table."""
        each = self.headline_values(scores, labels)
        return Outcomes(np.zeros(len(each), np.int64), each == 1.0, each)

    def losses(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """See `Task`."""
        return Detections(outputs).losses

    def headline_values(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the F1 of the boxes of each example, `(N,)`, see `Detections.quality`; their mean is no AP."""
        return Detections(outputs).quality()

    def measure(self, outputs: np.ndarray, labels: np.ndarray) -> dict[str, float | int]:
        """See `Task`: the average precisions of COCO, and the loss."""
        values = {name: value for name, value in Detections(outputs).figures().items() if np.isfinite(value)}
        return values | {"num_examples": len(outputs)}

    def statistic(self, outputs: np.ndarray, labels: np.ndarray) -> Statistic:
        """See `Task`."""
        return Detections(outputs).statistic()

    def table_scores(self, outputs: np.ndarray) -> np.ndarray:
        """See `Task`: the number of boxes of each class in each example, `(N, K)`, see `Detections.sure`."""
        return Detections(outputs).sure()

    def decisions(self, scores: np.ndarray) -> np.ndarray:
        """See `Task`: boxes have a column of their own, so the column of one decision is empty."""
        return np.full(len(scores), "")

    def extra_columns(self, outputs: np.ndarray) -> dict[str, list[str]]:
        """See `Task`: loss, predicted and true boxes."""
        return Detections(outputs).to_columns()

    def table_outputs(self, scores: np.ndarray, columns: Mapping[str, Sequence[Any]]) -> np.ndarray:
        """See `Task`; the boxes give the scores, too."""
        return Detections.from_columns(columns, scores.shape[1]).rows

    def check_scores(self, scores: np.ndarray, ids: Sequence[str]) -> None:
        """See `Task`: the boxes give the scores."""

    def agree(self, scores: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Return whether every box of a score of at least 0.5 has a partner of the same class, bool `(N,)`."""
        return np.array([max(changes, default=0.0) < 1 for changes in _changes(scores, expected, AGREED_SCORE)], bool)

    def difference(self, scores: np.ndarray, expected: np.ndarray) -> float:
        """See `Task`: the largest change of the score of a box of at least 0.3; 1 if one has no partner.

        Partners are of the same class, and overlap by at least 0.9.
        """
        if not np.isfinite(scores).all():
            return float("nan")
        return max((max(changes, default=0.0) for changes in _changes(scores, expected, SURE)), default=0.0)

    def distance(self, outputs: np.ndarray, recorded: np.ndarray) -> np.ndarray:
        """See `Task`: the change of the loss, as a share of it if that is above 1; see `steady`."""
        ours, theirs = Detections(outputs).losses, Detections(recorded).losses
        return np.abs(ours - theirs) / np.maximum(theirs, 1.0)

    @property
    def answers_boxes(self) -> bool:
        """See `Task`."""
        return True

    def answer(self, scores: np.ndarray, names: Sequence[str], top: int) -> dict[str, Any]:
        """See `Task`: the boxes of a score of at least 0.3, the best first; of a row of `kept`."""
        return {
            "boxes": [
                {"class": names[int(number)], "confidence": float(score), "box": [float(side) for side in sides]}
                for *sides, score, number in _answered(scores)
            ]
        }

    def table_header(self, names: Sequence[str], top: int) -> list[str]:
        """See `Task`."""
        return ["class", "confidence", "x1", "y1", "x2", "y2"]

    def table_row(self, scores: np.ndarray, names: Sequence[str], top: int) -> list[str]:
        """See `Task`: the best box; empty cells if there is none."""
        return next(iter(self.table_rows(scores, names, top)), [""] * 6)

    def table_rows(self, scores: np.ndarray, names: Sequence[str], top: int) -> list[list[str]]:
        """See `Task`: a row for each box of a score of at least 0.3."""
        return [
            [names[int(number)], f"{score:.4f}", *(f"{side:.1f}" for side in sides)]
            for *sides, score, number in _answered(scores)
        ]


def _answered(boxes: np.ndarray) -> np.ndarray:
    return boxes[(boxes[:, 5] >= 0) & (boxes[:, 4] >= SURE)]


def _changes(tables: np.ndarray, others: np.ndarray, least: float) -> list[list[float]]:
    """Return for each example how much the score of each box differs from that of its partner; 1 if it has none.

    Args:
        tables: `(N, P, 6)`.
        others: the same of another model.
        least: score from which a box needs a partner, in either table.
    """
    return [_without(a, b, least) + _without(b, a, least) for a, b in zip(tables, others, strict=True)]


def _without(boxes: np.ndarray, others: np.ndarray, least: float) -> list[float]:
    boxes, others = (np.asarray(rows, np.float32) for rows in (boxes, others))
    sure = boxes[(boxes[:, 5] >= 0) & (boxes[:, 4] >= least)]
    shared = overlaps(sure[None, :, :SIDES], others[None, :, :SIDES])[0].numpy()
    shared = np.where(sure[:, None, 5] == others[None, :, 5], shared, 0.0)
    best = shared.argmax(axis=1)
    changes = np.where(shared.max(axis=1) >= AGREED_OVERLAP, np.abs(sure[:, 4] - others[best, 4]), 1.0)
    return changes.tolist()
