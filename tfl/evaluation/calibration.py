"""Check whether a confidence of 90 % means correct in 9 of 10 cases."""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfl.evaluation.analysis import Analysis, Examples
from tfl.evaluation.predictions import Predictions, classification_of
from tfl.evaluation.rows import from_json, rows_from_json
from tfl.tasks.task import CALIBRATION

NUM_BINS = 15
OUTCOMES = 2_000_000  # limit of the random outcomes drawn to estimate the error of a perfect model


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bin:
    """One bin of a reliability diagram: open below and closed above.

    Attributes:
        low: lower end of the confidences in the bin; None in older files.
        high: upper end; None in older files.
        count: number of predictions in the bin.
        confidence: mean confidence; None for an empty bin.
        accuracy: share of correct predictions; None for an empty bin.
    """

    low: float | None = None
    high: float | None = None
    count: int
    confidence: float | None
    accuracy: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Calibration:
    """How well confidence and accuracy agree. Entries that older files do not have are None.

    Attributes:
        ece: expected calibration error.
        ece_by_chance: mean error of a perfect model.
        ece_by_chance_high: limit of the error for 95 % of perfect models.
        adaptive_ece: calibration error with bins of equal size.
        loss: mean loss.
        bins: the bins of the reliability diagram.
    """

    ece: float
    ece_by_chance: float
    ece_by_chance_high: float | None = None
    adaptive_ece: float | None = None
    loss: float | None = None
    bins: tuple[Bin, ...]

    @property
    def limit_by_chance(self) -> float:
        """The limit of the error for nearly all perfect models; estimated for older files, which do not have it."""
        return 1.5 * self.ece_by_chance if self.ece_by_chance_high is None else self.ece_by_chance_high


@dataclasses.dataclass(frozen=True)
class CalibrationResult:
    """The calibration at temperature 1, and at the temperature of the saved model."""

    before: Calibration
    after: Calibration


class CalibrationAnalysis(Analysis[CalibrationResult]):
    """Whether a confidence of 90 % means correct in 9 of 10 cases."""

    name = CALIBRATION

    def measure(self, examples: Examples) -> CalibrationResult:
        """Return the calibration on test, before and after temperature scaling."""
        return CalibrationResult(describe_calibration(examples.test), describe_calibration(examples.scaled_test))

    def from_dict(self, values: Mapping[str, Any]) -> CalibrationResult | None:
        """Return the result from the entry "calibration"; None if there is none."""
        if self.name not in values:
            return None
        before, after = (values[self.name][when] for when in ("before", "after"))
        return CalibrationResult(_calibration_from_json(before), _calibration_from_json(after))


def _calibration_from_json(values: Mapping[str, Any]) -> Calibration:
    return from_json(Calibration, {**values, "bins": rows_from_json(Bin, values["bins"])})


def confidences(table: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """Return the confidence of the model, and whether the model is correct, both `(M,)`.

    For multiclass and binary M = N, and the confidence is the probability of the predicted class. For multilabel each
    pair of example and label counts: the probability that the label is present, and whether it is present.
    """
    return classification_of(table).confidences(table.logits, table.labels)


def reliability_bins(confidence: np.ndarray, right: np.ndarray, num_bins: int = NUM_BINS) -> tuple[Bin, ...]:
    """Return the bins of a reliability diagram: bins of equal width, each open below and closed above.

    Args:
        confidence: `(M,)`, in [0, 1].
        right: bool `(M,)`, whether the model is correct.
        num_bins: number of bins.
    """
    edges = np.linspace(0.0, 1.0, num_bins + 1)
    bins = _bins(confidence, right, edges[1:-1])
    ends = itertools.pairwise(edges)
    return tuple(
        dataclasses.replace(each, low=float(low), high=float(high))
        for each, (low, high) in zip(bins, ends, strict=True)
    )


def calibration_error(
    confidence: np.ndarray, right: np.ndarray, num_bins: int = NUM_BINS, *, adaptive: bool = False
) -> float:
    """Return the expected calibration error: the mean difference between confidence and accuracy over the bins.

    With few examples the error is well above 0 even for a perfect model (a bin of 10 examples has an error of about
    0.1 by chance). Compare it with `errors_by_chance`, not with 0.

    Args:
        confidence: `(M,)`, in [0, 1].
        right: bool `(M,)`, whether the model is correct.
        num_bins: number of bins.
        adaptive: use bins with the same number of examples (equal confidences stay together) instead of bins of the
            same width.

    Reference:
        Guo et al. 2017, On calibration of modern neural networks, arXiv:1706.04599; Nixon et al. 2019, Measuring
        calibration in deep learning, arXiv:1904.01685 (adaptive bins).
    """
    steps = np.linspace(0.0, 1.0, num_bins + 1)[1:-1]
    edges = np.quantile(confidence, steps, method="lower") if adaptive else steps
    gaps = (
        each.count * abs(each.accuracy - each.confidence)
        for each in _bins(confidence, right, edges)
        if each.accuracy is not None and each.confidence is not None
    )
    return float(sum(gaps) / len(confidence))


def errors_by_chance(confidence: np.ndarray, num_bins: int = NUM_BINS, seed: int = 0) -> np.ndarray:
    """Return the calibration errors of simulated perfect models with the same confidences, one for each model.

    Args:
        confidence: `(M,)`, in [0, 1].
        num_bins: number of bins of equal width.
        seed: seed of the random outcomes, which are drawn from the confidences.
    """
    rng = np.random.default_rng(seed)
    num_draws = int(np.clip(OUTCOMES // len(confidence), 1, 200))
    drawn = (rng.random(len(confidence)) < confidence for _ in range(num_draws))
    return np.array([calibration_error(confidence, right, num_bins) for right in drawn])


def _bins(confidence: np.ndarray, right: np.ndarray, edges: np.ndarray) -> list[Bin]:
    place = np.searchsorted(edges, confidence, side="left")
    count, confidence_sum, hits = (np.bincount(place, weights, len(edges) + 1) for weights in (None, confidence, right))
    return [
        Bin(count=int(n), confidence=float(s / n) if n else None, accuracy=float(h / n) if n else None)
        for n, s, h in zip(count, confidence_sum, hits, strict=True)
    ]


def describe_calibration(table: Predictions) -> Calibration:
    """Return the calibration of a table of predictions."""
    confidence, right = confidences(table)
    chance = errors_by_chance(confidence)
    return Calibration(
        ece=calibration_error(confidence, right),
        ece_by_chance=float(chance.mean()),
        ece_by_chance_high=float(np.quantile(chance, 0.95)),
        adaptive_ece=calibration_error(confidence, right, adaptive=True),
        loss=mean_loss(table),
        bins=reliability_bins(confidence, right),
    )


def mean_loss(table: Predictions) -> float:
    """Return the mean loss of a table of predictions; for a classifier this is the log-loss."""
    return float(table.losses().mean())
