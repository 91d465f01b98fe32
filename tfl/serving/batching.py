"""Micro-batching: run the images of several requests through the network in one batch.

A network of many small operations takes nearly the same time for one image as for several. While a batch runs, the
next one fills up, so batches grow with the load. A single request does not wait for others.
"""

import asyncio
import collections
import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np


class _Waiting(NamedTuple):
    pixels: np.ndarray  # (H, W, 3)
    answer: asyncio.Future[np.ndarray]


class Batcher:
    """Collect images, run them in batches, and return to every caller the outputs for its images.

    Args:
        predict: a function from images `(N, H, W, 3)` to rows `(N, C)`; only one thread at a time calls it.
        executor: the executor that runs `predict`.
        max_batch_size: the largest number of images in a batch.
        timeout: how long a batch that is not full waits for announced callers, in seconds.
    """

    def __init__(
        self,
        predict: Callable[[np.ndarray], np.ndarray],
        executor: Executor,
        max_batch_size: int,
        timeout: float,
    ) -> None:
        self._predict, self._executor = predict, executor
        self._max_batch_size, self._timeout = max_batch_size, timeout
        self._waiting: collections.deque[_Waiting] = collections.deque()
        self._coming = 0
        self._changed = asyncio.Event()

    @contextlib.contextmanager
    def announce(self) -> Iterator[None]:
        """Announce images that are prepared in this context: a batch that is not full waits for them.

        The caller calls `predict` after the context.
        """
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1
            self._changed.set()

    async def predict(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Return the outputs of the network for some images, rows `(N, C)`; they may run in different batches.

        A caller that is cancelled, for example by a timeout, leaves the queue.
        """
        loop = asyncio.get_running_loop()
        items = [_Waiting(image, loop.create_future()) for image in images]
        self._waiting.extend(items)
        self._changed.set()
        return np.stack(await asyncio.gather(*(item.answer for item in items)))

    async def run(self) -> None:
        """Run batches until this is cancelled; the thread still finishes a batch that has begun."""
        loop = asyncio.get_running_loop()
        while True:
            batch = [item for item in await self._gather() if not item.answer.done()]
            if not batch:  # all were cancelled
                continue
            outcome = loop.run_in_executor(self._executor, self._run, [item.pixels for item in batch])
            await asyncio.wait([outcome])
            error = outcome.exception()
            for number, item in enumerate(batch):
                if item.answer.done():  # cancelled meanwhile
                    continue
                if error is None:
                    item.answer.set_result(outcome.result()[number])
                else:
                    item.answer.set_exception(error)

    def _run(self, images: list[np.ndarray]) -> np.ndarray:
        return self._predict(np.stack(images))

    async def _gather(self) -> list[_Waiting]:
        """Wait for a first image, and then at most `timeout` for announced images."""
        await self._wait_until(lambda: bool(self._waiting))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timeout):
                await self._wait_until(lambda: not self._coming or len(self._waiting) >= self._max_batch_size)
        count = min(len(self._waiting), self._max_batch_size)
        return [self._waiting.popleft() for _ in range(count)]

    async def _wait_until(self, is_reached: Callable[[], bool]) -> None:
        while not is_reached():
            self._changed.clear()
            await self._changed.wait()
