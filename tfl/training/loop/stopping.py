"""Stop on a signal, after the running steps are finished and saved."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from tfl.progress import say

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopListener:
    """Within the context SIGTERM and SIGINT set `signal_number`, which training reads; a second SIGINT stops at once.

    A second SIGTERM does not stop at once, because schedulers send it both to a launcher and to its members. If
    training did not react to a signal, the context raises it again at its end for the previous signal handler.

    Attributes:
        signal_number: number of the received signal; 0 if there is none.
    """

    def __init__(self) -> None:
        self.signal_number = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopListener":
        if threading.current_thread() is threading.main_thread():  # only the main thread may set signal handlers
            self._before = {number: signal.signal(number, self._hear) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self.signal_number and kind is None:
            signal.raise_signal(self.signal_number)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.signal_number and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self.signal_number:
            say(f"{signal.Signals(number).name}: saving after the running steps; press Ctrl-C to stop at once")
        self.signal_number = self.signal_number or number
