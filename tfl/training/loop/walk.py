"""Run steps of a model over a data set, many of them in one call of the graph, so that the host rarely waits."""

import itertools
import time
from collections.abc import Callable, Iterator

import tensorflow as tf

from tfl.distribution.replicas import distribute_batch
from tfl.distribution.workers import Workers
from tfl.errors import InputError
from tfl.training.loop.epochs import NO_BATCH, Batches
from tfl.training.update.batches import Feed
from tfl.training.update.step import Trainer

SECONDS_PER_CALL = 0.5  # wanted time of one call of the graph; progress is also updated this often


class Watcher:
    """Observer that is called between calls of the graph; the base class does nothing."""

    def steps_until(self, done: int) -> int | None:
        """Return how many steps may run in one call after `done` steps of the epoch; None for any number."""

    def look(self, done: int, seconds: float) -> None:
        """Handle the state after `done` steps of the epoch; the last call of the graph took `seconds`."""

    def asks_to_stop(self) -> bool:
        """Return whether this process was asked to stop."""
        return False

    def stop(self, done: int) -> None:
        """End training after `done` steps of the epoch, because some process was asked to stop."""


def walk(
    trainer: Trainer,
    batches: Batches,
    epoch: int,
    *,
    train: bool,
    start: int = 0,
    count: int | None = None,
    before: Callable[[int], None] | None = None,
    watcher: Watcher | None = None,
) -> Iterator[int]:
    """Run one step on each batch, and yield the number of each step when it is done.

    If the number of batches is known, each call of the graph runs as many steps as fit in `SECONDS_PER_CALL`.

    Args:
        trainer: trainer whose steps run.
        batches: the batches from step `start` on.
        epoch: number of the epoch.
        train: True to train, False to evaluate.
        start: number of the first step.
        count: number of steps; None for all batches.
        before: called before each step with its number; each step then needs its own call of the graph. None to run
            many steps in one call.
        watcher: observer between calls; None for no observer.
    """
    one, many = (trainer.train_one, trainer.train_steps) if train else (trainer.test_one, trainer.test_steps)
    total, number = batches.count if count is None else count, tf.constant(epoch, tf.int64)
    watcher, workers = watcher or Watcher(), Workers(trainer.strategy)

    def look(done: int, since: float) -> float:
        # All workers must make the same decision.
        seconds, stop = workers.mean(time.perf_counter() - since, float(watcher.asks_to_stop()))
        watcher.look(done, seconds)
        if stop:
            watcher.stop(done)
        return seconds

    if total is None or before is not None:
        for step, element in enumerate(itertools.islice(batches.whole(), total), start):
            if before is not None:
                before(step)
            begin = time.perf_counter()
            one(distribute_batch(trainer.strategy, element), number)
            look(step + 1, begin)
            yield step
        return
    iterator, done, size, end = batches.in_shares(trainer.strategy), start, 1, start + total
    # In a loop TensorFlow can gather tensors of one shape only, but the last batch may be shorter.
    most = 1 if train and trainer.gathers else end
    while done < end:
        now = min(size, end - done, watcher.steps_until(done) or size)
        begin = time.perf_counter()
        try:
            many(iterator, tf.constant(now, tf.int64), number)
        except tf.errors.OutOfRangeError as error:  # a repeated data set ends only if it is empty
            raise InputError(NO_BATCH) from error
        # The first call also traces the graph, so it counts as slow and the next call is short again. TensorFlow
        # matches the sums of several workers call by call, so all workers must make calls of the same length.
        seconds = look(done + now, begin)
        size = min(most, max(1, int(SECONDS_PER_CALL * now / seconds)))
        yield from range(done, done + now)
        done += now


def evaluate_feed(
    trainer: Trainer, feed: Feed, before: Callable[[int], None] | None = None, watcher: Watcher | None = None
) -> Iterator[int]:
    """Evaluate every example of a feed once, and yield the number of each step when it is done.

    Afterwards `trainer.results()` holds the mean loss (without the penalty) and the metrics.

    Args:
        trainer: trainer of the model.
        feed: the data; all of it is read.
        before: see `walk`.
        watcher: see `walk`.

    Raises:
        InputError: there is no batch.
    """
    trainer.begin_epoch()
    step = -1
    for step in walk(trainer, Batches(feed.dataset(0, 0)), 0, train=False, before=before, watcher=watcher):
        yield step
    if step < 0:
        raise InputError("`validation_data` must have at least one batch. Received: a dataset without any.")
