"""Locks belong to their handle: of one process or another, who asks for a held one waits or is refused.

Every test runs with `flock`, and with the lock that takes its place where Python has no `fcntl`.
"""

import errno
import sqlite3
import subprocess
import sys
import threading

import filelock
import pytest
import warm

from tfl.files import locks
from tfl.files.locks import lock_file, try_lock_file

HOLDER = """
import sys, time
if sys.argv[2] == "sqlite":
    sys.modules["fcntl"] = None
from tfl.files.locks import lock_file
lock = lock_file(sys.argv[1])
print("held", flush=True)
time.sleep(1e6)
"""


@pytest.fixture(params=["flock", "sqlite"], autouse=True)
def kind(request, monkeypatch):
    if request.param == "sqlite":
        monkeypatch.setattr(locks, "fcntl", None)
    return request.param


def test_a_held_lock_is_refused_until_it_is_released(tmp_path):
    with lock_file(tmp_path / "a") as first:
        assert first.holds
        assert try_lock_file(tmp_path / "a") is None
        assert try_lock_file(tmp_path / "a", shared=True) is None
        assert try_lock_file(tmp_path / "b") is not None
    first.release()  # once more does no harm
    assert try_lock_file(tmp_path / "a") is not None


def test_shared_locks_stand_together_and_keep_out_who_wants_to_be_alone(tmp_path):
    one, other = (try_lock_file(tmp_path / "a", shared=True) for _ in range(2))
    assert one is not None and other is not None
    assert try_lock_file(tmp_path / "a") is None
    one.release()
    assert try_lock_file(tmp_path / "a") is None
    del other  # collected
    assert try_lock_file(tmp_path / "a") is not None


def test_who_waits_gets_the_lock_when_it_is_released(tmp_path):
    events = []

    def wait():
        with lock_file(tmp_path / "a"):
            events.append("second")

    with lock_file(tmp_path / "a"):
        thread = threading.Thread(target=wait)
        thread.start()
        events.append("first")
    thread.join(warm.PATIENCE)
    assert events == ["first", "second"]


def test_a_killed_process_leaves_no_lock(tmp_path, kind):
    command = [sys.executable, "-c", HOLDER, tmp_path / "a", kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        assert try_lock_file(tmp_path / "a") is None
        process.kill()
    assert try_lock_file(tmp_path / "a") is not None


def test_a_lock_leaves_only_an_empty_file(tmp_path):
    with lock_file(tmp_path / "a"):
        pass
    try_lock_file(tmp_path / "a", shared=True)
    assert [(path.name, path.stat().st_size) for path in tmp_path.iterdir()] == [("a", 0)]


def test_a_lock_is_released_by_another_thread_than_its_own(tmp_path):
    lock = lock_file(tmp_path / "a")
    thread = threading.Thread(target=lock.release)
    thread.start()
    thread.join(warm.PATIENCE)
    assert try_lock_file(tmp_path / "a") is not None


def test_a_folder_that_does_not_exist_is_an_error_of_the_file_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        try_lock_file(tmp_path / "none" / "a")


def test_on_a_file_system_without_locks_the_lock_says_that_it_holds_nothing(tmp_path, monkeypatch, kind):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks") if kind == "flock" else sqlite3.OperationalError("locking protocol")

    if kind == "flock":
        monkeypatch.setattr(locks.fcntl, "flock", refuse)
    else:
        monkeypatch.setattr(filelock.ReadWriteLock, "acquire_write", refuse)
    with lock_file(tmp_path / "a") as lock:
        assert not lock.holds
