"""Being asked to stop: the running step is finished and saved first."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from tfl.progress import say

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopListener:
    """Within the context SIGTERM and SIGINT set a mark that training looks at; a second SIGINT stops at once.

    A second SIGTERM does not: schedulers send it to a launcher and to its members. A signal that nobody acted on is
    sent again at the end of the context, to whoever listened before it.

    Attributes:
        signal_number: the signal that came, 0 where none did.
    """

    def __init__(self) -> None:
        self.signal_number = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopListener":
        if threading.current_thread() is threading.main_thread():  # the only one that may listen
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
            say(f"{signal.Signals(number).name}: saving after the running steps; Ctrl-C to stop at once")
        self.signal_number = self.signal_number or number
