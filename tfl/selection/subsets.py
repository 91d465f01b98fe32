"""Nested subsets of labelled examples: what a person who had labelled fewer of them would have."""

import numpy as np


def entry_sizes(labels: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """Return for each example the smallest number of labels a class whose subset has it.

    The subset of n labels a class has the examples with an entry size of at most n. So the subset of a smaller number
    is always part of that of a larger one. Each class has n examples in it, or all of its examples if it has fewer. A
    group is never divided: it comes with its first example, so that a class may have more than n.

    Args:
        labels: `(N,)` class numbers.
        groups: `(N,)` numbers, equal for examples that must stay together.
        seed: of the random order of the groups.

    Returns:
        int64 `(N,)`, from 1 to the number of examples of the largest class.

    Example:
        >>> sizes = entry_sizes(np.array([0, 0, 0, 1, 1]), np.arange(5), seed=0)
        >>> sorted(sizes.tolist())
        [1, 1, 2, 2, 3]
    """
    unit = np.unique(groups, return_inverse=True)[1].reshape(-1)
    place = np.random.default_rng(seed).permutation(int(unit.max()) + 1)[unit]
    entry = np.empty(len(labels), np.int64)
    for number in np.unique(labels):
        own = labels == number
        entry[own] = 1 + np.searchsorted(np.sort(place[own]), place[own])
    first = np.full(int(unit.max()) + 1, len(labels), np.int64)
    np.minimum.at(first, unit, entry)
    return first[unit]


def default_sizes(largest: int) -> list[int]:
    """Return 1, 2, 5, 10, 20, 50 and so on below the number of examples of the largest class, and that number itself.

    Example:
        >>> default_sizes(30)
        [1, 2, 5, 10, 20, 30]
    """
    steps = [factor * 10**power for power in range(len(str(largest))) for factor in (1, 2, 5)]
    return [*(size for size in steps if size < largest), largest]
