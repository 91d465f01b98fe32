"""Choose λ where images are few: by cross-validation, so that none need be given up to validation."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold

from tfl.errors import InputError
from tfl.features.probe import (
    PathPoint,
    ProbeResult,
    default_grid,
    make_problem,
    score_heads,
    to_head,
    weigh_examples,
)
from tfl.features.rows import single_threaded
from tfl.features.solver import Problem, follow_path, minimize
from tfl.progress import say


@dataclasses.dataclass(frozen=True)
class CrossValidation(ProbeResult):
    """A path of heads over λ, and one that is solved on every example.

    Attributes:
        chosen: the head of the strongest λ within one standard error of the best, solved on all examples.
        path: one point a λ, from strong to weak: means over the folds, and the largest gradient norm.
        standard_errors: of the validation losses on the path.
    """

    standard_errors: tuple[float, ...]


def cross_validate_head(
    features: Any,
    labels: np.ndarray,
    *,
    folds: int = 5,
    target: str = "multiclass",
    num_outputs: int = 0,
    weights: np.ndarray | None = None,
    class_weight: Mapping[int, float] | None = None,
    seed: int = 0,
) -> CrossValidation:
    """Choose λ by cross-validation, and solve the head on all examples.

    Of the values whose mean loss over the folds is within one standard error of the smallest, the
    strongest is taken: the differences there are noise, and the smaller head is the safer one.

    Args:
        features: `(N, D)`, as `solve_head` takes it. The folds are held in memory, one at a time.
        labels: as `solve_head` takes them.
        folds: number of parts, 2 or more; each is left out once. Stratified for multiclass and binary.
        target: "multiclass", "binary", "multilabel" or "regression".
        num_outputs: K; 0 reads it off the labels.
        weights: as in `solve_head`; they count in the loss of the part left out too.
        class_weight: as in `solve_head`; likewise.
        seed: of the assignment to folds.

    Returns:
        The head, the path over the default grid, and the standard errors.

    Raises:
        InputError: as `solve_head`, or there are too few examples for the folds.

    Example:
        >>> result = cross_validate_head(features, labels)
        >>> result.chosen.logits(features).shape

    Reference:
        Breiman, Friedman, Olshen and Stone 1984, Classification and Regression Trees, section 3.4.3
        (the rule of one standard error).
    """
    with single_threaded():
        whole = make_problem(features, labels, target, num_outputs, weights, class_weight)
        grid = default_grid(whole.rows)
        results = [_solve_fold(whole, train, held_out, grid) for train, held_out in _split(whole, folds, seed)]
        losses = np.array([[point.validation_loss for point in result] for result in results])
        mean, errors = losses.mean(axis=0), losses.std(axis=0, ddof=1) / np.sqrt(folds)
        best = int(mean.argmin())
        chosen = int(np.flatnonzero(mean <= mean[best] + errors[best])[0])
        head = to_head(whole, grid[chosen], minimize(whole, grid[chosen]))
    say(
        f"head: λ = {grid[chosen]:.3g}, of {len(grid)} values; loss {mean[chosen]:.4f} ± {errors[chosen]:.4f} "
        f"over {folds} folds"
    )
    path = tuple(_average(points) for points in zip(*results, strict=True))
    return CrossValidation(head, path, tuple(map(float, errors)))


def _split(problem: Problem, folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    labels = problem.labels
    stratified = problem.target in ("multiclass", "binary")
    room = int(np.unique(labels, return_counts=True)[1].max()) if stratified else len(labels)
    if not 2 <= folds <= room:
        what = "of the largest class" if stratified else "there are"
        raise InputError(f"`folds` must be from 2 to the {room} examples {what}. Received: folds={folds}.")
    splitter = (StratifiedKFold if stratified else KFold)(folds, shuffle=True, random_state=seed)
    return list(splitter.split(np.zeros(len(labels)), labels.ravel() if stratified else None))


def _solve_fold(whole: Problem, train: np.ndarray, held_out: np.ndarray, grid: list[float]) -> list[PathPoint]:
    """Follow the path on a part of the rows, in the coordinates of the whole: where N < D they are fewer."""
    values, labels, target = whole.rows.features, whole.labels, whole.target
    problem = make_problem(values[train], labels[train], target, whole.shape[1], whole.rows.weights[train], None)
    heads = [to_head(problem, *pair) for pair in zip(grid, follow_path(problem, grid), strict=True)]
    judge = weigh_examples(labels[held_out], target, whole.rows.weights[held_out], None)
    scores = score_heads(heads, values[held_out], labels[held_out], target, judge)
    return [PathPoint(h.l2, h.objective, *score, h.gradient_norm) for h, score in zip(heads, scores, strict=True)]


def _average(points: tuple[PathPoint, ...]) -> PathPoint:
    """Return the mean over the folds of one λ."""
    accuracies = [point.validation_accuracy for point in points if point.validation_accuracy is not None]
    return PathPoint(
        points[0].l2,
        float(np.mean([point.objective for point in points])),
        float(np.mean([point.validation_loss for point in points])),
        float(np.mean(accuracies)) if accuracies else None,
        max(point.gradient_norm for point in points),
    )
