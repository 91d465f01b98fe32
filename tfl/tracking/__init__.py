"""Trackers: programs that record the options, curves and results of many runs, so that a user can compare them.

    config = tfl.TransferConfig(tracking="mlflow")

A run tells `guard.Tracking` what happens. To add a tracker, write a subclass of `Tracker` and call `register_tracker`.
"""

from tfl.config import NO_TRACKER, TRACKERS
from tfl.errors import InputError
from tfl.registry import register, resolve
from tfl.tracking.mlflow_tracker import MlflowTracker
from tfl.tracking.tracker import TrackedRun, Tracker

__all__ = ["MlflowTracker", "TrackedRun", "Tracker", "get_tracker", "register_tracker", "tracker_names"]

_TRACKERS: dict[str, Tracker] = {MlflowTracker.name: MlflowTracker()}


def get_tracker(name: str) -> Tracker:
    """Return the tracker with a name; upper and lower case are the same.

    Raises:
        InputError: there is no such tracker.

    Example:
        >>> get_tracker("MLflow").name
        'mlflow'
    """
    return _TRACKERS[resolve(name, tracker_names(), "tracking")]


def tracker_names() -> list[str]:
    """Return the names of all registered trackers.

    Example:
        >>> tracker_names()
        ['mlflow']
    """
    return list(_TRACKERS)


def register_tracker(tracker: Tracker) -> Tracker:
    """Register a tracker under its name, so that the option `tracking` can use the name.

    A class that is defined again, as by a notebook cell that runs twice, replaces the earlier one.

    Raises:
        InputError: another tracker has this name.
    """
    if tracker.name == NO_TRACKER:
        raise InputError(f"`tracker` must have a name that is not {NO_TRACKER!r}. Received: {tracker.name!r}.")
    register(_TRACKERS, tracker, "tracker")
    if tracker.name not in TRACKERS:
        TRACKERS.append(tracker.name)
    return tracker
