"""The order of an epoch: a pure function of (seed, epoch), with every example once, or equally many of each class."""

import numpy as np

_AGAIN = 2**40  # a draw is the row plus this number times the earlier draws of the same example in the epoch


def epoch_order(rows: np.ndarray, seed: int, epoch: int, classes: np.ndarray | None = None) -> np.ndarray:
    """Return the draws of an epoch: `rows` in another order, or as many draws with the classes in equal parts.

    With classes, an example of a class that is smaller than its part is drawn again only after all examples of its
    class have been drawn; of a larger class, the epoch has a random part. If the number of draws cannot be divided by
    the number of classes, chance decides which classes get one more.

    Args:
        rows: int64 `(N,)`.
        seed: of the run.
        epoch: from 0.
        classes: `(N,)`, the class of each row; None: every row once.

    Returns:
        int64 `(N,)`. `split_draws` returns the row of each draw, which is the draw itself unless it is a repetition.

    Example:
        >>> draws = epoch_order(np.arange(6), seed=0, epoch=0, classes=np.array([0, 0, 0, 0, 0, 1]))
        >>> np.bincount(split_draws(draws)[0] == 5)  # half of the draws are of the only example of class 1
        array([3, 3])
    """
    rng = np.random.default_rng((seed, epoch))
    if classes is None:
        return rng.permutation(rows)
    found = np.unique(classes)
    base, extra = divmod(len(rows), len(found))
    parts = base + (rng.permutation(len(found)) < extra)
    draws = [_draw(rng.permutation(rows[classes == one]), part) for one, part in zip(found, parts, strict=True)]
    return rng.permutation(np.concatenate(draws))


def _draw(members: np.ndarray, count: int) -> np.ndarray:
    again, place = np.divmod(np.arange(count), len(members))
    return members[place] + again * _AGAIN


def split_draws(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the row of each draw, and how often the epoch has drawn its example before, both int64 `(N,)`."""
    again, rows = np.divmod(np.asarray(draws, np.int64), _AGAIN)
    return rows, again
