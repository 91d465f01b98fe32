"""What a run tells its tracker. If the tracker fails, the user gets a warning, and the run goes on."""

import contextlib
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from tfl.config import NO_TRACKER
from tfl.files.reading import read_json
from tfl.files.schemas import TRACKING
from tfl.progress import say
from tfl.tracking import TrackedRun, Tracker, get_tracker
from tfl.workdir import Workdir, write_json

RECORD = "tracking.json"  # in the workdir: which run of the tracker belongs to it
_LATER = "The run goes on, and tries again at its end."
_AGAIN = "The run is finished; the same command tries again."


class Tracking:
    """The tracker of one run, as the run sees it: no method but `check` raises an error of the tracker.

    With several workers only the chief, which writes the files, tells the tracker anything. After a failure no more
    epochs are sent, so that a lost server does not delay each epoch. The end of the run tries once more, and sends all
    that is missing; the same command does so after the end.

    Args:
        name: of a tracker, or "none".
        folder: the workdir of the run; None: nothing is recorded.

    Example:
        >>> with Tracking("none", Workdir("runs/photos")) as tracking:
        ...     tracking.begin()
        ...     tracking.log_epoch(1, {"loss": 0.5})
        ...     tracking.finish(model)
    """

    def __init__(self, name: str = NO_TRACKER, folder: Workdir | None = None) -> None:
        self._recording, self._failed = None, False
        if name != NO_TRACKER and folder is not None and folder.writes:
            self._recording = _Recording(get_tracker(name), folder)

    def check(self) -> None:
        """Check, before anything slow starts, whether the tracker can record; what is recorded needs no check.

        Raises:
            InputError: it cannot; the message says what to change.
        """
        if self._recording is not None and not self._recording.is_finished():
            self._recording.tracker.check()

    def begin(self) -> None:
        """Begin to record the run, or continue; the workdir has its config."""
        self._try(lambda recording: recording.begin(), _LATER)

    def log_epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Record the results of an epoch, as `history.csv` will have them."""
        if not self._failed:
            self._try(lambda recording: recording.log_epoch(epoch, values), _LATER)

    def finish(self, model: Any) -> None:
        """Record the results of the finished run, unless that is done."""
        self._try(lambda recording: recording.finish(model), _AGAIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self._recording is not None and not self._failed:
            self._recording.stop(error)

    def _try(self, action: Callable[["_Recording"], object], remedy: str) -> None:
        if self._recording is None:
            return
        try:
            action(self._recording)
        except Exception as error:  # a tracker is other people's code on another machine, and must not destroy a run
            self._failed = True
            reason = " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
            say(f"Warning: {self._recording.tracker.name} could not record this run: {reason}. {remedy}")


class _Recording:
    """A run at its tracker, and its record in the workdir. Any method may raise."""

    def __init__(self, tracker: Tracker, folder: Workdir) -> None:
        self.tracker, self.folder = tracker, folder
        self._run: TrackedRun | None = None

    def is_finished(self) -> bool:
        return bool(self._read(self.folder).get("finished"))

    def begin(self) -> TrackedRun:
        before, parent = (self._read(place).get("record", {}) for place in (self.folder, self._outer()))
        self._run = self.tracker.begin(self.folder, before, parent)
        self._write(self._run, finished=False)
        if self._run.place:
            say(f"tracking: {self._run.place}")
        return self._run

    def log_epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        if self._run is not None:
            self._run.log_epoch(epoch, values)

    def finish(self, model: Any) -> None:
        if self.is_finished():
            return
        run = self._run or self.begin()
        try:
            run.finish(model)
        except Exception as error:
            self.stop(error)
            raise
        self._write(run, finished=True)

    def stop(self, error: BaseException) -> None:
        if self._run is not None:
            with contextlib.suppress(Exception):  # the user is told of the error itself
                self._run.stop(error)

    def _outer(self) -> Workdir:
        """Return the workdir of the run around this one, such as that of a pre-training, if there is one."""
        return Workdir(self.folder.path.parent)

    def _read(self, folder: Workdir) -> dict[str, Any]:
        """Return what a workdir keeps; {} if nothing was recorded with this tracker."""
        if not (folder / RECORD).exists():
            return {}
        kept = read_json(folder / RECORD, TRACKING)
        return kept if kept["tracker"] == self.tracker.name else {}

    def _write(self, run: TrackedRun, *, finished: bool) -> None:
        kept = {"tracker": self.tracker.name, "finished": finished, "record": dict(run.record)}
        write_json(self.folder / RECORD, kept)
