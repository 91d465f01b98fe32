"""Phase 1 for boxes: solve the classifier of the cells, and the regression of the sides of their boxes."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfl.errors import InputError
from tfl.features import Extractor, HeadSolution, ProbeResult, choose_head
from tfl.features.cells import CellRows, rows_of_cells
from tfl.features.positions import SolverRows
from tfl.features.probe import solve_head
from tfl.features.view import PLAIN, View
from tfl.models.classifier import logits_layer
from tfl.recipe.run import Run
from tfl.tasks import Regression, Task
from tfl.tasks.cells import SIDES


def solve_boxes(run: Run, extractor: Extractor) -> tuple[ProbeResult, dict[str, Any]]:
    """Solve both parts of a head for boxes, each for its own λ, which validation chooses.

    Returns:
        The head with the outputs of both, whose path and objective are those of the classes; and the facts about the
        distances, for `metrics.json`.

    Raises:
        InputError: no example of train or validation has a box.
    """
    train, held_out = _rows(run, extractor, "train", [None, *run.views()]), None
    if len(run.rows("validation")):
        held_out = _rows(run, extractor, "validation", PLAIN)
    outputs, task = logits_layer(run.model).units - SIDES, run.balance.solved.solved_as
    l2 = run.config.probe.l2
    classes = _solve(train.classes, None if held_out is None else held_out.classes, task, outputs, l2)
    distances = _solve(train.distances, None if held_out is None else held_out.distances, Regression(), SIDES, l2)
    facts = dataclasses.asdict(distances.chosen)
    head = _side_by_side(classes.chosen, distances.chosen)
    return ProbeResult(head, classes.path), {name: facts[name] for name in ("l2", "objective", "gradient_norm")}


def _rows(run: Run, extractor: Extractor, split: str, views: Sequence[View | None]) -> CellRows:
    features = run.features(extractor, run.rows(split), views, f"features of {split}")
    rows = rows_of_cells(features, run.splits.source, run.model, views=views, seed=run.config.seed)
    if not len(rows.distances):
        raise InputError(
            f"`data.source` must have boxes that cells of the map lie in. Received: none in {split}. Did you mean a "
            "larger data.image_size?"
        )
    classes, distances = (part.weighted(run.own_weights(part.ids)) for part in (rows.classes, rows.distances))
    return CellRows(classes, distances)


def _solve(fitted: SolverRows, judged: SolverRows | None, task: Task, outputs: int, l2: float) -> ProbeResult:
    if judged is None:  # every example is for training, and λ is given
        head = solve_head(fitted.values, fitted.labels, l2=l2, target=task, num_outputs=outputs, weights=fitted.weights)
        return ProbeResult(head, ())
    return choose_head(
        fitted,
        judged,
        l2=l2,
        target=task,
        num_outputs=outputs,
        weights=fitted.weights,
        validation_weights=judged.weights,
    )


def _side_by_side(classes: HeadSolution, distances: HeadSolution) -> HeadSolution:
    kernel = np.concatenate([classes.kernel, distances.kernel], axis=1)
    return dataclasses.replace(classes, kernel=kernel, bias=np.concatenate([classes.bias, distances.bias]))
