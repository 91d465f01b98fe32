"""`tfl.fit`: the objective of the design, in a loop that is exact and costs nothing.

Keras' own loop averages uneven batches by batch, knows no learning rate per layer, lets one broken image
end a run in NaN, and waits for the graph at every step.
"""

import contextlib
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfl import progress
from tfl.errors import InputError, WorkerLostError
from tfl.training.batches import Feed, make_feed
from tfl.training.guard import Guard
from tfl.training.plan import FitOptions, fit_options, halve_batches, make_trainer
from tfl.training.recovery import Position, Recovery
from tfl.training.replicas import strategy_of
from tfl.training.scalars import StepScalars
from tfl.training.step import Trainer
from tfl.training.stopping import StopListener
from tfl.training.strategy import is_chief, num_workers
from tfl.training.walk import evaluate_feed, walk

# What a sum over the workers raises when one of them is gone.
_OF_ANOTHER_WORKER = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)
_BATCH_HOOKS = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")


def fit(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    batch_size: int = 32,
    epochs: int = 1,
    validation_data: Any = None,
    callbacks: Sequence[keras.callbacks.Callback] | None = None,
    **options: Any,
) -> keras.callbacks.History:
    """Train a compiled model: `min (1/N) sum L(y, f(x)) + penalty`.

    What is trainable is read now, so freezing after `compile` takes effect. A step whose loss or gradient
    is not finite is not applied: it is counted under `skipped_steps`, and the ids of its examples are
    logged. `loss` contains the penalty; `val_loss` does not, nor label smoothing: it is for choosing.

    Args:
        model: compiled with `tfl.compile`.
        x: images `(N, H, W, 3)`; a batched `tf.data.Dataset` of `(x, y)`, `(x, y, weight)` or dicts with
            `image`, `label` and optionally `weight`, `id`; or a callable from the epoch to such a dataset.
        y: labels of length N, with arrays only.
        batch_size: of arrays.
        epochs: number of the last epoch, at least 1.
        validation_data: `(x, y)`, `(x, y, weight)` or a dataset as for `x`; walked once per epoch, whole.
        callbacks: any Keras callbacks. Hooks per batch cost a wait per step; all others are free.
        **options: see `FitOptions`: class_weight, sample_weight, seed, shuffle, mixup, cutmix,
            steps_per_epoch, initial_epoch, verbose, checkpoint, max_skipped_steps, names.

    Returns:
        The Keras `History`: per epoch the mean loss and the metrics over all examples, `val_` for
        validation, and `skipped_steps`. Its attribute `steps` counts all steps, skipped ones included.

    Raises:
        InputError: not compiled, data of another form, an unknown option, or nothing to train.

    Example:
        >>> tfl.compile(model, "adam")
        >>> history = tfl.fit(model, images, labels, epochs=3, seed=1)
        >>> history.history["accuracy"]
    """
    chosen = fit_options(options)
    feed = make_feed(x, y, batch_size, chosen.seed if chosen.shuffle else None, chosen.sample_weight)
    validation = None if validation_data is None else _validation_feed(validation_data, batch_size)
    with strategy_of(model).scope():
        while True:
            run = _Run(make_trainer(model, chosen), (feed, validation), callbacks, epochs, chosen)
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
                    "Another worker was lost: all must start again, and go on from the last checkpoint. TensorFlow: "
                    + " ".join(str(error).split())[:200]
                ) from error


def _validation_feed(data: Any, batch_size: int) -> Feed:
    if isinstance(data, (tuple, list)):
        x, y, *weight = data
        return make_feed(x, y, batch_size, None, weight[0] if weight else None)
    return make_feed(data, None, batch_size, None)


class _Run:
    """One call of `fit`."""

    def __init__(
        self,
        trainer: Trainer,
        feeds: tuple[Feed, Feed | None],
        callbacks: Sequence[keras.callbacks.Callback] | None,
        epochs: int,
        options: FitOptions,
    ) -> None:
        self.trainer, self.options, self.epochs = trainer, options, epochs
        self.feed, self.validation = feeds
        self.history, self.listener = keras.callbacks.History(), StopListener()
        own, model = [callback for callback in callbacks or [] if _is_for_this_process(callback)], trainer.model
        self.hooks = keras.callbacks.CallbackList([*own, self.history], model=model, epochs=epochs, verbose=0)
        self.every_step = any(_needs_every_step(callback) for callback in self.hooks.callbacks)
        self.recovery = None
        if options.checkpoint is not None:
            self.recovery = Recovery(trainer, own, self.history, options.checkpoint)

    def train(self) -> keras.callbacks.History:
        trainer, average = self.trainer, self.trainer.average
        _seed_layers(trainer.model, self.options.seed)
        if average is not None:
            average.reset()
        trainer.model.stop_training, self.history.steps = False, 0
        self.iterations = int(trainer.optimizer.iterations.numpy())
        trainer.first_batch = lambda: next(iter(self.feed.dataset(self.options.initial_epoch, 0)))
        trainer.begin_epoch()
        trainer.totals.skipped_in_a_row.assign(0)
        self.hooks.on_train_begin()
        position = Position(self.options.initial_epoch) if self.recovery is None else self.recovery.restore()
        with self.listener if self.recovery is not None else contextlib.nullcontext():
            for epoch in range(position.epoch, self.epochs):
                if trainer.model.stop_training:
                    break
                self._run_epoch(epoch, position.batch if epoch == position.epoch else 0)
        if average is not None:
            average.swap_in()
        if self.recovery is not None:
            self.recovery.finish()
        self.hooks.on_train_end()
        return self.history

    def has_begun(self) -> bool:
        """Say whether a step of this call was done; `totals.steps` may count one that failed on the way."""
        return self.history.steps > 0 or int(self.trainer.optimizer.iterations.numpy()) > self.iterations

    def _run_epoch(self, epoch: int, start: int) -> None:
        trainer, average, options = self.trainer, self.trainer.average, self.options
        if not start:
            trainer.begin_epoch()
        self.hooks.on_epoch_begin(epoch)
        guard = Guard(trainer, self.recovery, self.listener, options, epoch, self._tell)
        for step in self._steps(epoch, start, guard):
            if self.every_step:
                self.hooks.on_train_batch_end(step, trainer.results())
                if trainer.model.stop_training:
                    break
                self.hooks.on_train_batch_begin(step + 1)
        logs = trainer.results() | {"skipped_steps": int(trainer.totals.skipped.numpy())}
        guard.report_skipped()
        self.history.steps += int(trainer.totals.steps.numpy())
        if average is not None:
            average.swap_in()
        if self.validation is not None:
            self.hooks.on_test_begin()
            values = evaluate_feed(trainer, self.validation)
            self.hooks.on_test_end(values)
            logs |= {f"val_{name}": value for name, value in values.items()}
        if options.verbose:
            shown = ", ".join(f"{name} {' '.join(f'{v:.4g}' for v in np.ravel(value))}" for name, value in logs.items())
            progress.say(f"epoch {epoch + 1}/{self.epochs}: {shown}")
        self.hooks.on_epoch_end(epoch, logs)
        if average is not None:
            average.swap_out()
        last = trainer.model.stop_training or epoch + 1 == self.epochs
        columns = self.history.history
        best = _is_best(columns.get("val_calibrated_loss") or columns.get("val_loss", ()))
        if self.recovery is not None and (last or best or self.recovery.is_due(0, 0.0)):
            self.recovery.save(Position(epoch + 1), best=best)

    def _tell(self, rows: np.ndarray) -> None:
        for callback in self.hooks.callbacks:
            if hasattr(callback, "on_steps"):
                callback.on_steps(rows)

    def _steps(self, epoch: int, start: int, guard: Guard) -> Iterator[int]:
        dataset, options = self.feed.dataset(epoch, start), self.options
        if options.steps_per_epoch:
            dataset = dataset.take(options.steps_per_epoch - start)
        total = int(dataset.cardinality())
        if total == tf.data.INFINITE_CARDINALITY:
            raise InputError("`steps_per_epoch` must be given where the dataset repeats for ever.")
        steps = walk(
            self.trainer,
            dataset,
            epoch,
            train=True,
            one_by_one=self.every_step,
            start=start,
            watcher=guard,
            shares=None if self.feed.shares is None else functools.partial(self.feed.shares, epoch, start),
        )
        if options.verbose:
            number = total + start if total >= 0 else None
            steps = progress.track(steps, f"epoch {epoch + 1}/{self.epochs}", total=number, unit="batch")
        if self.every_step:
            self.hooks.on_train_batch_begin(start)
        return steps


def _is_best(losses: Sequence[float]) -> bool:
    """Say whether the last loss is the lowest one, and finite."""
    return len(losses) > 0 and bool(np.isfinite(losses[-1])) and losses[-1] <= np.nanmin(losses)


def _is_for_this_process(callback: keras.callbacks.Callback) -> bool:
    """Say whether a callback runs here: of several workers only the chief writes."""
    stock = (keras.callbacks.TensorBoard, keras.callbacks.ModelCheckpoint, keras.callbacks.CSVLogger)
    writers = (StepScalars, *stock)
    return not isinstance(callback, writers) or is_chief(tf.distribute.get_strategy())


def _needs_every_step(callback: keras.callbacks.Callback) -> bool:
    if isinstance(callback, keras.callbacks.TensorBoard):
        return callback.update_freq != "epoch"  # else its hooks have nothing to do
    if isinstance(callback, keras.callbacks.ModelCheckpoint):
        return callback.save_freq != "epoch"
    return any(
        getattr(getattr(callback, hook), "__func__", None) is not getattr(keras.callbacks.Callback, hook)
        for hook in _BATCH_HOOKS
    )


def _seed_layers(model: keras.Model, seed: int) -> None:
    """Make dropout a function of the seed and of how far training is, not of what ran before in the process."""
    step = int(model.optimizer.iterations.numpy())
    states = [v for v in model.variables if v.name == "seed_generator_state"]
    for position, state in enumerate(states):
        words = np.random.SeedSequence((seed, position, step)).generate_state(2, np.uint32)
        state.assign(np.minimum(words, 2**31 - 1).astype(state.dtype))
