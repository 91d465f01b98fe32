"""Minimise the head's objective to convergence, for one λ or for a falling series of them.

    f(C, b) = Σᵢ vᵢ L(yᵢ, xᵢ C + b) + λ ‖C‖²,   Σ vᵢ = 1,   xᵢ centred, along their principal axes

The method is L-BFGS with three changes that this problem allows:

- The initial inverse Hessian is the inverse of A ⊗ S + 2λ instead of a multiple of the identity. A `(K, K)` is the
  mean second derivative with respect to the logits, and S is the spectrum of the features. This alone solves ridge
  regression.
- The pairs (s, y) that describe the curvature are used for the next λ too, because only the part 2λ s of y changes.
- f is convex. So if f still falls along the direction after a step, the step has lowered f. The slope shows this even
  near the optimum, when the values of f no longer differ.

Reference:
    Liu and Nocedal 1989, On the limited memory BFGS method for large scale optimization (the two loops).
    Martens and Grosse 2015, Optimizing neural networks with Kronecker-factored approximate curvature,
    arXiv:1503.05671 (curvature as a product of two small factors).
"""

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tfl.features.rows import Rows
from tfl.tasks.convex import Convex

MEMORY = 20  # pairs of L-BFGS
MAX_STEPS = 1000
MAX_HALVINGS = 20
CONVERGED = {np.float64: 1e-12, np.float32: 1e-10}  # estimated relative distance to the optimal objective
COMPARED = 1e-5  # the same for heads that are only compared; the error of their validation losses is about 0.2 %
PATIENCE = 4  # values of λ in a row, each 2.3 times weaker, that must not lower the loss before the path ends
WORSE = 1.05  # times the smallest loss


Pair = tuple[np.ndarray, np.ndarray, float]  # a step, the change of the gradient, and their dot product


@dataclasses.dataclass(frozen=True)
class Point:
    """Weights, with the loss and its derivatives from one pass over the data, without the penalty.

    Attributes:
        weights: `(R + 1, K)`: coordinates along the axes, and the bias as the last row.
        loss: weighted mean of the data term.
        gradient: `(R + 1, K)`.
        curvature: `(K, K)`, A in the docstring of the module.
    """

    weights: np.ndarray
    loss: float
    gradient: np.ndarray
    curvature: np.ndarray


class Problem:
    """The data term of the objective for one set of features and labels; every evaluation is one pass over the data.

    Args:
        rows: the features.
        convex: the loss.
        targets: labels of the examples, in the form that the loss takes.
        num_outputs: K.
    """

    def __init__(self, rows: Rows, convex: Convex, targets: np.ndarray, num_outputs: int) -> None:
        self.rows, self.convex, self.targets = rows, convex, targets
        self.shape = (len(rows.spectrum) + 1, num_outputs)
        self.spectrum = np.append(rows.spectrum, 1.0)[:, None]  # the bias multiplies a feature of 1
        self.passes = 0

    def evaluate(self, weights: np.ndarray) -> Point:
        """Return the point at `weights`."""
        self.passes += 1
        kernel = self.rows.expand(weights[:-1]).astype(self.rows.dtype)
        bias = weights[-1].astype(self.rows.dtype)
        loss, gradient, bias_gradient, curvature = self.rows.sum(lambda part: self._sum_part(part, kernel, bias))
        return Point(weights, float(loss), np.vstack([self.rows.project(gradient), bias_gradient]), curvature)

    def _sum_part(self, part: slice, kernel: np.ndarray, bias: np.ndarray) -> tuple[Any, ...]:
        """Return the loss, the gradients of kernel and bias, and the curvature, summed over some rows."""
        loss, gradient, bias_gradient = 0.0, np.zeros(kernel.shape), np.zeros(bias.shape)
        curvature = np.zeros((len(bias), len(bias)))
        for rows, block in self.rows.blocks(part):
            targets, weights = self.targets[rows], self.rows.weights[rows]
            losses, residual = self.convex.loss_and_residual(block @ kernel + bias, targets)
            loss += float(weights @ losses)
            weights = weights.astype(residual.dtype)
            curvature += self.convex.curvature(residual, targets, weights)
            residual *= weights[:, None]
            gradient += block.T @ residual
            bias_gradient += residual.sum(axis=0, dtype=np.float64)
        return loss, gradient, bias_gradient, curvature

    def zero(self) -> Point:
        """Return the point at which all weights are 0."""
        return self.evaluate(np.zeros(self.shape))

    def penalty_slope(self, l2: float) -> np.ndarray:
        """Return 2λ for every row of the weights, `(R + 1, 1)`; 0 for the bias."""
        return np.append(np.full(self.shape[0] - 1, 2.0 * l2), 0.0)[:, None]


class Memory:
    """The latest steps, and how they changed the gradient of the data term; both are valid for every λ."""

    def __init__(self) -> None:
        self.pairs: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=MEMORY)

    def add(self, old: Point, new: Point) -> tuple[np.ndarray, np.ndarray]:
        """Store the step between two points and the change of the gradient, and return both."""
        self.pairs.append((new.weights - old.weights, new.gradient - old.gradient))
        return self.pairs[-1]


class Objective:
    """The data term plus the penalty of one λ."""

    def __init__(self, problem: Problem, l2: float) -> None:
        self.problem, self.ridge = problem, problem.penalty_slope(l2)

    def value(self, point: Point) -> float:
        return point.loss + 0.5 * float(np.vdot(self.ridge * point.weights, point.weights))

    def gradient(self, point: Point) -> np.ndarray:
        return point.gradient + self.ridge * point.weights

    def minimize(self, point: Point, tolerance: float, memory: Memory) -> Point:
        """Return a point whose objective is, by estimate, within the relative `tolerance` of the optimum."""
        pairs = deque((self._pair(*pair) for pair in memory.pairs), maxlen=MEMORY)
        for _ in range(MAX_STEPS):
            gradient = self.gradient(point)
            precondition = self._preconditioner(point)
            if 0.5 * np.vdot(gradient, precondition(gradient)) <= tolerance * self.value(point):
                break
            moved = self._search(point, -_newton_step(gradient, precondition, pairs))
            if moved is None:  # the remaining gain is smaller than the rounding error
                break
            pairs.append(self._pair(*memory.add(point, moved)))
            point = moved
        return point

    def _pair(self, step: np.ndarray, change: np.ndarray) -> Pair:
        change = change + self.ridge * step
        return step, change, float(np.vdot(step, change))

    def _preconditioner(self, point: Point) -> Callable[[np.ndarray], np.ndarray]:
        """Return the product with (A ⊗ S + 2λ)⁻¹."""
        scales, basis = np.linalg.eigh(point.curvature)
        # A shift of all logits does not change a softmax: in this direction A is singular and the gradient is noise.
        diagonal = np.maximum(scales, 1e-3 * scales[-1] + 1e-12) * self.problem.spectrum + self.ridge
        diagonal = np.maximum(diagonal, 1e-12 * diagonal.max())
        return lambda gradient: ((gradient @ basis) / diagonal) @ basis.T

    def _search(self, point: Point, direction: np.ndarray) -> Point | None:
        """Return the first point along the direction whose objective is lower beyond doubt, or None."""
        value, slope, length = self.value(point), float(np.vdot(self.gradient(point), direction)), 1.0
        noise = np.finfo(self.problem.rows.dtype).eps * abs(value)
        for _ in range(MAX_HALVINGS):
            if not slope < 0:
                return None
            new = self.problem.evaluate(point.weights + length * direction)
            new_slope = float(np.vdot(self.gradient(new), direction))
            if new_slope <= 0 or self.value(new) <= value + 1e-4 * length * slope + noise:
                return new
            length *= float(np.clip(slope / (slope - new_slope), 0.1, 0.7))  # the minimum of a parabola
        return None


def _newton_step(
    gradient: np.ndarray, precondition: Callable[[np.ndarray], np.ndarray], pairs: Sequence[Pair]
) -> np.ndarray:
    """Return the approximate inverse Hessian times the gradient: the two loops of L-BFGS."""
    pairs = [pair for pair in pairs if pair[2] > 0]  # rounding can change the sign for the smallest steps
    result, factors = gradient.copy(), []
    for step, change, dot in reversed(pairs):
        factors.append(np.vdot(step, result) / dot)
        result -= factors[-1] * change
    result = precondition(result)
    if pairs:
        _, change, dot = pairs[-1]
        result *= dot / np.vdot(change, precondition(change))
    for (step, change, dot), factor in zip(pairs, reversed(factors), strict=True):
        result += (factor - np.vdot(change, result) / dot) * step
    return result


def minimize(problem: Problem, l2: float, start: Point | None = None) -> Point:
    """Return the optimum for one λ."""
    objective = Objective(problem, l2)
    return objective.minimize(start or problem.zero(), CONVERGED[problem.rows.dtype], Memory())


def follow_path(problem: Problem, grid: Sequence[float]) -> Iterator[Point]:
    """Yield a point near the optimum of each λ, from strong to weak, precise enough for a comparison.

    Each search starts at a linear extrapolation of the two points before it, over the logarithm of λ. If one step is
    enough, as for strong λ, there is no extrapolation, because it would cost one more pass than it saves.
    """
    memory, points, passes = Memory(), [problem.zero()], 0
    for index, l2 in enumerate(grid):
        objective, start, before = Objective(problem, l2), points[-1], problem.passes
        if passes > 1 and len(points) == 2:
            reach = np.log(l2 / grid[index - 1]) / np.log(grid[index - 1] / grid[index - 2])
            ahead = problem.evaluate(start.weights + reach * (start.weights - points[0].weights))
            memory.add(start, ahead)
            start = min(start, ahead, key=objective.value)
        solved = objective.minimize(start, COMPARED, memory)
        points, passes = [points[-1], solved] if index else [solved], problem.passes - before
        yield solved


def only_get_worse(losses: Sequence[float]) -> bool:
    """Return whether a path from strong to weak λ may end: the held-out losses so far have passed their minimum.

    The weakest values of λ take most of the time, and are the best ones only where the features leave much to learn.

    Example:
        >>> only_get_worse([3.0, 1.0, 1.1, 1.2, 1.3]), only_get_worse([3.0, 1.0, 1.1, 1.2, 1.3, 1.4])
        (False, True)
    """
    best = int(np.argmin(losses))
    return len(losses) - 1 - best >= PATIENCE and losses[-1] > WORSE * losses[best]
