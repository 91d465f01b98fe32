"""Solve the head by ridge regression, and choose λ by leave-one-out predictions in closed form.

The targets are 0 and 1 for classes and labels, and standardised values for a regression. The solution, and the
prediction of every example by the head of all others, come from one decomposition of the covariance of the features:
with the hat matrix H of the solution and the residuals r, the residuals of a group G that is left out are
(I - H_GG)⁻¹ r_G.

The outputs of ridge regression are no logits. One factor, fitted on the leave-one-out predictions, makes them logits,
and λ is the one with the smallest cross-entropy after that (prevalidated ridge regression). For several labels each
label has an offset, too, because a sigmoid, unlike a softmax, does not cancel what all outputs have in common.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import scipy.optimize

from tfl.data.labels import as_labels
from tfl.features.probe import HeadSolution, PathPoint, ProbeResult, default_grid, make_problem
from tfl.features.rows import Rows, TurnedRows, single_threaded, sum_in_parts
from tfl.features.solver import Problem
from tfl.features.statistics import Statistics
from tfl.progress import say
from tfl.tasks import Task, get_task

HELD_ELEMENTS = 2**26  # most leave-one-out predictions in memory: 512 MB; more values of λ need more passes
SMALLEST = 1e-6  # smallest factor of the logits


@dataclasses.dataclass(frozen=True)
class RidgeResult(ProbeResult):
    """A path of ridge heads over λ, and the chosen head, solved on all examples.

    Attributes:
        chosen: the chosen head, with the factor in its kernel and bias, so that its outputs are logits. Its objective
            and gradient are those of the regression, without the factor.
        path: one point for each λ, from strong to weak, with the loss of the scaled leave-one-out predictions.
        factor: from the outputs of the regression to logits; 1 for a regression.
        held_out_logits: `(N, K)`, the logits of each example from the head of all others at the chosen λ; those of the
            same group are left out together.
        statistics: of all examples.
    """

    factor: float
    held_out_logits: np.ndarray
    statistics: Statistics


def ridge_targets(task: Task, labels: np.ndarray, num_outputs: int) -> np.ndarray:
    """Return the targets of ridge regression, float64 `(N, K)`: 0 and 1 for classes and labels.

    Args:
        task: the task.
        labels: that `solve_ridge` accepts.
        num_outputs: K.
    """
    labels = as_labels(labels)
    targets = task.as_targets(labels.reshape(-1) if task.labels.form == "numbers" else labels, num_outputs)
    return _columns(targets, num_outputs)


def _columns(targets: np.ndarray, num_outputs: int) -> np.ndarray:
    return np.eye(num_outputs)[targets] if targets.ndim == 1 else np.asarray(targets, np.float64)


def solve_ridge(
    features: Any,
    labels: np.ndarray,
    *,
    target: str | Task = "multiclass",
    num_outputs: int = 0,
    l2: float = 0.0,
    weights: np.ndarray | None = None,
    class_weight: Any = None,
    groups: np.ndarray | None = None,
    statistics: Statistics | None = None,
) -> RidgeResult:
    """Solve the head by ridge regression; λ is chosen by leave-one-out predictions, so that all examples are used.

    Args:
        features: `(N, D)`, as for `solve_head`.
        labels: `(N,)` or `(N, K)`, as for `solve_head`.
        target: "multiclass", "binary", "multilabel" or "regression".
        num_outputs: K; 0 takes it from the labels.
        l2: λ; 0 chooses it from a path.
        weights: `(N,)`, as for `solve_head`; they also count in the loss of the left-out examples.
        class_weight: as for `solve_head`; the same.
        groups: `(N,)` numbers. Examples of one group are left out together.
        statistics: of the same examples, with weights in the same ratios, if they are known; None computes them.

    Returns:
        The head, the path, and the logits of the left-out examples.

    Raises:
        InputError: as `solve_head`.

    Example:
        >>> result = solve_ridge(features, labels)
        >>> result.chosen.logits(features).shape == (len(labels), 3)
        True

    Reference:
        Dempster, Webb and Schmidt 2024, Prevalidated ridge regression is a highly-efficient drop-in replacement for
        logistic regression for high-dimensional data, arXiv:2401.15610.
    """
    task = get_task(target)
    with single_threaded():
        problem = make_problem(features, labels, task, num_outputs, weights, class_weight)
        outputs = problem.shape[1]
        targets, names = _columns(problem.targets, outputs), [str(number) for number in range(outputs)]
        statistics = statistics or Statistics.of(features, targets, names, problem.rows.weights)
        grid = [float(l2)] if l2 else [value / outputs for value in default_grid(problem.rows)]
        regression, calibration = _Regression(problem.rows, statistics, targets), _Calibration(task, labels, problem)
        path: list[PathPoint] = []
        best: tuple[_Scaled, np.ndarray] | None = None
        scaled = _Scaled(np.inf, None, 1.0, np.zeros(outputs))
        for value, predicted in zip(grid, regression.leave_out(grid, _members(groups)), strict=True):
            scaled = calibration.fit(predicted, scaled)
            if best is None or scaled.loss < best[0].loss:
                best = scaled, predicted
            path.append(PathPoint(value, regression.objective(value), scaled.loss, scaled.accuracy, 0.0))
        if best is None:
            raise ValueError("the path of λ is empty")
        chosen = min(path, key=lambda point: point.validation_loss)
        solution = statistics.solve(chosen.l2)
    if len(grid) > 1:
        say(f"head: λ = {chosen.l2:.3g}, chosen from {len(grid)} values; leave-one-out loss {best[0].loss:.4f}")
    return RidgeResult(best[0].head(solution), tuple(path), best[0].factor, best[0].logits(best[1]), statistics)


class _Regression:
    """Ridge regression for all λ, in the coordinates along the principal axes of the features."""

    def __init__(self, rows: Rows, statistics: Statistics, targets: np.ndarray) -> None:
        self.rows, self.targets = rows, targets
        _, self.mean, covariance, cross = statistics.moments()
        if isinstance(rows, TurnedRows) and rows.axes is not None:
            self.spectrum, self.axes = rows.spectrum, rows.axes
        else:  # the axes of other rows are those of a sample
            self.spectrum, self.axes = np.linalg.eigh(covariance)
        self.cross = self.axes.T @ cross
        self.variance = statistics.squares / statistics.total - self.mean**2

    def objective(self, l2: float) -> float:
        """Return the mean squared error plus the penalty, at the solution for λ."""
        outputs = len(self.mean)
        shrunk = self.cross**2 / (self.spectrum + l2 * outputs)[:, None]
        return float((self.variance.sum() - shrunk.sum()) / outputs)

    def leave_out(self, grid: Sequence[float], groups: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield for each λ the prediction of each example, `(N, K)`, by the solution without it and its group.

        The penalty is that of all examples, λ times the sum of all weights.

        Args:
            grid: values of λ.
            groups: the rows of each group of more than one example.
        """
        size = max(1, HELD_ELEMENTS // max(1, self.targets.size))
        for start in range(0, len(grid), size):
            yield from self._leave_out_some(grid[start : start + size], groups)

    def _leave_out_some(self, grid: Sequence[float], groups: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        count, outputs = self.targets.shape
        inverse = 1.0 / (self.spectrum[:, None] + np.array(grid) * outputs)  # (R, number of λ)
        kernels = np.concatenate([self.cross * column[:, None] for column in inverse.T], axis=1)
        predicted, leverage = np.empty((len(grid), count, outputs)), np.empty((count, len(grid)))
        place = np.full(count, -1)
        members = np.concatenate([*groups, np.zeros(0, np.int64)])
        place[members] = np.arange(len(members))
        coordinates = np.empty((len(members), len(self.spectrum)))

        def run(part: slice) -> tuple[float]:
            for rows, block in self.rows.blocks(part):
                turned = block if isinstance(self.rows, TurnedRows) else block.astype(np.float64) @ self.axes
                values = turned @ kernels + np.tile(self.mean, len(grid))
                predicted[:, rows] = values.reshape(len(values), len(grid), outputs).swapaxes(0, 1)
                leverage[rows] = 1.0 + turned**2 @ inverse
                kept = place[rows] >= 0
                coordinates[place[rows][kept]] = turned[kept]
            return (0.0,)

        sum_in_parts(self.rows.features, run)
        weights = self.rows.weights
        for number, values in enumerate(predicted):
            residuals = self.targets - values
            result = self.targets - residuals / (1.0 - weights * leverage[:, number])[:, None]
            for rows in groups:
                own = coordinates[place[rows]]
                hat = (1.0 + (own * inverse[:, number]) @ own.T) * weights[rows]
                result[rows] = self.targets[rows] - np.linalg.solve(np.eye(len(rows)) - hat, residuals[rows])
            yield result


def _members(groups: np.ndarray | None) -> list[np.ndarray]:
    """Return the rows of each group of more than one example."""
    if groups is None:
        return []
    order = np.argsort(groups, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(np.asarray(groups)[order])) + 1)
    return [part for part in parts if len(part) > 1]


@dataclasses.dataclass(frozen=True)
class _Scaled:
    """What makes logits of the outputs of a regression, and the loss and accuracy of these logits."""

    loss: float
    accuracy: float | None
    factor: float
    offsets: np.ndarray

    def logits(self, outputs: np.ndarray) -> np.ndarray:
        return self.factor * outputs + self.offsets

    def head(self, solution: HeadSolution) -> HeadSolution:
        kernel, bias = self.factor * solution.kernel, self.logits(solution.bias)
        return dataclasses.replace(solution, kernel=kernel, bias=bias)


class _Calibration:
    """Fit the factor, and the offsets of several labels, with the smallest mean loss; the loss is convex in them."""

    def __init__(self, task: Task, labels: np.ndarray, problem: Problem) -> None:
        self.task, self.labels, self.problem = task, as_labels(labels), problem
        self.has_offsets = problem.targets.ndim > 1

    def fit(self, outputs: np.ndarray, start: _Scaled) -> _Scaled:
        """Return the best scaling of outputs; the search begins at another one."""
        convex, weights = self.problem.convex, self.problem.rows.weights
        factor, offsets = 1.0, np.zeros(outputs.shape[1])
        if not convex.is_quadratic:
            first = np.concatenate([[start.factor], start.offsets[: self.has_offsets * outputs.shape[1]]])

            def measure(values: np.ndarray) -> tuple[Any, np.ndarray]:
                logits = values[0] * outputs + (values[1:] if self.has_offsets else 0.0)
                losses, residuals = convex.loss_and_residual(logits, self.problem.targets)
                slopes = [np.einsum("n,nk,nk->", weights, residuals, outputs, optimize=True)]
                return weights @ losses, np.concatenate([slopes, weights @ residuals if self.has_offsets else []])

            bounds = [(SMALLEST, None), *[(None, None)] * (len(first) - 1)]
            options = {"ftol": 1e-14, "gtol": 1e-9, "maxiter": 200}
            found = scipy.optimize.minimize(measure, first, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
            factor = float(found.x[0])
            offsets = found.x[1:] if self.has_offsets else offsets
        logits = factor * outputs + offsets
        losses, _ = convex.loss_and_residual(logits, self.problem.targets)
        right = float(weights @ self.task.is_correct(logits, self.labels)) if self.task.is_classifier else None
        return _Scaled(float(weights @ losses), right, factor, offsets)
