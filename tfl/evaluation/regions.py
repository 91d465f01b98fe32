"""Metrics of the regions of each class: IoU and dice, with intervals over examples."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfl.evaluation.analysis import Analysis, Examples
from tfl.evaluation.intervals import NUM_RESAMPLES, known_or_none, named_ends
from tfl.evaluation.predictions import Predictions
from tfl.evaluation.resampling import draw_counts
from tfl.evaluation.rows import KEY, rows_from_json
from tfl.tasks.regions import confusions, dice, iou
from tfl.tasks.task import REGIONS


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegionMetrics:
    """The metrics of the regions of one class, over all test examples together. None: the class does not occur.

    Attributes:
        name: name of the class; "class" in JSON.
        iou: intersection over union, in [0, 1].
        low: lower end of the 95 % interval of the IoU, from a bootstrap over examples; None if it is not known.
        high: upper end.
        dice: dice coefficient, in [0, 1], which is the F1 of the pixels.
        share: share of the class among the pixels that count.
        num_examples: number of examples in which the class truly occurs.
    """

    name: str = dataclasses.field(metadata={KEY: "class"})
    iou: float | None = None
    low: float | None = None
    high: float | None = None
    dice: float | None = None
    share: float = 0.0
    num_examples: int = 0


class RegionsAnalysis(Analysis[tuple[RegionMetrics, ...]]):
    """The metrics of the regions of each class on test."""

    name = REGIONS

    def measure(self, examples: Examples) -> tuple[RegionMetrics, ...]:
        """Return one row for each class."""
        return region_metrics(examples.test, examples.class_names)

    def from_dict(self, values: Mapping[str, Any]) -> tuple[RegionMetrics, ...] | None:
        """Return the rows from the entry "regions"; None if there is none."""
        return rows_from_json(RegionMetrics, values[self.name]) if self.name in values else None


def region_metrics(table: Predictions, class_names: Sequence[str], seed: int = 0) -> tuple[RegionMetrics, ...]:
    """Return one row of metrics for each class.

    Args:
        table: predictions of maps, with a confusion matrix for each example.
        class_names: in the order of the class numbers.
        seed: of the bootstrap.
    """
    each = confusions(table.logits)
    together, drawn = each.sum(axis=0), _drawn_ious(table, each, seed)
    support = together.sum(axis=1)
    rows = zip(class_names, iou(together), dice(together), support, (each.sum(axis=2) > 0).sum(axis=0), strict=True)
    return tuple(
        RegionMetrics(
            name=name,
            iou=known_or_none(value),
            dice=known_or_none(overlap),
            share=float(pixels / max(support.sum(), 1)),
            num_examples=int(count),
            **named_ends(drawn[:, number]),
        )
        for number, (name, value, overlap, pixels, count) in enumerate(rows)
    )


def _drawn_ious(table: Predictions, each: np.ndarray, seed: int) -> np.ndarray:
    """Return the IoU of each class in each resampled table, `(NUM_RESAMPLES, K)`."""
    flat, shape = each.reshape(len(each), -1), each.shape[1:]
    drawn = draw_counts(len(each), NUM_RESAMPLES, seed, table.groups)
    return np.concatenate([iou((counts @ flat).reshape(-1, *shape)) for counts in drawn])
