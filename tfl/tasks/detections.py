"""The rows of a table of predictions for boxes: loss, predicted boxes and true boxes of each example."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfl.tasks.cells import MOST_BOXES

PREDICTED, TRUTH = 6, 5  # columns of a box: x1, y1, x2, y2, score, class; and x1, y1, x2, y2, class
BOXES, TRUE_BOXES = "boxes", "true_boxes"  # columns of a file of predictions
_NONE = -1  # class of a row that is no box


class Detections:
    """Rows of a table of predictions, `(N, M)`, taken apart.

    Attributes:
        rows: the table.
        losses: `(N,)` float64.
        predicted: `(N, 100, 6)`, rows of x1, y1, x2, y2, score, class; the class -1 is no box.
        truth: `(N, R, 5)`, rows of x1, y1, x2, y2, class; the class -1 is no box.
    """

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows = np.asarray(rows, np.float64)
        end = 1 + MOST_BOXES * PREDICTED
        self.losses = rows[:, 0]
        self.predicted = rows[:, 1:end].reshape(len(rows), MOST_BOXES, PREDICTED)
        self.truth = rows[:, end:].reshape(len(rows), -1, TRUTH)

    @classmethod
    def of(cls, losses: np.ndarray, predicted: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> "Detections":
        """Return the table of boxes of N examples, `(P, 6)` and `(T, 5)` each; at most 100 predicted boxes are kept."""
        most = max((len(boxes) for boxes in truth), default=0)
        found, true = np.zeros((len(losses), MOST_BOXES, PREDICTED)), np.zeros((len(losses), most, TRUTH))
        found[..., -1] = true[..., -1] = _NONE
        for place, (boxes, own) in enumerate(zip(predicted, truth, strict=True)):
            found[place, : len(boxes)] = boxes[:MOST_BOXES]
            true[place, : len(own)] = own
        flat = (np.asarray(losses)[:, None], found.reshape(len(losses), -1), true.reshape(len(losses), -1))
        return cls(np.concatenate(flat, axis=1))

    def found(self) -> list[np.ndarray]:
        """Return the predicted boxes of each example, `(P, 6)`, the best first."""
        return [boxes[boxes[:, -1] != _NONE] for boxes in self.predicted]

    def true(self) -> list[np.ndarray]:
        """Return the true boxes of each example, `(T, 5)`; the class of a crowd is below -1."""
        return [boxes[boxes[:, -1] != _NONE] for boxes in self.truth]

    def to_columns(self) -> dict[str, list[str]]:
        """Return losses and boxes as texts: boxes are separated by "|", their numbers by blanks, the class is the last."""
        return {
            "loss": [f"{loss:.9g}" for loss in self.losses],
            BOXES: list(map(_to_text, self.found())),
            TRUE_BOXES: list(map(_to_text, self.true())),
        }

    @classmethod
    def from_columns(cls, columns: Mapping[str, Sequence[Any]]) -> "Detections":
        """Return the table from the texts of `to_columns`.

        Raises:
            KeyError, ValueError: a column is missing or has another form.
        """
        losses = np.array([float(loss) for loss in columns["loss"]])
        found = [_from_text(text, PREDICTED) for text in columns[BOXES]]
        return cls.of(losses, found, [_from_text(text, TRUTH) for text in columns[TRUE_BOXES]])


def _to_text(boxes: np.ndarray) -> str:
    return "|".join(" ".join(f"{value:.7g}" for value in box) for box in boxes)


def _from_text(text: str, columns: int) -> np.ndarray:
    rows = [part.split() for part in str(text).split("|")] if text else []
    wrong = next((row for row in rows if len(row) != columns), None)
    if wrong is not None:
        raise ValueError(f"{' '.join(wrong)!r} is no box of {columns} numbers")
    return np.array(rows, np.float64).reshape(-1, columns)
