"""Advise on one of several measured networks: which ones no other beats in everything, and which one to take."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np


class Measured(Protocol):
    """A network with its quality and its costs."""

    @property
    def label(self) -> str: ...
    @property
    def metric(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def milliseconds(self) -> float: ...
    @property
    def parameters(self) -> int: ...
    @property
    def imagenet(self) -> float: ...


Measured_ = TypeVar("Measured_", bound=Measured)


def on_front(metrics: Sequence[float], costs: Sequence[float]) -> np.ndarray:
    """Return which networks are on the Pareto front: no other is better at no more cost, or cheaper and as good.

    Args:
        metrics: N values, higher is better.
        costs: N values, lower is better.

    Returns:
        `(N,)` bool.

    Example:
        >>> on_front([0.9, 0.8, 0.7], [3.0, 1.0, 2.0]).tolist()
        [True, True, False]
    """
    quality, cost = np.asarray(metrics, float), np.asarray(costs, float)
    as_good = (quality[None] >= quality[:, None]) & (cost[None] <= cost[:, None])
    better = (quality[None] > quality[:, None]) | (cost[None] < cost[:, None])
    return np.logical_not(np.any(as_good & better, axis=1))


def advise(ranked: Sequence[Measured], *, max_latency_ms: float = 0.0, max_parameters: int = 0) -> str:
    """Return one sentence: the first network of a ranking within the limits, and a cheaper one that may be as good.

    Args:
        ranked: networks, best first.
        max_latency_ms: longest time of an example; 0: no limit.
        max_parameters: largest number of parameters; 0: no limit.
    """
    limits = {"milliseconds": max_latency_ms or np.inf, "parameters": max_parameters or np.inf}
    within = [one for one in ranked if all(getattr(one, name) <= limit for name, limit in limits.items())]
    if not within:
        nearest = min(ranked, key=lambda one: max(getattr(one, name) / limit for name, limit in limits.items()))
        return f"No network is within the limits. The nearest is {_costs(nearest)}."
    best = within[0]
    cheaper = [one for one in within[1:] if one.milliseconds < best.milliseconds and _overlap(one, best)]
    if not cheaper:
        return f"Take {_costs(best)}."
    other = min(cheaper, key=lambda one: one.milliseconds)
    return f"Take {_costs(best)}. {_costs(other)} is cheaper, and its interval overlaps with that of the best."


def fixed_order(ranked: Sequence[Measured_]) -> list[Measured_]:
    """Return the networks by their published accuracy on ImageNet, best first; those without one are left out."""
    return sorted((one for one in ranked if not np.isnan(one.imagenet)), key=lambda one: -one.imagenet)


def compare_with_fixed_order(ranked: Sequence[Measured]) -> str:
    """Return one sentence: which network the published accuracy would choose, and how good it is here.

    Args:
        ranked: networks, best first.
    """
    order = fixed_order(ranked)
    if len(order) < 2:
        return ""
    chosen, best = order[0], ranked[0]
    by_order = f"By its published accuracy on ImageNet, {chosen.label} ({chosen.imagenet:.3f}) would be chosen"
    if chosen is best:
        return f"{by_order}, too."
    return f"{by_order}: {_with_interval(chosen)} here, against {_with_interval(best)} of {best.label}."


def _with_interval(one: Measured) -> str:
    return f"{one.metric:.4f} ({one.low:.4f} to {one.high:.4f})"


def _overlap(one: Measured, other: Measured) -> bool:
    return one.low <= other.high and other.low <= one.high


def _costs(one: Measured) -> str:
    return f"{one.label} ({one.metric:.4f}, {one.milliseconds:.1f} ms, {one.parameters:,} parameters)"
