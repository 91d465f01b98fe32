"""Choose λ where images are few: by cross-validation, so that none need be given up to validation."""

import dataclasses
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
from tfl.features.solver import Problem, follow_path, minimize
from tfl.progress import say
from tfl.registry import resolve
from tfl.tasks import Task, get_task


@dataclasses.dataclass(frozen=True)
class CrossValidation(ProbeResult):
    """A path of heads over λ, and one that is solved on every example.

    Attributes:
        chosen: the head of the chosen λ, solved on all examples.
        path: one point a λ, from strong to weak: means over the folds, and the largest gradient norm.
        standard_errors: of the validation losses on the path.
        held_out_logits: `(N, K)`, what the head of the chosen λ that was solved without an example's fold says of it.
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
    rule: str = "best",
    seed: int = 0,
) -> CrossValidation:
    """Choose λ by cross-validation, and solve the head on all examples.

    Args:
        features: `(N, D)`, as `solve_head` takes it. The folds are held in memory, one at a time.
        labels: as `solve_head` takes them.
        folds: number of parts, 2 or more; each is left out once. Stratified for multiclass and binary.
        target: "multiclass", "binary", "multilabel" or "regression".
        num_outputs: K; 0 reads it off the labels.
        weights: as in `solve_head`; they count in the loss of the part left out too.
        class_weight: as in `solve_head`; likewise.
        groups: `(N,)` numbers or text; examples of one group, as copies of one image, are never on both sides; "" is
            no group.
        rule: "best" takes the λ of the smallest mean loss over the folds; "one_standard_error" the strongest λ whose
            mean loss is within one standard error of it.
        seed: of the assignment to folds.

    Returns:
        The head, the path over the default grid, the standard errors, and what was said of the examples left out.

    Raises:
        InputError: as `solve_head`, or there are too few examples for the folds.

    Example:
        >>> result = cross_validate_head(features, labels)
        >>> result.chosen.logits(features).shape

    Reference:
        Breiman, Friedman, Olshen and Stone 1984, Classification and Regression Trees, section 3.4.3
        (the rule of one standard error).
    """
    rule = resolve(rule, FOLD_RULES, "rule")
    task, labels = get_task(target), as_labels(labels)
    with single_threaded():
        whole = make_problem(features, labels, task, num_outputs, weights, class_weight)
        grid, parts = default_grid(whole.rows), _split(task, labels, folds, seed, groups)
        solved = [_solve_fold(whole, task, labels, part, grid) for part in parts]
        results = [points for _, points in solved]
        losses = np.array([[point.validation_loss for point in result] for result in results])
        mean, errors = losses.mean(axis=0), losses.std(axis=0, ddof=1) / np.sqrt(folds)
        best = int(mean.argmin())
        chosen = best if rule == "best" else int(np.flatnonzero(mean <= mean[best] + errors[best])[0])
        logits = np.empty((len(labels), whole.shape[1]))
        for (heads, _), (_, held_out) in zip(solved, parts, strict=True):
            logits[held_out] = heads[chosen].logits(np.asarray(whole.rows.features[held_out], np.float64))
        head = to_head(whole, grid[chosen], minimize(whole, grid[chosen]))
    say(
        f"head: λ = {grid[chosen]:.3g}, of {len(grid)} values; loss {mean[chosen]:.4f} ± {errors[chosen]:.4f} "
        f"over {folds} folds"
    )
    path = tuple(_average(points) for points in zip(*results, strict=True))
    return CrossValidation(head, path, tuple(map(float, errors)), logits)


def _split(
    task: Task, labels: np.ndarray, folds: int, seed: int, groups: np.ndarray | None
) -> list[tuple[np.ndarray, np.ndarray]]:
    stratified = task.labels.has_one_class
    room = int(np.unique(labels, return_counts=True)[1].max()) if stratified else len(labels)
    if not 2 <= folds <= room:
        what = "of the largest class" if stratified else "there are"
        raise InputError(f"`folds` must be from 2 to the {room} examples {what}. Received: folds={folds}.")
    numbers = _number_groups(groups, len(labels))
    if len(np.unique(numbers)) == len(labels):  # every example is alone
        splitter, numbers = (StratifiedKFold if stratified else KFold)(folds, shuffle=True, random_state=seed), None
    else:
        splitter = (StratifiedGroupKFold if stratified else GroupKFold)(folds, shuffle=True, random_state=seed)
    try:
        parts = list(splitter.split(np.zeros(len(labels)), labels.ravel() if stratified else None, numbers))
    except ValueError as error:
        raise InputError(f"`folds` must be at most the number of different examples. Received: {error}") from error
    if not all(len(part) for pair in parts for part in pair):
        raise InputError(f"`folds` must be at most the number of different examples. Received: folds={folds}.")
    return parts


def _number_groups(groups: np.ndarray | None, count: int) -> np.ndarray:
    """Return a number for each group, another one for every example without."""
    if groups is None:
        return np.arange(count)
    alone = np.asarray(groups) == ""
    return np.where(alone, -1 - np.arange(count), np.unique(groups, return_inverse=True)[1])


def _solve_fold(
    whole: Problem, task: Task, labels: np.ndarray, part: tuple[np.ndarray, np.ndarray], grid: list[float]
) -> tuple[list[HeadSolution], list[PathPoint]]:
    """Follow the path on a part of the rows, in the coordinates of the whole: where N < D they are fewer."""
    values, (train, held_out) = whole.rows.features, part
    problem = make_problem(values[train], labels[train], task, whole.shape[1], whole.rows.weights[train], None)
    heads = [to_head(problem, *pair) for pair in zip(grid, follow_path(problem, grid), strict=True)]
    validation_weights = weigh_examples(labels[held_out], whole.rows.weights[held_out], None)
    scores = score_heads(heads, values[held_out], labels[held_out], task, validation_weights)
    points = [PathPoint(h.l2, h.objective, *score, h.gradient_norm) for h, score in zip(heads, scores, strict=True)]
    return heads, points


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
