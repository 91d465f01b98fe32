"""Micro-batching: images of requests that arrive together run through the network together.

A network of many small operations costs nearly the same for one image as for several. While a batch runs, the next
gathers, so that batches grow with the load by themselves. A request that is alone waits for nobody.
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
    """Gathers images, runs them in batches, and gives every caller what is said of its image.

    Args:
        predict: images `(N, H, W, 3)` to rows `(N, C)`; called by one thread at a time.
        executor: where it runs.
        max_batch_size: images of a batch.
        timeout: seconds that a batch which is not full waits for callers that announced themselves.
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
        """Let a batch that is not full wait for what is prepared in this context; `predict` is called after it."""
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1
            self._changed.set()

    async def predict(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Return what the network says of some images: rows `(N, C)`, whatever each was batched with.

        A caller that is cancelled, by a timeout for example, leaves the queue.
        """
        loop = asyncio.get_running_loop()
        items = [_Waiting(image, loop.create_future()) for image in images]
        self._waiting.extend(items)
        self._changed.set()
        return np.stack(await asyncio.gather(*(item.answer for item in items)))

    async def run(self) -> None:
        """Run batches until cancelled; what runs then is finished by its thread."""
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
        """Wait for a first image, then for those that are coming, but not for long."""
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
