"""Threads that know how long they have been at their work."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class Pool(ThreadPoolExecutor):
    """A pool of threads that can be asked whether it still gets on, and left without waiting for it."""

    def __init__(self, threads: int, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(threads, name)
        self._size, self._clock = threads, clock
        self._begun: dict[int, float] = {}  # by thread: when it began what it is at

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a function in one of the threads, as soon as one is free."""
        return super().submit(self._timed, fn, *args, **kwargs)

    def _timed(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        me = threading.get_ident()
        self._begun[me] = self._clock()
        try:
            return fn(*args, **kwargs)
        finally:
            del self._begun[me]

    @property
    def is_working(self) -> bool:
        """Whether any thread is at work."""
        return bool(self._begun)

    @property
    def stalled_seconds(self) -> float:
        """For how long no thread has been free, each at one and the same piece of work; 0 while one is free."""
        begun = list(self._begun.values())
        return self._clock() - max(begun) if len(begun) == self._size else 0.0

    def leave(self) -> None:
        """Take no more work and drop what waits, without waiting for what a thread is at: it may take minutes."""
        self.shutdown(wait=False, cancel_futures=True)
