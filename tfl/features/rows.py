"""Read features for the solver of the head: centred, weighted, in blocks, along their principal axes.

A pass runs on a few Python threads, each with single-threaded linear algebra. The threads of the linear algebra
library itself synchronise at every product and keep a core busy while they wait. On shared cores they were measured
to need up to 100 times the work.

Along the axes of the covariance V S Vᵀ the curvature of every loss in tfl is close to a multiple of S, so one
decomposition preconditions the problem for every λ. The rotation does not change the penalty: ‖V C‖ = ‖C‖.
"""

import functools
import itertools
import operator
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import threadpoolctl

from tfl.errors import InputError

BLOCK_ELEMENTS = 2**20  # 4 MB of float32: a block stays in the cache between the products that read it
MEMORY_ELEMENTS = 2**24  # smaller features are rotated once, in float64: 128 MB
HELD_ELEMENTS = 2**28  # smaller features are read from disk once and kept in memory: 1 GiB of float32
SAMPLE_ROWS = 8  # times D; this many rows estimate the covariance well enough for preconditioning
MAX_AXES = 4096  # a covariance of more columns would take gigabytes
MAX_THREADS = 8  # each thread sums its own covariance


Sum = Callable[[list[Any]], list[Any]]  # from the values of this worker to the sums over all workers


def alone(values: list[Any]) -> list[Any]:
    """Return the sums over all workers if there is only one worker: the values themselves."""
    return values


class Rows:
    """Features that every pass reads block by block.

    With several workers each worker has some of the rows, and every pass ends with a sum over all workers.

    Features on disk are held in memory up to a limit, because a pass over rows on disk takes two to three times as
    long. Above the limit, the memory does not grow with the number of rows. Products are computed in float32 and
    summed in float64.

    Attributes:
        features: any object with `len`, `.shape` and `[slice]`.
        weights: `(N,)` float64; sum 1.
        mean: `(D,)` float64, weighted.
        axes: `(D, R)` float64 with orthonormal columns; None for the original columns of the features.
        spectrum: `(R,)` float64, the variance along each axis; estimated from a sample of the rows.
        total_variance: exact total variance of the features.
    """

    dtype = np.float32

    def __init__(self, features: Any, weights: np.ndarray, sample_rows: int, over_workers: Sum = alone) -> None:
        self.features, self.weights, self.over_workers = features, weights, over_workers
        self.mean, variance, covariance = _moments(features, weights, sample_rows, over_workers)
        self.total_variance = float(variance.sum())
        self.axes, self.spectrum = _principal_axes(covariance) if covariance.size else (None, variance)

    def sum(self, function: Callable[[slice], tuple[Any, ...]]) -> list[Any]:
        """Return the sums of the results of `function` for ranges of rows, over all rows of all workers."""
        return self.over_workers(sum_in_parts(self.features, function))

    def blocks(self, part: slice) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield ranges of rows within a part, with the block that `expand`ed weights are multiplied with.

        A block is valid only until the next one.
        """
        buffer = np.empty((_block_rows(self.features), len(self.mean)), self.dtype)  # new memory would be slower
        for rows, block in read_blocks(self.features, part):
            out = buffer[: len(block)]
            yield rows, np.subtract(block, self.mean.astype(block.dtype), out=out, casting="same_kind")

    def expand(self, coordinates: np.ndarray) -> np.ndarray:
        """Return weights for the columns of the blocks, `(D, K)`, from `(R, K)` coordinates along the axes."""
        return self.to_kernel(coordinates)

    def project(self, kernel: np.ndarray) -> np.ndarray:
        """Return `(R, K)` coordinates along the axes from a kernel in the columns of the blocks."""
        return kernel if self.axes is None else self.axes.T @ kernel

    def to_kernel(self, coordinates: np.ndarray) -> np.ndarray:
        """Return a kernel `(D, K)` in the features' original columns, from `(R, K)` coordinates along the axes."""
        return coordinates if self.axes is None else self.axes @ coordinates


class TurnedRows(Rows):
    """Features that fit in memory: rotated onto their principal axes once, in float64.

    If there are fewer rows than columns, the optimum lies in the span of the rows. The problem then has N dimensions
    instead of D, with the same optimum.
    """

    dtype = np.float64

    def __init__(self, features: Any, weights: np.ndarray) -> None:
        self.weights, self.over_workers = weights, alone
        centred = np.array(features[:], np.float64)
        if not np.isfinite(centred).all():
            raise _not_finite()
        self.mean = weights @ centred
        centred -= self.mean
        span = None
        if centred.shape[0] < centred.shape[1]:
            span, triangle = np.linalg.qr(centred.T)
            centred = triangle.T
        scaled = centred * np.sqrt(weights)[:, None]
        axes, self.spectrum = _principal_axes(scaled.T @ scaled)
        self.features = centred @ axes
        self.axes = axes if span is None else span @ axes
        self.total_variance = float(self.spectrum.sum())

    def blocks(self, part: slice) -> Iterator[tuple[slice, np.ndarray]]:
        return read_blocks(self.features, part)

    def expand(self, coordinates: np.ndarray) -> np.ndarray:
        return coordinates

    def project(self, kernel: np.ndarray) -> np.ndarray:
        return kernel


def fits_in_memory(num_rows: int, dim: int) -> bool:
    """Return whether the features are small enough to be rotated onto their axes in the memory of one worker."""
    return num_rows * dim <= MEMORY_ELEMENTS


def make_rows(features: Any, weights: np.ndarray, *, exact_spectrum: bool = False, over_workers: Sum = alone) -> Rows:
    """Prepare features for the solver in the way that suits their size.

    Args:
        features: `(N, D)`, any object with `len`, `.shape` and `[slice]`.
        weights: `(N,)` float64; sum 1.
        exact_spectrum: compute the covariance over all rows. This is useful for ridge regression, which is then solved
            in one step.
        over_workers: sums values over several workers, each of which has some of the rows.

    Raises:
        InputError: a feature is NaN or infinite.
    """
    num_rows, dim = features.shape
    if over_workers is alone and fits_in_memory(num_rows, dim):
        return TurnedRows(features, weights)
    if num_rows * dim <= HELD_ELEMENTS and not isinstance(features, np.ndarray):
        features = _hold(features)
    return Rows(features, weights, num_rows if exact_spectrum else SAMPLE_ROWS * dim, over_workers)


def read_once(features: Any) -> Any:
    """Return features that several passes read: those of a file, or that are computed, as an array if they are few."""
    few = fits_in_memory(*features.shape)
    return _hold(features) if few and len(features) and not isinstance(features, np.ndarray) else features


def _hold(features: Any) -> np.ndarray:
    """Read all features into one array, without a second copy in memory."""
    (_, first), *_ = read_blocks(features, slice(0, 1))
    values = np.empty(features.shape, first.dtype)
    for rows, block in read_blocks(features, slice(0, len(features))):
        values[rows] = block
    return values


def read_blocks(features: Any, part: slice) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield ranges of rows within a part with their features, float32 or float64, a few megabytes at a time."""
    step = _block_rows(features)
    for start in range(part.start, part.stop, step):
        rows = slice(start, min(start + step, part.stop))
        block = np.asarray(features[rows])
        yield rows, block.astype(np.result_type(block, np.float32), copy=False)


def _block_rows(features: Any) -> int:
    return max(1, BLOCK_ELEMENTS // features.shape[1])


def sum_in_parts(features: Any, function: Callable[[slice], tuple[Any, ...]]) -> list[Any]:
    """Return the sums of the results of `function` over all rows, divided into one range of rows for each thread."""
    num_rows, dim = features.shape
    number = min(_num_threads(), -(-num_rows * dim // BLOCK_ELEMENTS))
    if number == 1:
        return list(function(slice(0, num_rows)))
    bounds = np.linspace(0, num_rows, 1 + number, dtype=int)
    parts = [slice(int(start), int(stop)) for start, stop in itertools.pairwise(bounds)]
    results = _pool().map(function, parts)
    return [functools.reduce(operator.add, values) for values in zip(*results, strict=True)]


def single_threaded() -> AbstractContextManager[Any]:
    """Return a context in which linear algebra runs only on the thread that calls it."""
    return _libraries().limit(limits=1, user_api="blas")


@functools.cache
def _libraries() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController()  # inspects every loaded library, which takes milliseconds


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_num_threads())


def _num_threads() -> int:
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(available, MAX_THREADS)


def _moments(
    features: Any, weights: np.ndarray, sample_rows: int, over_workers: Sum
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean and variance `(D,)`, and the covariance `(D, D)` of about `sample_rows` rows, in one pass.

    The rows are drawn at random, because the order of the data may be periodic, and every n-th row would then not be
    representative. With too many columns the covariance is empty.
    """
    num_rows, dim = features.shape
    size = dim if dim <= MAX_AXES else 0
    first = next(read_blocks(features, slice(0, num_rows)))[1]
    shift, workers = over_workers([first.mean(axis=0), 1.0])
    shift = (shift / workers).astype(first.dtype)  # close to the mean, which avoids cancellation

    def sum_part(part: slice) -> tuple[Any, ...]:
        rng = np.random.default_rng(part.start)
        mean, square, covariance, sampled = np.zeros(dim), np.zeros(dim), np.zeros((size, size)), 0.0
        for rows, block in read_blocks(features, part):
            if not np.isfinite(block).all():
                raise _not_finite()
            block = block - shift
            block *= np.sqrt(weights[rows, None]).astype(block.dtype)
            mean += np.sqrt(weights[rows]).astype(block.dtype) @ block
            square += np.einsum("nd,nd->d", block, block)
            drawn = rng.random(len(block)) * num_rows <= sample_rows
            covariance += block[drawn, :size].T @ block[drawn, :size]
            sampled += float(weights[rows][drawn].sum())
        return mean, square, covariance, sampled

    mean, square, covariance, sampled = over_workers(sum_in_parts(features, sum_part))
    covariance = covariance / max(sampled, 1e-12) - np.outer(mean[:size], mean[:size])
    return mean + shift, np.maximum(square - mean**2, 0.0), covariance


def _principal_axes(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    spectrum, axes = np.linalg.eigh(covariance)
    return axes, np.maximum(spectrum, 0.0)


def _not_finite() -> InputError:
    return InputError("`features` must be finite numbers. Received: some NaN or infinity.")
