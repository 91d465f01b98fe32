"""The size of batches, against clocks whose best size is known."""

import numpy as np
import pytest

from tfl.serving.tuning import best_batch_size

IMAGE = np.zeros((2, 2, 3), np.uint8)


def choose(cost, max_batch_size=32):
    """Choose for a network that takes `cost(N)` seconds for N images, and a hundred times that for the first."""
    now, seen = [0.0], []

    def predict(images):
        now[0] += cost(len(images)) * (1 if len(images) in seen else 100)
        seen.append(len(images))
        return images[:, 0, 0]

    return best_batch_size(predict, IMAGE, max_batch_size, lambda: now[0]), set(seen)


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        (lambda n: 5 + n, 32),  # starting costs much
        (lambda n: n, 1),  # it costs nothing
        (lambda n: 0.5 + n, 8),  # 1.0625 for each of 8, 1.016 for each of 32
        (lambda n: 2 + n if n <= 8 else 3 * n, 8),  # large batches outgrow the cache
    ],
)
def test_the_smallest_size_that_is_nearly_the_best(cost, expected):
    assert choose(cost)[0] == expected


def test_no_size_above_the_limit_is_tried():
    assert choose(lambda n: 5 + n, 1) == (1, {1})
    assert choose(lambda n: 5 + n, 12) == (12, {1, 2, 4, 8, 12})
    assert choose(lambda n: 5 + n, 2) == (2, {1, 2})
