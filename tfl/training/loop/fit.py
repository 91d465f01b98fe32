"""`tfl.fit`: a training loop whose averages are exact and whose overhead is small.

The loop of Keras averages over batches even if their sizes differ, has no learning rate per layer, lets one broken
image end a run with NaN, and waits for the graph at every step.
"""

import contextlib
import inspect
import time
from collections.abc import Iterator, Sequence
from typing import Any, Never

import keras
import numpy as np
import tensorflow as tf

from tfl import progress
from tfl.data import reading_explained
from tfl.distribution.replicas import strategy_of
from tfl.distribution.strategy import num_workers
from tfl.distribution.workers import Workers
from tfl.errors import InputError, WorkerLostError
from tfl.training.loop.epochs import NO_BATCH, Batches, Epochs
from tfl.training.loop.guard import Guard, ValidationGuard
from tfl.training.loop.hooks import (
    callbacks_of_this_process,
    check_callbacks,
    choose_modes,
    want_test_steps,
    want_train_steps,
)
from tfl.training.loop.incoming import checked_feed, validation_feed, weigh_classes
from tfl.training.loop.lines import describe_epoch
from tfl.training.loop.monitors import keep_nan_from_being_best, not_a_number
from tfl.training.loop.pace import TimeLeft
from tfl.training.loop.plan import CheckpointOptions, FitOptions, check_options, halve_batches, make_trainer
from tfl.training.loop.recovery import Position, Recovery
from tfl.training.loop.stopping import StopListener
from tfl.training.loop.walk import Watcher, evaluate_feed, walk
from tfl.training.update.batches import Feed
from tfl.training.update.records import COLUMNS
from tfl.training.update.step import Trainer

# The errors of a sum over the workers if one worker is lost.
_OF_ANOTHER_WORKER = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)


@reading_explained()
def fit(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    batch_size: int | None = 32,
    epochs: int = 1,
    verbose: bool | int | str = True,
    callbacks: Any = None,
    validation_data: Any = None,
    shuffle: bool = True,
    class_weight: Any = None,
    sample_weight: Any = None,
    initial_epoch: int = 0,
    steps_per_epoch: int | None = None,
    seed: int = 0,
    mixup: float = 0.0,
    cutmix: float = 0.0,
    checkpoint: CheckpointOptions | None = None,
    max_skipped_steps: int = 0,
    names: Sequence[str] | np.ndarray | None = None,
    **unknown: Never,
) -> keras.callbacks.History:
    """Train a compiled model: `min (1/N) sum L(y, f(x)) + penalty`.

    `fit` reads which layers are trainable at each call, so you may freeze layers after `compile`. A step whose inputs,
    loss or gradient are not finite is not applied: `skipped_steps` counts it, and the ids of its examples are logged.
    `loss` contains the penalty. `val_loss` contains neither the penalty nor label smoothing: it is for choosing.

    Args:
        model: compiled with `tfl.compile`.
        x: images `(N, H, W, 3)`; a batched `tf.data.Dataset` of `(x, y)`, `(x, y, weight)` or dicts with
            `image`, `label` and optionally `weight`, `id`; or a callable from the epoch to such a dataset.
        y: labels of length N, with arrays only.
        batch_size: examples per batch, at least 1, with arrays only; None for 32.
        epochs: number of the last epoch, at least 1.
        verbose: show progress on stderr.
        callbacks: any Keras callbacks. A hook per batch makes every step wait for the graph; other hooks do not.
        validation_data: `(x, y)`, `(x, y, weight)` or a dataset as for `x`; each epoch reads all of it once.
        shuffle: with arrays only: use a new order in each epoch, which depends only on seed and epoch.
        class_weight: weights of the examples of each class: a dict by class number, or by class name if the metadata
            of the model has class names (1 for absent classes); one weight for each class, in the order of the
            classes; or `"balanced"`, which gives every class the same total, with arrays and `EpochFeed` only.
        sample_weight: `(N,)` weights of the examples, with arrays only.
        initial_epoch: number of the first epoch, from 0.
        steps_per_epoch: batches per epoch. The next epoch continues after them, also after a resume. At its end the
            data starts again. None: an epoch is one pass over the data.
        seed: seed of the data order, the mixing and dropout.
        mixup: parameter of mixup's Beta distribution, at least 0; 0 for off.
        cutmix: parameter of CutMix's Beta distribution, at least 0; 0 for off.
        checkpoint: save checkpoints during training and continue from them; None for off. See `CheckpointOptions`.
        max_skipped_steps: largest number of skipped steps in a row; more of them end training. 0 for no limit.
        names: names of the examples for messages, indexed by the ids of the data; None shows the ids.
        **unknown: any other option is refused.

    Returns:
        The Keras `History`. For each epoch it has the mean loss and the metrics over all examples, with the prefix
        `val_` for validation. All of them are NaN if no step of the epoch was applied. It also has `skipped_steps`,
        and in float16 `overflows`, the number of steps that were repeated with half the loss scale. Its attribute
        `steps` counts all steps, including the skipped ones.

    Raises:
        InputError: the model is not compiled, the data has another form, an option is unknown, or nothing is trainable.

    Example:
        >>> tfl.compile(model, "adam")
        >>> history = tfl.fit(model, images, labels, epochs=3, seed=1)
        >>> accuracy = history.history["accuracy"][-1]
    """
    check_options(unknown, inspect.signature(fit).parameters)
    batch_size = 32 if batch_size is None else batch_size
    feed = checked_feed(model, (x, y, sample_weight), batch_size, seed if shuffle else None)
    chosen = FitOptions(
        class_weight=weigh_classes(class_weight, model, getattr(x, "labels", None) if y is None else y),
        seed=seed,
        mixup=mixup,
        cutmix=cutmix,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch or None,
        initial_epoch=initial_epoch,
        verbose=verbose,
        checkpoint=checkpoint,
        max_skipped_steps=max_skipped_steps,
        names=names,
    )
    validation = None if validation_data is None else validation_feed(model, validation_data, batch_size)
    with strategy_of(model).scope():
        return _train(model, (feed, validation), callbacks, chosen)


def _train(
    model: keras.Model, feeds: tuple[Feed, Feed | None], callbacks: Any, options: FitOptions
) -> keras.callbacks.History:
    """Train on the feeds of training and validation; divide the batches while memory runs out in the first step."""
    while True:
        run = _Run(make_trainer(model, options), feeds, callbacks, options)
        try:
            return run.train()
        except tf.errors.ResourceExhaustedError as error:
            if run.has_begun():
                raise
            halve_batches(model, error)
        except _OF_ANOTHER_WORKER as error:
            if num_workers(strategy_of(model)) == 1:
                raise
            raise WorkerLostError(
                "Another worker was lost. Start all workers again; they continue from the last checkpoint. "
                "TensorFlow: " + " ".join(str(error).split())[:200]
            ) from error


class _Run:
    """One call of `fit`."""

    def __init__(self, trainer: Trainer, feeds: tuple[Feed, Feed | None], callbacks: Any, options: FitOptions) -> None:
        self.trainer, self.options = trainer, options
        self.feed, self.validation = feeds
        self.epochs = Epochs(self.feed, options.steps_per_epoch)
        self.history, self.listener = keras.callbacks.History(), StopListener()
        own, model, steps = (
            callbacks_of_this_process(callbacks),
            trainer.model,
            self.epochs.num_steps(options.initial_epoch),
        )
        check_callbacks(own, model, averages=trainer.average is not None)
        choose_modes(own, trainer.metrics)
        self.hooks = keras.callbacks.CallbackList(
            [*own, self.history],
            model=model,
            epochs=options.epochs,
            steps=steps,
            verbose=options.verbose,
        )
        self.every_step, self.every_test_step = want_train_steps(own), want_test_steps(own)
        self.last_loss, self.epoch = 0.0, options.initial_epoch
        self.time_left = TimeLeft(steps, 0 if self.validation is None else _count_batches(self.validation))
        self.recovery = None
        if options.checkpoint is not None:
            self.recovery = Recovery(trainer, own, self.history, options.checkpoint)

    def train(self) -> keras.callbacks.History:
        trainer, average, model = self.trainer, self.trainer.average, self.trainer.model
        _seed_layers(model, self.options.seed)
        self.history.steps, model.stop_training, model._initial_epoch = 0, False, None
        self.iterations = int(trainer.optimizer.iterations.numpy())
        trainer.first_batch = lambda: next(iter(self.feed.dataset(self.options.initial_epoch, 0)))
        trainer.begin_epoch()
        trainer.totals.skipped_in_a_row.assign(0)
        self.hooks.on_train_begin()
        # `BackupAndRestore` sets `_initial_epoch`, as it does for Keras.
        position = Position(model._initial_epoch or self.options.initial_epoch)
        if average is not None:
            average.reset()
        if self.recovery is not None:
            position = self.recovery.restore() or position
        logs: dict[str, Any] = {}
        with self.listener if self.recovery is not None else contextlib.nullcontext():
            for epoch in range(position.epoch, self.options.epochs):
                if model.stop_training:
                    break
                logs = self._run_epoch(epoch, position.batch if epoch == position.epoch else 0)
        trainer.optimizer.finalize_variable_values(trainer.variables)  # sets the optimizer's own average, as Keras does
        if average is not None:
            average.swap_in()
        if self.recovery is not None:
            self.recovery.finish()
        self.hooks.on_train_end(logs)
        return self.history

    def has_begun(self) -> bool:
        """Return whether this call has completed a step; `totals.steps` may also count a step that failed."""
        return self.history.steps > 0 or int(self.trainer.optimizer.iterations.numpy()) > self.iterations

    def _run_epoch(self, epoch: int, start: int) -> dict[str, Any]:
        trainer, average, options = self.trainer, self.trainer.average, self.options
        if not start:
            trainer.begin_epoch()
        self.hooks.on_epoch_begin(epoch)
        self.epoch = epoch
        self.time_left.begin_epoch(time.monotonic(), start)
        guard = Guard(trainer, self.recovery, self.listener, options, epoch, self._tell)
        for step in self._steps(epoch, start, guard):
            if self.every_step:
                self.hooks.on_train_batch_end(step, self._step_logs())
            if trainer.model.stop_training:
                break
        if not int(trainer.totals.steps.numpy()):
            raise InputError(NO_BATCH)
        figures, counts = trainer.results(), _count_steps(trainer)
        guard.report_skipped()
        steps = int(trainer.totals.steps.numpy())
        watcher = None if self.recovery is None else ValidationGuard(guard)
        if average is not None:
            average.swap_in()
        if self.validation is not None:
            figures |= {f"val_{name}": value for name, value in self._validate(self.validation, watcher).items()}
        self.history.steps += steps  # after validation: a stop in it saves them with the totals
        logs = (not_a_number(figures) if counts["skipped_steps"] == steps else figures) | counts
        if options.verbose:
            left = self.time_left.after_epoch(options.epochs - epoch - 1)
            progress.say(f"epoch {epoch + 1}/{options.epochs}: {describe_epoch(logs)}{left}")
        keep_nan_from_being_best(self.hooks.callbacks, logs)
        self.hooks.on_epoch_end(epoch, logs)
        if average is not None:
            average.swap_out()
        last = trainer.model.stop_training or epoch + 1 == options.epochs
        columns = self.history.history
        best = _is_best(columns.get("val_calibrated_loss") or columns.get("val_loss", ()))
        if self.recovery is not None:
            self._save_epoch(self.recovery, guard, last=last, best=best)
        return logs

    def _save_epoch(self, recovery: Recovery, guard: Guard, *, last: bool, best: bool) -> None:
        """Save the state after an epoch if it is due, and leave if a signal asks to stop."""
        stop = Workers(self.trainer.strategy).mean(float(guard.asks_to_stop()))[0] > 0
        if last or best or stop or recovery.is_due(0, 0.0):
            recovery.save(Position(self.epoch + 1), best=best)
        if stop:
            guard.leave(f"after epoch {self.epoch + 1}, whose state is")

    def _validate(self, feed: Feed, watcher: Watcher | None) -> dict[str, Any]:
        model, hooks = self.trainer.model, self.hooks
        model.stop_evaluating = False
        hooks.on_test_begin()
        pace = self.time_left.validation
        pace.begin(time.monotonic())
        before = hooks.on_test_batch_begin if self.every_test_step else None
        for step in evaluate_feed(self.trainer, feed, before, watcher):
            pace.add(1, time.monotonic())
            if self.every_test_step:
                hooks.on_test_batch_end(step, self.trainer.results())
                if model.stop_evaluating:
                    break
        values = self.trainer.results()
        hooks.on_test_end(values)
        return values

    def _step_logs(self) -> dict[str, Any]:
        """Return the results of the epoch so far; after a skipped step `loss` is the loss of that step, as in Keras."""
        return self.trainer.results() | ({} if np.isfinite(self.last_loss) else {"loss": self.last_loss})

    def _tell(self, rows: np.ndarray) -> None:
        self.last_loss = float(rows[-1][COLUMNS.index("loss")]) if len(rows) else 0.0
        self.time_left.training.add(len(rows), time.monotonic())
        line = self.time_left.within_epoch(self.options.epochs - self.epoch - 1)
        if line and self.options.verbose:
            progress.say(line)
        for callback in self.hooks.callbacks:
            if hasattr(callback, "on_steps"):
                callback.on_steps(rows)

    def _steps(self, epoch: int, start: int, guard: Guard) -> Iterator[int]:
        steps = self._walk(epoch, start, guard)
        if not self.options.verbose:
            return steps
        total = self.epochs.num_steps(epoch)
        return progress.track(steps, f"epoch {epoch + 1}/{self.options.epochs}", total=total)

    def _walk(self, epoch: int, start: int, guard: Guard) -> Iterator[int]:
        before = self.hooks.on_train_batch_begin if self.every_step else None
        for batches, first, count in self.epochs.walks(epoch, start):
            yield from walk(
                self.trainer, batches, epoch, train=True, start=first, count=count, before=before, watcher=guard
            )


def _count_batches(feed: Feed) -> int:
    """Return the number of batches of a pass; 0 if it is not known without reading them."""
    if feed.num_batches is None and feed.stream is not None:
        return Batches(feed.stream).count or 0
    return feed.num_batches or 0


def _count_steps(trainer: Trainer) -> dict[str, Any]:
    """Return the counts of an epoch for the logs."""
    counts = {"skipped_steps": int(trainer.totals.skipped.numpy())}
    if trainer.loss_scale is not None:
        counts["overflows"] = int(trainer.totals.overflows.numpy())
    return counts


def _is_best(losses: Sequence[float]) -> bool:
    """Return whether the last loss is finite and the lowest so far."""
    return len(losses) > 0 and bool(np.isfinite(losses[-1])) and losses[-1] <= np.nanmin(losses)


def _seed_layers(model: keras.Model, seed: int) -> None:
    """Set the random state of dropout from the seed and the step, so that it does not depend on earlier runs."""
    step = int(model.optimizer.iterations.numpy())
    states = [v for v in model.variables if v.name == "seed_generator_state"]
    for position, state in enumerate(states):
        words = np.random.SeedSequence((seed, position, step)).generate_state(2, np.uint32)
        state.assign(np.minimum(words, 2**31 - 1).astype(state.dtype))
