"""What more labels would bring: curves of several forms through accuracies over labels, and how far they disagree."""

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy.optimize import OptimizeWarning, curve_fit

from tfl.selection.worth import ends

NUM_FITTED = 100  # resamples that are fitted


@dataclasses.dataclass(frozen=True)
class Form:
    """A form of a curve that rises with x > 0.

    Attributes:
        function: from x and the parameters to y.
        start: of the search for the parameters.
        bounds: lowest and highest parameters.
    """

    function: Callable[..., np.ndarray]
    start: Sequence[float]
    bounds: tuple[Sequence[float], Sequence[float]]


FORMS: Mapping[str, Form] = {
    "power law": Form(lambda x, a, b, c: a - b * x**-c, (0.9, 0.4, 0.5), ((0, 0, 0.01), (1, 2, 5))),
    "logarithm": Form(lambda x, a, b: a + b * np.log(x), (0.5, 0.1), ((-1, 0), (1, 1))),
    "arctangent": Form(
        lambda x, a, b, c: a + b * 2 / np.pi * np.arctan(c * x), (0.4, 0.5, 0.1), ((-1, 0, 1e-6), (1, 2, 100))
    ),
    "exponential": Form(lambda x, a, b, c: a - b * np.exp(-c * x), (0.9, 0.4, 0.1), ((0, 0, 1e-6), (1, 2, 10))),
}


@dataclasses.dataclass(frozen=True)
class Forecast:
    """An accuracy at a number of labels that was not measured.

    Attributes:
        labels: a class.
        accuracy: the mean over the forms.
        low: lower end of the middle 95 % of all forms, each fitted to resampled measurements.
        high: upper end.
        forms: the accuracy by the name of the form.
    """

    labels: float
    accuracy: float
    low: float
    high: float
    forms: dict[str, float]


def forecast(labels: Sequence[float], accuracies: np.ndarray, resampled: np.ndarray, wanted: float) -> Forecast | None:
    """Extrapolate a curve of accuracy over labels with several forms.

    No form is chosen: which of them extrapolates best differs between data sets, so their spread is part of the
    interval.

    Args:
        labels: `(P,)` labels a class.
        accuracies: `(P,)`.
        resampled: `(B, P)`, see `resampled_means`; at most 100 of them are fitted.
        wanted: labels a class.

    Returns:
        The forecast; None if there are too few points for every form: a form needs more points than parameters.

    Example:
        >>> labels = [1, 2, 5, 10, 20, 50]
        >>> accuracies = 0.9 - 0.4 * np.array(labels) ** -0.5
        >>> found = forecast(labels, accuracies, accuracies[None], 100)
        >>> found.low <= 0.86 <= found.high
        True

    Reference:
        Mahmood et al. 2022, How much more data do I need? Estimating requirements for downstream tasks,
        arXiv:2202.01602.
    """
    x = np.asarray(labels, np.float64)
    forms = {name: value for name, form in FORMS.items() if (value := _at(form, x, accuracies, wanted)) is not None}
    if not forms:
        return None
    step = max(1, len(resampled) // NUM_FITTED)
    drawn = [_at(FORMS[name], x, row, wanted) for row in resampled[::step] for name in forms]
    known = [value for value in drawn if value is not None]
    low, high = ends(np.array([*known, *forms.values()]))
    return Forecast(float(wanted), float(np.mean(list(forms.values()))), low, high, forms)


def _at(form: Form, x: np.ndarray, y: np.ndarray, wanted: float) -> float | None:
    """Return the value of a fitted form, in [0, 1]; None if it cannot be fitted."""
    if len(x) <= len(form.start):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OptimizeWarning)  # its covariance is not used
            parameters, _ = curve_fit(form.function, x, y, p0=form.start, bounds=form.bounds, max_nfev=2000)
    except RuntimeError:  # no convergence
        return None
    return float(np.clip(form.function(np.float64(wanted), *parameters), 0, 1))
