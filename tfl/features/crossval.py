"""Choose λ by cross-validation when there are few images, so that no image is set aside for validation."""

import dataclasses
import warnings
from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

from tfl.config import FOLD_RULES
from tfl.data.labels import as_labels
from tfl.errors import InputError
from tfl.features.probe import (
    HeadSolution,
    PathPoint,
    ProbeResult,
    default_grid,
    make_problem,
    score_heads,
    to_head,
    weigh_examples,
)
from tfl.features.rows import single_threaded
from tfl.features.solver import Problem, follow_path, minimize, only_get_worse
from tfl.progress import say
from tfl.registry import resolve
from tfl.tasks import Task, get_task


@dataclasses.dataclass(frozen=True)
class CrossValidation(ProbeResult):
    """A path of heads over λ from cross-validation, and the chosen head, solved on all examples.

    Attributes:
        chosen: the head of the chosen λ, solved on all examples.
        path: one point for each λ, from strong to weak: means over the folds, and the largest gradient norm.
        standard_errors: standard error of each validation loss on the path.
        held_out_logits: `(N, K)`, the logits of each example from the head that was solved without its fold, at the
            chosen λ.
    """

    standard_errors: tuple[float, ...]
    held_out_logits: np.ndarray


def cross_validate_head(
    features: Any,
    labels: np.ndarray,
    *,
    folds: int = 5,
    target: str | Task = "multiclass",
    num_outputs: int = 0,
    weights: np.ndarray | None = None,
    class_weight: Any = None,
    groups: np.ndarray | None = None,
    views: int = 1,
    rule: str = "best",
    seed: int = 0,
) -> CrossValidation:
    """Choose λ by cross-validation, and solve the head on all examples.

    Args:
        features: `(V N, D)`, as for `solve_head`: V versions of the same N examples, first the N plain examples. The
            folds are held in memory, one at a time.
        labels: `(V N,)` or `(V N, K)`, as for `solve_head`.
        folds: number of folds, 2 or more; each fold is held out once. The folds are stratified for multiclass and
            binary.
        target: "multiclass", "binary", "multilabel" or "regression".
        num_outputs: K; 0 takes it from the labels.
        weights: `(V N,)`, as for `solve_head`; they also count in the loss of the held-out fold.
        class_weight: as for `solve_head`; it also counts in the loss of the held-out fold.
        groups: `(N,)` numbers or text. Examples of one group, such as copies of one image, always stay in the same
            fold; "" means no group.
        views: V. All versions of an example are in the same fold. Only the plain example is held out: its other
            versions are for training alone.
        rule: "best" takes the λ with the smallest mean loss over the folds; "one_standard_error" takes the strongest
            λ whose mean loss is within one standard error of the smallest.
        seed: seed of the assignment to folds.

    Returns:
        The head, the path over the default grid, the standard errors, and the logits of the held-out examples.

    Raises:
        InputError: as `solve_head`, or there are too few examples for the folds.

    Example:
        >>> result = cross_validate_head(features, labels)
        >>> result.chosen.logits(features).shape == (len(labels), 3)
        True

    Reference:
        Breiman, Friedman, Olshen and Stone 1984, Classification and Regression Trees, section 3.4.3
        (the rule of one standard error).
    """
    rule = resolve(rule, FOLD_RULES, "rule")
    task, labels = get_task(target), as_labels(labels)
    count = len(labels) // views
    if count * views != len(labels):
        raise InputError(f"`views` must divide the number of rows. Received: views={views}, {len(labels)} rows.")
    with single_threaded():
        whole = make_problem(features, labels, task, num_outputs, weights, class_weight)
        grid, parts = default_grid(whole.rows), _split(task, labels[:count], folds, seed, groups)
        parts = [(_all_views(train, views, count), held_out) for train, held_out in parts]
        results, heads = _follow_paths([_Fold(whole, task, labels, part, grid) for part in parts], len(grid))
        losses = np.array([[point.validation_loss for point in result] for result in results])
        mean, errors = losses.mean(axis=1), losses.std(axis=1, ddof=1) / np.sqrt(folds)
        best = int(mean.argmin())
        chosen = best if rule == "best" else int(np.flatnonzero(mean <= mean[best] + errors[best])[0])
        logits = np.empty((count, whole.shape[1]))
        for solved, (_, held_out) in zip(heads[chosen], parts, strict=True):
            logits[held_out] = solved.logits(np.asarray(whole.rows.features[held_out], np.float64))
        head = to_head(whole, grid[chosen], minimize(whole, grid[chosen]))
    say(
        f"head: λ = {grid[chosen]:.3g}, chosen from {len(mean)} values; loss {mean[chosen]:.4f} ± {errors[chosen]:.4f} "
        f"over {folds} folds"
    )
    path = tuple(map(_average, results))
    return CrossValidation(head, path, tuple(map(float, errors)), logits)


def _all_views(rows: np.ndarray, views: int, count: int) -> np.ndarray:
    """Return the rows of all versions of some examples, the plain ones first."""
    return (rows + count * np.arange(views)[:, None]).ravel()


def _split(
    task: Task, labels: np.ndarray, folds: int, seed: int, groups: np.ndarray | None
) -> list[tuple[np.ndarray, np.ndarray]]:
    stratified = task.labels.has_one_class
    room = int(np.unique(labels, return_counts=True)[1].max()) if stratified else len(labels)
    if not 2 <= folds <= room:
        what = ", the number of examples of the largest class" if stratified else ", the number of examples"
        raise InputError(f"`folds` must be from 2 to {room}{what}. Received: folds={folds}.")
    numbers = _number_groups(groups, len(labels))
    if len(np.unique(numbers)) == len(labels):  # no two examples share a group
        splitter, numbers = (StratifiedKFold if stratified else KFold)(folds, shuffle=True, random_state=seed), None
    else:
        splitter = (StratifiedGroupKFold if stratified else GroupKFold)(folds, shuffle=True, random_state=seed)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The least populated class")  # it is not in every fold, as it must be
            parts = list(splitter.split(np.zeros(len(labels)), labels.ravel() if stratified else None, numbers))
    except ValueError as error:
        raise InputError(f"`folds` must be at most the number of different examples. Received: {error}") from error
    if not all(len(part) for pair in parts for part in pair):
        raise InputError(f"`folds` must be at most the number of different examples. Received: folds={folds}.")
    return parts


def _number_groups(groups: np.ndarray | None, count: int) -> np.ndarray:
    """Return the group number of each example; every example without a group gets its own number."""
    if groups is None:
        return np.arange(count)
    alone = np.asarray(groups) == ""
    return np.where(alone, -1 - np.arange(count), np.unique(groups, return_inverse=True)[1])


class _Fold:
    """The path of one fold, solved on its training rows in the coordinates of all rows, which are fewer if N < D."""

    def __init__(
        self, whole: Problem, task: Task, labels: np.ndarray, part: tuple[np.ndarray, np.ndarray], grid: list[float]
    ) -> None:
        values, (train, held_out) = whole.rows.features, part
        problem = make_problem(values[train], labels[train], task, whole.shape[1], whole.rows.weights[train], None)
        self._heads = (to_head(problem, *pair) for pair in zip(grid, follow_path(problem, grid), strict=True))
        weights = weigh_examples(labels[held_out], whole.rows.weights[held_out], None)
        self._held_out = (values[held_out], labels[held_out], task, weights)

    def next(self) -> tuple[HeadSolution, PathPoint]:
        """Return the head of the next λ, and its scores on the held-out rows."""
        head = next(self._heads)
        (score,) = score_heads([head], *self._held_out)
        return head, PathPoint(head.l2, head.objective, *score, head.gradient_norm)


def _follow_paths(folds: list[_Fold], count: int) -> tuple[list[list[PathPoint]], list[list[HeadSolution]]]:
    """Solve the folds together, from strong to weak λ, and stop where weaker ones only get worse.

    Returns:
        For each λ the points of all folds, and their heads.
    """
    points: list[list[PathPoint]] = []
    heads: list[list[HeadSolution]] = []
    losses: list[float] = []
    while len(points) < count:
        solved = [fold.next() for fold in folds]
        heads.append([head for head, _ in solved])
        points.append([point for _, point in solved])
        losses.append(float(np.mean([point.validation_loss for point in points[-1]])))
        if only_get_worse(losses):
            break
    return points, heads


def _average(points: list[PathPoint]) -> PathPoint:
    """Return the mean over the folds for one λ."""
    accuracies = [point.validation_accuracy for point in points if point.validation_accuracy is not None]
    return PathPoint(
        points[0].l2,
        float(np.mean([point.objective for point in points])),
        float(np.mean([point.validation_loss for point in points])),
        float(np.mean(accuracies)) if accuracies else None,
        max(point.gradient_norm for point in points),
    )
