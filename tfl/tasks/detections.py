"""The rows of a table of predictions for boxes: loss, predicted boxes and true boxes of each example."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfl.tasks.boxes.matching import Matches, match
from tfl.tasks.boxes.precision import figures
from tfl.tasks.boxes.values import Boxes
from tfl.tasks.cells import MOST_BOXES
from tfl.tasks.statistics import Statistic, join, means

SURE = 0.3  # boxes of lower scores are no answer for people
RESAMPLED = ("ap", "ap50", "ap75")  # figures that have intervals
PREDICTED, TRUTH = 6, 5  # columns of a box: x1, y1, x2, y2, score, class; and x1, y1, x2, y2, class
BOXES, TRUE_BOXES = "boxes", "true_boxes"  # columns of a file of predictions
FIRST = 2  # numbers before the boxes: the loss, and the number of classes
_NONE = -1  # class of a row that is no box


class Detections:
    """Rows of a table of predictions, `(N, M)`, taken apart.

    Attributes:
        rows: the table.
        losses: `(N,)` float64.
        num_classes: K.
        predicted: `(N, 100, 6)`, rows of x1, y1, x2, y2, score, class; the class -1 is no box.
        truth: `(N, R, 5)`, rows of x1, y1, x2, y2, class; the class -1 is no box.
    """

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows = np.asarray(rows, np.float64)
        end = FIRST + MOST_BOXES * PREDICTED
        self.losses, self.num_classes = rows[:, 0], int(rows[:, 1].max(initial=0))
        self.predicted = rows[:, FIRST:end].reshape(len(rows), MOST_BOXES, PREDICTED)
        self.truth = rows[:, end:].reshape(len(rows), -1, TRUTH)

    @classmethod
    def of(
        cls, losses: np.ndarray, predicted: Sequence[np.ndarray], truth: Sequence[np.ndarray], num_classes: int
    ) -> "Detections":
        """Return the table of boxes of N examples, `(P, 6)` and `(T, 5)` each; at most 100 predicted boxes are kept."""
        most = max((len(boxes) for boxes in truth), default=0)
        found, true = np.zeros((len(losses), MOST_BOXES, PREDICTED)), np.zeros((len(losses), most, TRUTH))
        found[..., -1] = true[..., -1] = _NONE
        for place, (boxes, own) in enumerate(zip(predicted, truth, strict=True)):
            found[place, : len(boxes)] = boxes[:MOST_BOXES]
            true[place, : len(own)] = own
        first = np.stack([losses, np.full(len(losses), num_classes)], axis=1)
        return cls(np.concatenate([first, found.reshape(len(first), -1), true.reshape(len(first), -1)], axis=1))

    def found(self) -> list[np.ndarray]:
        """Return the predicted boxes of each example, `(P, 6)`, the best first."""
        return [boxes[boxes[:, -1] != _NONE] for boxes in self.predicted]

    def true(self) -> list[np.ndarray]:
        """Return the true boxes of each example, `(T, 5)`; the class of a crowd is below -1."""
        return [boxes[boxes[:, -1] != _NONE] for boxes in self.truth]

    def matches(self) -> Matches:
        """Match the predicted with the true boxes."""
        return match(*self.values(), self.num_classes)

    def values(self) -> tuple[list[Boxes], list[Boxes]]:
        """Return the true and the predicted boxes of each example."""
        return [Boxes.of(rows) for rows in self.truth], [Boxes.of(rows) for rows in self.predicted]

    def figures(self) -> dict[str, float]:
        """Return the mean loss and COCO's figures of all examples together; NaN if no object counts."""
        values = figures(self.matches(), np.ones((1, len(self.rows))))
        return {"loss": float(self.losses.mean()), **{name: float(value[0]) for name, value in values.items()}}

    def statistic(self) -> Statistic:
        """Return a function from counts `(R, N)` to the loss and the main figures of R resampled tables."""
        matches = self.matches()

        def precisions(counts: np.ndarray) -> dict[str, np.ndarray]:
            values = figures(matches, counts)
            return {name: values[name] for name in RESAMPLED}

        return join(means({"loss": self.losses}), precisions)

    def quality(self) -> np.ndarray:
        """Return the F1 of the sure boxes of each example, `(N,)`; 1 if there is nothing to find and nothing is found.

        A sure box has a score of at least `SURE`, and is right from an overlap of 0.5 with a true box.
        """
        matches, count = self.matches(), len(self.rows)
        states = np.where(matches.scores >= SURE, matches.states[:, 0, 0], 0)
        right, wrong = (np.bincount(matches.images[states == state], minlength=count) for state in (1, -1))
        objects = matches.objects[:, :, 0].sum(axis=1)
        every = right + wrong + objects
        return np.where(every > 0, 2 * right / np.maximum(every, 1), 1.0)

    def sure(self) -> np.ndarray:
        """Return the number of sure boxes of each class in each example, `(N, K)`."""
        is_sure = (self.predicted[..., 4] >= SURE)[..., None]
        return (is_sure & (self.predicted[..., 5:] == np.arange(self.num_classes))).sum(axis=1)

    def to_columns(self) -> dict[str, list[str]]:
        """Return losses and boxes as texts: "|" is between boxes, a blank between numbers, the class is last."""
        return {
            "loss": [f"{loss:.9g}" for loss in self.losses],
            BOXES: list(map(_to_text, self.found())),
            TRUE_BOXES: list(map(_to_text, self.true())),
        }

    @classmethod
    def from_columns(cls, columns: Mapping[str, Sequence[Any]], num_classes: int) -> "Detections":
        """Return the table from the texts of `to_columns`.

        Raises:
            KeyError, ValueError: a column is missing or has another form.
        """
        losses = np.array([float(loss) for loss in columns["loss"]])
        found = [_from_text(text, PREDICTED) for text in columns[BOXES]]
        return cls.of(losses, found, [_from_text(text, TRUTH) for text in columns[TRUE_BOXES]], num_classes)


def _to_text(boxes: np.ndarray) -> str:
    return "|".join(" ".join(f"{value:.7g}" for value in box) for box in boxes)


def _from_text(text: str, columns: int) -> np.ndarray:
    rows = [part.split() for part in str(text).split("|")] if text else []
    wrong = next((row for row in rows if len(row) != columns), None)
    if wrong is not None:
        raise ValueError(f"{' '.join(wrong)!r} is no box of {columns} numbers")
    return np.array(rows, np.float64).reshape(-1, columns)
