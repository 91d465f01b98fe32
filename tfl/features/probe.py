"""Solve the head: with a frozen backbone the L2-regularised linear head is a convex problem.

    W*, b* = argmin  (1/N) Σᵢ L(yᵢ, xᵢ W + b) + λ ‖W‖²        (the bias is not penalised)

L is softmax cross-entropy (multiclass), sigmoid cross-entropy averaged over the labels (binary,
multilabel) or squared error averaged over the outputs (regression). scikit-learn writes the first as
C Σ L + ½ ‖W‖², so its C is 1 / (2 λ N).

The features are centred while solving. The bias absorbs the shift exactly, so the optimum is the same,
and L-BFGS needs a fraction of the steps.
"""

import dataclasses

import keras
import numpy as np
import scipy.linalg
import scipy.optimize

from tfl.errors import InputError
from tfl.models.inference import Outputs
from tfl.models.objective import as_targets, loss_and_residual
from tfl.progress import say

GRID_POINTS = 15
GRID_DECADES = (-7.0, 0.0)  # times the total variance of the features


@dataclasses.dataclass(frozen=True)
class HeadSolution:
    """A solved linear head.

    Attributes:
        kernel: `(D, K)` float64.
        bias: `(K,)` float64.
        l2: its λ.
        objective: mean loss plus penalty, at the solution.
        gradient_norm: largest absolute entry of the objective's gradient there; 0 is the optimum.
    """

    kernel: np.ndarray
    bias: np.ndarray
    l2: float
    objective: float
    gradient_norm: float

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Return `(N, K)` logits of features `(N, D)`."""
        return features @ self.kernel + self.bias


@dataclasses.dataclass(frozen=True)
class ProbeResult:
    """A path of heads over λ and the one that was chosen.

    Attributes:
        chosen: the head of the smallest validation loss.
        path: rows of (λ, training objective, validation loss), from strong to weak.
    """

    chosen: HeadSolution
    path: tuple[tuple[float, float, float], ...]


def solve_head(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    l2: float,
    target: str = "multiclass",
    num_outputs: int = 0,
    start: HeadSolution | None = None,
) -> HeadSolution:
    """Solve one head to convergence.

    Args:
        features: `(N, D)`.
        labels: class numbers `(N,)`, or values `(N,)` / `(N, K)` for the other targets.
        l2: λ > 0, the weight of the sum of squares of the kernel.
        target: see the module's text.
        num_outputs: K; 0 reads it off the labels.
        start: a solution to start from, for example of a stronger λ.

    Returns:
        The optimum, in the units of the features as given.

    Raises:
        InputError: λ is not positive, or the features are not finite.

    Example:
        >>> head = solve_head(features, labels, l2=1e-3)
        >>> accuracy = np.mean(head.logits(features).argmax(axis=1) == labels)
    """
    if not l2 > 0:
        raise InputError(f"`l2` must be positive: without it the optimum may be at infinity. Received: l2={l2!r}.")
    if not np.isfinite(features).all():
        raise InputError("`features` must be finite. Received: NaN or infinity among them.")
    labels = as_targets(target, labels)
    num_outputs = num_outputs or (int(labels.max()) + 1 if target == "multiclass" else labels.shape[1])
    mean = features.mean(axis=0, dtype=np.float64)
    centred = features.astype(np.float64) - mean
    problem = _Problem(target, centred, labels, num_outputs, l2)
    if target == "regression":
        weights = problem.solve_directly()
    else:
        weights = problem.solve_iteratively(_start_weights(start, mean, centred.shape[1], num_outputs))
    objective, gradient = problem.value_and_gradient(weights.ravel())
    kernel, centred_bias = weights[:-1], weights[-1]
    return HeadSolution(kernel, centred_bias - mean @ kernel, l2, float(objective), float(np.abs(gradient).max()))


class _Problem:
    """The objective over weights `(D + 1, K)`: the kernel, and the bias as the last row."""

    def __init__(self, target: str, features: np.ndarray, labels: np.ndarray, num_outputs: int, l2: float) -> None:
        self.target, self.features, self.labels, self.l2 = target, features, labels, l2
        self.shape = (features.shape[1] + 1, num_outputs)

    def value_and_gradient(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(self.shape)
        kernel, bias = weights[:-1], weights[-1]
        loss, residual = loss_and_residual(self.target, self.features @ kernel + bias, self.labels)
        residual /= len(loss)
        gradient = np.empty(self.shape)
        np.matmul(self.features.T, residual, out=gradient[:-1])
        gradient[:-1] += 2.0 * self.l2 * kernel
        gradient[-1] = residual.sum(axis=0)
        return float(loss.mean() + self.l2 * np.sum(kernel**2)), gradient.ravel()

    def solve_iteratively(self, start: np.ndarray) -> np.ndarray:
        result = scipy.optimize.minimize(
            self.value_and_gradient,
            start.ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 5000, "maxfun": 10000, "maxcor": 20, "ftol": 1e-14, "gtol": 1e-8},
        )
        return result.x.reshape(self.shape)

    def solve_directly(self) -> np.ndarray:
        """Ridge regression has a closed form: centred features make the bias the mean of the labels."""
        bias = self.labels.mean(axis=0)
        ridge = self.l2 * self.labels.size
        gram = self.features.T @ self.features
        gram[np.diag_indices_from(gram)] += ridge
        kernel = scipy.linalg.solve(gram, self.features.T @ (self.labels - bias), assume_a="pos")
        return np.vstack([kernel, bias])


def _start_weights(start: HeadSolution | None, mean: np.ndarray, dim: int, num_outputs: int) -> np.ndarray:
    if start is None:
        return np.zeros((dim + 1, num_outputs))
    return np.vstack([start.kernel, start.bias + mean @ start.kernel])


def mean_loss(head: HeadSolution, features: Outputs, target: str) -> float:
    """Return the mean loss, without the penalty, of a head on a split."""
    loss, _ = loss_and_residual(target, head.logits(features.values), as_targets(target, features.labels))
    return float(loss.mean())


def choose_head(
    train: Outputs, validation: Outputs, *, l2: float = 0.0, target: str = "multiclass", num_outputs: int = 0
) -> ProbeResult:
    """Solve the head for one λ, or for a path of λ and keep the one of the smallest validation loss.

    The path runs from strong to weak, each solution the start of the next. Its values are relative to
    the features' total variance, so they fit any backbone. Loss chooses rather than accuracy: on the
    few dozen images of a small validation split the accuracy ties and jumps.

    Args:
        train: features and labels to solve on.
        validation: features and labels to choose λ on.
        l2: λ; 0 chooses it over the path.
        target: "multiclass", "binary", "multilabel" or "regression".
        num_outputs: K; 0 reads it off the labels.
    """
    total_variance = max(float(train.values.var(axis=0, dtype=np.float64).sum()), 1e-12)
    grid = [l2] if l2 else list(total_variance * np.logspace(GRID_DECADES[1], GRID_DECADES[0], GRID_POINTS))
    solutions, losses = [], []
    for value in grid:
        start = solutions[-1] if solutions else None
        solutions.append(
            solve_head(train.values, train.labels, l2=float(value), target=target, num_outputs=num_outputs, start=start)
        )
        losses.append(mean_loss(solutions[-1], validation, target))
    best = int(np.argmin(losses))
    if len(grid) > 1:
        say(f"head: λ = {grid[best]:.3g}, of {len(grid)} values; validation loss {losses[best]:.4f}")
    path = tuple((head.l2, head.objective, loss) for head, loss in zip(solutions, losses, strict=True))
    return ProbeResult(solutions[best], path)


def assign_head(layer: keras.layers.Dense, solution: HeadSolution) -> None:
    """Put a solution into the layer of logits."""
    layer.kernel.assign(solution.kernel.astype(np.float32))
    layer.bias.assign(solution.bias.astype(np.float32))
