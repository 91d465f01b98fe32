"""What a run shows while it works: bars on a terminal, and a few lines in a file."""

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tfl import progress
from tfl.progress import BATCHES, Progress, human_time, track

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ("image", "images")
PROGRAM = """
import itertools, time
from tfl import progress
ticks = itertools.count(0, 4.0)
time.monotonic = lambda: next(ticks)
progress._with_lines.__defaults__ = (time.monotonic,)
for _ in progress.track(range(6), "reading", unit=("file", "files")):
    pass
progress.say("done")
"""


class Clock:
    """A clock that goes on by the next number of seconds at each look."""

    def __init__(self, *steps: float) -> None:
        self.times = itertools.accumulate([0.0, *steps])

    def __call__(self) -> float:
        return next(self.times)


def lines(capsys, items, total, unit, scale, clock):
    shown = list(progress._with_lines(iter(items), Progress("features", total, unit), scale, clock))
    assert shown == list(items)
    return capsys.readouterr().err.splitlines()


def test_work_of_a_few_seconds_writes_nothing_to_a_file(capsys):
    assert lines(capsys, range(7), 224, IMAGES, 32, Clock(*[1.4] * 7)) == []


def test_a_file_gets_a_line_now_and_then_and_the_first_item_does_not_spoil_the_time_left(capsys):
    """The first batch takes 8 s, because it also compiles; each further batch takes 2 s."""
    assert lines(capsys, range(14), 430, IMAGES, 32, Clock(8.0, *[2.0] * 13)) == [
        "features: 64 of 430 images (14 %), 23 s left",  # 366 images at 16 a second
        "features: 224 of 430 images (52 %), 13 s left",  # after 20 s
    ]
    assert lines(capsys, range(3), 3, BATCHES, 1, Clock(12.0, 1.0, 1.0)) == [
        "features: 1 of 3 batches (33 %)"  # the others may be much faster
    ]


def test_lines_become_rarer_but_never_rarer_than_every_ten_minutes(capsys):
    found = lines(capsys, range(4000), None, IMAGES, 1, Clock(*[1.0] * 4000))
    counts = [int(re.findall(r": (\d+) images in", line)[0]) for line in found]
    assert counts == [10, 20, 40, 80, 160, 320, 640, 1240, 1840, 2440, 3040, 3640]
    assert found[-1] == "features: 3640 images in 1.0 h"


def test_a_line_names_the_units_once():
    assert Progress("checking images", 398, IMAGES, done=120).describe(6.0).startswith("checking images: 120 of 398 (")
    assert Progress("reading", 1, IMAGES).describe(6.0, skipped=1) == "reading: 0 of 1 image (0 %)"


def test_the_last_batch_may_be_short(capsys):
    work = Progress("features", 70, IMAGES)
    assert [work.add(32) for _ in range(3)] == [32, 32, 6] and work.done == 70


def test_nothing_returns_to_the_start_of_the_line_except_on_a_terminal():
    """The same program with its errors in a pipe and on a terminal."""
    command, environment = [sys.executable, "-c", PROGRAM], {**os.environ, "PYTHONPATH": str(ROOT)}
    piped = subprocess.run(command, capture_output=True, env=environment, check=True).stderr.decode()
    assert piped == "reading: 3 of 6 files (50 %), 12 s left\ndone\n"
    pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")
    here, there = pty.openpty()
    termios.tcsetwinsize(there, (24, 80))
    subprocess.run(command, stderr=there, env=environment, check=True)
    shown = os.read(here, 1 << 16).decode()
    os.close(here), os.close(there)
    assert "\rreading:" in shown and shown.endswith("done\r\n")


def test_a_quiet_block_shows_nothing(capsys):
    with progress.quiet():
        assert list(track(range(3), "reading")) == [0, 1, 2]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "1 s"), (59.4, "59 s"), (59.6, "1 min"), (3569, "59 min"), (3571, "1.0 h"), (9000, "2.5 h")],
)
def test_durations_have_a_useful_precision(seconds, words):
    assert human_time(seconds) == words
