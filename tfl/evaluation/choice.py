"""Choose the better of two models by validation, each at the temperature that it would be shipped with."""

import dataclasses

import numpy as np

from tfl.evaluation.intervals import mean_interval
from tfl.evaluation.predictions import Predictions
from tfl.evaluation.temperature import fit_temperature


@dataclasses.dataclass(frozen=True)
class Choice:
    """Comparison of two models on the same validation examples.

    Attributes:
        first: mean loss of the first model, at its own temperature.
        second: mean loss of the second model, at its own temperature.
        low: lower end of the 95 % interval of the difference first - second, from a paired bootstrap.
        high: upper end; if it is below 0, the first model is better by more than chance.
        num_examples: number of examples.
    """

    first: float
    second: float
    low: float
    high: float
    num_examples: int

    @property
    def difference(self) -> float:
        """The difference first - second; it is below 0 if the first model is better."""
        return self.first - self.second


def compare_losses(first: Predictions, second: Predictions, weights: np.ndarray | None = None) -> Choice:
    """Compare the losses of two models, each at the temperature that it would be shipped with.

    At temperature 1 a model whose only fault is overconfidence can lose to a model that is wrong more often.

    Args:
        first: predictions of one model on validation, at temperature 1.
        second: predictions of the other model on the same examples; the order may differ.
        weights: `(N,)`, weight of each example, in the order of `first`; None for equal weights.

    Example:
        >>> choice = compare_losses(finetuned, frozen)
        >>> is_better = choice.high < 0  # fine-tuning is better, by more than chance
    """
    order = np.argsort(second.ids)
    second = second.take(order[np.searchsorted(second.ids, first.ids, sorter=order)])
    share = np.ones(len(first)) if weights is None else np.asarray(weights, np.float64) / np.mean(weights)
    first_losses, second_losses = (share * losses_as_shipped(table) for table in (first, second))
    low, high = mean_interval(first_losses - second_losses, groups=first.groups)
    return Choice(float(first_losses.mean()), float(second_losses.mean()), low, high, len(first))


def losses_as_shipped(table: Predictions) -> np.ndarray:
    """Return the loss of each example, `(N,)` float64, at the temperature fitted on the same examples."""
    shipped = table.at(fit_temperature(table).temperature)
    return shipped.losses()
