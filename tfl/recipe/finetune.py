"""Phase 2: train part of the backbone, starting from the solved head; kept only if validation is better."""

import functools
from typing import Any

import keras
import numpy as np
from etils import epath

from tfl.data import EpochFeed
from tfl.errors import InputError
from tfl.features import PLAIN, StoredPhase, is_worth_storing, make_feature_dataset
from tfl.features.extract import BATCH
from tfl.files.writing import remove
from tfl.models.cuts import split_frozen
from tfl.models.freezing import learning_rate_multipliers, select_layers, train_only, trained_by_stage
from tfl.models.precision import computing_in
from tfl.models.regularization import regularize
from tfl.progress import say
from tfl.recipe.adjustment import adjust_logits, shift_logits
from tfl.recipe.below import why_not_once
from tfl.recipe.budget import StopInTime
from tfl.recipe.compiling import compile_tuning
from tfl.recipe.line import choose_place
from tfl.recipe.probe import HIDDEN_HEAD_L2, solve_on_train
from tfl.recipe.result import Part, PhaseResult, finish_phase
from tfl.recipe.run import Run
from tfl.training import CheckpointOptions, fit
from tfl.training.contract.checks import Contract
from tfl.training.loop.scalars import StepScalars
from tfl.training.objective.calibrated_loss import loss_to_choose_by, metrics_to_choose_by
from tfl.training.objective.units import InUserUnits, StandardizedFeed
from tfl.workdir import CHECKPOINTS, Workdir, write_csv


def finetune(run: Run, probe: PhaseResult | None) -> PhaseResult | None:
    """Phase 2: unfreeze layers from the top and train, starting from the solved head; None if `epochs` is 0."""
    options = run.config.finetune
    if not options.epochs:
        return None
    head_l2 = (run.config.probe.l2 or HIDDEN_HEAD_L2) if probe is None else probe.head_l2
    trained = select_layers(run.model, options.unfreeze, from_top=True, batch_norm=options.batch_norm)
    table = train_only(run.model, trained, options.batch_norm)
    regularize(run.model, head_l2=head_l2, l2=options.l2, l2_sp=options.l2_sp)
    part = _part_to_reuse(run)
    if run.config.probe.folds and probe is not None:
        solve_on_train(run, probe)
    if probe is not None and (adjusted := probe.record.get("logit_adjustment")):
        shift_logits(run, adjusted)  # it is chosen again for the trained model
    start = run.model.get_weights()
    with run.standardized():
        contract = _train(run, part)
    record = {"unfrozen": options.unfreeze, "trainable_parameters": table.trainable}
    if run.config.probe.solver != "none":  # a head of random weights is no place to go back to
        record |= choose_place(run, part, start)
    if run.task.stands_on == "map":
        record["logit_adjustment"] = adjust_logits(run, part)
    return finish_phase(run, "finetune", record, contract, head_l2=head_l2, part=part)


def _train(run: Run, part: Part | None) -> dict[str, Any]:
    """Train the model, or its part above the cut, and return the measurements of the training contract."""
    trained = run.model if part is None else part.upper
    steps = run.config.finetune.epochs * -(-len(run.splits.train) // run.config.data.batch_size)
    compile_tuning(
        run.config.finetune,
        run.model,
        steps,
        run.balance,
        part=None if part is None else part.upper,
        metrics=functools.partial(_metrics, run),
    )
    promises = [Contract.before(trained, phase="finetune")]
    if part is not None:
        promises.append(Contract.before(part.extractor.model, phase="finetune, below the cut"))
    history = _fit(run, trained, part)
    _check_converged(run, history)
    write_history(run.folder, history)
    made = len(history.epoch) * steps // run.config.finetune.epochs
    if run.budget.seconds_to_train() < 0:  # the last epoch may have ended in its middle
        made = min(made, history.steps)
    contract = promises[0].verify(history, steps=made)
    for below in promises[1:]:
        contract |= {f"below_the_cut_{name}": value for name, value in below.verify().items()}
    return contract


def _part_to_reuse(run: Run) -> Part | None:
    """Return the two parts if the lower part should run once per image; None if it must run in every step."""
    halves = split_frozen(run.model)
    if halves is None or not halves.lower.weights or run.config.finetune.epochs == 1:
        return None
    if because := why_not_once(run):
        examples = run.splits.source.kind.noun[1]
        say(f"fine-tuning runs {examples} through the frozen part in every epoch, because {because}")
        return None
    halves.upper.penalty_request = run.model.penalty_request
    extractor = run.extractor(halves.lower)
    rows = {name: run.rows(name) for name in ("train", "validation")}
    # Each worker measures the time for itself, and all workers must take the same decision.
    worth = is_worth_storing(extractor, rows, len(run.views()), run.config.finetune.epochs)
    worth = run.workers.mean(worth)[0] > 0.5
    return Part(extractor, halves.upper) if worth else None


def _metrics(run: Run) -> list[keras.metrics.Metric]:
    metrics = metrics_to_choose_by(run.balance.solved)
    return metrics if run.units is None else [InUserUnits(metric, run.units) for metric in metrics]


def _fit(run: Run, trained: keras.Model, part: Part | None) -> keras.callbacks.History:
    options, data, saving = run.config.finetune, run.config.data, run.config.checkpoint
    train = run.rows("train")
    checkpoint = CheckpointOptions(
        run.folder / CHECKPOINTS / "finetune", saving.every_seconds, saving.every_steps, saving.keep
    )
    if run.folder.writes and not epath.Path(checkpoint.folder).exists():
        remove(run.folder / "tensorboard")  # left by an earlier start that was interrupted before its first checkpoint
    if part is None:
        feed = EpochFeed(
            run.splits.source,
            train,
            run.model.metadata.image_size,
            data.batch_size,
            data.augmentation,
            run.config.seed,
            options.sampling,
        )
        validation = run.dataset(run.rows("validation"))
    else:
        extractor = part.extractor
        run.fill(extractor, train, run.views() or PLAIN)
        run.fill(extractor, run.rows("validation"))
        feed = StoredPhase(extractor, train, run.views() or PLAIN, data.batch_size, run.config.seed, options.sampling)
        held = extractor(run.rows("validation"), description="activations of validation")
        validation = run.with_labels(make_feature_dataset(held, np.arange(len(held)), BATCH), held.ids)
    validation = run.weighted(validation)
    if run.units is not None:
        feed, validation = StandardizedFeed(feed, run.units), run.units.batches(validation)
    with computing_in(trained, run.config.precision):
        return fit(
            trained,
            feed,
            epochs=options.epochs,
            validation_data=validation,
            callbacks=_callbacks(run),
            class_weight=run.balance.step_weight,
            mixup=options.mixup,
            cutmix=options.cutmix,
            seed=run.config.seed,
            checkpoint=checkpoint,
            max_skipped_steps=options.max_skipped_steps,
            names=run.splits.index.ids,
        )


def _callbacks(run: Run) -> list[keras.callbacks.Callback]:
    options, board = run.config.finetune, run.folder / "tensorboard"
    patience = options.early_stopping or options.epochs
    return [
        keras.callbacks.EarlyStopping(
            loss_to_choose_by(run.task), patience=patience, mode="min", restore_best_weights=True
        ),
        keras.callbacks.TensorBoard(board, write_graph=False),
        StepScalars(board / "steps", _stages(run)),
        keras.callbacks.LambdaCallback(on_epoch_end=functools.partial(_track, run)),
        *([StopInTime(run.budget, run.workers)] if run.config.budget_minutes else []),
        *run.callbacks,
    ]


def _stages(run: Run) -> dict[str, tuple[list[keras.Variable], float]]:
    """Return the trained variables of each stage, and the factor of its learning rate relative to the head's."""
    factors = learning_rate_multipliers(run.model, run.config.finetune.layer_decay)
    return {name: (variables, factors[variables[0].path]) for name, variables in trained_by_stage(run.model).items()}


def _check_converged(run: Run, history: keras.callbacks.History) -> None:
    """Refuse a result if at least half of the steps were not finite: its metrics would mean nothing."""
    skipped, losses = np.array(history.history["skipped_steps"], int), np.array(history.history["val_loss"])
    trained = losses[skipped < history.steps // len(history.epoch)]  # the other epochs applied no step
    if 2 * skipped.sum() >= history.steps or not np.isfinite(trained[-1]):
        raise InputError(
            "`finetune.learning_rate` must be small enough for training to converge. Received: "
            f"finetune.learning_rate={run.config.finetune.learning_rate}: in {skipped.sum()} of {history.steps} steps "
            f"the loss or gradient was not finite, and the last validation loss is {losses[-1]:.4g}."
        )


def _track(run: Run, epoch: int, logs: dict[str, Any]) -> None:
    values = {name: np.asarray(value) for name, value in logs.items()}
    run.tracking.log_epoch(epoch + 1, {name: float(value) for name, value in values.items() if value.ndim == 0})


def write_history(folder: Workdir, history: keras.callbacks.History) -> None:
    """Write `history.csv`: a row for each epoch."""
    if not folder.writes:
        return
    columns = {name: np.asarray(column) for name, column in history.history.items()}
    epochs = [epoch + 1 for epoch in history.epoch]  # people count from 1, as the lines on the screen do
    rows = zip(epochs, *(column.tolist() for column in columns.values()), strict=True)
    write_csv(folder / "history.csv", ["epoch", *columns], rows)
