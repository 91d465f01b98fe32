"""Keep epochs without a valid result from becoming the best epoch of a callback."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np
from keras.src.callbacks.monitor_callback import MonitorCallback


def not_a_number(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of an epoch without an applied step: NaN, in the same shapes."""
    return {name: np.full(np.shape(value), np.nan).tolist() for name, value in figures.items()}


def keep_nan_from_being_best(callbacks: Iterable[keras.callbacks.Callback], logs: Mapping[str, Any]) -> None:
    """Prevent callbacks from taking NaN as the best value so far.

    Keras takes the first value as the best one. If it is NaN, no later value is better, so `EarlyStopping` would stop
    and restore the weights of that epoch.

    Args:
        callbacks: the callbacks of the training; call this function before their `on_epoch_end`.
        logs: the logs that the callbacks will get.
    """
    for callback in callbacks:
        if isinstance(callback, MonitorCallback) and callback.best is None:
            value = logs.get(callback.monitor)
            if value is None or not np.isnan(value).any():
                continue
            if callback.monitor_op is None:
                callback._set_monitor_op()
            callback.best = np.inf if callback.monitor_op is keras.ops.less else -np.inf
