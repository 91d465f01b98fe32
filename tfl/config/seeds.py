"""The seeds of a study: a list of them, or how many."""

import dataclasses
from collections.abc import Iterable

from tfl.config.transfer import TransferConfig
from tfl.errors import InputError

MOST = 100  # runs of one study
_RULE = f"two or more different seeds, as in 0,1,2, or their number from 2 to {MOST}, as in 5 for the seeds 0 to 4"


def check_seeds(seeds: int | Iterable[int]) -> tuple[int, ...]:
    """Return the seeds of a study.

    Args:
        seeds: the seeds, or their number: n means the seeds 0 to n - 1.

    Raises:
        InputError: there are fewer than 2 or more than 100 seeds, a seed occurs twice, or one is no seed.

    Example:
        >>> check_seeds(3), check_seeds([7, 42])
        ((0, 1, 2), (7, 42))
    """
    if isinstance(seeds, bool) or not isinstance(seeds, (int, Iterable)) or isinstance(seeds, str):
        raise _refused(repr(seeds))
    if isinstance(seeds, int):
        if not 2 <= seeds <= MOST:
            raise _refused(str(seeds))
        return tuple(range(seeds))
    seeds = tuple(seeds)
    whole = all(isinstance(seed, int) and not isinstance(seed, bool) for seed in seeds)
    if not whole or not 2 <= len(set(seeds)) == len(seeds) <= MOST:
        raise _refused(",".join(map(str, seeds)) or "none")
    (rule,) = (field.metadata["rule"] for field in dataclasses.fields(TransferConfig) if field.name == "seed")
    return tuple(rule.check(seed, "seeds") for seed in seeds)


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return the seeds that a text means.

    Raises:
        InputError: as for `check_seeds`; or the text is neither a number nor numbers with commas between them.

    Example:
        >>> parse_seeds("0,1,2"), parse_seeds("3")
        ((0, 1, 2), (0, 1, 2))
    """
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        raise _refused(text or "nothing") from None
    try:
        return check_seeds(numbers if "," in text else numbers[0])
    except InputError as error:
        one_run = "," not in text and numbers[0] > 0
        raise InputError(f"{error} Did you mean --seed={numbers[0]}, which is one run?") if one_run else error from None


def _refused(received: str) -> InputError:
    return InputError(f"`seeds` must be {_RULE}. Received: {received}.")
