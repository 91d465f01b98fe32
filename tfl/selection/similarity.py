"""How alike two representations of the same examples are."""

import numpy as np


def linear_cka(first: np.ndarray, second: np.ndarray) -> float:
    """Return linear CKA, the centred kernel alignment of two representations.

    It is 1 if one is the other, but turned or scaled.

    With centred X and Y it is |Yᵀ X|² / (|Xᵀ X| |Yᵀ Y|) in Frobenius norms, computed from the N x N kernels.

    Args:
        first: X, `(N, ...)`; all axes but the first are features.
        second: Y, `(N, ...)`, of the same examples.

    Returns:
        From 0 to 1; NaN if all rows of one are the same. With fewer examples than features it is larger than it
        would be with many examples.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(20, 3))
        >>> round(linear_cka(x, 2 * x[:, ::-1] + 1), 6)
        1.0

    Reference:
        Kornblith, Norouzi, Lee and Hinton 2019, Similarity of neural network representations revisited,
        arXiv:1905.00414.
    """
    kernels = [_kernel(values) for values in (first, second)]
    norms = [float(np.linalg.norm(kernel)) for kernel in kernels]
    return float(np.sum(kernels[0] * kernels[1]) / (norms[0] * norms[1])) if min(norms) > 0 else float("nan")


def _kernel(values: np.ndarray) -> np.ndarray:
    flat = np.asarray(values, np.float64).reshape(len(values), -1)
    centred = flat - flat.mean(axis=0)
    return centred @ centred.T
