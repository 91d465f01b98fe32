"""Advice on measured networks: the Pareto front against its definition, limits, and cheaper networks."""

import dataclasses

import numpy as np

from tfl.selection.advice import advise, compare_with_fixed_order, fixed_order, on_front


@dataclasses.dataclass(frozen=True)
class Network:
    label: str
    metric: float
    milliseconds: float
    parameters: int
    imagenet: float = float("nan")

    @property
    def low(self):
        return self.metric - 0.03

    @property
    def high(self):
        return self.metric + 0.03


BIG = Network("big", 0.95, 20.0, 4_000_000)
MIDDLE = Network("middle", 0.91, 5.0, 900_000)
SMALL = Network("small", 0.7, 1.0, 90)
RANKED = [BIG, MIDDLE, SMALL]


def test_the_front_is_what_nothing_beats():
    rng = np.random.default_rng(0)
    metrics, costs = rng.integers(0, 5, 40) / 5, rng.integers(0, 5, 40)
    expected = [
        not any(m >= own_m and c <= own_c and (m > own_m or c < own_c) for m, c in zip(metrics, costs, strict=True))
        for own_m, own_c in zip(metrics, costs, strict=True)
    ]
    assert on_front(metrics, costs).tolist() == expected and 0 < sum(expected) < 40


def test_the_best_is_advised_with_a_cheaper_one_that_may_be_as_good():
    assert advise(RANKED) == (
        "Take big (0.9500, 20.0 ms, 4,000,000 parameters). middle (0.9100, 5.0 ms, 900,000 parameters) is cheaper, and "
        "its interval overlaps with that of the best."
    )
    assert "cheaper" not in advise([BIG, SMALL])


def test_limits_leave_out_what_costs_more_and_name_the_nearest_if_nothing_is_left():
    assert advise(RANKED, max_latency_ms=6).startswith("Take middle")
    assert advise(RANKED, max_parameters=1000).startswith("Take small")
    none = advise(RANKED, max_latency_ms=0.5, max_parameters=10**9)
    assert none == "No network is within the limits. The nearest is small (0.7000, 1.0 ms, 90 parameters)."


def test_the_fixed_order_is_that_of_the_published_accuracy():
    known = [dataclasses.replace(one, imagenet=value) for one, value in ((BIG, 0.6), (MIDDLE, 0.7))]
    assert [one.label for one in fixed_order([*known, SMALL])] == ["middle", "big"]
    assert compare_with_fixed_order([*known, SMALL]) == (
        "By its published accuracy on ImageNet, middle (0.700) would be chosen: 0.9100 (0.8800 to 0.9400) here, "
        "against 0.9500 (0.9200 to 0.9800) of big."
    )
    assert compare_with_fixed_order(known[::-1]).endswith("middle (0.700) would be chosen, too.")
    assert compare_with_fixed_order([BIG, *known[:1]]) == ""  # one alone has no order
