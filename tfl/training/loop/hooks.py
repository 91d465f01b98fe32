"""Keras callbacks in the loop of `tfl.fit`: which ones run here, which ones need every step, what they monitor."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfl.distribution.replicas import strategy_of
from tfl.distribution.strategy import is_chief, num_workers
from tfl.errors import InputError
from tfl.registry import did_you_mean
from tfl.training.loop.scalars import StepScalars

Callback = keras.callbacks.Callback
_SAVERS = (keras.callbacks.ModelCheckpoint, keras.callbacks.OrbaxCheckpoint, keras.callbacks.BackupAndRestore)
_WRITERS = (StepScalars, keras.callbacks.TensorBoard, keras.callbacks.CSVLogger, *_SAVERS)
_SETTERS = (keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau)
_SCHEDULE = keras.optimizers.schedules.LearningRateSchedule
_MONITOR = keras.src.callbacks.monitor_callback.MonitorCallback
_TRAIN_HOOKS = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")
_TEST_HOOKS = ("on_test_batch_begin", "on_test_batch_end")


def callbacks_of_this_process(callbacks: Any) -> list[Callback]:
    """Return the callbacks that run in this process: with several workers, only the chief writes files.

    Args:
        callbacks: as for Keras: one callback, a list, a `CallbackList`, or None.

    Raises:
        InputError: one of them is not a Keras callback.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = callbacks.callbacks
    found = [callback for callback in keras.tree.flatten(callbacks) if callback is not None]
    for callback in found:
        if not isinstance(callback, Callback):
            raise InputError(f"`callbacks` must be Keras callbacks. Received: {callback!r}.")
    chief = is_chief(tf.distribute.get_strategy())
    return [callback for callback in found if chief or not isinstance(callback, _WRITERS)]


def want_train_steps(callbacks: Sequence[Callback]) -> bool:
    """Return whether a callback must be called for every step of training."""
    return any(_overrides(callback, _TRAIN_HOOKS) and not _is_idle(callback) for callback in callbacks)


def want_test_steps(callbacks: Sequence[Callback]) -> bool:
    """Return whether a callback must be called for every step of validation."""
    return any(_overrides(callback, _TEST_HOOKS) and not _is_idle(callback) for callback in callbacks)


def check_callbacks(callbacks: Sequence[Callback], model: keras.Model, *, averages: bool) -> None:
    """Refuse callbacks that would work incorrectly here, or would fail only after the first epoch.

    Args:
        callbacks: the callbacks of `fit`.
        model: the trained model, with its optimizer.
        averages: whether training averages the weights (`ema` of `tfl.compile`).

    Raises:
        InputError: a callback does not fit the optimizer, the average or the strategy.
    """
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    rate, workers = optimizer.__dict__.get("_learning_rate"), num_workers(strategy_of(model))
    scheduled, has_average = isinstance(rate, _SCHEDULE), bool(getattr(optimizer, "use_ema", False))
    backup, instead = keras.callbacks.BackupAndRestore, "Did you mean `checkpoint` of tfl.fit?"
    rules = [
        (_SETTERS, scheduled, f"if a schedule sets the learning rate. Received: {type(rate).__name__}."),
        (backup, averages, f"if weights are averaged, because it saves the average. Received: ema > 0. {instead}"),
        (
            backup,
            workers > 1,
            f"with several workers, because they must continue together. Received: {workers} workers. {instead}",
        ),
        (
            keras.callbacks.SwapEMAWeights,
            not has_average,
            "if the optimizer has no average. Received: use_ema=False. Did you mean `ema` of tfl.compile?",
        ),
    ]
    for callback in callbacks:
        for kinds, applies, rule in rules:
            if applies and isinstance(callback, kinds):
                raise InputError(f"`callbacks` must not have {type(callback).__name__} {rule}")


def choose_modes(callbacks: Sequence[Callback], metrics: Sequence[keras.metrics.Metric]) -> None:
    """Set the mode of callbacks with mode "auto": "max" if a higher value of their metric is better, else "min".

    Keras looks for the metric in `model.compile`, but some metrics of `tfl.fit` are not there.

    Args:
        callbacks: the callbacks of `fit`; this function sets their `mode`.
        metrics: the metrics of `fit`.

    Raises:
        InputError: the direction is not known. Keras would raise an error only after the first epoch.
    """
    directions = {metric.name: getattr(metric, "_direction", None) for metric in metrics}
    for callback in callbacks:
        if not isinstance(callback, _MONITOR) or callback.mode != "auto" or callback.monitor_op is not None:
            continue
        name = callback.monitor.removeprefix("val_")
        direction = "down" if name == "loss" else directions.get(name)
        if direction is None:
            known = ["loss", *(known for known, way in directions.items() if way is not None)]
            raise InputError(
                f"`mode` of {type(callback).__name__} must be 'min' or 'max', because it is not known which values of "
                f"this metric are better. Received: monitor={callback.monitor!r}, "
                f"mode='auto'.{did_you_mean(name, known)}"
            )
        callback.mode = "max" if direction == "up" else "min"


def _overrides(callback: Callback, hooks: Sequence[str]) -> bool:
    return any(
        getattr(getattr(callback, hook), "__func__", None) is not getattr(keras.callbacks.Callback, hook)
        for hook in hooks
    )


def _is_idle(callback: Callback) -> bool:
    """Return whether the step hooks of a stock callback have nothing to do."""
    if isinstance(callback, keras.callbacks.TensorBoard):
        return callback.update_freq == "epoch" and not getattr(callback, "_should_trace", False)
    return isinstance(callback, _SAVERS) and callback.save_freq in ("epoch", False)
