"""Split conformal prediction: sets of classes that contain the true class as often as promised, for any model."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfl.errors import InputError
from tfl.evaluation.analysis import Analysis, Examples
from tfl.evaluation.intervals import share_interval
from tfl.evaluation.predictions import Predictions, classification_of
from tfl.evaluation.rows import rows_from_json
from tfl.tasks.task import CONFORMAL, Task

COVERAGES = (0.8, 0.9, 0.95, 0.99)
METHODS = ("lac", "aps")
LEAST_COVERAGE, HALF = 0.9, 0.5  # of the sets that people see
RESIDUAL = "residual"  # the only method of regression


@dataclasses.dataclass(frozen=True)
class ConformalSets:
    """Calibrated rule that says which classes belong to the prediction set of an example.

    Attributes:
        coverage: promised share of examples whose set contains the true class.
        method: "lac" or "aps"; "residual" for regression.
        score: highest score that is still in the set; infinite if there are too few calibration examples for the
            promise.
    """

    coverage: float
    method: str
    score: float

    @property
    def threshold(self) -> float:
        """The limit in readable form: for "lac" the lowest probability in the set, else `score`."""
        return max(0.0, 1.0 - self.score) if self.method == "lac" else self.score

    def contains(self, table: Predictions) -> np.ndarray:
        """Return which classes are in the set of each example, bool `(N, C)`; a set may be empty or hold all."""
        return self.names(table.probabilities)

    def names(self, probabilities: np.ndarray) -> np.ndarray:
        """Return which classes are in the set of each row of probabilities, bool `(N, C)`."""
        return _class_scores(probabilities, self.method) <= self.score

    def covers(self, table: Predictions) -> np.ndarray:
        """Return whether each set contains the truth, bool `(N,)`; for regression, whether all intervals do."""
        return _scores_of_truth(table, self.method) <= self.score


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasuredCoverage:
    """How prediction sets of one coverage do on test.

    Attributes:
        coverage: promised share of examples whose set contains the truth.
        threshold: lowest probability in the set, or half the width of the interval.
        test_coverage: share of test examples whose set contains the truth.
        low: lower end of the 95 % interval of `test_coverage` (Wilson); None in older files.
        high: upper end; None in older files.
        mean_set_size: mean number of classes in a set, or the width of the interval.
    """

    coverage: float
    threshold: float | None
    test_coverage: float
    low: float | None = None
    high: float | None = None
    mean_set_size: float | None

    def sets(self, task: Task) -> ConformalSets:
        """Return the rule whose results these are; its threshold must be known."""
        threshold = float(self.threshold or 0.0)
        if task.is_classifier:
            return ConformalSets(self.coverage, METHODS[0], 1.0 - threshold)
        return ConformalSets(self.coverage, RESIDUAL, threshold)


class ConformalAnalysis(Analysis[tuple[MeasuredCoverage, ...]]):
    """Prediction sets that are calibrated on validation and measured on test."""

    name = CONFORMAL
    is_decision = True

    def measure(self, examples: Examples) -> tuple[MeasuredCoverage, ...] | None:
        """Return one row for each coverage."""
        validation = examples.scaled_validation
        return describe_conformal(validation, examples.scaled_test) if validation else None

    def from_dict(self, values: Mapping[str, Any]) -> tuple[MeasuredCoverage, ...] | None:
        """Return the rows from the entry "conformal"; None if there is none."""
        return rows_from_json(MeasuredCoverage, values[self.name]) if self.name in values else None


def fit_conformal(calibration: Predictions, coverage: float = 0.9, method: str = "lac") -> ConformalSets:
    """Calibrate prediction sets on examples that the model was not fitted on.

    The promise holds for the mean over new examples of the same kind and over calibration sets. With a single
    calibration set of n examples, the error of the coverage is about sqrt(coverage (1 - coverage) / n). The promise
    does not hold for each class separately.

    Args:
        calibration: predictions on these examples. Fewer examples give larger sets; with fewer than
            1 / (1 - coverage) - 1 examples every set holds all classes.
        coverage: promised share of examples whose set contains the truth, above 0 and below 1.
        method: "lac" takes all classes above one probability and gives the smallest sets on average. "aps" takes the
            most probable classes until their sum is large enough; its sets are larger and adapt better to hard
            examples. Regression has one method only: intervals of equal width around the value, from the largest
            error over all outputs.

    Returns:
        The calibrated sets.

    Raises:
        InputError: multilabel predictions, an unknown method or coverage, or no examples.

    Example:
        >>> sets = tfl.fit_conformal(validation, coverage=0.8)
        >>> sets.contains(test).shape == (len(test), 3)
        True

    Reference:
        Sadinle et al. 2019, Least ambiguous set-valued classifiers with bounded error levels, arXiv:1609.00451 (lac);
        Romano et al. 2020, Classification with valid and adaptive coverage, arXiv:2006.02544 (aps, not randomised);
        Angelopoulos and Bates 2021, A gentle introduction to conformal prediction, arXiv:2107.07511.
    """
    if method not in METHODS:
        raise InputError(f"`method` must be one of {', '.join(METHODS)}. Received: method={method!r}.")
    if not 0 < coverage < 1:
        raise InputError(f"`coverage` must be above 0 and below 1. Received: coverage={coverage}.")
    if CONFORMAL not in calibration.task.analyses or not len(calibration):
        raise InputError(
            f"`calibration` must be examples of one class, or of values. Received: {len(calibration)} "
            f"{calibration.task.name} examples."
        )
    method = method if calibration.task.is_classifier else RESIDUAL
    scores = np.sort(_scores_of_truth(calibration, method))
    rank = math.ceil((len(scores) + 1) * coverage - 1e-9)  # 20 * 0.95 is 19, not 19.000000000000004
    return ConformalSets(coverage, method, float(scores[rank - 1]) if rank <= len(scores) else math.inf)


def choose_coverage(rows: Sequence[MeasuredCoverage], task: Task) -> MeasuredCoverage | None:
    """Choose the prediction sets by which a model tells people that it is not sure; validation alone decides.

    It is the lowest coverage of at least `LEAST_COVERAGE` whose sets hold every class with a probability above one
    half. If the accuracy is above the coverage, the sets of this coverage are empty for examples that the model
    predicts well.

    Args:
        rows: the results of several coverages, calibrated on validation.
        task: the task of the model.

    Returns:
        The row; with no such row that of the highest coverage; None if validation was too small for any promise.
    """
    usable = [
        row
        for row in sorted(rows, key=lambda row: row.coverage)
        if row.coverage >= LEAST_COVERAGE and row.threshold is not None and (row.threshold or not task.is_classifier)
    ]
    full = [row for row in usable if not task.is_classifier or (row.threshold or 0.0) <= HALF]
    return next(iter([*full, *reversed(usable)]), None)


def describe_conformal(validation: Predictions, test: Predictions) -> tuple[MeasuredCoverage, ...]:
    """Calibrate sets on validation for several coverages and return their results on test.

    Returns:
        One row for each coverage. For regression, a coverage is absent if there are too few validation examples to
        promise it.
    """
    rows = []
    for coverage in COVERAGES:
        sets = fit_conformal(validation, coverage)
        if sets.method == RESIDUAL and math.isinf(sets.score):
            continue
        size = 2.0 * sets.score if sets.method == RESIDUAL else float(sets.contains(test).sum(axis=1).mean())
        covered = sets.covers(test)
        low, high = share_interval(covered, test.groups)
        rows.append(
            MeasuredCoverage(
                coverage=coverage,
                threshold=sets.threshold,
                test_coverage=float(covered.mean()),
                low=low,
                high=high,
                mean_set_size=size,
            )
        )
    return tuple(rows)


def _scores_of_truth(table: Predictions, method: str) -> np.ndarray:
    if method == RESIDUAL:
        return np.abs(table.task.as_targets(table.labels, table.logits.shape[1]) - table.logits).max(axis=1)
    labels = classification_of(table).as_classes(table.labels)
    return _class_scores(table.probabilities, method)[np.arange(len(labels)), labels]


def _class_scores(probabilities: np.ndarray, method: str) -> np.ndarray:
    if method == "lac":
        return 1.0 - probabilities
    order = np.argsort(-probabilities, axis=1, kind="stable")
    together = np.take_along_axis(probabilities, order, axis=1).cumsum(axis=1)
    scores = np.empty_like(together)
    np.put_along_axis(scores, order, together, axis=1)
    return scores
