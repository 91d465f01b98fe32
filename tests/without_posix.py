"""Import this first: the process then lacks much of what Python does not have on Windows.

This is not Windows. Paths, open files that cannot be deleted and TensorFlow's own code stay those of this machine.
"""

import asyncio  # noqa: F401 - on POSIX it needs fcntl itself, and imports something else on Windows
import os
import signal
import subprocess  # noqa: F401 - looks at the names of `os` and `signal` when it is imported
import sys

MODULES = ("fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty")
# Names that other packages read on POSIX are left, such as os.geteuid and os.fork; see test_without_posix.py.
OS = ("O_CLOEXEC", "getloadavg", "getpgid", "killpg", "nice", "sched_getaffinity", "sched_setaffinity", "setsid")
SIGNALS = ("SIGALRM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "alarm", "setitimer")

for name in MODULES:
    sys.modules[name] = None  # pyright: ignore[reportArgumentType]
for module, names in ((os, OS), (signal, SIGNALS)):
    for name in names:
        delattr(module, name)
