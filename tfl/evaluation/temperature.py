"""Fit the temperature that corrects the confidence of a model."""

import dataclasses
from typing import Any

import numpy as np
import scipy.optimize

from tfl.evaluation.calibration import mean_loss
from tfl.evaluation.predictions import Predictions

BOUNDS = (0.05, 20.0)  # of the temperature; outside, every probability is 0 or 1, or all probabilities are equal


@dataclasses.dataclass(frozen=True)
class TemperatureFit:
    """A fitted temperature with its losses.

    Attributes:
        temperature: divide the logits by this number; 1 if no other temperature is better.
        loss_before: mean loss at temperature 1, on the examples of the fit.
        loss_after: mean loss at the fitted temperature, on the same examples.
        reason: why the temperature is 1 or at the end of its range; empty for an ordinary fit.
    """

    temperature: float
    loss_before: float | None = None
    loss_after: float | None = None
    reason: str = ""


def fit_temperature(validation: Predictions | None) -> TemperatureFit:
    """Fit the temperature that minimises the loss on examples that the model was not fitted on.

    The temperature is one number for all classes, so the predicted class and its metrics stay the same. The loss has
    one minimum. If every example is correct, the loss has no minimum above 0: a smaller temperature is always better.
    The temperature then stays 1, because a few easy examples do not prove that the model is never wrong.

    Args:
        validation: predictions at temperature 1; None if the model was fitted on all examples.

    Returns:
        The temperature, its losses, and the reason if the fit is not an ordinary one.

    Example:
        >>> temperature = tfl.fit_temperature(validation).temperature
        >>> calibrated = test.at(temperature).probabilities

    Reference:
        Guo et al. 2017, On calibration of modern neural networks, arXiv:1706.04599.
    """
    if validation is None or not len(validation):
        return TemperatureFit(1.0, reason="there are no examples that the model was not fitted on")
    if not validation.task.has_temperature:
        return TemperatureFit(1.0, reason="the outputs have no temperature")
    before = mean_loss(validation)
    if validation.correct().all():
        return TemperatureFit(1.0, before, before, "every validation example is right, so no temperature fits best")
    low, high = np.log(BOUNDS)
    optimum: Any = scipy.optimize.minimize_scalar(
        lambda log: mean_loss(validation.at(float(np.exp(log)))), bounds=(low, high), method="bounded",
        options={"xatol": 1e-6},
    )  # fmt: skip
    temperature = float(np.exp(optimum.x))
    after = mean_loss(validation.at(temperature))
    if after >= before:
        return TemperatureFit(1.0, before, before, "no other temperature is better on validation")
    at_end = min(optimum.x - low, high - optimum.x) < 1e-3
    return TemperatureFit(temperature, before, after, "it is at the end of its range" if at_end else "")
