"""Processes of their own that start with TensorFlow imported: forked from a server that has run nothing yet.

The import takes 4 to 6 processor seconds, which many tests would spend on nothing else. Use it for programs that need
a process because they set TensorFlow's global state, are killed, or must give their memory back.
"""

import gc
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PATIENCE = 1200  # seconds until a test gives up; no test passes or fails by being fast
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tensorflow", "keras", "scipy.special", "sklearn", "tfl.recipe.transfer"])


class Process:
    """Like `subprocess.Popen`, for a Python program: a script and its arguments, "-c" and a text, "-m" and a module."""

    def __init__(
        self,
        command: Sequence[object],
        stdout: Path,
        stderr: Path | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Start the program; what it writes is appended to a file, or to two."""
        places = (str(stdout), str(stderr or stdout), str(cwd or Path.cwd()))
        arguments = ([str(word) for word in command], places, dict(os.environ if env is None else env))
        self._process = _CONTEXT.Process(target=_run, args=arguments, daemon=True)
        self._process.start()
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Return the exit code, -n where signal n ended it, None while it runs."""
        return self._process.exitcode

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait for the end, and return the exit code."""
        self._process.join(seconds)
        if self.poll() is None:
            self.kill()
            raise TimeoutError(f"process {self.pid} did not end within {seconds} s")
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


def run(
    command: Sequence[object], env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, like `subprocess.run` with its output captured."""
    with tempfile.TemporaryDirectory() as folder:
        places = Path(folder, "out"), Path(folder, "err")
        code = Process(command, *places, env, cwd).wait()
        return subprocess.CompletedProcess(command, code, *(place.read_text() for place in places))


def call(function: Callable[..., None], *texts: str) -> None:
    """Call a function of a test file, with some texts, in a process of its own, which gives all its memory back.

    What large networks leave in TensorFlow's caches stays there as long as the process: up to 3 GB of a test run.
    """
    file = Path(function.__code__.co_filename)
    program = "import runpy, sys; runpy.run_path(sys.argv[1])[sys.argv[2]](*sys.argv[3:])"
    done = run(["-c", program, file, function.__name__, *texts])
    assert done.returncode == 0, done.stderr[-3000:]


def _run(command: list[str], places: tuple[str, str, str], environment: dict[str, str]) -> None:
    """Be the program: in the forked process."""
    gc.freeze()  # what is shared with the server stays so: a collector that looks at it would copy it
    stdout, stderr, folder = places
    with Path(stdout).open("ab") as out, Path(stderr).open("ab") as err, Path(os.devnull).open("rb") as nothing:
        for target, source in enumerate((nothing, out, err)):
            os.dup2(source.fileno(), target)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    if command[0] == "-c":
        sys.argv = ["-c", *command[2:]]
        exec(command[1], {"__name__": "__main__"})
    elif command[0] == "-m":
        sys.argv = command[1:]
        runpy.run_module(command[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path = command, [str(Path(command[0]).resolve().parent), *sys.path]
        runpy.run_path(command[0], run_name="__main__")
