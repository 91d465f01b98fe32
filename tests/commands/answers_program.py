"""Answer many wrong commands, each in a forked process: Python and what all commands import start once.

It reads [[words, packages that are not installed], ...] from stdin, and writes [[exit code, stdout, stderr], ...].
"""

import json
import os
import runpy
import sys
import tempfile
import traceback
from typing import IO

import tfl.runs.checks  # noqa: F401


def answer(words: list[str], without: list[str]) -> tuple[int, str, str]:
    """Run `tfl` with some words in a forked process."""
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        child = os.fork()
        if child == 0:
            be_tfl(words, without, (stdout, stderr))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return code, read(stdout), read(stderr)


def be_tfl(words: list[str], without: list[str], places: tuple[IO[str], IO[str]]) -> None:
    """Be the command: in the forked process, which ends here."""
    for target, place in enumerate(places, start=1):
        os.dup2(place.fileno(), target)
    sys.modules.update(dict.fromkeys(without))
    os.environ["WITHOUT"] = ",".join(without)  # for the processes that the command starts
    sys.argv, code = ["tfl", *words], 0
    try:
        runpy.run_module("tfl", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def read(file: IO[str]) -> str:
    """Return what a process wrote into a file."""
    file.seek(0)
    return file.read()


if __name__ == "__main__":
    json.dump([answer(words, without) for words, without in json.load(sys.stdin)], sys.stdout)
