"""The micro-batcher without HTTP: who is batched with whom, and that nobody gets another's answer."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from warm import PATIENCE

from tfl.serving.batching import Batcher


def image(value):
    return np.full((2, 2, 3), value, np.uint8)


class Network:
    """Says of every image what its first pixel is; holds its first batch until it is let go."""

    def __init__(self):
        self.sizes, self.begun, self.go = [], threading.Event(), threading.Event()

    def __call__(self, images):
        self.sizes.append(len(images))
        self.begun.set()
        assert self.go.wait(PATIENCE)
        if (images == 255).any():
            raise MemoryError("too much")
        return images[:, 0, 0, :1].astype(np.float32)


def run(program, max_batch_size=8, timeout=2 * PATIENCE):
    """Run a coroutine function of (batcher, network) beside a batcher."""
    network = Network()

    async def main():
        with ThreadPoolExecutor(1) as thread:
            batcher = Batcher(network, thread, max_batch_size, timeout)
            task = asyncio.create_task(batcher.run())
            try:
                return await asyncio.wait_for(program(batcher, network), PATIENCE)
            finally:
                network.go.set()
                task.cancel()

    return asyncio.run(main()), network.sizes


async def begin(batcher, network, value=0):
    """Send one image, and wait until the network works on it."""
    first = asyncio.create_task(batcher.predict([image(value)]))
    await asyncio.to_thread(network.begun.wait)
    return first


def test_what_arrives_while_a_batch_runs_is_the_next_batch_and_every_answer_goes_to_its_caller():
    async def program(batcher, network):
        first = await begin(batcher, network)
        others = [asyncio.create_task(batcher.predict([image(n)])) for n in range(1, 21)]
        await asyncio.sleep(0)
        network.go.set()
        return [float((await task)[0, 0]) for task in (first, *others)]

    answers, sizes = run(program)
    assert answers == list(range(21))
    assert sizes == [1, 8, 8, 4]


def test_images_of_one_caller_come_back_in_their_order_whatever_they_were_batched_with():
    async def program(batcher, network):
        network.go.set()
        return await asyncio.gather(*(batcher.predict([image(10 * k + n) for n in range(7)]) for k in range(3)))

    answers, sizes = run(program, max_batch_size=5)
    assert [rows[:, 0].tolist() for rows in answers] == [[10 * k + n for n in range(7)] for k in range(3)]
    assert sizes == [5, 5, 5, 5, 1]


def test_who_is_alone_waits_for_nobody():
    async def program(batcher, network):
        network.go.set()
        return await batcher.predict([image(1)])

    _, sizes = run(program)  # the timeout of a batch is longer than the patience of the test
    assert sizes == [1]


def test_a_batch_waits_for_who_has_announced_itself():
    async def program(batcher, network):
        network.go.set()
        with batcher.announce():
            first = asyncio.create_task(batcher.predict([image(1)]))
            await asyncio.sleep(0.2)
            assert not first.done()
        await batcher.predict([image(2)])
        return await first

    _, sizes = run(program)
    assert sizes == [2]


def test_but_not_for_longer_than_the_timeout_nor_when_it_is_full():
    async def program(batcher, network):
        network.go.set()
        with batcher.announce():
            await batcher.predict([image(1)])  # would wait for ever without a timeout
            return await asyncio.gather(*(batcher.predict([image(n)]) for n in range(8)))

    _, sizes = run(program, timeout=0.05)
    assert sizes == [1, 8]


def test_who_has_given_up_is_not_run():
    async def program(batcher, network):
        first = await begin(batcher, network)
        impatient = asyncio.create_task(batcher.predict([image(n) for n in range(3)]))
        patient = asyncio.create_task(batcher.predict([image(7)]))
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.sleep(0)
        network.go.set()
        await first
        return float((await patient)[0, 0])

    answer, sizes = run(program)
    assert (answer, sizes) == (7.0, [1, 1])


def test_a_failure_reaches_those_of_its_batch_and_the_next_batch_runs():
    async def program(batcher, network):
        network.go.set()
        with pytest.raises(MemoryError):
            await batcher.predict([image(255)])
        return float((await batcher.predict([image(3)]))[0, 0])

    assert run(program)[0] == 3.0
