"""Walk a model over a data set: so many steps in one call of the graph that the host has nothing to wait for."""

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
    batches: Batches,
    epoch: int,
    *,
    train: bool,
    start: int = 0,
    count: int | None = None,
    before: Callable[[int], None] | None = None,
    watcher: Watcher | None = None,
) -> Iterator[int]:
    """Run a step on one batch after the other, and yield its number when it is done.

    Where the number of batches is known, as many steps as fit in `SECONDS_PER_CALL` run in one call
    of the graph.

    Args:
        trainer: whose steps.
        batches: those before step `start` left out.
        epoch: its number.
        train: or evaluate.
        start: number of the first step.
        count: how many steps; None for as many as there are batches.
        before: called with the number of each step before it, which costs a call of the graph for each; None to run
            many in one call.
        watcher: looks on between calls; None for nobody.
    """
    one, many = (trainer.train_one, trainer.train_steps) if train else (trainer.test_one, trainer.test_steps)
    total, number = batches.count if count is None else count, tf.constant(epoch, tf.int64)
    watcher, workers = watcher or Watcher(), Workers(trainer.strategy)

    def look(done: int, since: float) -> float:
        # All workers must decide alike.
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
    # TensorFlow lets what is gathered in a loop have one shape only, and the last batch is a shorter one.
    most = 1 if train and trainer.gathers else end
    while done < end:
        now = min(size, end - done, watcher.steps_until(done) or size)
        begin = time.perf_counter()
        try:
            many(iterator, tf.constant(now, tf.int64), number)
        except tf.errors.OutOfRangeError as error:  # what is repeated ends only where it is empty
            raise InputError(NO_BATCH) from error
        # The first call also traces the graph, and so counts as slow: the next one is short again. TensorFlow
        # matches the sums of several workers call by call, so all must make calls of the same length.
        seconds = look(done + now, begin)
        size = min(most, max(1, int(SECONDS_PER_CALL * now / seconds)))
        yield from range(done, done + now)
        done += now


def evaluate_feed(
    trainer: Trainer, feed: Feed, before: Callable[[int], None] | None = None, watcher: Watcher | None = None
) -> Iterator[int]:
    """Evaluate on every example of a feed, each counted once, and yield the number of each step when it is done.

    Mean loss (no penalty) and metrics are the trainer's results then.

    Args:
        trainer: whose model.
        feed: all of it is read.
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
