"""tfl needs nothing of Python that only POSIX has, such as `fcntl` and `resource`."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import warm
import without_posix_program
from option_runs import write_photos

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = without_posix_program.__file__
ONLY_POSIX = {
    "fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty",
    *(f"os.{name}" for name in (
        "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_SYNC", "WEXITSTATUS", "WIFEXITED", "chown", "chroot",
        "confstr", "fchmod", "fchown", "fork", "forkpty", "getegid", "geteuid", "getgid", "getgroups", "getloadavg",
        "getpgid", "getpriority", "getsid", "getuid", "killpg", "lchown", "lockf", "mkfifo", "mknod", "nice",
        "openpty", "posix_fadvise", "posix_fallocate", "posix_spawn", "pread", "pwrite", "register_at_fork",
        "sched_getaffinity", "sched_setaffinity", "sendfile", "setpgid", "setpriority", "setsid", "setuid", "statvfs",
        "sync", "sysconf", "uname", "wait", "wait3", "wait4",
    )),
    *(f"signal.{name}" for name in (
        "SIGALRM", "SIGCHLD", "SIGCONT", "SIGHUP", "SIGKILL", "SIGQUIT", "SIGSTOP", "SIGTSTP", "SIGUSR1", "SIGUSR2",
        "SIGWINCH", "alarm", "pause", "pthread_kill", "pthread_sigmask", "setitimer", "siginterrupt", "sigwait",
    )),
}  # fmt: skip
ALLOWED = {  # each behind a question whether the name exists; tests below go the other way
    "tfl/distribution/launch.py": {"os.killpg", "signal.SIGHUP", "signal.SIGKILL"},
    "tfl/export/runner.py": {"resource", "os.sched_getaffinity"},
    "tfl/features/rows.py": {"os.sched_getaffinity"},
    "tfl/files/locks.py": {"fcntl", "os.O_CLOEXEC"},
    "tfl/serving/connections.py": {"resource"},
}


def posix_names(source):
    """Return what a text imports or names that Python has only on POSIX."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add(f"{node.value.id}.{node.attr}")
    return found & ONLY_POSIX


def test_only_these_files_name_what_only_posix_has():
    files = [*(ROOT / "tfl").rglob("*.py"), *(ROOT / "scripts").glob("*.py"), *(ROOT / "configs").glob("*.py")]
    found = {path.relative_to(ROOT).as_posix(): posix_names(path.read_text("utf-8")) for path in files}
    assert {name: names for name, names in found.items() if names} == ALLOWED


@pytest.mark.parametrize("line", ["import fcntl", "from os import getuid", "os.fork()", "x = signal.SIGALRM"])
def test_a_name_of_posix_is_seen(line):
    assert posix_names(f"def f():\n    {line}\n")
    assert not posix_names("import os, signal\nos.getpid()\nsignal.raise_signal(signal.SIGTERM)\n")


def start(folder, *words):
    """Run the program in a new process, not one of `warm`, where POSIX is imported already; return its folder."""
    paths = (str(ROOT), str(ROOT / "tests"))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    folder.mkdir()
    command = [sys.executable, "-X", "warn_default_encoding", PROGRAM, str(folder), *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=warm.PATIENCE)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_a_run_without_posix_gives_the_same_files_and_numbers(tmp_path):
    write_photos(tmp_path / "photos", (12, 12, 12))
    blocked, free = start(tmp_path / "blocked", "blocked"), start(tmp_path / "free")
    for name in ("run/predictions.csv", "run/history.csv", "run/splits.csv", "predicted.csv"):
        assert (blocked / name).read_bytes() == (free / name).read_bytes()
    names = [sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if "tfevents" not in file.name)
             for folder in (blocked, free)]  # fmt: skip
    assert [name for name in names[0] if name != "runner.py"] == names[1]
    for folder, knows in ((blocked, False), (free, True)):
        certificate = json.loads((folder / "run/export/certificate.json").read_text())
        assert sorted(certificate["artefacts"]) == ["model.keras", "saved_model"]
        for entry in certificate["artefacts"].values():
            assert entry["failures"] == []
            assert (entry["peak_memory_bytes"] is not None) == knows


def test_the_launcher_refuses_a_system_without_groups_of_processes(tmp_path):
    code = "import without_posix; from tfl.distribution.launch import launch_local; launch_local(['-c', ''], 1)"
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert "InputError: `launch_local` must run on Linux or macOS. Received: linux." in done.stderr
