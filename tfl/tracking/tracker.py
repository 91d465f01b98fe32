"""`Tracker` and `TrackedRun`, the base classes of trackers."""

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

from tfl.workdir import Workdir


class TrackedRun(abc.ABC):
    """One run at a tracker. A method may raise any error: the user gets a warning, and the run goes on.

    Attributes:
        record: what the tracker needs to find this run again, values for JSON; the workdir keeps it.
        place: where the user finds the run, for a message; "" if there is nothing to say.
    """

    record: Mapping[str, Any] = {}
    place: str = ""

    @abc.abstractmethod
    def log_epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Record the results of an epoch. After an interruption an epoch may come again, with equal values.

        Args:
            epoch: number of the epoch, from 1.
            values: the numbers that `history.csv` will have for it.
        """

    @abc.abstractmethod
    def finish(self, model: Any) -> None:
        """Record the result of the finished run: all files are in its workdir.

        Epochs may be missing, because the tracker could not be reached; all of them are in `history.csv`.

        Args:
            model: the classifier, a `keras.Model` with `metadata`.
        """

    def stop(self, error: BaseException) -> None:
        """Record that the run ended without a result; the same command may continue it later."""
        del error


class Tracker(abc.ABC):
    """A program that records runs. An object has no state: the state of a run is in its `TrackedRun`.

    Attributes:
        name: the value of the option `tracking`.
    """

    name: ClassVar[str]

    def check(self) -> None:
        """Check quickly, before anything slow starts, whether runs can be recorded.

        Raises:
            InputError: they cannot; the message says what to change.
        """
        return

    @abc.abstractmethod
    def begin(self, folder: Workdir, record: Mapping[str, Any], parent: Mapping[str, Any]) -> TrackedRun:
        """Begin to record a run, or continue after an interruption.

        Args:
            folder: the workdir of the run; its `config.json` exists.
            record: the `TrackedRun.record` of an earlier start of this run; empty for a new run.
            parent: the record of the run that this run is a part of, such as pre-training; empty if there is none.
        """
