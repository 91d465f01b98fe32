"""Sufficient statistics of ridge regression: sums over the examples that give the solution without the examples.

Examples are added and removed by addition and subtraction, and the result is that of all remaining examples at once.
The features are counted from an origin near their mean, because sums of products of large numbers with small
differences would lose digits. All sums are float64.
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import scipy.linalg

from tfl.data.labels import as_labels
from tfl.errors import InputError
from tfl.features.probe import HeadSolution
from tfl.features.rows import MAX_AXES, read_blocks, single_threaded, sum_in_parts

_SUMS = ("total", "sums", "products", "cross", "targets", "squares")


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Sums over examples with features x (D values), targets y (K values) and weights w.

    Attributes:
        names: of the K targets.
        origin: `(D,)`, the point c from which the features are counted.
        count: number of examples.
        total: Σ w.
        sums: `(D,)`, Σ w (x - c).
        products: `(D, D)`, Σ w (x - c) (x - c)ᵀ.
        cross: `(D, K)`, Σ w (x - c) yᵀ.
        targets: `(K,)`, Σ w y.
        squares: `(K,)`, Σ w y².

    Example:
        >>> targets = np.eye(3)[labels]
        >>> known = Statistics.of(features[:30], targets[:30], ("ant", "bee", "wasp"))
        >>> known = known.add(features[30:], targets[30:]).remove(features[:2], targets[:2])
        >>> known.count == len(labels) - 2
        True
    """

    names: tuple[str, ...]
    origin: np.ndarray
    count: int
    total: float
    sums: np.ndarray
    products: np.ndarray
    cross: np.ndarray
    targets: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(
        cls,
        features: Any,
        targets: np.ndarray,
        names: Sequence[str],
        weights: np.ndarray | None = None,
        origin: np.ndarray | None = None,
    ) -> Self:
        """Return the statistics of some examples, read in blocks.

        Args:
            features: `(N, D)`, an array or any object with `len`, `.shape` and `[slice]`.
            targets: `(N, K)`.
            names: of the K targets.
            weights: `(N,)`; None: 1 for each example.
            origin: `(D,)`; None: the mean of the first block.

        Raises:
            InputError: a feature is not finite, or there are more than 4,096 features of an example.
        """
        targets = np.asarray(as_labels(targets), np.float64).reshape(len(targets), -1)
        weights = np.ones(len(targets)) if weights is None else np.asarray(weights, np.float64)
        if features.shape[1] > MAX_AXES:
            raise InputError(
                f"`probe.solver` must be 'lbfgs' for more than {MAX_AXES:,} features of an example, because ridge has "
                f"a square table of them. Received: {features.shape[1]:,} features."
            )
        if origin is None:
            first = next(read_blocks(features, slice(0, len(targets))))[1]
            origin = np.array(first.mean(axis=0), np.float64)
        dim, outputs = features.shape[1], targets.shape[1]

        def sum_part(part: slice) -> tuple[Any, ...]:
            sums = _zeros(dim, outputs)
            for rows, block in read_blocks(features, part):
                if not np.isfinite(block).all():
                    raise InputError("`features` must be finite numbers. Received: some NaN or infinity.")
                root = np.sqrt(weights[rows])[:, None]
                x, y = (block - origin) * root, targets[rows] * root
                parts = (weights[rows].sum(), root[:, 0] @ x, x.T @ x, x.T @ y, root[:, 0] @ y, np.sum(y**2, axis=0))
                sums = [first + second for first, second in zip(sums, parts, strict=True)]
            return tuple(sums)

        with single_threaded():
            found = sum_in_parts(features, sum_part) if len(targets) else _zeros(dim, outputs)
        return cls(tuple(names), origin, len(targets), float(found[0]), *found[1:])

    def add(self, features: Any, targets: np.ndarray, weights: np.ndarray | None = None) -> Self:
        """Return the statistics with more examples; arguments as for `of`."""
        return self._plus(Statistics.of(features, targets, self.names, weights, self.origin), 1)

    def remove(self, features: Any, targets: np.ndarray, weights: np.ndarray | None = None) -> Self:
        """Return the statistics without some of their examples; features, targets and weights as they were added."""
        return self._plus(Statistics.of(features, targets, self.names, weights, self.origin), -1)

    def merge(self, other: "Statistics") -> Self:
        """Return the statistics of the examples of both; the names must be the same.

        Raises:
            ValueError: the names differ.
        """
        if other.names != self.names:
            raise ValueError(f"`other` must have the targets {self.names}. Received: {other.names}.")
        return self._plus(other.from_origin(self.origin), 1)

    def _plus(self, other: "Statistics", sign: int) -> Self:
        sums = {name: getattr(self, name) + sign * getattr(other, name) for name in _SUMS}
        return dataclasses.replace(self, count=self.count + sign * other.count, **sums)

    def from_origin(self, origin: np.ndarray) -> Self:
        """Return the same statistics, counted from another origin."""
        shift = self.origin - origin
        outer = np.outer(self.sums, shift)
        return dataclasses.replace(
            self,
            origin=origin,
            sums=self.sums + self.total * shift,
            products=self.products + outer + outer.T + self.total * np.outer(shift, shift),
            cross=self.cross + np.outer(shift, self.targets),
        )

    def with_names(self, names: Sequence[str]) -> Self:
        """Return the statistics with the targets in another order, and with new ones that are 0 for all examples.

        A class that no example had until now is such a target. A target that is left out must be 0 for all examples.

        Args:
            names: of all targets.
        """
        place = {name: number for number, name in enumerate(self.names)}
        old = [place[name] for name in names if name in place]
        new = [number for number, name in enumerate(names) if name in place]
        changed = {}
        for field in ("cross", "targets", "squares"):
            values = np.zeros((*getattr(self, field).shape[:-1], len(names)))
            values[..., new] = getattr(self, field)[..., old]
            changed[field] = values
        return dataclasses.replace(self, names=tuple(names), **changed)

    def standardized(self, mean: np.ndarray, scale: np.ndarray) -> Self:
        """Return the statistics of the targets (y - mean) / scale."""
        centred = self.squares - 2.0 * mean * self.targets + self.total * mean**2
        return dataclasses.replace(
            self,
            cross=(self.cross - np.outer(self.sums, mean)) / scale,
            targets=(self.targets - self.total * mean) / scale,
            squares=centred / scale**2,
        )

    def moments(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the weighted means of features and targets, and the covariance of the features and with the targets.

        Returns:
            `(D,)`, `(K,)`, `(D, D)` and `(D, K)`.
        """
        offset, targets = self.sums / self.total, self.targets / self.total
        covariance = self.products / self.total - np.outer(offset, offset)
        return self.origin + offset, targets, covariance, self.cross / self.total - np.outer(offset, targets)

    def solve(self, l2: float) -> HeadSolution:
        """Return the linear head with the smallest weighted mean squared error plus λ ‖W‖².

        The error is averaged over the targets, as everywhere in tfl, and the bias is not penalised:
        W = (S + λ K I)⁻¹ C with the covariances S of the features and C with the targets.

        Args:
            l2: λ > 0.
        """
        mean, targets, covariance, cross = self.moments()
        penalty = l2 * len(targets)
        with single_threaded():
            factor = scipy.linalg.cho_factor(covariance + penalty * np.eye(len(mean)), check_finite=False)
            kernel = scipy.linalg.cho_solve(factor, cross)
            product = covariance @ kernel
        variance = self.squares / self.total - targets**2
        error = variance - 2.0 * np.sum(kernel * cross, axis=0) + np.sum(kernel * product, axis=0)
        gradient = 2.0 / len(targets) * (product + penalty * kernel - cross)
        objective = float(error.mean() + l2 * np.vdot(kernel, kernel))
        return HeadSolution(kernel, targets - mean @ kernel, float(l2), objective, float(np.abs(gradient).max()))

    def digest(self) -> str:
        """Return the SHA-256 of all values."""
        digest = hashlib.sha256("\0".join(self.names).encode())
        for name in ("origin", "count", *_SUMS):
            digest.update(np.ascontiguousarray(getattr(self, name), np.float64).tobytes())
        return digest.hexdigest()


def _zeros(dim: int, outputs: int) -> list[Any]:
    return [
        0.0, np.zeros(dim), np.zeros((dim, dim)), np.zeros((dim, outputs)), np.zeros(outputs), np.zeros(outputs)
    ]  # fmt: skip
