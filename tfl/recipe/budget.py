"""The time that a run may take: `budget_minutes`."""

import time
from typing import Any

import keras
import numpy as np

from tfl.distribution.workers import Workers
from tfl.progress import say

FOR_TRAINING = 0.7  # share of the budget for features and fine-tuning; the rest is for the evaluation and the report


class Budget:
    """The time that a run may take, from the moment at which this object is made.

    Args:
        minutes: the whole time; 0: there is no limit.

    Example:
        >>> Budget(0).seconds_to_train()
        inf
    """

    def __init__(self, minutes: float) -> None:
        self._end = time.monotonic() + 60 * FOR_TRAINING * minutes if minutes else np.inf

    def seconds_to_train(self) -> float:
        """Return the seconds that are left for features and fine-tuning; below 0 if the time is over."""
        return self._end - time.monotonic()


class StopInTime(keras.callbacks.Callback):
    """Ends training when the time of a budget is over; the best weights so far are kept.

    A single process looks between its steps. Several workers look together, at the end of each epoch.
    """

    def __init__(self, budget: Budget, workers: Workers) -> None:
        super().__init__()
        self.budget, self.workers = budget, workers

    def on_steps(self, rows: np.ndarray) -> None:
        """Called by `tfl.fit` after some steps."""
        del rows
        if self.workers.number == 1 and self.budget.seconds_to_train() < 0:
            self._stop()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        del epoch, logs
        if self.workers.mean(float(self.budget.seconds_to_train() < 0))[0] > 0:
            self._stop()

    def _stop(self) -> None:
        if not self.model.stop_training:
            say("budget_minutes: the time is over, so training ends with the best weights so far")
        self.model.stop_training = True
