"""Training never waits for the disk, nothing that counts is lost, and a failed save does not end training."""

import errno
import threading

import numpy as np
import pytest
from warm import PATIENCE

import tfl.checkpoints.background
from tfl.checkpoints.background import BackgroundWriter
from tfl.checkpoints.store import Checkpoint, CheckpointStore
from tfl.errors import InputError


def make(step):
    return Checkpoint(step, {"a": np.full(10, step)}, {})


class SlowStore:
    """A store whose saves take until they are let go."""

    def __init__(self):
        self.begun, self.let_go = threading.Semaphore(0), threading.Semaphore(0)
        self.saved, self.threads = [], set()

    def save(self, checkpoint, *, best=False):
        self.threads.add(threading.current_thread())
        self.begun.release()
        assert self.let_go.acquire(timeout=PATIENCE)
        self.saved.append((checkpoint.step, best))


def finish(store, writer):
    for _ in range(9):
        store.let_go.release()
    writer.wait()


def test_what_was_submitted_is_on_the_disk_after_wait(tmp_path):
    writer = BackgroundWriter(CheckpointStore(tmp_path))
    writer.wait()  # nothing to wait for
    for step in range(1, 20):
        writer.submit(make(step), best=step == 19)
    writer.wait()
    writer.wait()
    assert CheckpointStore(tmp_path).load().step == CheckpointStore(tmp_path).load_best().step == 19
    writer.submit(make(20))
    writer.wait()
    assert CheckpointStore(tmp_path).load().step == 20


def test_a_newer_one_takes_the_place_of_the_waiting_one():
    store = SlowStore()
    writer = BackgroundWriter(store)
    writer.submit(make(1))
    assert store.begun.acquire(timeout=PATIENCE)
    for step in range(2, 8):  # returns at once, or this test would not end
        writer.submit(make(step))
    assert not store.saved
    finish(store, writer)
    assert store.saved == [(1, False), (7, False)]
    assert len(store.threads) == 1
    assert threading.current_thread() not in store.threads


def test_a_best_one_is_not_given_up_for_one_that_is_not():
    store = SlowStore()
    writer = BackgroundWriter(store)
    writer.submit(make(1), best=True)
    assert store.begun.acquire(timeout=PATIENCE)
    writer.submit(make(2))  # does not wait for the one in flight
    writer.submit(make(3), best=True)  # nothing is lost
    writer.submit(make(4), best=True)
    late = threading.Thread(target=writer.submit, args=[make(5)])
    late.start()
    late.join(0.1)
    assert late.is_alive()
    finish(store, writer)
    late.join(PATIENCE)
    writer.wait()
    assert store.saved == [(1, True), (4, True), (5, False)]


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(tfl.checkpoints.background, "say", lines.append)
    return lines


def test_a_failed_save_is_said_and_the_next_one_tries_again(tmp_path, said, monkeypatch):
    store = CheckpointStore(tmp_path)
    writer = BackgroundWriter(store)
    writer.submit(make(1))
    writer.wait()
    with monkeypatch.context() as full:

        def fail(*arguments):
            raise OSError(errno.ENOSPC, "No space left on device")

        full.setattr("tfl.checkpoints.store.write_checkpoint", fail)
        writer.submit(make(2))
        with pytest.raises(InputError, match=r"`checkpoint.folder` must be on a disk with free space"):
            writer.wait()
        writer.submit(make(3))  # does not raise: training goes on
        with pytest.raises(InputError, match="step_00000003"):
            writer.wait()
    assert len(said) == 2
    assert said[0].startswith("CHECKPOINT NOT SAVED: `checkpoint.folder` must")
    assert str(tmp_path) in said[0]
    assert store.load().step == 1
    writer.submit(make(4))
    writer.wait()
    assert store.load().step == 4
    assert len(said) == 2


def test_a_bug_reaches_wait_with_its_traceback(said):
    class Broken:
        def save(self, checkpoint, *, best):
            raise KeyError("a bug")

    writer = BackgroundWriter(Broken())
    writer.submit(make(1))
    with pytest.raises(KeyError, match="a bug"):
        writer.wait()
    assert "a bug" in said[0]
