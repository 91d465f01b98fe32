"""Metrics of the boxes of each class: average precision with intervals, precision over recall, and kinds of errors."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfl.evaluation.analysis import Analysis, Examples
from tfl.evaluation.intervals import NUM_RESAMPLES, known_or_none, named_ends
from tfl.evaluation.predictions import Predictions
from tfl.evaluation.resampling import draw_counts
from tfl.evaluation.rows import KEY, from_json, rows_from_json
from tfl.tasks.boxes.errors import KINDS, count_errors
from tfl.tasks.boxes.matching import Matches
from tfl.tasks.boxes.precision import average_precisions, curve
from tfl.tasks.detections import SURE, Detections
from tfl.tasks.task import BOXES

POINTS = 100  # most points of a curve


@dataclasses.dataclass(frozen=True)
class CurvePoint:
    """The boxes of at least a score.

    Attributes:
        score: the lowest score.
        recall: share of the objects that are found.
        precision: share of the boxes that are right.
    """

    score: float
    recall: float
    precision: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoxMetrics:
    """The metrics of the boxes of one class, over all test examples together. None: the class does not occur.

    Attributes:
        name: name of the class; "class" in JSON.
        ap: average precision over overlaps of 0.5 to 0.95, in [0, 1].
        low: lower end of the 95 % interval of `ap`, from a bootstrap over examples; None if it is not known.
        high: upper end.
        ap50: average precision at an overlap of 0.5.
        num_objects: number of true boxes.
        num_examples: number of examples with a true box.
        curve: precision over recall at an overlap of 0.5, from the highest score to the lowest.
    """

    name: str = dataclasses.field(metadata={KEY: "class"})
    ap: float | None = None
    low: float | None = None
    high: float | None = None
    ap50: float | None = None
    num_objects: int = 0
    num_examples: int = 0
    curve: tuple[CurvePoint, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoxErrors:
    """How often each kind of box occurs among those of a score of at least `score`; see `count_errors`."""

    score: float = SURE
    right: int = 0
    duplicate: int = 0
    misplaced: int = 0
    confused: int = 0
    both: int = 0
    background: int = 0
    missed: int = 0


@dataclasses.dataclass(frozen=True)
class BoxResult:
    """The metrics of each class, and the errors of all classes together."""

    classes: tuple[BoxMetrics, ...]
    errors: BoxErrors


class BoxesAnalysis(Analysis[BoxResult]):
    """The metrics of the boxes of each class on test, and the kinds of errors."""

    name = BOXES

    def measure(self, examples: Examples) -> BoxResult:
        """Return one row for each class, and the errors."""
        return measure_boxes(examples.test, examples.class_names)

    def from_dict(self, values: Mapping[str, Any]) -> BoxResult | None:
        """Return the result from the entry "boxes"; None if there is none."""
        if self.name not in values:
            return None
        entry = values[self.name]
        rows = [row | {"curve": rows_from_json(CurvePoint, row.get("curve", ()))} for row in entry["classes"]]
        return BoxResult(rows_from_json(BoxMetrics, rows), from_json(BoxErrors, entry["errors"]))


def measure_boxes(table: Predictions, class_names: Sequence[str], seed: int = 0) -> BoxResult:
    """Return the metrics of each class, and the errors of all classes together.

    Args:
        table: predictions of boxes.
        class_names: in the order of the class numbers.
        seed: of the bootstrap.
    """
    boxes = Detections(table.logits)
    matches = boxes.matches()
    draws = draw_counts(len(table), NUM_RESAMPLES, seed, table.groups)
    drawn = [average_precisions(matches, counts)[:, :, 0].mean(axis=-1) for counts in draws]
    whole = average_precisions(matches, np.ones((1, len(table))))[0, :, 0]
    objects, resampled = matches.objects[:, :, 0], np.concatenate(drawn)
    rows = tuple(
        BoxMetrics(
            name=name,
            ap=known_or_none(whole[number].mean()),
            ap50=known_or_none(whole[number, 0]),
            num_objects=int(objects[:, number].sum()),
            num_examples=int((objects[:, number] > 0).sum()),
            curve=_points(matches, number),
            **named_ends(resampled[:, number]),
        )
        for number, name in enumerate(class_names)
    )
    truth, found = boxes.values()
    errors = count_errors(truth, matches, found, SURE).sum(axis=0).tolist()
    return BoxResult(rows, BoxErrors(**dict(zip(KINDS, errors, strict=True))))


def _points(matches: Matches, number: int) -> tuple[CurvePoint, ...]:
    own = curve(matches, number)
    places = np.unique(np.linspace(0, len(own.scores) - 1, POINTS).round().astype(np.int64)) if len(own.scores) else []
    columns = (own.scores, own.recall, own.precision)
    return tuple(CurvePoint(*(float(column[place]) for column in columns)) for place in places)
