"""Messages and progress bars for the user, on stderr only."""

import contextlib
import sys
import warnings
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import TqdmExperimentalWarning

from tfl.errors import readable

with warnings.catch_warnings():  # `tqdm.auto` would take an iterator of every data set that it shows, beside our own
    warnings.simplefilter("ignore", TqdmExperimentalWarning)
    from tqdm.autonotebook import tqdm  # a bar of the notebook where there is one

T = TypeVar("T")
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


def track(
    iterable: Iterable[T], description: str, total: int | None = None, unit: str = "it", scale: int = 1
) -> Iterator[T]:
    """Iterate over `iterable` and show a progress bar with the rate and the remaining time.

    Args:
        iterable: the items.
        description: text at the left of the bar.
        total: number of steps; needed if `iterable` has no length.
        unit: name of one step ("image", "batch").
        scale: units in one step, for example the images of a batch.

    Returns:
        An iterator over the same items.
    """
    if _quiet:
        return iter(iterable)
    style = {"file": sys.stderr, "leave": False, "mininterval": 0.5, "unit_scale": scale if scale > 1 else False}
    return iter(tqdm(iterable, desc=description, total=total, unit=f" {unit}", **style))
