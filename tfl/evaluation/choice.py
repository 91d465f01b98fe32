"""Which of two models is the better one, by validation: each as it would be shipped, at its own temperature."""

import dataclasses

import numpy as np

from tfl.evaluation.calibration import fit_temperature
from tfl.evaluation.intervals import mean_interval
from tfl.evaluation.predictions import Predictions


@dataclasses.dataclass(frozen=True)
class Choice:
    """How two models compare on the same validation examples.

    Attributes:
        first: mean loss of the first model, at its own temperature.
        second: of the second.
        low: lower end of the 95 % interval of the difference first - second, from a paired bootstrap.
        high: upper end; the first is better by more than chance where it is below 0.
        num_examples: on how many examples.
    """

    first: float
    second: float
    low: float
    high: float
    num_examples: int

    @property
    def difference(self) -> float:
        """first - second: below 0 where the first is better."""
        return self.first - self.second


def compare_losses(first: Predictions, second: Predictions, weights: np.ndarray | None = None) -> Choice:
    """Compare the losses of two models, each at the temperature that it would be shipped with.

    At temperature 1 a model that is only too sure loses against one that is wrong more often.

    Args:
        first: predictions of one model on validation, at temperature 1.
        second: of the other, on the same examples; order may differ.
        weights: `(N,)`, how much each example counts, in the order of `first`; None: all the same.

    Example:
        >>> choice = compare_losses(finetuned, frozen)
        >>> choice.difference < 0  # fine-tuning is better
    """
    order = np.argsort(second.ids)
    second = second.take(order[np.searchsorted(second.ids, first.ids, sorter=order)])
    share = np.ones(len(first)) if weights is None else np.asarray(weights, np.float64) / np.mean(weights)
    mine, theirs = (share * losses_as_shipped(table) for table in (first, second))
    low, high = mean_interval(mine - theirs)
    return Choice(float(mine.mean()), float(theirs.mean()), low, high, len(first))


def losses_as_shipped(table: Predictions) -> np.ndarray:
    """Return the loss of each example, `(N,)` float64, at the temperature that is fitted on these very examples."""
    shipped = table.at(fit_temperature(table).temperature)
    return shipped.losses()
