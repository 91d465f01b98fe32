"""Walk a model over a data set: so many steps in one call of the graph that the host has nothing to wait for."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from tfl.training.batches import Feed
from tfl.training.replicas import distribute, distribute_batch
from tfl.training.step import Trainer
from tfl.training.workers import Workers

SECONDS_PER_CALL = 0.5  # so many steps run in one call of the graph; progress moves as often


class Watcher:
    """Looks on between the calls of the graph; this one lets everything pass."""

    def steps_until(self, done: int) -> int | None:
        """Return how many steps may follow in one call after `done` of the epoch; None for any number."""

    def look(self, done: int, seconds: float) -> None:
        """See that `done` steps of the epoch are done, and that the last ones took so long."""

    def asks_to_stop(self) -> bool:
        """Say whether this process was asked to stop."""
        return False

    def stop(self, done: int) -> None:
        """End training after `done` steps of the epoch, as some process was asked to."""


def walk(
    trainer: Trainer,
    dataset: tf.data.Dataset,
    epoch: int,
    *,
    train: bool,
    one_by_one: bool = False,
    start: int = 0,
    watcher: Watcher | None = None,
    shares: Callable[[range, int], tf.data.Dataset | None] | None = None,
) -> Iterator[int]:
    """Run a step on every batch of `dataset`, and yield its number when it is done.

    Where the number of batches is known, as many steps as fit in `SECONDS_PER_CALL` run in one call
    of the graph.

    Args:
        trainer: whose steps.
        dataset: global batches, those before `start` left out.
        epoch: its number.
        train: or evaluate.
        one_by_one: a call for each step.
        start: number of the first step.
        watcher: looks on between calls; None for nobody.
        shares: see `distribute`.
    """
    one, many = (trainer.train_one, trainer.train_steps) if train else (trainer.test_one, trainer.test_steps)
    total, number = int(dataset.cardinality()), tf.constant(epoch, tf.int64)
    watcher, workers = watcher or Watcher(), Workers(trainer.strategy)

    def look(done: int, since: float) -> float:
        # All workers must decide alike.
        seconds, stop = workers.mean(time.perf_counter() - since, float(watcher.asks_to_stop()))
        watcher.look(done, seconds)
        if stop:
            watcher.stop(done)
        return seconds

    if total < 0 or one_by_one:
        for step, element in enumerate(dataset, start):
            begin = time.perf_counter()
            one(distribute_batch(trainer.strategy, element), number)
            look(step + 1, begin)
            yield step
        return
    iterator, done, size, end = iter(distribute(trainer.strategy, dataset, shares)), start, 1, start + total
    # TensorFlow lets what is gathered in a loop have one shape only, and the last batch is a shorter one.
    most = 1 if train and trainer.gathers else end
    while done < end:
        count = min(size, end - done, watcher.steps_until(done) or size)
        begin = time.perf_counter()
        many(iterator, tf.constant(count, tf.int64), number)
        # The first call also traces the graph, and so counts as slow: the next one is short again. TensorFlow
        # matches the sums of several workers call by call, so all must make calls of the same length.
        seconds = look(done + count, begin)
        size = min(most, max(1, int(SECONDS_PER_CALL * count / seconds)))
        yield from range(done, done + count)
        done += count


def evaluate_feed(trainer: Trainer, feed: Feed) -> dict[str, Any]:
    """Return mean loss (no penalty) and metrics over every example of a feed, each counted once."""
    trainer.begin_epoch()
    for _ in walk(trainer, feed.dataset(0, 0), 0, train=False):
        pass
    return trainer.results()
