"""How many images to run together, found by trying: it depends on the runtime more than on the network."""

import time
from collections.abc import Callable

import numpy as np

ROUNDS = 4
TOLERANCE = 1.1  # what a smaller batch, which answers sooner, may cost


def best_batch_size(
    predict: Callable[[np.ndarray], np.ndarray],
    image: np.ndarray,
    max_batch_size: int,
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """Return the smallest batch size that costs at most a tenth more time an image than the best.

    TensorFlow spends most of a small network's time on starting its operations, and gains several times from batches.
    LiteRT and ONNX Runtime gain little, and lose where a batch outgrows the processor's cache.

    Args:
        predict: images `(N, H, W, 3)` to rows `(N, C)`.
        image: `(H, W, 3)`.
        max_batch_size: sizes 1, 2, 4, ... up to it are tried, and it itself.
        clock: returns seconds.

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
            if number:  # the first time of every size takes longer
                seconds[size] = min(seconds[size], (clock() - begin) / size)
    return next(size for size in sizes if seconds[size] <= TOLERANCE * min(seconds.values()))
