"""Observers of a running training: they save checkpoints, stop on a signal, and end a run that skips too many steps."""

import signal
from collections.abc import Callable

import numpy as np
from absl import logging

from tfl.errors import InputError, StoppedError
from tfl.training.loop.plan import FitOptions
from tfl.training.loop.recovery import Position, Recovery
from tfl.training.loop.stopping import StopListener
from tfl.training.loop.walk import Watcher
from tfl.training.update.step import Trainer

MAX_LOGGED_NAMES = 20


class Guard(Watcher):
    """The watcher of one epoch.

    Args:
        trainer: the trainer of the epoch.
        recovery: saves checkpoints; None if nothing is saved.
        listener: receives signals.
        options: the options of `fit`.
        epoch: number of the epoch.
        tell: callback for the records of the steps; see `Records`.
    """

    def __init__(
        self,
        trainer: Trainer,
        recovery: Recovery | None,
        listener: StopListener,
        options: FitOptions,
        epoch: int,
        tell: Callable[[np.ndarray], None],
    ) -> None:
        self.tell = tell
        self.trainer, self.recovery, self.listener = trainer, recovery, listener
        self.options, self.epoch = options, epoch

    def steps_until(self, done: int) -> int | None:
        return None if self.recovery is None else self.recovery.steps_until(done)

    def look(self, done: int, seconds: float) -> None:
        self.tell(self.trainer.records.take_steps())
        limit = self.options.max_skipped_steps
        if limit and int(self.trainer.totals.skipped_in_a_row.numpy()) > limit:
            or_precision = "" if self.trainer.loss_scale is None else ", or mixed_bfloat16 in place of mixed_float16"
            raise InputError(
                f"`max_skipped_steps` must not be exceeded. Received: more than {limit} steps in a row with a loss or "
                f"gradient that is not finite, in epoch {self.epoch + 1}; all were skipped. Their examples: "
                f"{self._skipped_names()}. Did you mean a smaller learning rate{or_precision}?"
            )
        if self.recovery is not None and self.recovery.is_due(done, seconds):
            self.recovery.save(Position(self.epoch, done))

    def asks_to_stop(self) -> bool:
        return self.listener.signal_number != 0

    def stop(self, done: int) -> None:
        """Save, and end training with an exception that names the signal; another worker's signal counts as SIGTERM.

        Raises:
            StoppedError: always.
        """
        if self.recovery is not None:
            self.recovery.save(Position(self.epoch, done))
        self.leave(f"in epoch {self.epoch + 1} after {done} of its steps; this state is")

    def leave(self, after: str) -> None:
        """End training as `stop` does, after everything is saved.

        Args:
            after: text about what was saved, with its verb, for the message.

        Raises:
            StoppedError: always.
        """
        number = self.listener.signal_number or signal.SIGTERM
        if self.recovery is not None:
            self.recovery.finish()
        raise StoppedError(
            f"Stopped by {signal.Signals(number).name} {after} saved. The same command continues from there.",
            int(number),
        )

    def report_skipped(self) -> None:
        """Log the skipped steps of the epoch, with the names of their examples."""
        skipped, steps = (int(total.numpy()) for total in (self.trainer.totals.skipped, self.trainer.totals.steps))
        names = self._skipped_names()
        if skipped:
            logging.warning(
                "Epoch %d: %d of %d steps had a loss or gradient that is not finite and were skipped. "
                "Their examples: %s.",
                self.epoch + 1,
                skipped,
                steps,
                names,
            )

    def _skipped_names(self) -> str:
        ids, names = self.trainer.records.take_skipped_ids(), self.options.names
        shown = ids if names is None else [str(names[int(id)]) for id in ids]
        more = f" and {len(shown) - MAX_LOGGED_NAMES} more" if len(shown) > MAX_LOGGED_NAMES else ""
        return ", ".join(shown[:MAX_LOGGED_NAMES]) + more


class ValidationGuard(Watcher):
    """The watcher of the validation of an epoch: on a signal it saves the state after the last step of the epoch.

    Args:
        guard: the guard of the steps of the epoch. Create this watcher after these steps, before an average is
            swapped in.
    """

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.totals = guard.trainer.copy_totals()

    def asks_to_stop(self) -> bool:
        return self.guard.asks_to_stop()

    def stop(self, done: int) -> None:
        trainer = self.guard.trainer
        trainer.set_totals(self.totals)
        if trainer.average is not None:
            trainer.average.swap_out()
        self.guard.stop(int(trainer.totals.steps.numpy()))
