"""Draw the resampled tables of a bootstrap: how often each example occurs in each table."""

from collections.abc import Iterator

import numpy as np

CELLS = 2_000_000  # limit of the counts in memory at once


def draw_counts(
    num_examples: int, num_resamples: int, seed: int, groups: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Yield how often each example is drawn in each resampled table, float64 `(b, N)`, in blocks of b tables.

    With groups whole groups are drawn (cluster bootstrap), because the examples of one group are alike. There are then
    as many draws as groups, so that the tables have different numbers of examples.

    Args:
        num_examples: N.
        num_resamples: number of resampled tables.
        seed: seed of the draws.
        groups: `(N,)`, equal for the examples of one group; None: every example is drawn alone.

    Reference:
        Field and Welsh 2007, Bootstrapping clustered data; Cameron, Gelbach and Miller 2008, Bootstrap-based
        improvements for inference with clustered errors.
    """
    rng = np.random.default_rng(seed)
    block = max(1, CELLS // num_examples)
    of_group = None if groups is None else np.unique(groups, return_inverse=True)[1].reshape(-1)
    num_units = num_examples if of_group is None else int(of_group.max()) + 1
    for start in range(0, num_resamples, block):
        size = min(block, num_resamples - start)
        drawn = rng.integers(0, num_units, (size, num_units), dtype=np.int32)
        drawn += np.arange(size, dtype=np.int32)[:, None] * num_units
        counts = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(size, num_units).astype(np.float64)
        yield counts if of_group is None else counts[:, of_group]
