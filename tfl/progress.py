"""What a person sees while they wait: lines and bars, on stderr, and nothing else."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

from tfl.errors import readable

T = TypeVar("T")


def say(message: str) -> None:
    """Write one line for the user to stderr, without tearing a running progress bar."""
    tqdm.write(readable(message), file=sys.stderr)


def track(
    iterable: Iterable[T], description: str, total: int | None = None, unit: str = "it", scale: int = 1
) -> Iterator[T]:
    """Yield what `iterable` yields, with a progress bar that shows rate and time left.

    Args:
        iterable: what is walked.
        description: shown left of the bar.
        total: number of steps, where `iterable` does not know its length.
        unit: what one step is ("image", "batch").
        scale: how many units a step is, as the images of a batch.

    Returns:
        An iterator over the same items.
    """
    style = {"file": sys.stderr, "leave": False, "mininterval": 0.5, "unit_scale": scale if scale > 1 else False}
    return iter(tqdm(iterable, desc=description, total=total, unit=f" {unit}", **style))
