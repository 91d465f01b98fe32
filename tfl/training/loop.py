"""`tfl.fit`: the objective of the design, in a loop that is exact and costs nothing.

Keras' own loop averages uneven batches by batch, knows no learning rate per layer, lets one broken image
end a run in NaN, and waits for the graph at every step.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from tfl import progress
from tfl.errors import InputError
from tfl.training.batches import Feed, make_feed
from tfl.training.plan import FitOptions, fit_options, make_trainer
from tfl.training.replicas import distribute, distribute_batch, mean_over_workers
from tfl.training.step import Trainer

SECONDS_PER_CALL = 0.5  # so many steps run in one call of the graph; progress moves as often
MAX_LOGGED_IDS = 20
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
            steps_per_epoch, initial_epoch, verbose.

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
    with model.distribute_strategy.scope():  # that it was built under
        trainer = make_trainer(model, chosen)
        return _run(trainer, feed, validation, callbacks=callbacks, epochs=epochs, options=chosen)


def _validation_feed(data: Any, batch_size: int) -> Feed:
    if isinstance(data, (tuple, list)):
        x, y, *weight = data
        return make_feed(x, y, batch_size, None, weight[0] if weight else None)
    return make_feed(data, None, batch_size, None)


def _run(
    trainer: Trainer,
    feed: Feed,
    validation: Feed | None,
    *,
    callbacks: Sequence[keras.callbacks.Callback] | None,
    epochs: int,
    options: FitOptions,
) -> keras.callbacks.History:
    model, average = trainer.model, trainer.average
    _seed_layers(model, options.seed)
    if average is not None:
        average.reset()
    history = keras.callbacks.History()
    hooks = keras.callbacks.CallbackList([*(callbacks or []), history], model=model, epochs=epochs, verbose=0)
    model.stop_training = False
    history.steps = 0
    trainer.first_batch = lambda: next(iter(feed.dataset(options.initial_epoch)))
    hooks.on_train_begin()
    for epoch in range(options.initial_epoch, epochs):
        if average is not None:
            average.swap_out()
        trainer.begin_epoch()
        hooks.on_epoch_begin(epoch)
        logs = _train_epoch(trainer, feed, epoch, hooks, options, f"epoch {epoch + 1}/{epochs}")
        history.steps += int(trainer.totals.steps.numpy())
        if average is not None:
            average.swap_in()
        if validation is not None:
            hooks.on_test_begin()
            values = evaluate_feed(trainer, validation)
            hooks.on_test_end(values)
            logs |= {f"val_{name}": value for name, value in values.items()}
        if options.verbose:
            progress.say(f"epoch {epoch + 1}/{epochs}: " + ", ".join(f"{k} {v:.4g}" for k, v in logs.items()))
        hooks.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    hooks.on_train_end()
    return history


def _train_epoch(
    trainer: Trainer,
    feed: Feed,
    epoch: int,
    hooks: keras.callbacks.CallbackList,
    options: FitOptions,
    description: str,
) -> dict[str, float]:
    dataset = feed.dataset(epoch)
    if options.steps_per_epoch:
        dataset = dataset.take(options.steps_per_epoch)
    total = int(dataset.cardinality())
    if total == tf.data.INFINITE_CARDINALITY:
        raise InputError("`steps_per_epoch` must be given where the dataset repeats for ever.")
    every_step = any(_needs_every_step(callback) for callback in hooks.callbacks)
    steps = _walk(trainer, dataset, epoch, train=True, one_by_one=every_step)
    if options.verbose:
        steps = progress.track(steps, description, total=total if total >= 0 else None, unit="batch")
    if every_step:
        hooks.on_train_batch_begin(0)
    for step in steps:
        if every_step:
            hooks.on_train_batch_end(step, trainer.results())
            if trainer.model.stop_training:
                break
            hooks.on_train_batch_begin(step + 1)
    logs = trainer.results()
    logs["skipped_steps"] = int(trainer.totals.skipped.numpy())
    _report_skipped(trainer, epoch)
    return logs


def _walk(
    trainer: Trainer, dataset: tf.data.Dataset, epoch: int, *, train: bool, one_by_one: bool = False
) -> Iterator[int]:
    """Run a step on every batch of `dataset`, and yield its number when it is done.

    Where the number of batches is known, as many steps as fit in `SECONDS_PER_CALL` run in one call
    of the graph.
    """
    one, many = (trainer.train_one, trainer.train_steps) if train else (trainer.test_one, trainer.test_steps)
    total, number = int(dataset.cardinality()), tf.constant(epoch, tf.int64)
    if total < 0 or one_by_one:
        for step, element in enumerate(dataset):
            one(distribute_batch(trainer.strategy, element), number)
            yield step
        return
    iterator, done, size = iter(distribute(trainer.strategy, dataset)), 0, 1
    while done < total:
        count = min(size, total - done)
        start = time.perf_counter()
        many(iterator, tf.constant(count, tf.int64), number)
        # The first call also traces the graph, and so counts as slow: the next one is short again. TensorFlow
        # matches the sums of several workers call by call, so all must make calls of the same length.
        seconds = mean_over_workers(trainer.strategy, time.perf_counter() - start)
        size = max(1, int(SECONDS_PER_CALL * count / seconds))
        yield from range(done, done + count)
        done += count


def evaluate_feed(trainer: Trainer, feed: Feed) -> dict[str, float]:
    """Return mean loss (no penalty) and metrics over every example of a feed, each counted once."""
    trainer.begin_epoch()
    for _ in _walk(trainer, feed.dataset(0), 0, train=False):
        pass
    return trainer.results()


def _needs_every_step(callback: keras.callbacks.Callback) -> bool:
    if isinstance(callback, keras.callbacks.TensorBoard):
        return callback.update_freq != "epoch"  # else its hooks have nothing to do
    if isinstance(callback, keras.callbacks.ModelCheckpoint):
        return callback.save_freq != "epoch"
    return any(
        getattr(getattr(callback, hook), "__func__", None) is not getattr(keras.callbacks.Callback, hook)
        for hook in _BATCH_HOOKS
    )


def _report_skipped(trainer: Trainer, epoch: int) -> None:
    skipped = int(trainer.totals.skipped.numpy())
    if skipped:
        ids = trainer.totals.take_skipped_ids()
        more = f" and {len(ids) - MAX_LOGGED_IDS} more" if len(ids) > MAX_LOGGED_IDS else ""
        logging.warning(
            "Epoch %d: %d of %d steps had a non-finite loss or gradient and were not applied. Their examples: %s%s.",
            epoch + 1,
            skipped,
            int(trainer.totals.steps.numpy()),
            ", ".join(ids[:MAX_LOGGED_IDS]),
            more,
        )


def _seed_layers(model: keras.Model, seed: int) -> None:
    """Make dropout a function of the seed and of how far training is, not of what ran before in the process."""
    step = int(model.optimizer.iterations.numpy())
    states = [v for v in model.variables if v.name == "seed_generator_state"]
    for position, state in enumerate(states):
        words = np.random.SeedSequence((seed, position, step)).generate_state(2, np.uint32)
        state.assign(np.minimum(words, 2**31 - 1).astype(state.dtype))
