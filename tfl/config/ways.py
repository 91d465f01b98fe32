"""The choices of a measurement of the worth of pre-training: what is compared, and with how many labels a class."""

from collections.abc import Iterable

from tfl.errors import InputError
from tfl.registry import resolve

SCRATCH, FROZEN, FINETUNED = WAYS = ("scratch", "frozen", "finetuned")


def check_ways(ways: Iterable[str]) -> tuple[str, ...]:
    """Return the ways in the order of `WAYS`.

    Raises:
        InputError: there is none, or one is not known.

    Example:
        >>> check_ways(["Frozen", "scratch"])
        ('scratch', 'frozen')
    """
    found = {resolve(way, WAYS, "ways") for way in ways}
    if not found:
        raise InputError(f"`ways` must name at least one of {', '.join(WAYS)}. Received: none.")
    return tuple(way for way in WAYS if way in found)


def check_sizes(sizes: Iterable[int | str], name: str = "sizes") -> tuple[int, ...]:
    """Return numbers of examples a class in rising order; they may be text.

    Args:
        sizes: the numbers.
        name: of the argument, for the message.

    Raises:
        InputError: one is not a whole number from 1.

    Example:
        >>> check_sizes(["10", "2"])
        (2, 10)
    """
    texts = [str(size).strip() for size in sizes]
    if not all(text.isdecimal() and int(text) for text in texts):
        raise InputError(f"`{name}` must be whole numbers from 1, as in 1,5,20. Received: {','.join(texts)}.")
    return tuple(sorted({int(text) for text in texts}))
