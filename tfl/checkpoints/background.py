"""Saving while training goes on."""

import contextlib
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType

from tfl.checkpoints.store import Checkpoint, CheckpointStore
from tfl.progress import say


class BackgroundWriter:
    """Writes checkpoints in a thread of its own, one at a time.

    While one is written, one more waits. A newer one takes the place of the waiting one, so that a slow disk
    never stops training and the last one is never lost. Only a waiting best one is not given up for one that is
    not: then `submit` waits for it.

    A save that fails is said in one line and training goes on: the checkpoint before it stands, and the
    next save tries again. Errors reach the caller at `wait`, if it was the last save that failed.

    Args:
        store: what is written to; nothing else may use it before `wait` has returned.

    Example:
        >>> writer = BackgroundWriter(CheckpointStore("checkpoints"))
        >>> writer.submit(Checkpoint(step, {name: value.copy() for name, value in arrays.items()}, state))
        >>> writer.wait()
    """

    def __init__(self, store: CheckpointStore) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._last: Future[None] | None = None
        self._last_is_best = False

    def submit(self, checkpoint: Checkpoint, *, best: bool = False) -> None:
        """Have a checkpoint written soon.

        Args:
            checkpoint: with arrays that nobody changes any more.
            best: it is the best one so far.
        """
        if self._last is not None and self._last_is_best and not best and not self._last.running():
            wait([self._last])
        elif self._last is not None:
            self._last.cancel()  # does nothing once it has begun
        self._last, self._last_is_best = self._thread.submit(self._save, checkpoint, best), best

    def wait(self) -> None:
        """Block until everything is on the disk.

        Raises:
            InputError: the last save failed: the disk is full or the folder cannot be written.
        """
        if self._last is not None:
            self._last.result()

    def _save(self, checkpoint: Checkpoint, best: bool) -> None:
        with contextlib.ExitStack() as stack:
            stack.push(_say_failure)  # and let it pass, to `wait`
            self._store.save(checkpoint, best=best)


def _say_failure(kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
    if error is not None:
        say(f"CHECKPOINT NOT SAVED, training goes on with the one before it: {error}")
