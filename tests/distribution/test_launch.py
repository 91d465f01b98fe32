"""The launcher, with members that crash, hang, stop and speak: small programs without TensorFlow."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tfl.distribution.launch import launch_local
from tfl.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 600  # seconds until a test gives up; no test passes or fails by being fast
# What every member knows of itself: its index, and a folder in which all leave traces.
PREAMBLE = """
import json, os, pathlib, signal, sys, time
config = json.loads(os.environ.get("TF_CONFIG", "{}"))
index = config["task"]["index"] if config else 0
folder = pathlib.Path(sys.argv[1])
def mark(name): (folder / f"{name}-{index}-{os.getpid()}").touch()
def handle(number, frame):
    mark(signal.Signals(number).name)
    sys.exit(128 + number)
def meet(name):  # wait until all workers have left as many traces of this name as this one has
    count = lambda worker: len(list(folder.glob(f"{name}-{worker}-*")))
    while any(count(worker) < count(index) for worker in range(len(config["cluster"]["worker"]))): time.sleep(0.01)
mark("start")
"""
HANGS = "time.sleep(3600)"  # longer than the patience of any test
STOPS_WHEN_ASKED = "[signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM)]; mark('ready'); " + HANGS


@pytest.fixture
def launch(tmp_path):
    """Run members of some code under the launcher; its traces are in `tmp_path`."""

    def run(code, *flags):
        words = command(code, tmp_path, *flags)
        return subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, cwd=ROOT)

    return run


def command(code, folder, *flags):
    return [sys.executable, "scripts/launch_local.py", *flags, "--", "-c", PREAMBLE + code, str(folder)]


def command_with_graces(failure, stop, code, folder):
    """Return the command of a launcher that waits other times, in seconds, before it kills."""
    program = (
        "import sys, tfl.distribution.launch as launching\n"
        f"launching.FAILURE_GRACE, launching.STOP_GRACE = {failure}, {stop}\n"
        "sys.exit(launching.launch_local(sys.argv[1:], workers=2, max_restarts=0))"
    )
    return [sys.executable, "-c", program, "-c", PREAMBLE + code, str(folder)]


def traces(folder, name):
    return sorted(path.name.split("-")[1] for path in folder.glob(f"{name}-*"))


def pids(folder, name):
    return [int(path.name.split("-")[2]) for path in folder.glob(f"{name}-*")]


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_each_member_gets_its_task_and_the_same_addresses(launch, tmp_path):
    result = launch("(folder / str(index)).write_text(json.dumps(config))", "--workers=3")
    assert result.returncode == 0, result.stderr
    configs = [json.loads((tmp_path / str(index)).read_text()) for index in range(3)]
    addresses = configs[0]["cluster"]["worker"]
    assert len(set(addresses)) == 3
    assert all(address.startswith("127.0.0.1:") for address in addresses)
    for index, config in enumerate(configs):
        assert config == {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}


def test_no_member_reads_what_is_typed(tmp_path):
    asks = command("assert not sys.stdin.read()", tmp_path, "--max_restarts=0")
    result = subprocess.run(asks, input="typed", capture_output=True, text=True, timeout=PATIENCE, cwd=ROOT)
    assert result.returncode == 0, result.stderr


def test_one_worker_is_an_ordinary_process(launch, tmp_path):
    assert launch("assert not config; print('alone')", "--workers=1").stdout == "alone\n"


def test_worker_0_writes_as_it_is_and_the_others_behind_their_number(launch):
    code = "print('out', index); sys.stderr.write(f'\\r bar 1\\r bar 2\\r\\xe9rr {index}\\n'); sys.stdout.write('end')"
    result = launch(code)
    assert result.stdout == "out 0\nend"
    assert "[1] out 1\n" in result.stderr
    assert "[1] érr 1\n" in result.stderr
    assert "[1] end\n" in result.stderr
    assert "[0]" not in result.stderr


def test_a_crash_restarts_the_whole_group_on_new_ports(launch, tmp_path):
    code = (
        "ports = folder / f'ports-{index}'; first = not ports.exists(); "
        "ports.write_text((ports.read_text() if not first else '') + config['cluster']['worker'][index] + '\\n')\n"
        "mark('written'); meet('written')\n"
        "if first and index == 1: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"if first: {HANGS}\n"
        "mark('done')"
    )
    result = launch(code)
    assert result.returncode == 0, result.stderr
    assert "worker 1 of 2 ended with exit code 137; the group starts again (restart 1 of 3)" in result.stderr
    assert traces(tmp_path, "done") == ["0", "1"]
    for index in range(2):
        before, after = (tmp_path / f"ports-{index}").read_text().split()
        assert before != after


@pytest.mark.parametrize("restarts", [0, 2])
def test_restarts_are_bounded_and_the_exit_code_is_the_members(launch, tmp_path, restarts):
    result = launch("meet('start'); sys.exit(7 if index else 0)", f"--max_restarts={restarts}")
    assert result.returncode == 7
    assert traces(tmp_path, "start") == ["0"] * (restarts + 1) + ["1"] * (restarts + 1)
    assert (
        f"worker 1 of 2 ended with exit code 7; the group does not start again after {restarts} restarts"
        in result.stderr
    )
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("code", [2, 130, 143])
def test_bad_input_and_a_deliberate_stop_are_not_tried_again(launch, tmp_path, code):
    result = launch(f"signal.signal(signal.SIGTERM, handle); meet('start')\nif index: sys.exit({code})\n{HANGS}")
    assert result.returncode == code
    assert traces(tmp_path, "start") == ["0", "1"]
    assert "restart" not in result.stderr


def test_members_may_end_at_different_times(launch, tmp_path):
    code = """
mark("done")
if index:
    meet("done")
    other = int(next(folder.glob("done-0-*")).name.split("-")[2])
    while True:
        try: os.kill(other, 0)  # it is there until the launcher has seen its end
        except ProcessLookupError: break
        time.sleep(0.01)
    mark("last")
"""
    assert launch(code).returncode == 0
    assert traces(tmp_path, "last") == ["1"]
    assert traces(tmp_path, "done") == ["0", "1"]


def test_a_member_that_hears_nothing_is_killed_after_a_failure(tmp_path):
    code = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
mark("deaf"); meet("deaf")
if index: sys.exit(9)
"""
    launcher = command_with_graces(0.2, 3600, code + HANGS, tmp_path)  # the grace of a stop would be too long
    assert subprocess.run(launcher, timeout=PATIENCE, cwd=ROOT).returncode == 9
    assert not any(map(is_alive, pids(tmp_path, "start")))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_on_once_and_nothing_starts_again(tmp_path, number):
    launcher = subprocess.Popen(command(STOPS_WHEN_ASKED, tmp_path), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: len(pids(tmp_path, "ready")) == 2)
    launcher.send_signal(number)
    _, errors = launcher.communicate(timeout=PATIENCE)
    assert launcher.returncode == 128 + number, errors
    assert traces(tmp_path, number.name) == ["0", "1"]
    assert traces(tmp_path, "start") == ["0", "1"]


def test_what_fails_while_it_is_stopped_does_not_start_again(tmp_path):
    fails = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(1)); mark('ready'); " + HANGS
    launcher = subprocess.Popen(command(fails, tmp_path), cwd=ROOT, stderr=subprocess.PIPE)
    wait_until(lambda: len(pids(tmp_path, "ready")) == 2)
    launcher.send_signal(signal.SIGTERM)
    launcher.communicate(timeout=PATIENCE)
    assert launcher.returncode == 1
    assert traces(tmp_path, "start") == ["0", "1"]


def test_a_second_interrupt_kills(tmp_path):
    deaf = "signal.signal(signal.SIGINT, lambda *_: mark('heard')); mark('ready')\nwhile True: time.sleep(1)"
    launcher = subprocess.Popen(command_with_graces(3600, 3600, deaf, tmp_path), cwd=ROOT, stderr=subprocess.PIPE)
    wait_until(lambda: len(pids(tmp_path, "ready")) == 2)
    launcher.send_signal(signal.SIGINT)
    wait_until(lambda: len(pids(tmp_path, "heard")) == 2)
    launcher.send_signal(signal.SIGINT)
    assert launcher.wait(timeout=PATIENCE) == 130
    assert not any(map(is_alive, pids(tmp_path, "start")))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel of Linux ends children with their parent")
def test_no_orphan_remains_when_the_launcher_is_killed(tmp_path):
    launcher = subprocess.Popen(command(STOPS_WHEN_ASKED, tmp_path), cwd=ROOT, stderr=subprocess.PIPE)
    wait_until(lambda: len(pids(tmp_path, "ready")) == 2)
    launcher.kill()
    launcher.wait()
    wait_until(lambda: not any(map(is_alive, pids(tmp_path, "start"))))


def test_children_of_members_do_not_remain_either(launch, tmp_path):
    code = "child = __import__('subprocess').Popen(['sleep', '3600']); (folder / f'child-{index}-{child.pid}').touch()"
    assert launch(code).returncode == 0
    assert len(pids(tmp_path, "child")) == 2
    wait_until(lambda: not any(map(is_alive, pids(tmp_path, "child"))))


def test_a_launcher_in_the_background_leaves_an_ignored_interrupt_ignored(tmp_path):
    launcher = subprocess.Popen(
        command("mark('ready')\nwhile not (folder / 'end').exists(): time.sleep(0.01)", tmp_path),
        cwd=ROOT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    wait_until(lambda: len(pids(tmp_path, "ready")) == 2)
    launcher.send_signal(signal.SIGINT)
    time.sleep(0.5)  # in which a launcher that had heard it would end its members
    (tmp_path / "end").touch()
    assert launcher.wait(timeout=PATIENCE) == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--workers=2"], "`command` must come after --"),
        (["--workers=2", "--"], "`command` must come after --"),
        (["--workers=0", "--", "-c", "1"], "`workers` must be at least 1. Received: workers=0."),
        (["--max_restarts=-1", "--", "-c", "1"], "`max_restarts` must be at least 0."),
        (["--", "python", "scripts/train.py"], "not with `python`. Received: 'python'."),
        (["--", "scripts/trian.py"], "Received: 'scripts/trian.py'."),
        (["scripts/train.py", "--depth=3"], "Did you mean `-- scripts/train.py`"),
        (["--worker=2", "--", "scripts/train.py"], "Did you mean 'workers'?"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(run_script, words, expected):
    result = run_script("scripts/launch_local.py", *words)
    assert result.returncode == 2
    assert expected in result.stderr
    assert result.stderr.count("\n") == 1


def test_flags_behind_the_dashes_belong_to_the_command(run_script):
    result = run_script(
        "scripts/launch_local.py", "--", "-c", "import sys; print(sys.argv)", "--config=x", "--workers=7"
    )
    assert result.stdout == "['-c', '--config=x', '--workers=7']\n"


def test_mistakes_of_the_real_script_come_through_with_their_exit_code(run_script, tmp_path):
    result = run_script("scripts/launch_local.py", "--", "scripts/train.py", "--config=configs/foldr.py", "--workdir=w")
    assert result.returncode == 2
    assert "Did you mean 'configs/folder.py'?" in result.stderr


def test_help_is_there(run_script):
    assert "python scripts/launch_local.py --workers=2 -- " in run_script("scripts/launch_local.py", "--help").stdout


def test_handlers_of_signals_are_given_back(tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert launch_local(["-c", "pass"], workers=1) == 0
    with pytest.raises(InputError):
        launch_local([], workers=1)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before
    assert "TF_CONFIG" not in os.environ
