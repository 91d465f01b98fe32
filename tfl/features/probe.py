"""Solve the head: if the backbone is frozen, the L2-regularised linear head is a convex problem.

    W*, b* = argmin  Σᵢ vᵢ L(yᵢ, xᵢ W + b) + λ ‖W‖²,   vᵢ = wᵢ / Σ w        (the bias is not penalised)

L is softmax cross-entropy (multiclass), sigmoid cross-entropy averaged over the labels (binary,
multilabel) or squared error averaged over the outputs (regression); without weights vᵢ is 1/N.
scikit-learn writes the objective of multiclass as C Σ wᵢ L + ½ ‖W‖², so its C is 1 / (2 λ Σ w).

`tfl/features/solver.py` solves the problem, and `tfl/features/rows.py` reads the features.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tfl.data.labels import as_labels
from tfl.errors import InputError
from tfl.features.rows import Rows, Sum, alone, make_rows, read_blocks, read_once, single_threaded, sum_in_parts
from tfl.features.solver import Objective, Point, Problem, follow_path, minimize, only_get_worse
from tfl.models.class_weights import resolve_class_weight
from tfl.models.inference import Outputs
from tfl.models.labels import check_labels, rule_of_task
from tfl.progress import say
from tfl.tasks import Task, get_task
from tfl.tasks.convex import Convex

GRID_POINTS = 20
GRID_DECADES = (-7.0, 0.0)  # times the total variance of the features


@dataclasses.dataclass(frozen=True)
class HeadSolution:
    """A solved linear head.

    Attributes:
        kernel: `(D, K)` float64.
        bias: `(K,)` float64.
        l2: λ of the penalty.
        objective: mean loss plus penalty, at the solution.
        gradient_norm: largest absolute entry of the gradient of the objective at the solution, for centred features;
            it is 0 at the optimum.
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
class PathPoint:
    """Result for one λ.

    Attributes:
        l2: λ.
        objective: mean loss plus penalty on the training examples.
        validation_loss: mean loss on the validation examples, without the penalty.
        validation_accuracy: share of correct validation examples; None for regression.
        gradient_norm: as in `HeadSolution`. Heads that are only compared are solved to about 1e-5 of the objective.
    """

    l2: float
    objective: float
    validation_loss: float
    validation_accuracy: float | None
    gradient_norm: float


@dataclasses.dataclass(frozen=True)
class ProbeResult:
    """A path of heads over λ, and the chosen head.

    Attributes:
        chosen: the head with the smallest validation loss, solved to convergence.
        path: one point for each λ, from strong to weak.
    """

    chosen: HeadSolution
    path: tuple[PathPoint, ...]


def solve_head(
    features: Any,
    labels: np.ndarray,
    *,
    l2: float,
    target: str | Task = "multiclass",
    num_outputs: int = 0,
    weights: np.ndarray | None = None,
    class_weight: Any = None,
) -> HeadSolution:
    """Solve one head to convergence.

    Args:
        features: `(N, D)`, an array or any object with `len`, `.shape` and `[slice]` that returns arrays. It is read
            in blocks, so a memory-mapped file may be larger than the memory.
        labels: class numbers `(N,)`, or values `(N,)` / `(N, K)` for the other targets.
        l2: λ > 0, the weight of the sum of squares of the kernel.
        target: "multiclass", "binary", "multilabel" or "regression".
        num_outputs: K; 0 takes it from the labels.
        weights: `(N,)`, weight of each example; only the ratios matter.
        class_weight: factor for the weights of the examples of each class; multiclass and binary only. A dict by
            class number (1 for absent classes), one factor for each class in the order of the classes, or "balanced",
            which gives every class the same total weight.

    Returns:
        The optimum, in the units of the given features.

    Raises:
        InputError: λ is not positive, the features are not finite, or the labels or weights do not fit the features.

    Example:
        >>> head = solve_head(features, labels, l2=1e-3)
        >>> accuracy = np.mean(head.logits(features).argmax(axis=1) == labels)
    """
    if not l2 > 0:
        raise InputError(
            f"`l2` must be positive, because without it the optimum may be at infinity. Received: l2={l2!r}."
        )
    with single_threaded():
        problem = make_problem(features, labels, target, num_outputs, weights, class_weight)
        return to_head(problem, l2, minimize(problem, l2))


def choose_head(
    train: Outputs,
    validation: Outputs,
    *,
    l2: float = 0.0,
    target: str | Task = "multiclass",
    num_outputs: int = 0,
    weights: np.ndarray | None = None,
    validation_weights: np.ndarray | None = None,
    class_weight: Any = None,
    over_workers: Sum = alone,
) -> ProbeResult:
    """Solve the head for one λ, or for a path of λ and keep the head with the smallest validation loss.

    The path goes from strong to weak λ, and ends where weaker values only get worse. Its values are relative to the
    total variance of the features, so they fit any backbone. The loss chooses λ and not the accuracy: with a few dozen
    validation images, many values of λ have the same accuracy, and a small change of λ can change it abruptly. Only
    the chosen head is solved to convergence.

    Args:
        train: features and labels for solving the head.
        validation: features and labels for choosing λ; `cross_validate_head` needs no such examples.
        l2: λ; 0 chooses it from the path.
        target: "multiclass", "binary", "multilabel" or "regression".
        num_outputs: K; 0 takes it from the labels.
        weights: weights of the training examples, as for `solve_head`.
        validation_weights: weights of the validation examples in the loss that chooses λ.
        class_weight: as for `solve_head`; it also counts in the validation loss.
        over_workers: for several workers: a function from a list of arrays to their sums over all workers. Each worker
            has some of the examples, at least one of both splits, and all workers make this call. K must then be
            given.

    Returns:
        The chosen head, and the path with one point for each λ.

    Raises:
        InputError: as `solve_head`, or there are no validation examples.

    Example:
        >>> extractor = tfl.Extractor(lower, splits.source, 224)
        >>> result = tfl.choose_head(extractor(splits.train), extractor(splits.validation))
        >>> result.chosen.l2 in [point.l2 for point in result.path]
        True
    """
    if not l2 >= 0:
        raise InputError(f"`l2` must be positive, or 0 to choose it. Received: l2={l2!r}.")
    task = get_task(target)
    class_weight = weigh_classes(class_weight, task, num_outputs, train.labels, over_workers)
    shares = weigh_examples(validation.labels, validation_weights, class_weight, over_workers)
    with single_threaded():
        problem = make_problem(train.values, train.labels, task, num_outputs, weights, class_weight, over_workers)
        grid = [float(l2)] if l2 else default_grid(problem.rows)
        held_out = (read_once(validation.values), validation.labels, task, shares)
        points: list[Point] = []
        heads: list[HeadSolution] = []
        scores: list[tuple[float, float | None]] = []
        for value, point in zip(grid, follow_path(problem, grid), strict=True):
            points.append(point)
            heads.append(to_head(problem, value, point))
            scores += score_heads(heads[-1:], *held_out, over_workers)
            if only_get_worse([loss for loss, _ in scores]):
                break
        best = int(np.argmin([loss for loss, _ in scores]))
        heads[best] = to_head(problem, grid[best], minimize(problem, grid[best], points[best]))
        (scores[best],) = score_heads([heads[best]], *held_out, over_workers)
    if len(grid) > 1:
        say(f"head: λ = {grid[best]:.3g}, chosen from {len(heads)} values; validation loss {scores[best][0]:.4f}")
    path = [PathPoint(h.l2, h.objective, *score, h.gradient_norm) for h, score in zip(heads, scores, strict=True)]
    return ProbeResult(heads[best], tuple(path))


def assign_head(layer: keras.layers.Dense, solution: HeadSolution) -> None:
    """Write a solution into the layer of logits."""
    layer.kernel.assign(solution.kernel.astype(np.float32))
    layer.bias.assign(solution.bias.astype(np.float32))


def default_grid(rows: Rows) -> list[float]:
    """Return the values of λ from strong to weak, relative to the total variance of the features."""
    decades = np.logspace(GRID_DECADES[1], GRID_DECADES[0], GRID_POINTS)
    return [float(value) for value in max(rows.total_variance, 1e-12) * decades]


def make_problem(
    features: Any,
    labels: np.ndarray,
    target: str | Task,
    num_outputs: int,
    weights: np.ndarray | None,
    class_weight: Any,
    over_workers: Sum = alone,
) -> Problem:
    """Check the arguments of `solve_head` and read the features for the first time."""
    task, labels = get_task(target), as_labels(labels)
    convex, num_outputs = convex_of(task), num_outputs or _count_outputs(task, labels)
    targets = _checked_targets(task, labels, num_outputs)
    if len(features) != len(labels):
        raise InputError(
            f"`labels` must be one for each row of features. Received: {len(labels)} labels and {len(features)} rows."
        )
    class_weight = weigh_classes(class_weight, task, num_outputs, labels, over_workers)
    example_weights = weigh_examples(labels, weights, class_weight, over_workers)
    rows = make_rows(features, example_weights, exact_spectrum=convex.is_quadratic, over_workers=over_workers)
    return Problem(rows, convex, targets, num_outputs)


def convex_of(task: Task) -> Convex:
    """Return the convex loss of a task.

    Raises:
        InputError: the task has no convex loss, so its head cannot be solved.
    """
    if task.convex is None:
        raise InputError(f"`target` must be a task whose head can be solved. Received: target={task.name!r}.")
    return task.convex


def _count_outputs(task: Task, labels: np.ndarray) -> int:
    """Return the number of outputs that the labels need; 1 if the labels cannot be counted."""
    if task.labels.form != "numbers":
        return labels.shape[1] if labels.ndim == 2 else 1
    is_countable = labels.dtype.kind in "biuf" and labels.size and np.isfinite(labels).all()
    return task.num_outputs(max(1, int(labels.max()) + 1)) if is_countable else 1


def _checked_targets(task: Task, labels: np.ndarray, num_outputs: int) -> np.ndarray:
    """Check labels with `check_labels`, and return them in the form that the loss takes."""
    check_labels(labels, rule_of_task(task, num_outputs, soft=True), "labels")
    return task.as_targets(labels.reshape(-1) if task.labels.form == "numbers" else labels, num_outputs)


def weigh_classes(
    class_weight: Any, task: Task, num_outputs: int, labels: np.ndarray, over_workers: Sum
) -> dict[int, float] | None:
    """Return the weights of the classes by class number; see `resolve_class_weight`.

    Raises:
        InputError: the task has no classes, or the weights do not fit the classes.
    """
    if class_weight is None:
        return None
    if not task.labels.has_one_class:
        raise InputError(f"`class_weight` must be None for a task without classes. Received: target={task.name!r}.")
    num_classes = task.num_classes(num_outputs or _count_outputs(task, np.asarray(labels)))
    # With several workers each one sees only a part of the labels.
    return resolve_class_weight(class_weight, num_classes, labels=labels if over_workers is alone else None)


def weigh_examples(
    labels: np.ndarray,
    weights: np.ndarray | None,
    class_weight: Mapping[int, float] | None,
    over_workers: Sum = alone,
) -> np.ndarray:
    """Return the share of each example in the loss, `(N,)` float64 with sum 1.

    Raises:
        InputError: there are no examples, or the weights do not fit the examples.
    """
    if not len(labels):
        raise InputError("`labels` must hold examples. Received: none.")
    result = np.ones(len(labels)) if weights is None else np.array(weights, np.float64)
    if class_weight is not None:
        result *= [class_weight.get(int(label), 1.0) for label in np.ravel(labels)]
    if result.shape != (len(labels),) or not (np.isfinite(result).all() and result.min() >= 0 and result.sum() > 0):
        raise InputError(
            f"`weights` must be one finite number >= 0 per example, and not all 0. Received: shape {result.shape} "
            f"for {len(labels)} examples, smallest {result.min(initial=np.inf)}, largest {result.max(initial=0)}."
        )
    return result / float(over_workers([result.sum()])[0])


def to_head(problem: Problem, l2: float, point: Point) -> HeadSolution:
    """Return the head at a point, in the units of the features."""
    objective = Objective(problem, l2)
    kernel = problem.rows.to_kernel(point.weights[:-1])
    gradient = objective.gradient(point)
    steepest = max(np.abs(problem.rows.to_kernel(gradient[:-1])).max(), np.abs(gradient[-1]).max())
    bias = point.weights[-1] - problem.rows.mean @ kernel
    return HeadSolution(kernel, bias, float(l2), objective.value(point), float(steepest))


def score_heads(
    heads: Sequence[HeadSolution],
    features: Any,
    labels: np.ndarray,
    task: Task,
    weights: np.ndarray,
    over_workers: Sum = alone,
) -> list[tuple[float, float | None]]:
    """Return the mean loss, without the penalty, and the accuracy of each head, from one pass over the features."""
    convex, targets = convex_of(task), _checked_targets(task, labels, len(heads[0].bias))
    labels = np.asarray(labels)

    def sum_part(part: slice) -> tuple[np.ndarray]:
        totals = np.zeros((len(heads), 2))
        for rows, block in read_blocks(features, part):
            block = block.astype(np.float64)
            for total, head in zip(totals, heads, strict=True):
                logits = head.logits(block)
                losses, _ = convex.loss_and_residual(logits, targets[rows])
                total += weights[rows] @ losses, weights[rows] @ task.is_correct(logits, labels[rows])
        return (totals,)

    (totals,) = over_workers(sum_in_parts(features, sum_part))
    return [(float(loss), float(right) if task.is_classifier else None) for loss, right in totals]
