"""Threads that know how long they have been at their work."""

import threading

from warm import PATIENCE

from tfl.serving.pool import Pool


def test_a_pool_is_stalled_where_every_thread_has_been_at_one_piece_of_work():
    now, begun, held = [100.0], [threading.Event() for _ in range(3)], [threading.Event() for _ in range(3)]
    pool = Pool(2, "test", clock=lambda: now[0])

    def work(number):
        begun[number].set()
        held[number].wait(PATIENCE)

    def submit(number):
        future = pool.submit(work, number)
        assert begun[number].wait(PATIENCE)
        return future

    assert (pool.is_working, pool.stalled_seconds) == (False, 0)
    first = submit(0)
    now[0] = 110.0
    assert (pool.is_working, pool.stalled_seconds) == (True, 0)  # the other thread is free
    submit(1)
    now[0] = 117.0
    assert pool.stalled_seconds == 7
    third = pool.submit(work, 2)  # waits
    dropped = pool.submit(work, 2)
    held[0].set()
    first.result(PATIENCE)
    assert begun[2].wait(PATIENCE)
    now[0] = 120.0
    assert pool.stalled_seconds == 3  # it got on at 117
    pool.leave()
    assert dropped.cancelled() and pool.is_working
    held[1].set()
    held[2].set()
    third.result(PATIENCE)


def test_an_error_goes_to_the_caller_and_frees_the_thread():
    pool = Pool(1, "test")
    assert isinstance(pool.submit(lambda: 1 / 0).exception(PATIENCE), ZeroDivisionError)
    assert pool.submit(lambda number: number + 1, 2).result(PATIENCE) == 3
    pool.shutdown()
    assert not pool.is_working
