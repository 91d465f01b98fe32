"""Draw the resampled tables of a bootstrap: how often each example occurs in each table."""

from collections.abc import Iterator

import numpy as np

CELLS = 2_000_000  # limit of the counts in memory at once


def draw_counts(num_examples: int, num_resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield how often each example is drawn in each resampled table, float64 `(b, N)`, in blocks of b tables."""
    rng = np.random.default_rng(seed)
    block = max(1, CELLS // num_examples)
    for start in range(0, num_resamples, block):
        size = min(block, num_resamples - start)
        drawn = rng.integers(0, num_examples, (size, num_examples), dtype=np.int32)
        drawn += np.arange(size, dtype=np.int32)[:, None] * num_examples
        yield np.bincount(drawn.ravel(), minlength=drawn.size).reshape(size, num_examples).astype(np.float64)
