"""A thread pool that knows how long its threads have been working."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class Pool(ThreadPoolExecutor):
    """A thread pool that reports whether it is stalled, and that can be left without waiting for its threads."""

    def __init__(self, threads: int, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(threads, name)
        self._size, self._clock = threads, clock
        self._begun: dict[int, float] = {}  # by thread: the start time of its present task

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a function in a thread, as soon as one is free."""
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
        """Whether any thread is working."""
        return bool(self._begun)

    @property
    def stalled_seconds(self) -> float:
        """The seconds since a thread last began a task, if all threads are busy; 0 if a thread is free."""
        begun = list(self._begun.values())
        return self._clock() - max(begun) if len(begun) == self._size else 0.0

    def leave(self) -> None:
        """Accept no more tasks and cancel those that wait; do not wait for running tasks, which may take minutes."""
        self.shutdown(wait=False, cancel_futures=True)
