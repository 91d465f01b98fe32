"""Start, stop and restart a group of workers on one machine; the group always starts and stops as a whole.

Workers exchange sums in every step. If one worker is gone, the others wait forever for its part of the sum. So all
workers must stop and start together, and continue from the last checkpoint.
"""

import ctypes
import functools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from tfl.cluster import VARIABLE, make_tf_config
from tfl.errors import InputError
from tfl.progress import say

POLL_SECONDS = 0.05
FAILURE_GRACE = 5.0  # seconds from SIGTERM to SIGKILL after a failure: a worker that waits in a sum never ends
STOP_GRACE = 60.0  # the same after a stop by the user: the step ends, and the chief writes its checkpoint
NOT_TRIED_AGAIN = (2, 128 + signal.SIGINT, 128 + signal.SIGTERM)  # bad input; stopped by the user
SIGNALS = {signal.SIGINT: signal.SIGINT, signal.SIGTERM: signal.SIGTERM}
if hasattr(signal, "SIGHUP"):  # not on Windows
    SIGNALS[signal.SIGHUP] = signal.SIGTERM
PR_SET_PDEATHSIG = 1


def launch_local(command: Sequence[str], workers: int, max_restarts: int = 3) -> int:
    """Run a Python command as a group of workers on this machine, and start the group again after a failure.

    Each worker finds the others through `TF_CONFIG`. If one worker fails, the launcher ends the others and starts all
    of them again, on new ports; the command itself must continue from its last checkpoint. There is no restart after
    bad input (exit code 2) or a stop by the user (143 or 130). SIGINT and SIGTERM are passed on to the workers once; a
    second signal kills them. Worker 0 writes to this screen; the lines of the others go to stderr with a prefix such
    as `[1] `. Call this function in the main thread.

    Args:
        command: a script and its arguments, or `-m module ...`; without `python`.
        workers: number of processes, at least 1.
        max_restarts: largest number of restarts of the group, at least 0.

    Returns:
        0 if all workers ended with 0, else the exit code of the worker that failed first (128 + n for signal n).

    Raises:
        InputError: the command does not exist, a number is out of range, or the system is Windows.

    Example:
        >>> launch_local(["-c", "print('hello')"], workers=1)
        0
    """
    _check(command, workers, max_restarts)
    with _signals_received() as received:
        for restart in range(1, max_restarts + 2):
            code, reason = _run_once(command, workers, received)
            if code == 0 or received or code in NOT_TRIED_AGAIN:
                return code
            if restart <= max_restarts:
                say(f"launcher: {reason}; the group starts again (restart {restart} of {max_restarts})")
    say(f"launcher: {reason}; the group does not start again after {max_restarts} restarts")
    return code


def _run_once(command: Sequence[str], workers: int, received: list[signal.Signals]) -> tuple[int, str]:
    """Run the group once; return its exit code, and a text that names the failed worker."""
    group = _Group(received)
    try:
        group.start([sys.executable, *command], workers)
        return group.wait()
    finally:
        group.kill()


class _Group:
    """The processes of the group, from one start to its end."""

    def __init__(self, received: list[signal.Signals]) -> None:
        self._received = received  # grows while this runs
        self._passed_on = 0
        self._members: list[subprocess.Popen] = []
        self._readers: list[threading.Thread] = []

    def start(self, command: Sequence[str], workers: int) -> None:
        """Start all members."""
        addresses = [f"127.0.0.1:{port}" for port in _free_ports(workers)]
        for index in range(workers):
            environment = dict(os.environ)
            environment.pop(VARIABLE, None)
            if workers > 1:
                environment[VARIABLE] = make_tf_config(addresses, index)
            self._start_member(command, index, environment)

    def wait(self) -> tuple[int, str]:
        """Wait for all members, and end the others if one fails; return its exit code, and a text that names it."""
        while (failed := self._first_failure()) is None and not self._received:
            if all(member.poll() == 0 for member in self._members):
                return 0, ""
            time.sleep(POLL_SECONDS)
        if failed is not None:
            self._send(signal.SIGTERM)
        self._wait_for_the_end(FAILURE_GRACE if failed and failed[1] not in NOT_TRIED_AGAIN else STOP_GRACE)
        index, code = failed or self._first_failure() or (0, 0)
        if self._received and code == 128 + signal.SIGKILL:  # killed by the second Ctrl-C
            code = 128 + SIGNALS[self._received[0]]
        return code, f"worker {index} of {len(self._members)} ended with exit code {code}"

    def kill(self) -> None:
        """Kill all members that still run: the whole session of each, so that their child processes end too."""
        for member in self._members:
            with suppress(ProcessLookupError, PermissionError):  # macOS raises the latter for zombies
                os.killpg(member.pid, signal.SIGKILL)
            member.wait()
        for reader in self._readers:
            reader.join(timeout=5)

    def _start_member(self, command: Sequence[str], index: int, environment: dict[str, str]) -> None:
        pipe = None if index == 0 else subprocess.PIPE
        if pipe is not None:
            environment.setdefault("PYTHONUNBUFFERED", "1")  # show its lines at once
        member = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe and subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches the members only through this process, once
            preexec_fn=_end_with_parent(),
        )
        self._members.append(member)
        if member.stdout is not None:
            reader = threading.Thread(target=_prefix_lines, args=(member.stdout, index), daemon=True)
            reader.start()
            self._readers.append(reader)

    def _first_failure(self) -> tuple[int, int] | None:
        codes = [_exit_code(member) for member in self._members]
        failed = [(index, code) for index, code in enumerate(codes) if code]
        # If several members failed at once, bad input or a stop is the cause, and lost connections are the effect.
        return min(failed, key=lambda failure: failure[1] not in NOT_TRIED_AGAIN, default=None)

    def _wait_for_the_end(self, grace: float) -> None:
        """Wait until all members have ended; pass on the first received signal, and a second one as SIGKILL."""
        deadline = time.monotonic() + grace
        while self._running():
            for number in self._received[self._passed_on :]:
                self._send(signal.SIGKILL if self._passed_on else SIGNALS[number])
                self._passed_on += 1
            if time.monotonic() > deadline:
                self._send(signal.SIGKILL)
            time.sleep(POLL_SECONDS)

    def _running(self) -> list[subprocess.Popen]:
        return [member for member in self._members if member.poll() is None]

    def _send(self, number: signal.Signals) -> None:
        for member in self._running():
            member.send_signal(number)


def _check(command: Sequence[str], workers: int, max_restarts: int) -> None:
    if not hasattr(os, "killpg"):
        raise InputError(f"`launch_local` must run on Linux or macOS. Received: {sys.platform}.")
    if not command:
        raise InputError(
            "`command` must come after --, as in --workers=2 -- scripts/train.py --config=configs/folder.py. "
            "Received: none."
        )
    if not command[0].startswith("-") and not Path(command[0]).is_file():
        raise InputError(
            f"`command` must start with a Python script that exists, not with `python`. Received: {command[0]!r}."
        )
    if workers < 1:
        raise InputError(f"`workers` must be at least 1. Received: workers={workers}.")
    if max_restarts < 0:
        raise InputError(f"`max_restarts` must be at least 0. Received: max_restarts={max_restarts}.")


def _free_ports(count: int) -> list[int]:
    """Return free ports on the loopback; all stay open until the last is found, so that no port comes twice."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def _signals_received() -> Iterator[list[signal.Signals]]:
    """Collect the signals that end a group, except signals that are already ignored (for example under nohup)."""
    received: list[signal.Signals] = []
    numbers = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    old = {number: signal.signal(number, lambda n, _: received.append(signal.Signals(n))) for number in numbers}
    try:
        yield received
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _end_with_parent() -> Callable[[], None] | None:
    """Return a function for a new member that makes it die with this process, even by SIGKILL; None except on Linux."""
    if not sys.platform.startswith("linux"):
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask_the_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent has died already
            os._exit(128 + signal.SIGKILL)

    return ask_the_kernel


def _exit_code(member: subprocess.Popen) -> int | None:
    code = member.poll()
    return code if code is None or code >= 0 else 128 - code


def _prefix_lines(pipe: IO[bytes], index: int) -> None:
    """Write the lines of a member, with its number as prefix; of a progress bar, only the last state of the line."""
    for line in iter(functools.partial(pipe.readline, 1 << 16), b""):
        text = line.decode(errors="replace").rstrip("\r\n").rpartition("\r")[2]
        if text.strip():
            with suppress(OSError):  # no screen any more: read on, or the member would block
                say(f"[{index}] {text}")
