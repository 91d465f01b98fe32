"""Measure the best batch size; it depends more on the runtime than on the network."""

import time
from collections.abc import Callable

import numpy as np

ROUNDS = 4
TOLERANCE = 1.1  # a smaller batch answers sooner, so it may take up to this factor more time per image


def best_batch_size(
    predict: Callable[[np.ndarray], np.ndarray],
    image: np.ndarray,
    max_batch_size: int,
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """Return the smallest batch size that takes at most 10 % more time per image than the fastest size.

    For a small network TensorFlow spends most of its time on starting operations, so batches make it several times
    faster. LiteRT and ONNX Runtime gain little, and they are slower if a batch does not fit into the processor's cache.

    Args:
        predict: a function from images `(N, H, W, 3)` to rows `(N, C)`.
        image: one image, `(H, W, 3)`.
        max_batch_size: the largest size; the sizes 1, 2, 4, ... below it are tried, too.
        clock: returns the time in seconds.

    Returns:
        A size from 1 to `max_batch_size`.
    """
    sizes = sorted({min(1 << power, max_batch_size) for power in range(max_batch_size.bit_length() + 1)})
    seconds = dict.fromkeys(sizes, float("inf"))
    for number in range(1 + ROUNDS):
        for size in sizes:
            batch = np.stack([image] * size)
            begin = clock()
            predict(batch)
            if number:  # the first run of every size is slower and does not count
                seconds[size] = min(seconds[size], (clock() - begin) / size)
    return next(size for size in sizes if seconds[size] <= TOLERANCE * min(seconds.values()))
