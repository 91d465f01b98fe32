"""Features as the head's solver reads them: centred, weighted, in blocks, along their principal axes.

A pass runs on a few Python threads, each with single-threaded linear algebra. The threads of the linear
algebra itself meet at every product and spin while they wait: where cores are shared they were measured at up to
100 times the work.

Along the axes of the covariance V S Vᵀ the curvature of every loss here is close to a multiple of S, so one
decomposition conditions the problem for each λ. The penalty does not see the rotation: ‖V C‖ = ‖C‖.
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
MEMORY_ELEMENTS = 2**24  # up to here the features are turned once, in float64: 128 MB
HELD_ELEMENTS = 2**28  # up to here stored features are read once: 1 GiB of float32
SAMPLE_ROWS = 8  # times D: so many rows give the covariance closely enough to condition with
MAX_AXES = 4096  # a covariance of more would take gigabytes
MAX_THREADS = 8  # each sums a covariance of its own


Sum = Callable[[list[Any]], list[Any]]  # from what this worker has to the sums over all of them


def alone(values: list[Any]) -> list[Any]:
    """Return the sums over all workers where there is no other."""
    return values


class Rows:
    """Features that are gone through block by block in every pass.

    With several workers each has some of the rows, and every pass ends in a sum over all.

    What is on disk is held in memory up to a bound, for a pass over stored rows takes two to three times as long;
    beyond it memory does not grow with their number. Products are taken in float32 and summed in float64.

    Attributes:
        features: anything with `len`, `.shape` and `[slice]`.
        weights: `(N,)` float64; sum 1.
        mean: `(D,)` float64, weighted.
        axes: `(D, R)` float64 with orthonormal columns; None: the features' own.
        spectrum: `(R,)` float64, the variance along each axis; estimated from a sample of the rows.
        total_variance: of the features, exact.
    """

    dtype = np.float32

    def __init__(self, features: Any, weights: np.ndarray, sample_rows: int, over_workers: Sum = alone) -> None:
        self.features, self.weights, self.over_workers = features, weights, over_workers
        self.mean, variance, covariance = _moments(features, weights, sample_rows, over_workers)
        self.total_variance = float(variance.sum())
        self.axes, self.spectrum = _principal_axes(covariance) if covariance.size else (None, variance)

    def sum(self, function: Callable[[slice], tuple[Any, ...]]) -> list[Any]:
        """Return the sums of what `function` gives for some ranges of rows, over all rows of all workers."""
        return self.over_workers(sum_in_parts(self.features, function))

    def blocks(self, part: slice) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield row ranges within a part, and what `expand`ed weights are multiplied with there, until the next."""
        buffer = np.empty((_block_rows(self.features), len(self.mean)), self.dtype)  # fresh memory is slower
        for rows, block in read_blocks(self.features, part):
            out = buffer[: len(block)]
            yield rows, np.subtract(block, self.mean.astype(block.dtype), out=out, casting="same_kind")

    def expand(self, coordinates: np.ndarray) -> np.ndarray:
        """Return `(D, K)` weights of the blocks' columns from `(R, K)` coordinates along the axes."""
        return self.to_kernel(coordinates)

    def project(self, kernel: np.ndarray) -> np.ndarray:
        """Return `(R, K)` coordinates along the axes of something in the blocks' columns."""
        return kernel if self.axes is None else self.axes.T @ kernel

    def to_kernel(self, coordinates: np.ndarray) -> np.ndarray:
        """Return `(D, K)` in the features' own columns, from `(R, K)` coordinates along the axes."""
        return coordinates if self.axes is None else self.axes @ coordinates


class TurnedRows(Rows):
    """Few features: turned onto their axes once, in float64.

    With fewer rows than columns the optimum lies in the span of the rows, so the problem has N dimensions
    instead of D; nothing is lost.
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
    """Say whether features are few enough to be turned onto their axes in one worker's memory."""
    return num_rows * dim <= MEMORY_ELEMENTS


def make_rows(features: Any, weights: np.ndarray, *, exact_spectrum: bool = False, over_workers: Sum = alone) -> Rows:
    """Prepare features for the solver, in the way that suits their size.

    Args:
        features: `(N, D)`, anything with `len`, `.shape` and `[slice]`.
        weights: `(N,)` float64; sum 1.
        exact_spectrum: take the covariance over all rows, as ridge regression is worth: it is then solved in one step.
        over_workers: sums over several workers that have some of the rows each.

    Raises:
        InputError: a feature is NaN or infinite.
    """
    num_rows, dim = features.shape
    if over_workers is alone and fits_in_memory(num_rows, dim):
        return TurnedRows(features, weights)
    if num_rows * dim <= HELD_ELEMENTS and not isinstance(features, np.ndarray):
        features = _hold(features)
    return Rows(features, weights, num_rows if exact_spectrum else SAMPLE_ROWS * dim, over_workers)


def _hold(features: Any) -> np.ndarray:
    """Read everything without holding it twice."""
    (_, first), *_ = read_blocks(features, slice(0, 1))
    values = np.empty(features.shape, first.dtype)
    for rows, block in read_blocks(features, slice(0, len(features))):
        values[rows] = block
    return values


def read_blocks(features: Any, part: slice) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield row ranges within a part and the features there, float32 or float64, a few megabytes at once."""
    step = _block_rows(features)
    for start in range(part.start, part.stop, step):
        rows = slice(start, min(start + step, part.stop))
        block = np.asarray(features[rows])
        yield rows, block.astype(np.result_type(block, np.float32), copy=False)


def _block_rows(features: Any) -> int:
    return max(1, BLOCK_ELEMENTS // features.shape[1])


def sum_in_parts(features: Any, function: Callable[[slice], tuple[Any, ...]]) -> list[Any]:
    """Return the sums of what `function` gives for some ranges that together are all rows, one a thread."""
    num_rows, dim = features.shape
    number = min(_num_threads(), -(-num_rows * dim // BLOCK_ELEMENTS))
    if number == 1:
        return list(function(slice(0, num_rows)))
    bounds = np.linspace(0, num_rows, 1 + number, dtype=int)
    parts = [slice(int(start), int(stop)) for start, stop in itertools.pairwise(bounds)]
    results = _pool().map(function, parts)
    return [functools.reduce(operator.add, values) for values in zip(*results, strict=True)]


def single_threaded() -> AbstractContextManager[Any]:
    """Return the setting for all that is done here: linear algebra on the thread that asks for it."""
    return _libraries().limit(limits=1, user_api="blas")


@functools.cache
def _libraries() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController()  # looks through every loaded library: milliseconds


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

    The rows are drawn at random: every n-th would meet a period in the order of the data. With too many
    columns the covariance is empty.
    """
    num_rows, dim = features.shape
    size = dim if dim <= MAX_AXES else 0
    first = next(read_blocks(features, slice(0, num_rows)))[1]
    shift, workers = over_workers([first.mean(axis=0), 1.0])
    shift = (shift / workers).astype(first.dtype)  # close to the mean: nothing cancels

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
    return InputError("`features` must be finite. Received: NaN or infinity among them.")
