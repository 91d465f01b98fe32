"""Phase 1: the frozen backbone runs once per image, and the head is solved on what it gives."""

import dataclasses
import functools
from typing import Any

import keras
import numpy as np

from tfl.evaluation import Predictions
from tfl.features import Extractor, ProbeResult, assign_head, choose_head, cross_validate_head
from tfl.features.extract import BATCH
from tfl.features.rows import fits_in_memory
from tfl.models.classifier import logits_layer, split_at_features
from tfl.models.freezing import freeze
from tfl.models.inference import Outputs
from tfl.models.regularization import Penalty, regularize
from tfl.progress import say
from tfl.recipe.phases import Job, Part
from tfl.training import compile, fit, make_optimizer
from tfl.training.contract.checks import Contract
from tfl.training.objective.calibrated_loss import loss_to_choose_by, metrics_to_choose_by

HIDDEN_HEAD_EPOCHS = 200
HIDDEN_HEAD_PATIENCE = 10


def solve_head(job: Job) -> None:
    """Phase 1: run the frozen backbone once, and solve the head on its features."""
    if job.config.probe.solver == "none":
        return
    lower, upper = split_at_features(job.model)
    job.part = Part(job.extractor(lower), upper)
    if job.restore("probe"):
        return
    freeze(job.model, "all")
    promise = Contract.before(job.model, phase="probe")
    if job.workers.number == 1:  # one pass over all images costs less than one for each split
        job.part.extractor.fill(job.probe_rows())
    if job.config.probe.folds:
        solve = _cross_validate
    else:
        solve = _train_hidden_head if job.config.head.hidden_units else _solve_linear_head
    record = solve(job, job.part.extractor)
    regularize(job.model, head_l2=job.head_l2)
    job.finish_phase("probe", promise.verify(penalty=Penalty(head_l2=job.head_l2)), record)


def _features(job: Job, extractor: Extractor) -> tuple[Outputs, Outputs]:
    train = job.features(extractor, job.rows("train"), [None, *job.views()], "features of train")
    return train, job.features(extractor, job.rows("validation"), name="features of validation")


def _targets(job: Job, outputs: Outputs) -> Outputs:
    """Return features with the labels that a head is solved or trained for: values are standardised."""
    if job.units is None:
        return outputs
    return dataclasses.replace(outputs, labels=job.units.standardize(outputs.labels))


def _solve_linear_head(job: Job, extractor: Extractor) -> dict[str, Any]:
    """Solve where the features are: few go to every worker, of many each keeps its own and gradients are summed."""
    solve = functools.partial(
        choose_head,
        l2=job.config.probe.l2,
        target=job.task,
        num_outputs=logits_layer(job.model).units,
        class_weight=job.class_weight,
    )
    views, train, validation = [None, *job.views()], job.rows("train"), job.rows("validation")
    few = fits_in_memory(len(views) * len(train), extractor.shape[0])
    if few or job.workers.number == 1 or len(validation) < BATCH * job.workers.number:
        return _take_head(job, solve(*(_targets(job, outputs) for outputs in _features(job, extractor))))
    own = extractor(job.share(train), views, "features of train")
    held = extractor(job.share(validation), description="features of validation")
    return _take_head(job, solve(_targets(job, own), _targets(job, held), over_workers=job.workers.sum))


def _cross_validate(job: Job, extractor: Extractor) -> dict[str, Any]:
    """Choose λ by cross-validation, so that train and validation are both solved on.

    What each fold's head says of the examples that it was not solved on takes the place of validation: the
    temperature, thresholds and prediction sets come from it.
    """
    rows = np.sort(np.concatenate([job.rows("train"), job.rows("validation")]))
    features = job.features(extractor, rows, name="features of train and validation")
    result = cross_validate_head(
        features.values,
        _targets(job, features).labels,
        folds=job.config.probe.folds,
        target=job.task,
        num_outputs=logits_layer(job.model).units,
        class_weight=job.class_weight,
        groups=job.splits.index.contents()[rows],
        rule=job.config.probe.rule,
        seed=job.config.seed,
    )
    logits = result.held_out_logits if job.units is None else job.units.restore(result.held_out_logits)
    job.validated["probe"] = Predictions(rows, features.labels, logits, job.task)
    return _take_head(job, result) | {"folds": job.config.probe.folds, "rule": job.config.probe.rule}


def _take_head(job: Job, result: ProbeResult) -> dict[str, Any]:
    solution = result.chosen
    if job.units is not None:
        kernel, bias = solution.kernel * job.units.scale, job.units.restore(solution.bias)
        solution = dataclasses.replace(solution, kernel=kernel, bias=bias)
    assign_head(logits_layer(job.model), solution)
    job.head_l2 = result.chosen.l2
    return {
        "l2": result.chosen.l2,
        "objective": result.chosen.objective,
        "gradient_norm": result.chosen.gradient_norm,
        "path": [dataclasses.asdict(point) for point in result.path],
    }


def _train_hidden_head(job: Job, extractor: Extractor) -> dict[str, Any]:
    """With hidden layers the problem is not convex: train the head alone, on the stored features."""
    train, validation = (_targets(job, outputs) for outputs in _features(job, extractor))
    weights = job.example_weights(validation.ids)
    _, head = split_at_features(job.model)
    regularize(job.model, head_l2=job.head_l2)
    compile(head, make_optimizer("adam", 1e-3), loss=job.task, metrics=metrics_to_choose_by(job.task))
    monitor = loss_to_choose_by(job.task)
    stop = keras.callbacks.EarlyStopping(monitor, patience=HIDDEN_HEAD_PATIENCE, mode="min", restore_best_weights=True)
    with job.standardized():
        history = fit(
            head,
            np.asarray(train.values),
            train.labels,
            batch_size=job.config.data.batch_size,
            epochs=HIDDEN_HEAD_EPOCHS,
            validation_data=(np.asarray(validation.values), validation.labels, weights),
            callbacks=[stop],
            class_weight=job.class_weight,
            seed=job.config.seed,
            verbose=False,
        )
    best = int(np.argmin(history.history[monitor]))
    say(f"hidden head: {len(history.epoch)} epochs on stored features, best {best + 1}")
    return {"l2": job.head_l2, "epochs": len(history.epoch), "best_epoch": best + 1}
