"""Phase 2: part of the backbone is trained on from the solved head, and kept only where validation is better."""

import dataclasses
from typing import Any

import keras
import numpy as np
from etils import epath

from tfl.data import EpochFeed
from tfl.distribution.replicas import strategy_of
from tfl.errors import InputError
from tfl.evaluation import compare_losses
from tfl.features import PLAIN, StoredPhase, is_worth_storing, make_feature_dataset
from tfl.features.extract import BATCH
from tfl.files.writing import remove
from tfl.models.batch_norm import shorten_statistics
from tfl.models.cuts import split_frozen
from tfl.models.freezing import learning_rate_multipliers, trained_by_stage, unfreeze
from tfl.models.precision import computing_in
from tfl.models.regularization import regularize
from tfl.progress import say
from tfl.recipe.phases import Job, Part
from tfl.training import (
    CheckpointOptions,
    compile,
    fit,
    make_loss,
    make_optimizer,
    make_schedule,
)
from tfl.training.contract.checks import Contract
from tfl.training.loop.scalars import StepScalars
from tfl.training.objective.calibrated_loss import loss_to_choose_by, metrics_to_choose_by
from tfl.training.objective.units import StandardizedFeed
from tfl.workdir import CHECKPOINTS, write_csv


def finetune(job: Job) -> None:
    """Phase 2: unfreeze from the top and train on; keep the result only where validation is better."""
    if not job.config.finetune.epochs:
        return
    options = job.config.finetune
    before, probe = job.model.get_weights(), job.part
    table = unfreeze(job.model, options.unfreeze, batch_norm=options.batch_norm)
    regularize(job.model, head_l2=job.head_l2, l2=options.l2, l2_sp=options.l2_sp)
    job.part = _part_to_reuse(job)
    trained = job.model if job.part is None else job.part.upper
    with job.standardized():
        contract = _train(job, trained)
    record = {"unfrozen": options.unfreeze, "trainable_parameters": table.trainable}
    job.finish_phase("finetune", contract, record)
    _keep_the_better(job, before, probe)


def _train(job: Job, trained: keras.Model) -> dict[str, Any]:
    """Train the model, or its part above the cut, and return what the contract measured."""
    steps = job.config.finetune.epochs * -(-len(job.splits.train) // job.config.data.batch_size)
    _compile(job, trained, steps)
    promises = [Contract.before(trained, phase="finetune")]
    if job.part is not None:
        promises.append(Contract.before(job.part.extractor.model, phase="finetune, below the cut"))
    history = _fit(job, trained)
    _check_converged(job, history)
    _write_history(job, history)
    contract = promises[0].verify(history, steps=len(history.epoch) * steps // job.config.finetune.epochs)
    for below in promises[1:]:
        contract |= {f"below_the_cut_{name}": value for name, value in below.verify().items()}
    return contract


def _part_to_reuse(job: Job) -> Part | None:
    """Return the two parts where the lower one is to run once per image, or None where it runs in every step."""
    options, data, halves = job.config.finetune, job.config.data, split_frozen(job.model)
    if halves is None or not halves.lower.weights or options.epochs == 1:
        return None
    because = None
    if options.mixup or options.cutmix:
        because = "mixup and cutmix mix the images themselves"
    elif data.augmentation != "none" and not job.config.features.views:
        because = f"augmentation {data.augmentation!r} changes them (features.views stores some versions)"
    if because:
        say(f"fine-tuning runs images through the frozen part in every epoch: {because}")
        return None
    halves.upper.penalty_request = job.model.penalty_request
    extractor = job.extractor(halves.lower)
    rows = {name: job.rows(name) for name in ("train", "validation")}
    # Each worker times it, and all must decide alike.
    worth = is_worth_storing(extractor, rows, max(1, len(job.views())), options.epochs)
    worth = job.workers.mean(worth)[0] > 0.5
    return Part(extractor, halves.upper) if worth else None


def _compile(job: Job, trained: keras.Model, steps: int) -> None:
    options = job.config.finetune
    if options.batch_norm == "train":
        shorten_statistics(job.model, steps)
    schedule = make_schedule(options.schedule, options.learning_rate, steps, warmup_fraction=options.warmup_fraction)
    optimizer = make_optimizer(
        options.optimizer,
        schedule,
        momentum=options.momentum,
        nesterov=options.nesterov,
        weight_decay=options.weight_decay,
    )
    decay = options.layer_decay
    if trained is not job.model:  # of which stage a layer is shows in the whole model alone
        decay = learning_rate_multipliers(job.model, decay)
    with strategy_of(trained).scope():  # where the metrics get a copy for each replica
        compile(
            trained,
            optimizer,
            loss=make_loss(job.task, options.label_smoothing),
            metrics=metrics_to_choose_by(job.task),
            layer_decay=decay,
            clip_norm=options.clip_norm,
            ema=options.ema,
            accumulate=options.accumulate,
            jit_compile=options.jit_compile,
        )


def _fit(job: Job, trained: keras.Model) -> keras.callbacks.History:
    options, data, saving = job.config.finetune, job.config.data, job.config.checkpoint
    train, monitor = job.rows("train"), loss_to_choose_by(job.task)
    checkpoint = CheckpointOptions(
        job.run / CHECKPOINTS / "finetune", saving.every_seconds, saving.every_steps, saving.keep
    )
    if job.run.writes and not epath.Path(checkpoint.folder).exists():
        remove(job.run / "tensorboard")  # of an earlier start that was interrupted before
    if job.part is None:
        feed = EpochFeed(
            job.splits.source, train, job.model.metadata.image_size, data.batch_size, data.augmentation, job.config.seed
        )
        validation = job.dataset(job.rows("validation"))
    else:
        extractor = job.part.extractor
        job.fill(extractor, train, job.views() or PLAIN)
        job.fill(extractor, job.rows("validation"))
        feed = StoredPhase(extractor, train, job.views() or PLAIN, data.batch_size, job.config.seed)
        held = extractor(job.rows("validation"), description="activations of validation")
        validation = make_feature_dataset(held, np.arange(len(held)), BATCH)
    validation = job.weighted(validation)
    if job.units is not None:
        feed, validation = StandardizedFeed(feed, job.units), job.units.batches(validation)
    with computing_in(trained, job.config.precision):
        return fit(
            trained,
            feed,
            epochs=options.epochs,
            validation_data=validation,
            callbacks=[
                keras.callbacks.EarlyStopping(
                    monitor, patience=options.early_stopping or options.epochs, mode="min", restore_best_weights=True
                ),
                keras.callbacks.TensorBoard(job.run / "tensorboard", write_graph=False),
                StepScalars(job.run / "tensorboard" / "steps", _stages(job)),
            ],
            class_weight=job.class_weight,
            mixup=options.mixup,
            cutmix=options.cutmix,
            seed=job.config.seed,
            checkpoint=checkpoint,
            max_skipped_steps=options.max_skipped_steps,
            names=job.splits.index.ids,
        )


def _stages(job: Job) -> dict[str, tuple[list[keras.Variable], float]]:
    """Return the trained variables of each stage, and how its learning rate relates to the head's."""
    factors = learning_rate_multipliers(job.model, job.config.finetune.layer_decay)
    return {name: (found, factors[found[0].path]) for name, found in trained_by_stage(job.model).items()}


def _check_converged(job: Job, history: keras.callbacks.History) -> None:
    """Refuse a result of which half the steps were not finite: its figures would be those of an accident."""
    skipped, losses = np.array(history.history["skipped_steps"], int), np.array(history.history["val_loss"])
    trained = losses[skipped < history.steps // len(history.epoch)]  # in other epochs no step was applied
    if 2 * skipped.sum() >= history.steps or not np.isfinite(trained[-1]):
        raise InputError(
            "`finetune.learning_rate` must be small enough for training to converge. Received: finetune."
            f"learning_rate={job.config.finetune.learning_rate}: {skipped.sum()} of {history.steps} steps had a "
            f"non-finite loss or gradient, and the validation loss ended at {losses[-1]:.4g}."
        )


def _keep_the_better(job: Job, before: list[np.ndarray], probe: Part | None) -> None:
    """Keep fine-tuning where its validation loss is lower, each phase at the temperature that it would ship with."""
    if "probe" not in job.phases:
        return
    tuned, solved = job.validated["finetune"], job.validated["probe"]
    choice = compare_losses(tuned, solved, job.example_weights(tuned.ids))
    record = dataclasses.asdict(choice)  # metrics.json names the phases
    job.choice = {
        "finetune": record.pop("first"),
        "probe": record.pop("second"),
        "difference": choice.difference,
        **record,
    }
    losses = (
        f"validation loss, each at its own temperature, {choice.first:.4f} fine-tuned, {choice.second:.4f} frozen; "
        f"difference {choice.difference:+.4f} (95 % interval {choice.low:+.4f} to {choice.high:+.4f})"
    )
    if choice.difference < 0:
        say(f"fine-tuning is kept{'' if choice.high < 0 else ', though that may be chance'}: {losses}")
        return
    say(f"fine-tuning is not kept, it is no better: {losses}")
    job.model.set_weights(before)
    job.kept, job.part = "probe", probe


def _write_history(job: Job, history: keras.callbacks.History) -> None:
    if not job.run.writes:
        return
    columns = {name: np.asarray(column) for name, column in history.history.items()}
    if job.units is not None and len(job.units.scale) == 1:  # errors in the user's units, losses as they were summed
        factors = {name: job.units.scale[0] if name.endswith(job.task.headline.metric) else 1.0 for name in columns}
        columns = {name: column * factors[name] for name, column in columns.items()}
    rows = zip(history.epoch, *(column.tolist() for column in columns.values()), strict=True)
    write_csv(job.run / "history.csv", ["epoch", *columns], rows)
