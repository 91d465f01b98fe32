"""Phase 1: run the frozen backbone once per image, and solve the head on its features."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfl.evaluation import Predictions
from tfl.features import Extractor, ProbeResult, assign_head, choose_head, cross_validate_head
from tfl.features.extract import BATCH
from tfl.features.positions import SolverRows, rows_of_positions
from tfl.features.probe import solve_head as solve_one_head
from tfl.features.rows import alone, fits_in_memory
from tfl.features.view import PLAIN, View
from tfl.models.classifier import logits_layer, split_at_features
from tfl.models.freezing import train_only
from tfl.models.inference import Outputs
from tfl.models.regularization import Penalty, regularize
from tfl.progress import say
from tfl.recipe.adjustment import adjust_logits
from tfl.recipe.below import continue_from_below
from tfl.recipe.boxes import solve_boxes
from tfl.recipe.plan import say_time
from tfl.recipe.pooling import take_stored
from tfl.recipe.result import Part, PhaseResult, finish_phase, restore_phase
from tfl.recipe.ridge import solve_by_ridge
from tfl.recipe.run import Run
from tfl.training import compile, fit, make_optimizer
from tfl.training.contract.checks import Contract
from tfl.training.objective.calibrated_loss import loss_to_choose_by, metrics_to_choose_by

HIDDEN_HEAD_L2 = 1e-4  # L2 of a head that is trained, not solved, if `probe.l2` is 0
HIDDEN_HEAD_EPOCHS = 200
HIDDEN_HEAD_PATIENCE = 10


@dataclasses.dataclass(frozen=True)
class _Head:
    """A head whose weights are in the model.

    Attributes:
        l2: its λ.
        record: its entry in `metrics.json`.
        validation: the held-out predictions of cross-validation; None if only the validation split is held out.
    """

    l2: float
    record: dict[str, Any]
    validation: Predictions | None = None


def solve_head(run: Run) -> PhaseResult | None:
    """Phase 1: run the frozen backbone once, and solve the head on its features."""
    if run.config.probe.solver == "none":
        return None
    lower, upper = split_at_features(run.model)
    part = Part(run.extractor(lower), upper)
    take_stored(run, part.extractor)
    say_time(run, part.extractor, _count_missing(run, part.extractor))
    restored = restore_phase(run, "probe", part)
    if restored is not None:
        return restored
    train_only(run.model, ())
    promise = Contract.before(run.model, phase="probe")
    if run.workers.number == 1:  # one pass over all images is cheaper than one pass per split
        part.extractor.fill(_rows_to_extract(run))
        continue_from_below(run, part.extractor)
    solve = _solve_linear_head
    if run.config.probe.folds or run.config.head.hidden_units:
        solve = _cross_validate if run.config.probe.folds else _train_hidden_head
    if run.config.probe.solver == "ridge":
        solve = _solve_by_ridge
    if run.task.stands_on == "boxes":
        solve = _solve_boxes
    head = solve(run, part.extractor)
    if run.task.stands_on == "map" and len(run.rows("validation")):
        head = dataclasses.replace(head, record=head.record | {"logit_adjustment": adjust_logits(run, part)})
    regularize(run.model, head_l2=head.l2)
    contract = promise.verify(penalty=Penalty(head_l2=head.l2))
    return finish_phase(run, "probe", head.record, contract, head_l2=head.l2, part=part, validation=head.validation)


def _rows_to_extract(run: Run) -> np.ndarray:
    """Return the rows to extract: train and validation, and also test if the frozen backbone may be the result."""
    is_result = not run.config.finetune.epochs or bool(run.config.scratch.epochs)
    names = ("train", "validation", "test") if is_result else ("train", "validation")
    return np.sort(np.concatenate([run.rows(name) for name in names]))


def _count_missing(run: Run, extractor: Extractor) -> int:
    """Return how many features phase 1 still computes."""
    missing = extractor.count_missing(_rows_to_extract(run))
    if run.views():
        rows = run.splits.outside_of_test if run.config.probe.folds else run.rows("train")
        missing += extractor.count_missing(rows, run.views())
    return missing


def _features(run: Run, extractor: Extractor) -> tuple[Outputs, Outputs]:
    train = run.features(extractor, run.rows("train"), [None, *run.views()], "features of train")
    return train, run.features(extractor, run.rows("validation"), name="features of validation")


def _targets(run: Run, outputs: Outputs, views: Sequence[View | None] = PLAIN) -> SolverRows:
    """Return the rows that the head is solved on, with the labels that it learns.

    Values of a regression are standardised. A map gives a row for each of its positions.
    """
    if run.task.stands_on == "map":
        rows = rows_of_positions(outputs, run.splits.source, run.model, views=views, seed=run.config.seed)
        return rows.weighted(run.own_weights(rows.ids))
    labels = outputs.labels if run.units is None else run.units.standardize(outputs.labels)
    return SolverRows(outputs.values, labels, outputs.ids, run.own_weights(outputs.ids))


def _solve_linear_head(run: Run, extractor: Extractor) -> _Head:
    """Solve a linear head; with several workers, either each gets all features, or each keeps its own part.

    A few features are gathered on every worker. If there are many, each worker keeps its own part, and the gradients
    are summed over the workers.
    """
    solve = functools.partial(
        choose_head,
        l2=run.config.probe.l2,
        target=run.balance.solved.solved_as,
        num_outputs=logits_layer(run.model).units,
        class_weight=run.balance.class_weight,
    )
    views, train, validation = [None, *run.views()], run.rows("train"), run.rows("validation")
    if not len(validation):  # every example is for training, and λ is given
        features = _targets(run, run.features(extractor, train, views, "features of train"), views)
        head = solve_one_head(features.values, features.labels, weights=features.weights, **solve.keywords)
        return _take_head(run, ProbeResult(head, ()))
    few = fits_in_memory(len(views) * len(train), math.prod(extractor.shape))
    over_workers = alone
    if few or run.workers.number == 1 or len(validation) < BATCH * run.workers.number:
        own, held = _features(run, extractor)
    else:
        own = extractor(run.share(train), views, "features of train")
        held = extractor(run.share(validation), description="features of validation")
        over_workers = run.workers.sum
    fitted, judged = _targets(run, own, views), _targets(run, held)
    result = solve(
        fitted,
        judged,
        weights=fitted.weights,
        validation_weights=judged.weights,
        over_workers=over_workers,
    )
    return _take_head(run, result)


def _cross_validate(run: Run, extractor: Extractor) -> _Head:
    """Choose λ by cross-validation, so that the final head is solved on both train and validation.

    The predictions of each fold's head on its held-out examples replace those on the validation split: they give the
    temperature, the thresholds and the prediction sets.
    """
    rows, views = run.splits.outside_of_test, [None, *run.views()]
    features = run.features(extractor, rows, views, "features of train and validation")
    result = cross_validate_head(
        features.values,
        _targets(run, features).labels,
        folds=run.config.probe.folds,
        target=run.balance.solved,
        num_outputs=logits_layer(run.model).units,
        weights=run.own_weights(features.ids),
        class_weight=run.balance.class_weight,
        views=len(views),
        groups=run.splits.index.together()[rows],
        rule=run.config.probe.rule,
        seed=run.config.seed,
    )
    logits = result.held_out_logits if run.units is None else run.units.restore(result.held_out_logits)
    head, options = _take_head(run, result), run.config.probe
    record = head.record | {"folds": options.folds, "rule": options.rule}
    groups = run.splits.index.group_numbers(rows)
    labels = features.labels[: len(rows)]
    return _Head(head.l2, record, Predictions(rows, labels, logits, run.task, groups))


def _solve_by_ridge(run: Run, extractor: Extractor) -> _Head:
    """Choose λ by leave-one-out predictions, which replace those on the validation split, as with cross-validation."""
    result, validation = solve_by_ridge(run, extractor)
    head = _take_head(run, result)
    return _Head(head.l2, head.record | {"solver": "ridge", "factor": result.factor}, validation)


def _solve_boxes(run: Run, extractor: Extractor) -> _Head:
    """Solve the classes and the distances of a head for boxes."""
    result, distances = solve_boxes(run, extractor)
    head = _take_head(run, result)
    return dataclasses.replace(head, record=head.record | {"distances": distances})


def solve_on_train(run: Run, probe: PhaseResult) -> None:
    """Give the model a head that has seen no validation example, at the λ of cross-validation.

    Fine-tuning starts from this head: what has seen the validation split cannot be judged on it.
    """
    if probe.part is None:
        raise ValueError("cross-validation stores the features of the frozen part")
    views = [None, *run.views()]
    features = _targets(run, run.features(probe.part.extractor, run.rows("train"), views, "features of train"))
    head = solve_one_head(
        features.values,
        features.labels,
        l2=probe.head_l2,
        target=run.balance.solved,
        num_outputs=logits_layer(run.model).units,
        weights=run.own_weights(features.ids),
        class_weight=run.balance.class_weight,
    )
    _take_head(run, ProbeResult(head, ()))


def _take_head(run: Run, result: ProbeResult) -> _Head:
    solution = result.chosen
    if run.units is not None:
        kernel, bias = solution.kernel * run.units.scale, run.units.restore(solution.bias)
        solution = dataclasses.replace(solution, kernel=kernel, bias=bias)
    assign_head(logits_layer(run.model), solution)
    record = {
        "l2": result.chosen.l2,
        "objective": result.chosen.objective,
        "gradient_norm": result.chosen.gradient_norm,
        "path": [dataclasses.asdict(point) for point in result.path],
    }
    return _Head(result.chosen.l2, record)


def _train_hidden_head(run: Run, extractor: Extractor) -> _Head:
    """Train a head with hidden layers on the stored features; its problem is not convex, so it cannot be solved."""
    train, validation = (_targets(run, outputs) for outputs in _features(run, extractor))
    weights = run.example_weights(validation.ids)
    _, head = split_at_features(run.model)
    l2 = run.config.probe.l2 or HIDDEN_HEAD_L2
    regularize(run.model, head_l2=l2)
    metrics = metrics_to_choose_by(run.balance.solved)
    compile(head, make_optimizer("adam", 1e-3), loss=run.balance.trained, metrics=metrics)
    monitor = loss_to_choose_by(run.task)
    stop = keras.callbacks.EarlyStopping(monitor, patience=HIDDEN_HEAD_PATIENCE, mode="min", restore_best_weights=True)
    with run.standardized():
        history = fit(
            head,
            np.asarray(train.values),
            train.labels,
            batch_size=run.config.data.batch_size,
            epochs=HIDDEN_HEAD_EPOCHS,
            validation_data=(np.asarray(validation.values), validation.labels, weights),
            callbacks=[stop],
            sample_weight=run.own_weights(train.ids),
            class_weight=run.balance.class_weight,
            seed=run.config.seed,
            verbose=False,
        )
    best = int(np.argmin(history.history[monitor]))
    say(f"hidden head: {len(history.epoch)} epochs on stored features, the best is epoch {best + 1}")
    return _Head(l2, {"l2": l2, "epochs": len(history.epoch), "best_epoch": best + 1})
