"""Choose the better of two models by validation, each at the temperature that it would be shipped with."""

import dataclasses

import numpy as np

from tfl.evaluation.intervals import mean_interval
from tfl.evaluation.pairs import paired_interval
from tfl.evaluation.predictions import Predictions
from tfl.evaluation.temperature import fit_temperature


@dataclasses.dataclass(frozen=True)
class Choice:
    """Comparison of two models on the same validation examples.

    Attributes:
        first: mean loss of the first model, at its own temperature; or 1 - headline, see `compare_phases`.
        second: the same of the second model.
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


def compare_phases(first: Predictions, second: Predictions, weights: np.ndarray | None = None) -> Choice:
    """Compare two models by what decides for their task: their losses, or 1 - headline if `Task.kept_by_headline`.

    Args:
        first: predictions of one model on validation, at temperature 1.
        second: predictions of the other model on the same examples; the order may differ.
        weights: `(N,)`, weight of each example, in the order of `first`; None for equal weights.
    """
    if not first.task.kept_by_headline:
        return compare_losses(first, second, weights)
    second, share = _in_order_of(first, second), _shares(first, weights)
    low, high = paired_interval(first, second, first.task.headline.metric, weights=share)
    return Choice(error_as_shipped(first, share), error_as_shipped(second, share), -high, -low, len(first))


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
    second, share = _in_order_of(first, second), _shares(first, weights)
    first_losses, second_losses = (share * losses_as_shipped(table) for table in (first, second))
    low, high = mean_interval(first_losses - second_losses, groups=first.groups)
    return Choice(float(first_losses.mean()), float(second_losses.mean()), low, high, len(first))


def error_as_shipped(table: Predictions, weights: np.ndarray | None = None) -> float:
    """Return 1 - headline, which decides between models of a task with `Task.kept_by_headline`.

    Args:
        table: predictions of a model on validation, at temperature 1.
        weights: `(N,)`, weight of each example; None for equal weights.
    """
    statistic, share = table.task.statistic(table.logits, table.labels), _shares(table, weights)
    return 1 - float(statistic(share[None])[table.task.headline.metric][0])


def losses_as_shipped(table: Predictions) -> np.ndarray:
    """Return the loss of each example, `(N,)` float64, at the temperature fitted on the same examples."""
    shipped = table.at(fit_temperature(table).temperature)
    return shipped.losses()


def _in_order_of(first: Predictions, second: Predictions) -> Predictions:
    order = np.argsort(second.ids)
    return second.take(order[np.searchsorted(second.ids, first.ids, sorter=order)])


def _shares(table: Predictions, weights: np.ndarray | None) -> np.ndarray:
    return np.ones(len(table)) if weights is None else np.asarray(weights, np.float64) / np.mean(weights)
