"""Sets of classes that hold the true one as often as promised, whatever the model and the data: split conformal."""

import dataclasses
import math
from typing import Any

import numpy as np

from tfl.errors import InputError
from tfl.evaluation.intervals import wilson_interval
from tfl.evaluation.predictions import Predictions, classification_of
from tfl.tasks.task import CONFORMAL

COVERAGES = (0.8, 0.9, 0.95, 0.99)
METHODS = ("lac", "aps")
RESIDUAL = "residual"  # of values


@dataclasses.dataclass(frozen=True)
class ConformalSets:
    """From which score on a class is left out of the set.

    Attributes:
        coverage: promised share of examples whose set holds the truth.
        method: "lac" or "aps"; "residual" for regression.
        score: highest score that is still in the set; infinite where calibration examples are too few to promise.
    """

    coverage: float
    method: str
    score: float

    @property
    def threshold(self) -> float:
        """The same as one reads it: for "lac" the lowest probability in the set, else `score`."""
        return max(0.0, 1.0 - self.score) if self.method == "lac" else self.score

    def contains(self, table: Predictions) -> np.ndarray:
        """Return which classes are in the set of each example, bool `(N, C)`; it may be none, or all of them."""
        return _class_scores(table, self.method) <= self.score

    def covers(self, table: Predictions) -> np.ndarray:
        """Return whether the set, or for regression the box of all intervals, holds the truth, bool `(N,)`."""
        return _scores_of_truth(table, self.method) <= self.score


def fit_conformal(calibration: Predictions, coverage: float = 0.9, method: str = "lac") -> ConformalSets:
    """Calibrate prediction sets on examples that the model was not fitted on.

    The promise is for the mean over new examples of the same kind and over calibration sets; a single calibration set
    of n examples is off by about sqrt(coverage (1 - coverage) / n). It does not hold class by class.

    Args:
        calibration: its predictions; the fewer, the larger the sets. 1 / (1 - coverage) - 1 are the least.
        coverage: above 0 and below 1.
        method: "lac": all classes above one probability, the smallest sets on average. "aps": the most probable
            classes until enough probability is together, larger sets that adapt better to hard examples. Regression
            has one way only: intervals of equal width about the value, the widest error of all outputs.

    Raises:
        InputError: multilabel predictions, an unknown method or coverage, or no examples.

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


def describe_conformal(validation: Predictions, test: Predictions) -> list[dict[str, Any]]:
    """Return for some coverages what sets calibrated on validation do on test, ready for JSON.

    Returns:
        "coverage" (promised), "threshold" (lowest probability in the set, or half the width of the interval),
        "test_coverage" with its 95 % interval (Wilson) as "low" and "high", and
        "mean_set_size" (classes, or the interval's width). A coverage that so few validation
        examples cannot promise for values is absent.
    """
    rows = []
    for coverage in COVERAGES:
        sets = fit_conformal(validation, coverage)
        if sets.method == RESIDUAL and math.isinf(sets.score):
            continue
        size = 2.0 * sets.score if sets.method == RESIDUAL else float(sets.contains(test).sum(axis=1).mean())
        covered = sets.covers(test)
        low, high = wilson_interval(int(covered.sum()), len(covered))
        rows.append({
            "coverage": coverage, "threshold": sets.threshold,
            "test_coverage": float(covered.mean()), "low": low, "high": high, "mean_set_size": size,
        })  # fmt: skip
    return rows


def _scores_of_truth(table: Predictions, method: str) -> np.ndarray:
    if method == RESIDUAL:
        return np.abs(table.task.as_targets(table.labels, table.logits.shape[1]) - table.logits).max(axis=1)
    labels = classification_of(table).as_classes(table.labels)
    return _class_scores(table, method)[np.arange(len(labels)), labels]


def _class_scores(table: Predictions, method: str) -> np.ndarray:
    probabilities = table.probabilities
    if method == "lac":
        return 1.0 - probabilities
    order = np.argsort(-probabilities, axis=1, kind="stable")
    together = np.take_along_axis(probabilities, order, axis=1).cumsum(axis=1)
    scores = np.empty_like(together)
    np.put_along_axis(scores, order, together, axis=1)
    return scores
