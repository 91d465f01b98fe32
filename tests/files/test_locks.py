"""Locks belong to their handle: of one process or another, who asks for a held one waits or is refused."""

import subprocess
import sys
import threading

import warm

from tfl.files.locks import lock_file, try_lock_file


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


def test_a_killed_process_leaves_no_lock(tmp_path):
    code = (
        "import sys, time; from tfl.files.locks import lock_file; lock = lock_file(sys.argv[1]);"
        "print('held', flush=True); time.sleep(1e6)"
    )
    with subprocess.Popen([sys.executable, "-c", code, tmp_path / "a"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        assert try_lock_file(tmp_path / "a") is None
        process.kill()
    assert try_lock_file(tmp_path / "a") is not None
