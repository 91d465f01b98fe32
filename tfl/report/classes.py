"""Compare the classes of a run: which one does the model find least often, and could it be chance?"""

from collections.abc import Sequence

from tfl.evaluation.intervals import LEVEL, difference_interval, wilson_interval
from tfl.evaluation.per_class import ClassMetrics


def recall_interval(row: ClassMetrics) -> tuple[float, float] | None:
    """Return Wilson's 95 % interval of the recall of a class; None if it has no test examples."""
    return None if row.recall is None or not row.support else wilson_interval(found(row), row.support)


def found(row: ClassMetrics) -> int:
    """Return how many test examples of a class the model finds."""
    return round((row.recall or 0.0) * row.support)


def weakest_first(rows: Sequence[ClassMetrics]) -> list[ClassMetrics]:
    """Return the classes by the upper end of the interval of their recall; those without test examples come last.

    The upper end of a class with few examples is high, even if the model found none of them. So such a class is not
    first because of a few errors, which may be chance.
    """

    def upper_end(row: ClassMetrics) -> tuple[float, float]:
        ends = recall_interval(row)
        return (2.0, 2.0) if ends is None else (ends[1], row.recall or 0.0)

    return sorted(rows, key=upper_end)


def others_than(row: ClassMetrics, rows: Sequence[ClassMetrics]) -> tuple[int, int]:
    """Return how many test examples of the other classes the model finds, and how many there are."""
    others = [other for other in rows if other is not row and other.recall is not None]
    return sum(map(found, others)), sum(other.support for other in others)


def is_surely_weaker(row: ClassMetrics, rows: Sequence[ClassMetrics]) -> bool:
    """Return whether chance does not explain that a class is found less often than the others together.

    The level of the interval is that of Bonferroni: the weakest of many classes may be low by chance.
    """
    right, total = others_than(row, rows)
    if not total or row.recall is None:
        return False
    level = 1 - (1 - LEVEL) / len(rows)
    return difference_interval(row.recall, row.support, right / total, total, level)[1] < 0
