"""Does 90 % sure mean right 9 times in 10? Reliability, and the temperature that mends it."""

import dataclasses
from typing import Any

import numpy as np
import scipy.optimize

from tfl.evaluation.predictions import Predictions, classification_of

NUM_BINS = 15
OUTCOMES = 2_000_000  # that are drawn at most to see what chance does
BOUNDS = (0.05, 20.0)  # of the temperature: beyond, every probability is 0 or 1, or all are the same


def confidences(table: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """Return how sure the model is, and whether it is right, both `(M,)`.

    For multiclass and binary M = N: the probability of the class that is said. For multilabel every pair of example
    and label is one: the probability that the label is present, and whether it is.
    """
    return classification_of(table).confidences(table.logits, table.labels)


def reliability_bins(confidence: np.ndarray, right: np.ndarray, num_bins: int = NUM_BINS) -> list[dict[str, Any]]:
    """Return what a reliability diagram draws: bins of equal width, each open below and closed above.

    Returns:
        "low", "high", "count", "confidence" (mean) and "accuracy" of each; None for the last two of an empty bin.
    """
    edges = np.linspace(0.0, 1.0, num_bins + 1)
    rows = _bins(confidence, right, edges[1:-1])
    return [
        {"low": float(low), "high": float(high), **row}
        for low, high, row in zip(edges[:-1], edges[1:], rows, strict=True)
    ]


def calibration_error(
    confidence: np.ndarray, right: np.ndarray, num_bins: int = NUM_BINS, *, adaptive: bool = False
) -> float:
    """Return the expected calibration error: how far confidence and accuracy of a bin are apart, in the mean.

    On few examples it is well above 0 for a perfect model too (a bin of 10 is off by 0.1 by chance): compare it
    with `errors_by_chance`, not with 0.

    Args:
        confidence: `(M,)`, in [0, 1].
        right: bool `(M,)`.
        num_bins: how many bins.
        adaptive: bins that hold equally many examples (equal confidences stay together) instead of equally wide ones.

    Reference:
        Guo et al. 2017, On calibration of modern neural networks, arXiv:1706.04599; Nixon et al. 2019, Measuring
        calibration in deep learning, arXiv:1904.01685 (adaptive bins).
    """
    steps = np.linspace(0.0, 1.0, num_bins + 1)[1:-1]
    edges = np.quantile(confidence, steps, method="lower") if adaptive else steps
    rows = [row for row in _bins(confidence, right, edges) if row["count"]]
    return float(sum(row["count"] * abs(row["accuracy"] - row["confidence"]) for row in rows) / len(confidence))


def errors_by_chance(confidence: np.ndarray, num_bins: int = NUM_BINS, seed: int = 0) -> np.ndarray:
    """Return the calibration errors of perfect models that are as sure of as many examples, one for each model.

    Args:
        confidence: `(M,)`, in [0, 1].
        num_bins: how many bins of equal width.
        seed: of the outcomes that are drawn from the confidences.
    """
    rng = np.random.default_rng(seed)
    num_draws = int(np.clip(OUTCOMES // len(confidence), 1, 200))
    drawn = (rng.random(len(confidence)) < confidence for _ in range(num_draws))
    return np.array([calibration_error(confidence, right, num_bins) for right in drawn])


def _bins(confidence: np.ndarray, right: np.ndarray, edges: np.ndarray) -> list[dict[str, Any]]:
    place = np.searchsorted(edges, confidence, side="left")
    count, sure, hits = (np.bincount(place, weights, len(edges) + 1) for weights in (None, confidence, right))
    return [
        {"count": int(n), "confidence": float(s / n) if n else None, "accuracy": float(h / n) if n else None}
        for n, s, h in zip(count, sure, hits, strict=True)
    ]


def describe_calibration(table: Predictions) -> dict[str, Any]:
    """Return how far confidence and accuracy of a table are apart, ready for JSON.

    Returns:
        "ece"; "ece_by_chance", the mean of a perfect model, and "ece_by_chance_high", which 95 % of perfect models stay
        below; "adaptive_ece", "loss", and reliability "bins".
    """
    confidence, right = confidences(table)
    chance = errors_by_chance(confidence)
    return {
        "ece": calibration_error(confidence, right),
        "ece_by_chance": float(chance.mean()),
        "ece_by_chance_high": float(np.quantile(chance, 0.95)),
        "adaptive_ece": calibration_error(confidence, right, adaptive=True),
        "loss": mean_loss(table),
        "bins": reliability_bins(confidence, right),
    }


@dataclasses.dataclass(frozen=True)
class TemperatureFit:
    """A temperature, and how it came about.

    Attributes:
        temperature: what logits are to be divided by; 1 where none is better.
        loss_before: mean loss of the examples it was fitted on, at temperature 1.
        loss_after: the same at this temperature.
        reason: why it is 1 or at the end of its range; empty for an ordinary fit.
    """

    temperature: float
    loss_before: float | None = None
    loss_after: float | None = None
    reason: str = ""


def fit_temperature(validation: Predictions | None) -> TemperatureFit:
    """Fit the temperature that minimises the loss on examples that the model was not fitted on.

    One number for all classes: which class is said, and all metrics of it, stay the same. The loss has one minimum.
    Where every example is right it has none above 0, the smaller the temperature the better: then 1 is kept, as a
    handful of easy examples is no evidence that the model is never wrong.

    Args:
        validation: predictions at temperature 1; None where the model was fitted on all there is.

    Reference:
        Guo et al. 2017, On calibration of modern neural networks, arXiv:1706.04599.
    """
    if validation is None or not len(validation):
        return TemperatureFit(1.0, reason="there are no examples that the model was not fitted on")
    if not validation.task.has_temperature:
        return TemperatureFit(1.0, reason="the outputs have no temperature")
    before = mean_loss(validation)
    if validation.correct().all():
        return TemperatureFit(1.0, before, before, "every validation example is right: no temperature fits best")
    low, high = np.log(BOUNDS)
    found: Any = scipy.optimize.minimize_scalar(
        lambda log: mean_loss(validation.at(float(np.exp(log)))), bounds=(low, high), method="bounded",
        options={"xatol": 1e-6},
    )  # fmt: skip
    temperature = float(np.exp(found.x))
    after = mean_loss(validation.at(temperature))
    if after >= before:
        return TemperatureFit(1.0, before, before, "no other temperature is better on validation")
    at_end = min(found.x - low, high - found.x) < 1e-3
    return TemperatureFit(temperature, before, after, "it is at the end of its range" if at_end else "")


def mean_loss(table: Predictions) -> float:
    """Return the mean loss of a table, the log-loss of a classifier."""
    return float(table.losses().mean())
