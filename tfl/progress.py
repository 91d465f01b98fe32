"""Messages and progress bars for the user, on stderr only."""

import contextlib
import dataclasses
import operator
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tqdm import TqdmWarning

from tfl.errors import readable

with warnings.catch_warnings():  # `tqdm.auto` would take an iterator of every data set that it shows, beside our own
    warnings.simplefilter("ignore", TqdmWarning)  # also: a notebook without ipywidgets has plain bars
    from tqdm.autonotebook import tqdm  # a bar of the notebook where there is one
    from tqdm.std import tqdm as StandardBar

T = TypeVar("T")
BATCHES = ("batch", "batches")
FIRST_LINE = 10.0  # seconds before the first line about progress; each further line waits twice as long in total
MOST_SECONDS = 600.0  # between two lines
_quiet = 0  # number of `quiet` blocks that run now


@contextlib.contextmanager
def quiet(enabled: bool = True) -> Iterator[None]:
    """Show no messages but warnings, and no progress bars, inside the block, in all threads."""
    global _quiet
    _quiet += enabled
    try:
        yield
    finally:
        _quiet -= enabled


def say(message: str) -> None:
    """Write one line for the user to stderr, without breaking a running progress bar."""
    if _quiet and not message.startswith("Warning"):
        return
    tqdm.write(readable(message), file=sys.stderr)


def shows_bars() -> bool:
    """Return whether progress is shown as bars, which draw over one line: on a terminal and in a notebook."""
    return tqdm is not StandardBar or bool(getattr(sys.stderr, "isatty", bool)())


def track(
    iterable: Iterable[T], description: str, total: int | None = None, unit: tuple[str, str] = BATCHES, scale: int = 1
) -> Iterator[T]:
    """Iterate over `iterable` and show how far it is, and how long it still takes.

    A terminal and a notebook get a bar. A file or a pipe gets a line now and then, the first after 10 seconds.

    Args:
        iterable: the items.
        description: text at the left.
        total: number of units; None: the length of `iterable`, if it has one.
        unit: the noun of what is counted, in the singular and the plural.
        scale: units in one item, for example the images of a batch; the last item may have fewer.

    Returns:
        An iterator over the same items.

    Example:
        >>> list(track([[1, 2], [3]], "reading", total=3, unit=("number", "numbers"), scale=2))
        [[1, 2], [3]]
    """
    if _quiet:
        return iter(iterable)
    if total is None:
        total = scale * operator.length_hint(iterable, 0) or None
    show = _with_bar if shows_bars() else _with_lines
    return show(iterable, Progress(description, total, unit), scale)


@dataclasses.dataclass
class Progress:
    """How far a piece of work is.

    Attributes:
        description: what is done.
        total: number of units; None if it is not known.
        unit: noun of the units, in the singular and the plural.
        done: number of units that are done.

    Example:
        >>> Progress("features", 224, ("image", "images"), done=96).describe(9.0)
        'features: 96 of 224 images (42 %), 12 s left'
    """

    description: str
    total: int | None
    unit: tuple[str, str]
    done: int = 0

    def add(self, units: int) -> int:
        """Count further units, but no more than there are; return how many were counted."""
        units = units if self.total is None else max(0, min(units, self.total - self.done))
        self.done += units
        return units

    def describe(self, seconds: float, skipped: int = 0) -> str:
        """Return one line for the user.

        Args:
            seconds: time of the work so far.
            skipped: number of the units done that `seconds` does not contain: the first ones, which also compile.
        """
        number = self.done if self.total is None else self.total
        noun = "" if self.description.endswith(self.unit[1]) else f" {self.unit[number != 1]}"
        if self.total is None:
            return f"{self.description}: {self.done}{noun} in {human_time(seconds)}"
        share = f"{self.description}: {self.done} of {self.total}{noun} ({100 * self.done // self.total} %)"
        if self.done <= skipped:  # what comes after the first units may be much faster
            return share
        return f"{share}, {human_time(seconds * (self.total - self.done) / (self.done - skipped))} left"


def _with_bar(items: Iterable[T], progress: Progress, scale: int) -> Iterator[T]:
    style = {"file": sys.stderr, "leave": False, "mininterval": 0.5}
    with tqdm(desc=progress.description, total=progress.total, unit=f" {progress.unit[0]}", **style) as bar:
        for item in items:
            yield item
            bar.update(progress.add(scale))


def _with_lines(
    items: Iterable[T], progress: Progress, scale: int, clock: Callable[[], float] = time.monotonic
) -> Iterator[T]:
    start, due, first = clock(), FIRST_LINE, 0.0
    for item in items:
        yield item
        progress.add(scale)
        seconds = clock() - start
        first = first or seconds
        if seconds >= due and progress.done != progress.total:
            due = seconds + min(seconds, MOST_SECONDS)
            say(progress.describe(seconds if progress.total is None else seconds - first, skipped=scale))


def human_time(seconds: float) -> str:
    """Return a duration in words of a useful precision.

    Example:
        >>> human_time(0.2), human_time(42.4), human_time(160), human_time(9000)
        ('1 s', '42 s', '3 min', '2.5 h')
    """
    if seconds < 59.5:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 59.5 * 60 else f"{seconds / 3600:.1f} h"
