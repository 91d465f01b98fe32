"""Save checkpoints in the background while training continues."""

import contextlib
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType

from tfl.checkpoints.store import Checkpoint, CheckpointStore
from tfl.progress import say


class BackgroundWriter:
    """Writes checkpoints in a separate thread, one at a time.

    While one checkpoint is written, at most one more waits. A newer checkpoint replaces the waiting one, so that a slow
    disk never stops training and the last checkpoint is never lost. There is one exception: a waiting best checkpoint
    is not replaced by one that is not the best; then `submit` waits.

    If a save fails, one line says so and training continues: the checkpoint before it is still valid, and the
    next save tries again. If the last save failed, `wait` raises its error.

    Args:
        store: to write to; no other code may use it before `wait` has returned.

    Example:
        >>> writer = BackgroundWriter(CheckpointStore("checkpoints"))
        >>> writer.submit(Checkpoint(120, {"head/kernel": kernel.copy()}, {"epoch": 3}))
        >>> writer.wait()
    """

    def __init__(self, store: CheckpointStore) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._last: Future[None] | None = None
        self._last_is_best = False

    def submit(self, checkpoint: Checkpoint, *, best: bool = False) -> None:
        """Queue a checkpoint for writing.

        Args:
            checkpoint: its arrays must not change any more.
            best: whether it is the best one so far.
        """
        if self._last is not None and self._last_is_best and not best and not self._last.running():
            wait([self._last])
        elif self._last is not None:
            self._last.cancel()  # no effect on a save that has started
        self._last, self._last_is_best = self._thread.submit(self._save, checkpoint, best), best

    def wait(self) -> None:
        """Block until everything is on the disk.

        Raises:
            InputError: the last save failed: the disk is full or the folder is not writable.
        """
        if self._last is not None:
            self._last.result()

    def _save(self, checkpoint: Checkpoint, best: bool) -> None:
        with contextlib.ExitStack() as stack:
            stack.push(_say_failure)  # the error still passes on to `wait`
            self._store.save(checkpoint, best=best)


def _say_failure(kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
    if error is not None:
        say(f"CHECKPOINT NOT SAVED: {error} Training continues, and the checkpoint before it is kept.")
